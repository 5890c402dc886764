"""Conversations by words that were said in them: in a title, a question, an answer or its code. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic_core import from_json

AROUND = 60
"""Characters shown before the first word that was found, and twice as many after it."""


def words_of(query: str) -> list[str]:
    return query.casefold().split()


def excerpt(title: str | None, stored: bytes, words: Sequence[str]) -> str | None:
    """Where the words stand, in one line; empty when the title has them all, None when they are not all there."""
    named = (title or "").casefold()
    left = [word for word in words if word not in named]
    if not left:
        return ""
    texts = list(said(stored))
    folded = [text.casefold() for text in texts]
    if any(not any(word in text for text in folded) for word in left):
        return None
    best = max(range(len(texts)), key=lambda at: sum(word in folded[at] for word in left))
    return around(texts[best], left)


def around(text: str, words: Sequence[str]) -> str:
    """The text near the first of the words in it."""
    line = " ".join(text.split())
    folded = line.casefold()
    at = min((place for place in map(folded.find, words) if place >= 0), default=0)
    start, end = max(0, at - AROUND), at + 2 * AROUND
    return ("…" if start else "") + line[start:end].strip() + ("…" if end < len(line) else "")


def said(stored: bytes) -> Iterator[str]:
    """Every question, every text of an answer, and all code, of a stored transcript; without validating it, which is slow."""
    for turn in from_json(stored).get("turns", ()):
        yield turn.get("text", "")
        for message in turn.get("messages", ()):
            for part in message.get("parts", ()):
                yield from texts_of(part)


def texts_of(part: dict[str, Any]) -> Iterator[str]:
    if part.get("part_kind") == "text":
        yield str(part.get("content", ""))
    elif part.get("part_kind") == "tool-call":
        yield code_of(part.get("args"))


def code_of(arguments: Any) -> str:
    """The code of a call, as it was written, complete or not."""
    if isinstance(arguments, str):
        try:
            arguments = from_json(arguments, allow_partial="trailing-strings")
        except ValueError:
            return ""
    return str(arguments.get("code", "")) if isinstance(arguments, dict) else ""
