"""Running code over HTTP: one execution, whichever form its answer takes."""

import base64
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from live_server import Live

EXECUTE = "/api/jupyter/execute"
SSE = {"Accept": "text/event-stream"}
NDJSON = {"Accept": "application/x-ndjson"}


def run(live: Live, code: str, **fields: Any) -> dict[str, Any]:
    answer = live.post(EXECUTE, json={"code": code, **fields})
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    assert answer.headers["x-execution-id"] == result["id"]
    return result


def text_of(result: dict[str, Any]) -> str:
    return "".join(output.get("text", "") for output in result["outputs"])


def parse(lines: Iterator[str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(id, event, data) of each server-sent event; pings are left out."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line and "data" in fields:
            yield fields["id"], fields["event"], json.loads(fields["data"])
            fields = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value


def posted(body: dict[str, Any], headers: dict[str, str]) -> bytes:
    """A request to run code, byte for byte."""
    data = json.dumps(body).encode()
    lines = [b"POST /api/jupyter/execute HTTP/1.1", b"Host: localhost", b"Content-Type: application/json"]
    lines += [f"{name}: {value}".encode() for name, value in headers.items()]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(data), b"", data])


def test_the_call_of_the_readme_answers_a_result(live: Live) -> None:
    result = run(live, 'print("Hello from Jupyter")')
    assert result["status"] == "ok"
    assert result["outputs"] == [{"output_type": "stream", "name": "stdout", "text": "Hello from Jupyter\n"}]
    assert (result["kernel_id"], result["kernel_state"]) == (None, "released")
    assert set(result) == {
        *("id", "kernel_id", "cell_id", "status", "kernel_state", "execution_count", "outputs", "error", "truncated"),
        *("spill", "files", "code_sha256", "timing", "usage", "limit", "notice"),
    }


def test_a_session_keeps_its_variables(live: Live, kernel: str) -> None:
    run(live, "x = 20", kernel_id=kernel)
    result = run(live, "x + 1", kernel_id=kernel)
    assert result["outputs"][0]["data"]["text/plain"] == "21"
    assert (result["kernel_id"], result["kernel_state"], result["execution_count"]) == (kernel, "kept", 2)


def test_what_became_of_accepted_code_is_its_status(live: Live, kernel: str) -> None:
    assert run(live, "1/0", kernel_id=kernel)["error"]["ename"] == "ZeroDivisionError"
    broken = run(live, "print(", kernel_id=kernel)
    assert (broken["status"], broken["error"]["ename"]) == ("error", "SyntaxError")
    slow = run(live, "while True: pass", kernel_id=kernel, timeout=0.3)
    assert (slow["status"], slow["kernel_state"], slow["limit"]) == (
        "timeout",
        "kept",
        {"name": "timeout", "value": 0.3},
    )
    gone = run(live, "import os; os._exit(0)", kernel_id=kernel, snapshot="always")
    assert (gone["status"], gone["kernel_state"]) == ("kernel_died", "restored")


def test_a_cell_is_replaced_and_an_unstored_run_leaves_the_notebook(live: Live, kernel: str) -> None:
    first = run(live, "print(1)", kernel_id=kernel)
    run(live, "print(2)", kernel_id=kernel, cell_id=first["cell_id"])
    assert run(live, "print(3)", kernel_id=kernel, store=False)["cell_id"] is None
    (cell,) = live.get(f"/api/jupyter/kernel/{kernel}/notebook").json()["cells"]
    assert (cell["id"], cell["source"], cell["outputs"][0]["text"]) == (first["cell_id"], "print(2)", "2\n")


def test_a_one_shot_has_files_in_and_files_out(live: Live) -> None:
    files = [{"path": "in/data.txt", "content_base64": base64.b64encode("grün".encode()).decode()}]
    result = run(live, "open('out.txt', 'w').write(open('in/data.txt').read().upper())", files=files)
    assert {"path": "out.txt", "size": 5, "change": "created"} in result["files"]
    answer = live.get(f"{EXECUTE}/{result['id']}/files/out.txt")
    assert answer.content == "GRÜN".encode()
    assert answer.headers["x-execution-id"] == result["id"]
    assert live.get(f"{EXECUTE}/{result['id']}/files/none.txt").json()["error"]["code"] == "file_not_found"


def test_events_arrive_while_the_code_runs(live: Live, kernel: str) -> None:
    code = "print('first', flush=True)\nname = input('who? ')\nprint('hello', name)"
    seen = []
    with live.stream("POST", EXECUTE, json={"code": code, "kernel_id": kernel}, headers=SSE) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-accel-buffering"] == "no"
        for id, event, data in parse(answer.iter_lines()):
            seen.append((int(id), event))
            assert data["seq"] == int(id)
            assert "event" not in data
            if event == "input_request":  # the run waits for us: what came so far was not held back
                assert (1, "execution_start") in seen
                assert "stream" in [kind for _, kind in seen]
                url = f"{EXECUTE}/{answer.headers['x-execution-id']}/input"
                assert live.post(url, json={"value": "Ada"}).status_code == 204
    assert [id for id, _ in seen] == list(range(1, len(seen) + 1))
    assert seen[-1][1] == "execution_end"
    assert text_of(data["content"]).endswith("hello Ada\n")


