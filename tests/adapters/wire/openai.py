"""OpenAI's `/chat/completions`, streamed: deltas of text, and tool calls whose arguments come in fragments."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from wire.server import Asked, Reply, Status, Stream, WireServer

KEY = "sk-test-0123456789abcdefghij"


def server(*replies: Reply) -> WireServer:
    return WireServer(replies, check)


def check(asked: Asked) -> Status | None:
    """What the service itself refuses: a wrong key or address, a tool call that nobody answered."""
    if asked.headers.get("authorization") != f"Bearer {KEY}":
        return unauthorized()
    if asked.path != "/v1/chat/completions" or asked.body.get("stream") is not True:
        return refused(404, f"no {asked.path}", "not_found")
    open_calls: set[str] = set()
    for message in asked.body["messages"]:
        if message["role"] == "tool":
            open_calls.discard(message["tool_call_id"])
        elif open_calls:
            return refused(400, "An assistant message with 'tool_calls' must be followed by tool messages", "invalid")
        open_calls |= {call["id"] for call in message.get("tool_calls") or ()}
    return refused(400, "tool_call_ids did not have response messages", "invalid") if open_calls else None


def refused(code: int, message: str, kind: str, **headers: str) -> Status:
    return Status(code, {"error": {"message": message, "type": kind, "param": None, "code": kind}}, headers)


def unauthorized() -> Status:
    return refused(401, f"Incorrect API key provided: {KEY}.", "invalid_api_key")


def too_many() -> Status:
    return refused(429, "Rate limit reached for requests", "rate_limit_exceeded", **{"retry-after": "7"})


def broken() -> Status:
    return refused(500, "The server had an error while processing your request.", "server_error")


def says(*pieces: str, cut: bool = False, hold: asyncio.Event | None = None) -> Stream:
    """A text answer in pieces."""
    return stream(({"content": piece} for piece in pieces), "stop", cut=cut, hold=hold)


def calls(code: str, title: str = "Look", *, thought: str = "", cut: bool = False) -> Stream:
    """A sentence, then a call whose arguments come seven characters at a time."""
    arguments = json.dumps({"title": title, "code": code})
    pieces = [arguments[n : n + 7] for n in range(0, len(arguments), 7)]
    if cut:
        pieces = pieces[: len(pieces) // 2]
    first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "executeNotebook", "arguments": ""}}
    deltas: list[dict[str, Any]] = [{"content": "I look "}, {"content": "at it."}, {"tool_calls": [first]}]
    deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in pieces]
    return stream(deltas, "tool_calls", cut=cut)


def stream(deltas: Iterable[dict[str, Any]], reason: str, *, cut: bool, hold: asyncio.Event | None = None) -> Stream:
    events = [chunk({"role": "assistant", "content": None}), *map(chunk, deltas)]
    if not cut:
        events += [chunk({}, reason), usage(), "data: [DONE]\n\n"]
    return Stream(events, cut, hold)


def chunk(delta: dict[str, Any], reason: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    return f"data: {json.dumps({**HEAD, 'choices': [choice]})}\n\n"


def usage() -> str:
    counts = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    return f"data: {json.dumps({**HEAD, 'choices': [], 'usage': counts})}\n\n"


HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1790000000, "model": "gpt-test"}


def returned(asked: Asked) -> str:
    """What the last request hands back of a call, as text."""
    return json.dumps([m for m in asked.body["messages"] if m["role"] == "tool"][-1], ensure_ascii=False)
