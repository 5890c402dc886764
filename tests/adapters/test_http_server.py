"""The server as a whole: probes, its own reference, who gets in on which settings, and how it ends."""

import json
import threading
from pathlib import Path

import pytest
from live_server import Live, Start, bare, living

from cellblock import app
from cellblock.adapters.access import Rules
from cellblock.cli import bounded
from cellblock.errors import KernelStartFailed


def test_a_server_is_up_and_ready(live: Live) -> None:
    assert live.get("/healthz").json() == {"status": "ok"}
    assert live.post("/api/jupyter/kernel").status_code == 201  # waited for the pool
    assert live.get("/readyz").status_code in (200, 503)


def test_the_status_tells_version_sandbox_pool_and_limits(live: Live) -> None:
    status = live.get("/api/status").json()
    assert {"version", "ready", "sandbox", "environments", "pool", "kernels", "limits"} <= set(status)
    assert status["sandbox"]["level"] in ("full", "unprivileged")
    assert status["limits"]["code_limit"] == 1 << 20


def test_the_document_and_the_page_of_the_api_are_served(live: Live) -> None:
    assert live.get("/openapi.json").json() == json.loads(json.dumps(app.openapi()))
    page = live.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


def test_every_answer_is_fenced_in(live: Live) -> None:
    for path in ("/healthz", "/api/status", "/nowhere", "/api/jupyter/kernel/x"):
        headers = live.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/api/jupyter/kernel/", 404, "not_found"),
        ("PUT", "/api/jupyter/execute", 405, "method_not_allowed"),
        ("DELETE", "/api/status", 405, "method_not_allowed"),
        ("OPTIONS", "/api/jupyter/execute", 405, "method_not_allowed"),
    ],
)
def test_what_is_not_there_is_told_in_the_one_shape(live: Live, method: str, path: str, status: int, code: str) -> None:
    answer = live.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_method_that_is_not_taken_is_told_the_others(live: Live) -> None:
    answer = live.post("/api/jupyter/kernel/k/files/a.txt")
    assert (answer.status_code, answer.headers.get_list("allow")) == (405, ["DELETE, GET, PUT"])


def test_the_token_opens_what_loopback_does_not(start: Start) -> None:
    client = start(token="s3cret", loopback_trust=False)
    assert client.get("/api/status").status_code == 401
    assert client.get("/healthz").status_code == 200
    assert client.get("/api/status", headers={"Authorization": "token s3cret"}).status_code == 200
    assert client.get("/", params={"token": "s3cret"}).status_code == 303
    assert client.get("/api/status").status_code == 200  # by the cookie


def test_code_that_is_not_shut_in_has_our_uid_so_nobody_is_trusted(start: Start) -> None:
    client = start(sandbox="off", token="s3cret")
    assert client.get("/api/status").status_code == 401
    status = client.get("/api/status", headers={"Authorization": "Bearer s3cret"}).json()
    assert status["sandbox"]["level"] in ("off", None)


def test_kernels_of_another_server_are_in_no_sandbox_of_ours_so_nobody_is_trusted(start: Start) -> None:
    client = start(remote_servers="http://127.0.0.1:9/?token=theirs", token="s3cret")
    assert client.get("/api/status").status_code == 401
    answer = client.get("/api/status", headers={"Authorization": "Bearer s3cret"})
    status = answer.json()
    assert status["sandbox"]["level"] == "remote"
    (server,) = status["remote"]
    assert (server["name"], server["state"]) == ("127.0.0.1:9", "silent")
    assert "theirs" not in answer.text
    headers = {"Authorization": "Bearer s3cret"}
    tried = client.post(
        "/api/jupyter/execute", json={"code": "1"}, headers=headers
    )  # it waits for the servers to be asked
    assert (tried.status_code, tried.json()["status"]) == (200, "kernel_died")
    assert client.get("/readyz").status_code == 200  # what is there already can be read


def test_on_any_other_address_everybody_needs_the_token(start: Start) -> None:
    client = start(host="0.0.0.0", token="s3cret")
    assert client.get("/api/status").status_code == 401
    assert client.get("/api/status", params={"token": "s3cret"}).status_code == 200


def rules_for(**given: object) -> Rules:
    from cellblock.app import Server, rules
    from cellblock.settings import load

    return rules(Server(load(**given), "t"))


def test_names_follow_the_address_and_the_setting() -> None:
    assert rules_for().names == {"localhost", "127.0.0.1", "::1"}
    assert "192.0.2.1" in rules_for(host="192.0.2.1").names
    assert rules_for(host="0.0.0.0").any_ip
    assert rules_for(allowed_hosts="Box.example, other:81").extra == {"box.example", "other:81"}


def test_a_token_is_made_when_none_is_given(live: Live, start: Start) -> None:
    assert len(live.server.token) == 32
    assert start().server.token != live.server.token


def test_who_waits_for_an_execution_is_told_when_the_server_stops(tmp_path: Path) -> None:
    answers = []
    with living(bare(tmp_path)) as client:
        kernel = client.create()

        def wait() -> None:
            answers.append(client.post("/api/jupyter/execute", json={"code": "while True: pass", "kernel_id": kernel}))

        waiting = threading.Thread(target=wait)
        with client.stream("GET", f"/api/jupyter/kernel/{kernel}/events") as events:
            lines = events.iter_lines()
            waiting.start()
            while next(lines) != "event: status":
                pass
            client.uvicorn.should_exit = True
            assert list(lines)  # the stream ends, too
        waiting.join(90)
    assert (answers[0].status_code, answers[0].json()["error"]["code"]) == (503, "unavailable")


def test_a_server_whose_kernels_cannot_start_says_why_and_ends(tmp_path: Path) -> None:
    (tmp_path / "environments.toml").write_text('[python3]\npython = "/nowhere/python"\n')
    with living(tmp_path) as client:
        client.thread.join(90)
        assert not client.thread.is_alive()
        assert isinstance(client.server.failure, KernelStartFailed)
        assert "/nowhere/python" in client.server.failure.message


ENDLESS = {
    "a path": (b"GET /", b"a"),
    "a header": (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", b"a"),
    "headers": (b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"X: a\r\n"),
    "a chunk's extension": (
        b"POST /api/jupyter/execute HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;",
        b"a",
    ),
    "trailers": (
        b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n",
        b"X: a\r\n",
    ),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_what_never_ends_is_cut_off(live: Live, what: str) -> None:
    begin, more = ENDLESS[what]
    much = more * ((64 << 20) // len(more))  # more than any buffer between the two of us
    with live.dial() as connection, pytest.raises(OSError):
        connection.sendall(begin + much)


def test_a_head_that_is_long_but_ends_is_read(live: Live) -> None:
    assert live.get("/healthz", headers={"X-Long": "a" * 60_000}).status_code == 200


def test_a_connection_that_asks_for_nothing_is_closed(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "HEAD_SECONDS", 0.1)
    with live.dial() as connection:
        assert connection.recv(1) == b""
    with live.dial() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        assert connection.recv(1) == b""