def test_ndjson_says_the_same(live: Live, kernel: str) -> None:
    with live.stream("POST", EXECUTE, json={"code": "print(1)", "kernel_id": kernel}, headers=NDJSON) as answer:
        events = [json.loads(line) for line in answer.iter_lines()]
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert events[0]["event"] == "execution_start"
    assert (events[-1]["event"], events[-1]["content"]["status"]) == ("execution_end", "ok")


def test_a_stream_is_resumed_after_the_last_event_and_replayed_after_the_end(live: Live, kernel: str) -> None:
    result = run(live, "print(1)\ndisplay(2)", kernel_id=kernel)
    url = f"{EXECUTE}/{result['id']}/events"
    whole = list(parse(iter(live.get(url).text.split("\n"))))
    rest = list(parse(iter(live.get(url, headers={"Last-Event-ID": "2"}).text.split("\n"))))
    assert rest == whole[2:]
    assert rest[0][0] == "3"
    assert whole[-1][2]["content"] == live.get(f"{EXECUTE}/{result['id']}").json()
    assert live.get(url, headers=NDJSON).text.count("\n") == len(whole)


def test_respond_async_answers_at_once_and_says_where(live: Live, kernel: str) -> None:
    body = {"code": "while True: pass", "kernel_id": kernel}
    answer = live.post(EXECUTE, json=body, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    assert answer.json()["status"] in ("queued", "running")
    where = answer.headers["location"]
    assert where == f"{EXECUTE}/{answer.headers['x-execution-id']}"
    assert live.get(where).json()["status"] in ("queued", "running")
    with live.stream("GET", f"{where}/events", headers=SSE) as stream:
        for _, event, _data in parse(stream.iter_lines()):
            if event == "status":  # it runs
                live.post(f"{where}/interrupt")
    assert event == "execution_end"
    result = live.get(where).json()
    assert (result["status"], result["kernel_state"]) == ("interrupted", "kept")


def test_an_idempotency_key_returns_the_first_execution(live: Live, kernel: str) -> None:
    body = {"code": "n = globals().get('n', 0) + 1; print(n)", "kernel_id": kernel}
    headers = {"Idempotency-Key": f"key-{kernel}"}
    first, second = (live.post(EXECUTE, json=body, headers=headers).json() for _ in range(2))
    assert first == second
    assert text_of(run(live, "print(n)", kernel_id=kernel)) == "1\n"
    streamed = live.post(EXECUTE, json=body, headers={**headers, **NDJSON})  # the same, listened to in another way
    assert json.loads(streamed.text.splitlines()[-1])["content"] == first
    other = live.post(EXECUTE, json={**body, "code": "print('other')"}, headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")


@pytest.mark.parametrize("headers", [SSE, {}])
def test_a_client_that_leaves_may_take_its_execution_with_it(live: Live, kernel: str, headers: dict[str, str]) -> None:
    watching = threading.Event()
    ends: list[dict[str, Any]] = []

    def watch() -> None:
        with live.stream("GET", f"/api/jupyter/kernel/{kernel}/events", headers=SSE) as answer:
            for _, event, data in parse(answer.iter_lines()):
                watching.set()
                if event == "status":  # it runs
                    started.set()
                if event == "execution_end":
                    ends.append(data["content"])
                    return

    started = threading.Event()
    watcher = threading.Thread(target=watch)
    watcher.start()
    assert watching.wait(90)
    body = {"code": "while True: pass", "kernel_id": kernel, "on_disconnect": "interrupt"}
    with live.dial() as connection:
        connection.sendall(posted(body, headers))
        assert started.wait(90)
    watcher.join(90)
    assert [end["status"] for end in ends] == ["interrupted"]


def test_who_sends_the_same_key_again_only_listens(live: Live, kernel: str) -> None:
    body = {"code": "print(input())", "kernel_id": kernel, "allow_stdin": True, "on_disconnect": "interrupt"}
    named = {"Idempotency-Key": f"again-{kernel}"}
    with live.stream("POST", EXECUTE, json=body, headers={**SSE, **named}) as answer:
        id, events = answer.headers["x-execution-id"], parse(answer.iter_lines())
        next(data for _, event, data in events if event == "input_request")
        with live.dial() as connection:
            connection.sendall(posted(body, {**SSE, **named}))
            assert connection.recv(1)  # it is known
            connection.shutdown(socket.SHUT_WR)  # it leaves
            while connection.recv(4096):  # until the server has noticed
                pass
        live.post(f"{EXECUTE}/{id}/input", json={"value": "still here"})
        end = next(data for _, event, data in events if event == "execution_end")
    assert (end["content"]["status"], text_of(end["content"])[-11:]) == ("ok", "still here\n")


def test_a_client_that_leaves_stops_nothing_by_default(live: Live, kernel: str) -> None:
    body = {"code": "name = input()\nprint('still', name)", "kernel_id": kernel}
    with live.stream("POST", EXECUTE, json=body, headers=SSE) as answer:
        id = answer.headers["x-execution-id"]
        for _, event, _ in parse(answer.iter_lines()):
            if event == "input_request":
                break
    live.post(f"{EXECUTE}/{id}/input", json={"value": "here"})
    list(live.get(f"{EXECUTE}/{id}/events").iter_lines())
    assert text_of(live.get(f"{EXECUTE}/{id}").json()).endswith("still here\n")


def test_input_is_for_streams_unless_asked_for(live: Live, kernel: str) -> None:
    result = run(live, "input()", kernel_id=kernel)
    assert (result["status"], result["error"]["ename"]) == ("error", "StdinNotImplementedError")
    answer = live.post(f"{EXECUTE}/{result['id']}/input", json={"value": "late"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not_waiting_for_input")


# what is not accepted


def error_of(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()["error"]
    assert set(error) == {"code", "message", "hint", "fields"}
    assert error["message"]
    return error


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "code"),
        ({"code": 1}, "code"),
        ({"code": "1", "colour": "red"}, "colour"),
        ({"code": "1", "timeout": "5"}, "timeout"),
        ({"code": "1", "timeout": 0}, "timeout"),
        ({"code": "1", "timeout": 61}, "timeout"),
        ({"code": "1", "store": "yes"}, "store"),
        ({"code": "1", "on_disconnect": "stop"}, "on_disconnect"),
        ({"code": "1", "files": [{"path": "a", "content_base64": "%%%"}]}, "files.0.content_base64"),
        ({"code": "1", "files": [{"path": "a"}]}, "files.0.content_base64"),
        ({"code": "\ud800"}, "code"),
        ([], "body"),
    ],
)
def test_a_body_that_does_not_fit_is_told_by_its_field(live: Live, body: object, path: str) -> None:
    answer = live.post(EXECUTE, content=json.dumps(body), headers={"Content-Type": "application/json"})
    error = error_of(answer, 422)
    assert error["code"] == "invalid_request"
    assert error["fields"][0]["path"] == path


@pytest.mark.parametrize("text", [b"", b"{", b'{"code": "1"', b"\xff\xfe", b"[" * 100_000, b"nonsense"])
def test_a_body_that_is_no_json_is_told_so(live: Live, text: bytes) -> None:
    error = error_of(live.post(EXECUTE, content=text, headers={"Content-Type": "application/json"}), 422)
    assert error["fields"][0]["path"] == "body"


def test_a_form_is_not_taken_for_json(live: Live) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        error = error_of(live.post(EXECUTE, content=b'{"code": "1"}', headers={"Content-Type": kind}), 422)
        assert "Content-Type: application/json" in error["message"]


def test_code_over_the_cap_is_too_large(live: Live) -> None:
    error = error_of(live.post(EXECUTE, json={"code": "#" * ((1 << 20) + 1)}), 413)
    assert error["code"] == "code_too_large"


def test_a_body_over_the_cap_is_refused_before_it_is_read(live: Live) -> None:
    with live.dial() as connection:
        connection.sendall(
            b"POST /api/jupyter/execute HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 99999999999\r\n\r\n"
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_grows_over_the_cap_is_refused_while_it_is_read(live: Live) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"code": "'
        for _ in range(33):
            yield b"#" * (1 << 20)

    answer = live.post(EXECUTE, content=pieces(), headers={"Content-Type": "application/json"})
    assert error_of(answer, 413)["code"] == "too_large"


def test_unknown_ids_are_not_found(live: Live) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    assert error_of(live.post(EXECUTE, json={"code": "1", "kernel_id": unknown}), 404)["code"] == "kernel_not_found"
    for method, url in [("GET", ""), ("GET", "/events"), ("POST", "/interrupt"), ("GET", "/files/a")]:
        answer = live.request(method, f"{EXECUTE}/{unknown}{url}", headers=SSE)
        assert error_of(answer, 404)["code"] == "execution_not_found"


def test_a_cell_that_is_not_there_is_not_found(live: Live, kernel: str) -> None:
    answer = live.post(EXECUTE, json={"code": "1", "kernel_id": kernel, "cell_id": "nowhere"})
    assert error_of(answer, 404)["code"] == "cell_not_found"


@pytest.mark.parametrize("path", ["../out", "/etc/passwd", "a/%2e%2e/%2e%2e/b", ""])
def test_a_one_shot_file_stays_in_its_workspace(live: Live, path: str) -> None:
    answer = live.post(EXECUTE, json={"code": "1", "files": [{"path": path, "content_base64": ""}]})
    assert error_of(answer, 400)["code"] == "invalid_path"


def test_two_executions_at_once_on_one_kernel_wait_for_each_other(live: Live, kernel: str) -> None:
    body = {"code": "while True: pass", "kernel_id": kernel}
    first = live.post(EXECUTE, json=body, headers={"Prefer": "respond-async"})
    second = live.post(EXECUTE, json={**body, "code": "print('after')"}, headers={"Prefer": "respond-async"})
    assert second.json()["status"] == "queued"
    live.post(f"{first.headers['location']}/interrupt")
    events = list(parse(iter(live.get(f"{second.headers['location']}/events").text.split("\n"))))
    assert text_of(events[-1][2]["content"]) == "after\n"
