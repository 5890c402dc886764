"""Gemini's `models/…:streamGenerateContent?alt=sse`: parts with text, thoughts and whole function calls."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from wire.server import Asked, Reply, Status, Stream, WireServer

KEY = "AIzaTESTKEY-of-gemini-0123456789"


def server(*replies: Reply) -> WireServer:
    return WireServer(replies, check)


def check(asked: Asked) -> Status | None:
    """What the service itself refuses: a wrong key or address, a call and its response that do not belong together."""
    if asked.headers.get("x-goog-api-key") != KEY:
        return unauthorized()
    if not asked.path.endswith(":streamGenerateContent?alt=sse"):
        return refused(404, f"{asked.path} is not found", "NOT_FOUND")
    contents = asked.body.get("contents")
    if not contents or contents[0].get("role") != "user":
        return refused(400, "contents must begin with a user turn", "INVALID_ARGUMENT")
    for turn, following in zip(contents, [*contents[1:], {}], strict=True):
        if named(turn, "functionCall") != named(following, "functionResponse"):
            return refused(400, "function response parts must match the function call parts", "INVALID_ARGUMENT")
    return None


def named(turn: dict[str, Any], kind: str) -> list[str]:
    return [part[kind]["name"] for part in turn.get("parts", []) if kind in part]


def refused(code: int, message: str, status: str) -> Status:
    return Status(code, {"error": {"code": code, "message": message, "status": status}})


def unauthorized() -> Status:
    return refused(400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT")


def too_many() -> Status:
    return refused(429, "Resource has been exhausted (e.g. check quota).", "RESOURCE_EXHAUSTED")


def broken() -> Status:
    return refused(500, "An internal error has occurred.", "INTERNAL")


def says(*pieces: str, cut: bool = False, hold: asyncio.Event | None = None) -> Stream:
    """A text answer in pieces."""
    return stream([[{"text": piece}] for piece in pieces], cut=cut, hold=hold)


def calls(code: str, title: str = "Look", *, thought: str = "", cut: bool = False) -> Stream:
    """A thought, a sentence, and one function call: Gemini sends a call whole."""
    before: list[list[dict[str, Any]]] = [[{"text": thought, "thought": True}]] if thought else []
    call = {"functionCall": {"name": "executeNotebook", "args": {"title": title, "code": code}}}
    parts = [*before, [{"text": "I look at it."}], [call]]
    return stream(parts[:-1] if cut else parts, cut=cut)


def stream(turns: Sequence[list[dict[str, Any]]], *, cut: bool, hold: asyncio.Event | None = None) -> Stream:
    last = len(turns) - 1
    return Stream([event(parts, end=n == last and not cut) for n, parts in enumerate(turns)], cut, hold)


def event(parts: list[dict[str, Any]], *, end: bool) -> str:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if end:
        candidate["finishReason"] = "STOP"
    body = {
        "candidates": [candidate],
        "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 10, "totalTokenCount": 110},
        "modelVersion": "gemini-2.5-pro",
        "responseId": "r1",
    }
    return f"data: {json.dumps(body)}\r\n\r\n"


def returned(asked: Asked) -> str:
    """What the last request hands back of a call, as text."""
    parts = [part for turn in asked.body["contents"] for part in turn["parts"]]
    return json.dumps([part for part in parts if "functionResponse" in part][-1], ensure_ascii=False)
