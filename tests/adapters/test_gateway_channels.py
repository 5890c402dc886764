"""A Jupyter client's socket: an execution is one like any other, everybody hears it, and nothing a client does grows memory."""

import asyncio
import json
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from chatting import config
from live_server import Live, Start
from starlette.types import Message
from starlette.websockets import WebSocket
from talking import Talk, header, kinds, talking, text
from websockets.exceptions import ConnectionClosed, InvalidStatus

from cellblock.adapters.gateway.channels import Channels
from cellblock.cli.gathered import Gathering
from cellblock.host import running
from cellblock.host.config import ExecuteRequest
from cellblock.host.interpreter import Interpreter
from cellblock.host.session import Session
from cellblock.host.tape import AWAY_SECONDS, MAX_BYTES
from cellblock.host.workspace import Scan, Workspace

EXECUTE = "/api/jupyter/execute"


def session_of(live: Live, kernel: str) -> Session:
    assert live.server.interpreter
    return next(each for each in live.server.interpreter.sessions.live() if each.id == kernel)


def cells(live: Live, kernel: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = live.get(f"/api/jupyter/kernel/{kernel}/notebook").json()["cells"]
    return found


def settled(condition: Any) -> None:
    """Waits until something is so in another thread."""
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# executions


@pytest.mark.parametrize("v1", [False, True])
def test_an_execution_is_told_as_jupyter_tells_it(live: Live, kernel: str, v1: bool) -> None:
    with talking(live, kernel, v1=v1) as talk:
        assert talk.socket.subprotocol == ("v1.kernel.websocket.jupyter.org" if v1 else None)
        heard = talk.run("print('häl')\n1 + 1")
    assert kinds(heard)[:2] == ["busy", "execute_input"]
    assert text(heard) == "häl\n"
    result = next(said for said in heard if said["msg_type"] == "execute_result")
    assert result["content"]["data"]["text/plain"] == "2"
    reply = next(said for said in heard if said["channel"] == "shell")
    assert (reply["msg_type"], reply["content"]["status"], reply["content"]["execution_count"]) == (
        "execute_reply",
        "ok",
        1,
    )
    assert {said["parent_header"]["session"] for said in heard} == {"test"}


def test_it_is_a_cell_of_the_notebook_and_an_event_of_the_session(live: Live, kernel: str) -> None:
    seen: list[str] = []
    begun = threading.Event()

    def watch() -> None:
        with live.stream("GET", f"/api/jupyter/kernel/{kernel}/events") as answer:
            for line in answer.iter_lines():
                begun.set()
                if line.startswith("event:"):
                    seen.append(line.removeprefix("event: "))
                if "execution_end" in line:
                    return

    watching = threading.Thread(target=watch)
    watching.start()
    assert begun.wait(90)
    with talking(live, kernel) as talk:
        talk.run("print('for all')", metadata={"cellId": "given-by-the-editor"})
        talk.run("print('again')", metadata={"cellId": "given-by-the-editor"})
        said = kinds(talk.run("quiet = 1", silent=True))
        assert (said[0], sorted(said)) == ("busy", ["busy", "execute_reply", "idle"])  # the last two on two channels
        talk.run("loud = 1", store_history=False)
    watching.join()
    assert seen[0] == "snapshot"
    assert "cell_added" in seen
    assert "stream" in seen
    (cell,) = cells(live, kernel)
    assert (cell["id"], cell["source"], cell["outputs"][0]["text"], cell["execution_count"]) == (
        "given-by-the-editor",
        "print('again')",
        "again\n",
        2,
    )


def test_what_other_doors_run_is_heard_without_a_reply(live: Live, kernel: str) -> None:
    with talking(live, kernel) as talk:
        result = live.post(EXECUTE, json={"code": "print('from curl')", "kernel_id": kernel}).json()
        heard = talk.until(lambda said: said["content"].get("execution_state") == "idle" and said["parent_header"])
        ours = [said for said in heard if said["parent_header"].get("msg_id") == result["id"]]
        assert kinds(ours) == ["busy", "execute_input", "stream", "idle"]
        assert talk.ask("is_complete_request", {"code": "1"})["status"] == "complete"


def test_clients_of_one_kernel_hear_one_another_and_only_the_asker_gets_replies(live: Live, kernel: str) -> None:
    with talking(live, kernel, v1=True) as asker, talking(live, kernel) as other:
        id = asker.execute("x = input('name? '); print(x)", allow_stdin=True)
        question = asker.until(lambda said: said["channel"] == "stdin")[-1]
        assert question["content"] == {"prompt": "name? ", "password": False}
        asker.send("input_reply", {"value": "Ada"}, channel="stdin")
        assert text(asker.answers(id)) == "Ada\n"
        heard = other.until(lambda said: said["content"].get("execution_state") == "idle" and said["parent_header"])
    assert {said["channel"] for said in heard} == {"iopub"}
    assert {said["parent_header"].get("msg_id") for said in heard} == {id}


def test_questions_of_ours_are_heard_by_nobody(live: Live, kernel: str) -> None:
    with talking(live, kernel) as talk:
        talk.run("x = 1")
        assert live.get(f"/api/jupyter/kernel/{kernel}/variables").json()[0]["name"] == "x"
        id = talk.execute("1")
        heard = talk.until(lambda said: said["channel"] == "shell")
    assert {said["parent_header"].get("msg_id") for said in heard} <= {id}


def test_what_never_reaches_the_kernel_ends_like_all_else(start: Start) -> None:
    live = start(forbidden_modules="subprocess", queue_limit=1, max_timeout=3.0)
    kernel = live.create()
    with talking(live, kernel) as talk:
        refused = talk.run("import subprocess")
        assert kinds(refused) == ["busy", "execute_input", "error", "execute_reply", "idle"]
        assert refused[2]["content"]["ename"] == "Refused"
        slow = talk.run("import time\nwhile True: time.sleep(0.01)")
        assert "It is stopped: it may run for 3 s." in text(slow)
        assert slow[-1]["content"].get("ename", "KeyboardInterrupt") == "KeyboardInterrupt"
        wrong = talk.answers(talk.send("execute_request", {"code": 1}))
        assert (wrong[1]["content"]["ename"], kinds(wrong)[-2:]) == ("InvalidRequest", ["execute_reply", "idle"])
        ids = [talk.execute("import time; time.sleep(1)", stop_on_error=False) for _ in range(3)]
        ends = {}
        while len(ends) < 3:
            said = talk.receive()
            if said["msg_type"] == "execute_reply":
                ends[said["parent_header"]["msg_id"]] = said["content"].get("ename")
        assert [ends[id] for id in ids] == [None, None, "QueueFull"]


def test_an_error_aborts_what_waits_of_the_same_client_only(live: Live, kernel: str) -> None:
    with talking(live, kernel) as talk, talking(live, kernel) as other:
        hold = talk.execute("input()", allow_stdin=True)
        talk.until(lambda said: said["channel"] == "stdin")
        failing, behind, beside = talk.execute("1/0"), talk.execute("print('no')"), other.execute("print('yes')")
        assert other.ask("kernel_info_request", {})["status"] == "ok"  # so it has been accepted
        talk.send("input_reply", {"value": ""}, channel="stdin")
        talk.answers(hold)
        talk.answers(failing)
        aborted = talk.answers(behind)
        assert [said["content"]["status"] for said in aborted if said["channel"] == "shell"] == ["aborted"]
        assert text(other.answers(beside)) == "yes\n"


def test_an_error_aborts_nothing_that_is_asked_for_after_its_reply(
    live: Live, kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What we still do for an execution after its kernel has replied is no time in which a client's next request is lost."""
    seen, look, scan = threading.Event(), threading.Event(), Workspace.scan
    look.set()

    def slow(workspace: Workspace) -> Scan:
        if not look.is_set():
            seen.set()
        assert look.wait(60)
        return scan(workspace)

    monkeypatch.setattr(Workspace, "scan", slow)
    monkeypatch.setattr(running, "SMALL", 0)  # looked at in a thread, as large ones are
    with talking(live, kernel) as talk:
        failing = talk.execute("input(); 1/0", allow_stdin=True)
        talk.until(lambda said: said["channel"] == "stdin")
        look.clear()
        talk.send("input_reply", {"value": ""}, channel="stdin")
        talk.answers(failing)
        assert seen.wait(60)
        after = talk.execute("print('yes')")
        assert talk.ask("kernel_info_request", {})["status"] == "ok"  # so it has been accepted
        look.set()
        assert text(talk.answers(after)) == "yes\n"


# other requests


def test_what_a_kernel_is_asked_besides(live: Live, kernel: str) -> None:
    with talking(live, kernel) as talk:
        info = talk.ask("kernel_info_request", {})
        assert (info["status"], info["language_info"]["name"]) == ("ok", "python")
        assert talk.ask("complete_request", {"code": "prin", "cursor_pos": 4})["matches"] == ["print"]
        assert talk.ask("inspect_request", {"code": "print", "cursor_pos": 5, "detail_level": 0})["found"]
        assert talk.ask("is_complete_request", {"code": "for x in y:"})["status"] == "incomplete"
        history = talk.ask("history_request", {"hist_access_type": "tail", "n": 3, "output": False, "raw": True})
        assert history["status"] == "ok"
        assert talk.ask("comm_info_request", {}) == {"status": "ok", "comms": {}}
        debug = talk.ask("debug_request", {"seq": 7, "command": "attach"}, "control")
        assert (debug["success"], debug["request_seq"], debug["message"]) == (
            False,
            7,
            "These kernels have no debugger.",
        )


def test_expressions_come_with_the_reply(live: Live, kernel: str) -> None:
    with talking(live, kernel) as talk:
        heard = talk.run("x = 6", user_expressions={"y": "x * 7"})
    reply = next(said for said in heard if said["channel"] == "shell")
    assert reply["content"]["user_expressions"]["y"]["data"]["text/plain"] == "42"


ECHO = """
from ipykernel.comm import Comm
def opened(comm, message):
    comm.on_msg(lambda m: comm.send({"again": m["content"]["data"]["word"]}, buffers=[bytes(b)[::-1] for b in m["buffers"]]))
get_ipython().kernel.comm_manager.register_target("echo", opened)
"""


@pytest.mark.parametrize("v1", [False, True])
def test_comms_carry_data_and_buffers_both_ways(live: Live, kernel: str, v1: bool) -> None:
    from cellblock.adapters.gateway.formats import Message, decode, encode

    with talking(live, kernel, v1=v1) as talk:
        talk.run(ECHO)
        talk.send("comm_open", {"comm_id": "c1", "target_name": "echo", "data": {}})
        content = {"comm_id": "c1", "data": {"word": "hey"}}
        talk.socket.send(encode(Message("shell", header("comm_msg"), {}, {}, content, (b"abc", b"")), v1=v1))
        while True:
            frame = talk.socket.recv(timeout=60)
            said = decode(frame, v1=v1)
            if said.header["msg_type"] == "comm_msg":
                break
        assert (said.content["data"], said.buffers) == ({"again": "hey"}, (b"cba", b""))
        assert talk.ask("comm_info_request", {})["comms"] == {"c1": {"target_name": "echo"}}


def test_a_busy_kernel_says_what_it_is_and_can_be_interrupted(live: Live, kernel: str) -> None:
    with talking(live, kernel) as talk, talking(live, kernel) as other:
        id = talk.execute("import time\nprint('on', flush=True)\nwhile True: time.sleep(0.01)")
        other.until(lambda said: said["msg_type"] == "stream")
        told = kinds(other.answers(other.send("kernel_info_request", {})))
        assert told == ["busy", "kernel_info_reply", "idle"]
        assert other.receive()["content"] == {"execution_state": "busy"}  # what is last told is true
        assert other.ask("interrupt_request", {}, "control") == {"status": "ok"}
        ended = talk.answers(id)
    assert next(said for said in ended if said["msg_type"] == "error")["content"]["ename"] == "KeyboardInterrupt"


def test_shutdown_releases_the_kernel_and_leaves_the_session(live: Live, kernel: str) -> None:
    with talking(live, kernel) as talk:
        talk.run("x = 1")
        assert talk.ask("shutdown_request", {"restart": True}, "control") == {"status": "ok", "restart": True}
        talk.until(lambda said: said["content"].get("execution_state") == "starting")
        assert next(said for said in talk.run("x") if said["msg_type"] == "error")["content"]["ename"] == "NameError"
        assert talk.ask("shutdown_request", {"restart": False}) == {"status": "ok", "restart": False}
        assert kinds(talk.until(lambda said: said["content"].get("execution_state") == "dead"))[-1] == "dead"
        with pytest.raises(ConnectionClosed):
            talk.receive()
    assert live.get(f"/api/kernels/{kernel}").status_code == 404
    assert live.get(f"/api/jupyter/kernel/{kernel}").json()["state"] == "released"
    assert [cell["source"] for cell in cells(live, kernel)] == ["x = 1", "x"]
    with pytest.raises(InvalidStatus) as caught, talking(live, kernel):
        pass
    assert caught.value.response.status_code == 404


def test_a_deleted_session_is_told_to_who_listens(live: Live, kernel: str) -> None:
    with talking(live, kernel) as talk:
        talk.run("x = 1")
        live.delete(f"/api/jupyter/kernel/{kernel}")
        talk.until(lambda said: said["content"].get("execution_state") == "dead")
        with pytest.raises(ConnectionClosed) as closed:
            talk.receive()
    assert closed.value.rcvd
    assert closed.value.rcvd.code == 1000


def test_a_kernel_that_dies_is_told_and_replaced(live: Live, kernel: str) -> None:
    with talking(live, kernel) as talk:
        died = talk.run("print('last words', flush=True); import os; os._exit(3)")
        assert "last words" in text(died)
        error = next(said for said in died if said["msg_type"] == "error")["content"]
        assert error["ename"] == "kernel_died"
        assert "exited with 3" in error["evalue"]
        assert died[-1]["content"]["execution_state"] == "idle"
        assert text(talk.run("print('back')")) == "back\n"
        killed = session_of(live, kernel).kernel
        assert killed
        os.kill(killed.process.pid, signal.SIGKILL)
        talk.until(lambda said: said["content"].get("execution_state") == "starting")
        assert text(talk.run("print('again')")) == "again\n"


# coming back, and reading slowly


def test_a_client_that_comes_back_gets_what_it_missed(live: Live, kernel: str) -> None:
    with talking(live, kernel, "tab-1") as talk:
        id = talk.execute("input()\nfor n in range(50): print(n, flush=True)", allow_stdin=True)
        talk.until(lambda said: said["channel"] == "stdin")
    settled(lambda: session_of(live, kernel).tape.connections == 0)
    running = live.server.interpreter.executions._live  # type: ignore[union-attr]
    (execution,) = [job for job in running.values() if job.session_id == kernel]
    live.post(f"{EXECUTE}/{execution.id}/input", json={"value": ""})
    live.get(f"{EXECUTE}/{execution.id}/events")
    with talking(live, kernel, "tab-1") as talk:
        assert text(talk.answers(id)) == "".join(f"{n}\n" for n in range(50))
    with talking(live, kernel, "tab-2") as talk:
        assert kinds(talk.run("1"))[0] == "busy"  # a new one does not get what others missed


def test_two_connections_under_one_name_both_hear_all(live: Live, kernel: str) -> None:
    """JupyterLab's server leaves connections behind that it does not read; none of them may turn out the one it reads."""
    with talking(live, kernel, "tab") as first, talking(live, kernel, "tab") as second:
        id = second.execute("print('to both')")
        assert text(first.answers(id)) == text(second.answers(id)) == "to both\n"
        assert session_of(live, kernel).tape.connections == 2
    with talking(live, kernel, "tab") as third:
        assert kinds(third.run("1"))[0] == "busy"  # nothing is told again


def flood(talk: Talk, megabytes: int) -> str:
    """Prints without being read; the id."""
    return talk.execute(f"for _ in range({megabytes} * 16): print('x' * 65535)\nprint('the end')")


def test_a_slow_reader_hears_what_is_missing_and_how_it_ended(live: Live, kernel: str) -> None:
    small = socket.create_connection(("127.0.0.1", live.port))
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 10)
    with talking(live, kernel, "slow", sock=small, max_queue=1) as talk, talking(live, kernel) as quick:
        id = flood(talk, 40)
        tape = session_of(live, kernel).tape
        settled(lambda: tape.log.bytes > MAX_BYTES // 2)
        quick.until(lambda said: said["content"].get("execution_state") == "idle" and bool(said["parent_header"]))
        assert tape.log.bytes <= MAX_BYTES
        heard = talk.answers(id)
        assert "messages left out: they were not read in time" in text(heard)
        assert kinds(heard)[-1] in ("idle", "execute_reply")
        assert next(said for said in heard if said["channel"] == "shell")["content"]["status"] == "ok"
        assert text(talk.run("print('on')")) == "on\n"


def test_a_client_away_for_too_long_is_told_so(live: Live, kernel: str) -> None:
    with talking(live, kernel, "away") as talk:
        talk.run("1")
    for _ in range(3):
        result = live.post(EXECUTE, json={"code": "for _ in range(60): print('x' * 65535)", "kernel_id": kernel}).json()
        assert result["status"] == "ok"
    assert session_of(live, kernel).tape.log.bytes <= MAX_BYTES
    with talking(live, kernel, "away") as talk:
        assert "messages left out" in text(talk.until(lambda said: said["msg_type"] == "stream"))


def test_nobody_listens_nothing_is_kept(live: Live, kernel: str) -> None:
    live.post(EXECUTE, json={"code": "print('x' * 100_000)", "kernel_id": kernel})
    tape = session_of(live, kernel).tape
    assert tape.log.bytes == 0
    with talking(live, kernel, "gone") as talk:
        talk.run("print('x' * 100_000)")
    settled(lambda: tape.connections == 0)
    assert tape.log.bytes < 100_000  # it has heard that
    live.post(EXECUTE, json={"code": "print('x' * 100_000)", "kernel_id": kernel})
    assert tape.log.bytes > 100_000
    tape._clock = lambda: time.monotonic() + AWAY_SECONDS + 1
    tape.tidy()
    assert tape.log.bytes == 0


def test_a_frame_that_is_no_message_ends_the_connection_with_a_reason(live: Live, kernel: str) -> None:
    with talking(live, kernel) as talk:
        talk.socket.send("{}")
        with pytest.raises(ConnectionClosed) as caught:
            talk.receive()
        assert caught.value.rcvd
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (
            1007,
            "not a Jupyter message: a header without msg_id",
        )


# the connection itself


def test_small_frames_are_sent_at_once_and_not_compressed_over_loopback(live: Live, kernel: str) -> None:
    from websockets.sync.client import connect

    with connect(f"ws://localhost:{live.port}/api/kernels/{kernel}/channels") as client:
        assert client.protocol.extensions == []
        sockets = [
            each.transport.get_extra_info("socket")
            for each in live.uvicorn.server_state.connections
            if isinstance(each, Gathering)
        ]
        assert sockets
        assert all(each.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for each in sockets)


def test_compression_is_offered_where_a_network_is_between() -> None:
    from cellblock import settings
    from cellblock.cli.serving import _uvicorn

    loaded = {host: settings.load(host=host) for host in ("127.0.0.1", "0.0.0.0")}
    offers = {host: _uvicorn(None, each).ws_per_message_deflate for host, each in loaded.items()}  # type: ignore[arg-type]
    assert offers == {"127.0.0.1": False, "0.0.0.0": True}


def test_a_socket_wants_a_token_as_everything_does(start: Start, capfd: pytest.CaptureFixture[str]) -> None:
    live = start(loopback_trust=False, token="open-sesame")
    known = {"Authorization": "token open-sesame"}
    kernel = live.post("/api/kernels", headers=known).json()["id"]
    url = f"ws://localhost:{live.port}/api/kernels/{kernel}/channels"

    bodies: list[dict[str, str]] = []

    def dial(query: str = "", **headers: str) -> int:
        from websockets.sync.client import connect

        try:
            with connect(url + query, additional_headers=headers, compression=None):
                return 101
        except InvalidStatus as refused:
            bodies.append(json.loads(refused.response.body or b""))
            return refused.response.status_code

    assert dial() == 401
    assert dial("?token=") == 401
    assert dial("?token=guess") == 401
    assert dial("?token=open-sesame") == 101
    assert dial(Authorization="Bearer open-sesame") == 101
    assert dial(**known) == 101
    assert dial("?token=open-sesame", Origin="http://evil.example") == 403
    assert dial("?token=open-sesame", Origin=f"http://localhost:{live.port}") == 101
    assert all(set(body) == {"message", "reason", "code"} for body in bodies)
    assert "open-sesame" not in "".join(capfd.readouterr())


def test_a_port_without_a_token_is_jupyters_alone(tmp_path: Path) -> None:
    from cellblock import settings
    from cellblock.cli import listen
    from cellblock.cli.serving import Listening

    main, second = listen("127.0.0.1", 0), listen("127.0.0.1", 0)
    port = second.getsockname()[1]
    loaded = settings.load(
        data_dir=tmp_path / "data",
        port=main.getsockname()[1],
        jupyter_port=port,
        token="open-sesame",
        loopback_trust=False,
        pool_size=1,
        pool_max=1,
    )
    server = Listening(loaded)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [main, second]})
    thread.start()
    try:
        with Live(server, port) as live:
            kernel = live.post("/api/kernels").json()["id"]
            with talking(live, kernel) as talk:
                assert text(talk.run("print(1)")) == "1\n"
            assert live.get("/api/status").status_code == 404
            assert live.post("/api/jupyter/execute", json={"code": "1"}).status_code == 404
            assert live.get("/").status_code == 404
            assert live.get("/api/kernels", headers={"Host": "evil.example"}).status_code == 403
            assert live.post("/api/kernels", headers={"Origin": "http://evil.example"}).status_code == 403
            with Live(server, loaded.port) as other:
                assert other.get("/api/kernels").status_code == 401
    finally:
        server.should_exit = True
        thread.join()


