"""Anthropic's `/v1/messages`, streamed: content blocks, and tool input as fragments of JSON."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from wire.server import Asked, Reply, Status, Stream, WireServer

KEY = "sk-ant-test-0123456789abcdefghij"


def server(*replies: Reply) -> WireServer:
    return WireServer(replies, check)


def check(asked: Asked) -> Status | None:
    """What the service itself refuses: a wrong key or address, a tool use without its result."""
    if KEY not in (asked.headers.get("x-api-key"), asked.headers.get("authorization", "").removeprefix("Bearer ")):
        return unauthorized()
    if not asked.path.startswith("/v1/messages"):
        return refused(404, "not_found_error", "no such path")
    messages = asked.body["messages"]
    for message, following in zip(messages, [*messages[1:], {}], strict=True):
        uses = {block["id"] for block in blocks(message) if block["type"] == "tool_use"}
        results = {block["tool_use_id"] for block in blocks(following) if block["type"] == "tool_result"}
        if uses != results:
            return refused(400, "invalid_request_error", "`tool_use` ids were found without `tool_result` blocks")
    return None


def blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content", [])
    return [] if isinstance(content, str) else content


def refused(code: int, kind: str, message: str) -> Status:
    return Status(code, {"type": "error", "error": {"type": kind, "message": message}})


def unauthorized() -> Status:
    return refused(401, "authentication_error", "invalid x-api-key")


def too_many() -> Status:
    return refused(429, "rate_limit_error", "Number of requests has exceeded your rate limit")


def broken() -> Status:
    return refused(500, "api_error", "Internal server error")


def says(*pieces: str, cut: bool = False, hold: asyncio.Event | None = None) -> Stream:
    """A text answer in pieces."""
    deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
    return Stream(whole([({"type": "text", "text": ""}, deltas)], "end_turn", cut=cut), cut, hold)


def calls(code: str, title: str = "Look", *, thought: str = "", cut: bool = False) -> Stream:
    """A sentence, then a tool use whose input comes in fragments."""
    arguments = json.dumps({"title": title, "code": code})
    pieces = [arguments[n : n + 7] for n in range(0, len(arguments), 7)]
    said = ({"type": "text", "text": ""}, [{"type": "text_delta", "text": "I look at it."}])
    use = (
        {"type": "tool_use", "id": "toolu_1", "name": "executeNotebook", "input": {}},
        [{"type": "input_json_delta", "partial_json": piece} for piece in pieces],
    )
    return Stream(whole([said, use], "tool_use", cut=cut), cut)


def whole(parts: Iterable[tuple[dict[str, Any], list[dict[str, Any]]]], reason: str, *, cut: bool) -> list[str]:
    start = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-test", "content": []}
    usage = {"input_tokens": 100, "output_tokens": 1}
    events = [event("message_start", message={**start, "stop_reason": None, "stop_sequence": None, "usage": usage})]
    for index, (block, deltas) in enumerate(parts):
        events.append(event("content_block_start", index=index, content_block=block))
        events += [event("content_block_delta", index=index, delta=delta) for delta in deltas]
        events.append(event("content_block_stop", index=index))
    if cut:
        return events[:-1]
    end = event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage={"output_tokens": 10})
    return [*events, end, event("message_stop")]


def event(kind: str, **rest: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **rest})}\n\n"


def returned(asked: Asked) -> str:
    """What the last request hands back of a call, as text."""
    return json.dumps(asked.body["messages"][-1], ensure_ascii=False)
