"""A language model on OpenAI's wire that does as it is told: it calls the code in a question's fence, and is done.

Asked for a title it gives the question's first line, unless the question begins with "Entitle:". A question that says
"refuse once" is refused the first time; one that begins with "Say:" is answered by what follows, and by how many times it
was asked. What follows WAIT in an answer or in code comes when `GO` is set. Told to fix a cell, it divides by 1 where the
cell divides by 0. "Undo before 2" has it undo cell 2.
"""

import json
import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

BACK = re.compile(r"Undo before (\d+)")
WAIT: dict[str, Any] = {"wait": True}
GO = threading.Event()
GO.set()
FENCE = re.compile(r"```python\n(.*?)```", re.DOTALL)


class Handler(BaseHTTPRequestHandler):
    """`POST …/chat/completions`, streamed."""

    protocol_version = "HTTP/1.1"
    refused: ClassVar[set[str]] = set()
    asked: ClassVar[Counter[str]] = Counter()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        said = str(body["messages"][-1].get("content"))
        titled = "Write a title" in str(body["messages"][0].get("content"))
        if "refuse once" in said and said not in self.refused and not titled:
            self.refused.add(said)
            self.refuse()
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        if titled:
            asked = {"role": "user", "content": f"Say:{title(said)}"}
            self.send(answer([asked], None), spent=False)
            return
        self.asked[said] += 1
        self.send(answer(body["messages"], self.asked[said]))

    def send(self, deltas: Iterable[tuple[dict[str, Any], str | None]], *, spent: bool = True) -> None:
        for delta, reason in deltas:
            if delta is WAIT:
                self.wfile.flush()
                GO.wait(timeout=60)
                continue
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            chunk = {
                "id": "c",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": "gpt-4o",
                "choices": [choice],
            }
            if reason and spent:
                chunk["usage"] = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def refuse(self) -> None:
        """As the service does with a request it will not take."""
        body = json.dumps({"error": {"message": "Not today.", "type": "invalid_request_error", "code": None}}).encode()
        self.send_response(400)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def title(question: str) -> str:
    """A question's first line; for one that begins with "Entitle:" a title nobody could guess."""
    line = question.strip().split("\n")[0]
    return f"**All about {line[8:].strip()}.**" if line.startswith("Entitle:") else line


def answer(messages: list[dict[str, Any]], times: int | None) -> Iterable[tuple[dict[str, Any], str | None]]:
    """Deltas with their finish reason: a call for a question that has code, words for everything else."""
    last = messages[-1]
    code = FENCE.search(str(last.get("content"))) if last["role"] == "user" else None
    if last["role"] == "user" and str(last["content"]).startswith("Say:"):
        again = "" if times is None else f" ({times})"
        said = (last["content"][4:].strip() + again).split("WAIT")
        rest = [delta for piece in said[1:] for delta in (WAIT, {"content": piece})]
        return [*((delta, None) for delta in ({"role": "assistant", "content": said[0]}, *rest)), ({}, "stop")]
    if last["role"] == "user" and (back := BACK.match(str(last["content"]))):
        function = {"name": "undo", "arguments": json.dumps({"before": int(back[1])})}
        call = {"index": 0, "id": f"call_{len(messages)}", "type": "function", "function": function}
        return [({"role": "assistant", "tool_calls": [call]}, None), ({}, "tool_calls")]
    if code is None:
        return [({"role": "assistant", "content": "That is "}, None), ({"content": "all."}, None), ({}, "stop")]
    told = code[1].replace("/ 0", "/ 1") if str(last["content"]).startswith("Fix cell") else code[1]
    arguments = json.dumps({"title": "As told", "code": told})
    pieces = [arguments[at : at + 9] for at in range(0, len(arguments), 9)]
    function = {"name": "executeNotebook", "arguments": ""}
    call = {"index": 0, "id": f"call_{len(messages)}", "type": "function", "function": function}
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "I run it."}, {"tool_calls": [call]}]
    calls = [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in pieces]
    if "WAIT" in arguments:
        calls.insert(arguments.index("WAIT") // 9 + 1, WAIT)
    deltas += calls
    return [*((delta, None) for delta in deltas), ({}, "tool_calls")]


@contextmanager
def serving() -> Iterator[str]:
    """The base URL of a running one."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