async def test_what_is_said_as_soon_as_a_client_is_connected_reaches_it(tmp_path: Path) -> None:
    interpreter = await Interpreter.start(config(tmp_path))
    heard: list[dict[str, Any]] = []
    idle = asyncio.Event()

    async def send(message: Message) -> None:
        if message["type"] == "websocket.accept":  # whoever knows of it may have something run, and has
            ran = await interpreter.submit("local", ExecuteRequest("print('early')", kernel, door="http"))
            await interpreter.wait("local", ran["id"])
        elif "text" in message:
            heard.append(json.loads(message["text"]))
            if heard[-1]["content"].get("execution_state") == "idle":
                idle.set()

    connected = False

    async def receive() -> Message:
        nonlocal connected
        if connected:
            await idle.wait()
            return {"type": "websocket.disconnect", "code": 1000}
        connected = True
        return {"type": "websocket.connect"}

    kernel = (await interpreter.create("local"))["id"]
    asked = {"type": "websocket", "headers": [], "query_string": b"", "subprotocols": [], "path_params": {"id": kernel}}
    socket = WebSocket({**asked, "state": {"owner": "local"}}, receive, send)
    try:
        async with asyncio.timeout(30):
            await Channels(interpreter, asyncio.Event()).serve(socket)
    finally:
        await interpreter.aclose()
    assert text(heard) == "early\n"
