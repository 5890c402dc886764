"""Files by a Jupyter server's `/api/contents`: a kernel that has died or hangs does not keep them.

The server shows no hidden files, and answers one directory at a time.
"""

import base64
import binascii
from collections.abc import AsyncIterator
from itertools import islice
from typing import Any, TypeAlias

from cellblock.host.remote.journey import There
from cellblock.host.remote.rest import GONE, Refused, Rest, Unanswered

CHUNK = 4 << 20
INLINE = 8 << 20  # bytes of a file that is fetched as JSON; a larger one comes as it is, by /files
MAX_DIRECTORIES = 1000

_Entries: TypeAlias = list[tuple[str, str, There]]


class Contents:
    """A way for files: `place` is the kernel's directory as the server names it. Unanswered, Refused."""

    def __init__(self, rest: Rest, place: str, timeout: float) -> None:
        self._rest, self._place, self._timeout = rest, place, timeout
        self._made: set[str] = set()

    async def make(self) -> None:
        """The directory itself, with those above it."""
        await self._directory(self._place)

    async def listed(self, most: int) -> tuple[dict[str, There], bool]:
        """Regular files below the directory by path, and whether there are more than `most`."""
        files: dict[str, There] = {}
        waiting: list[tuple[str, list[_Entries]]] = [("", [])]
        for _ in range(MAX_DIRECTORIES):
            if not waiting:
                return files, False
            prefix, above = waiting.pop()
            found = await self._model(f"{self._place}/{prefix}".rstrip("/"), {"content": "1", "type": "directory"})
            entries = _entries(found)
            if entries and entries in above:
                continue  # a link that leads back: the server does not tell it from a directory
            waiting += [(f"{prefix}{name}/", [*above, entries]) for name, kind, _ in entries if kind == "directory"]
            files |= {prefix + name: there for name, kind, there in entries if kind != "directory"}
            if len(files) > most:
                return dict(islice(files.items(), most)), True
        return files, True

    async def chunks(self, path: str, size: int) -> AsyncIterator[bytes]:
        """A file of `size` bytes in pieces; the last of them comes only when it is just as long.

        The server follows symlinks, and tells the length of the link: such a file does not travel.
        """
        left, held = size, b""
        async for chunk in self._pieces(path, size):
            if held:
                yield held
            held, left = chunk, left - len(chunk)
            if left < 0:
                break
        if left:
            raise Unanswered("it is a link, or changed while it was read")
        yield held

    async def _pieces(self, path: str, size: int) -> AsyncIterator[bytes]:
        if size > INLINE:
            async with self._rest.stream(f"files/{self._place}/{path}", timeout=self._timeout) as stream:
                async for chunk in stream:
                    yield chunk
            return
        query = {"content": "1", "type": "file", "format": "base64"}
        found = await self._model(f"{self._place}/{path}", query, limit=2 * INLINE)
        yield _decoded(found.get("content"))

    async def write(self, path: str, chunks: AsyncIterator[bytes]) -> str:
        """Replaces a file: its mark."""
        *above, _ = path.split("/")
        await self._directory("/".join([self._place, *above]))
        number, last = 0, b""
        async for chunk in chunks:
            if last:
                number += 1
                await self._put(path, last, number)
            last = chunk
        return _mark(await self._put(path, last, -1 if number else 0))

    async def remove(self, paths: list[str]) -> None:
        for path in paths:
            await self._gone(f"{self._place}/{path}")

    async def abandon(self, path: str) -> None:
        """Removes the directory with the one file in it."""
        await self.remove([path])
        await self._gone(self._place)

    async def _gone(self, path: str) -> None:
        try:
            await self._rest.ask("DELETE", f"api/contents/{path}", timeout=self._timeout)
        except Refused as refusal:
            if refusal.status not in GONE:
                raise

    async def _put(self, path: str, data: bytes, number: int) -> dict[str, Any]:
        body: dict[str, Any] = {"type": "file", "format": "base64", "content": base64.b64encode(data).decode()}
        if number:
            body["chunk"] = number
        answer = await self._rest.ask("PUT", f"api/contents/{self._place}/{path}", body, timeout=self._timeout)
        return answer.object()

    async def _directory(self, path: str) -> None:
        """Makes it, and all above it."""
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            each = "/".join(parts[:depth])
            if each not in self._made:
                await self._rest.ask("PUT", f"api/contents/{each}", {"type": "directory"}, timeout=self._timeout)
                self._made.add(each)

    async def _model(self, path: str, query: dict[str, str], limit: int = 8 << 20) -> dict[str, Any]:
        answer = await self._rest.ask("GET", f"api/contents/{path}", query=query, timeout=self._timeout, limit=limit)
        return answer.object()


def _entries(model: dict[str, Any]) -> _Entries:
    """Name, kind and state of what a directory holds; what the server says of paths does not count."""
    found = []
    items = model.get("content")
    if not isinstance(items, list):
        raise Unanswered("it told no files")
    for item in items:
        name, kind = (item.get("name"), item.get("type")) if isinstance(item, dict) else (None, None)
        if not isinstance(name, str) or not name or "/" in name or len(name) > 255 or not isinstance(kind, str):
            raise Unanswered("it told of a file that is none")
        if kind == "directory":
            found.append((name, kind, There(0, "")))
        elif isinstance(size := item.get("size"), int) and size >= 0:
            found.append((name, kind, There(size, _mark(item))))
    return sorted(found, key=lambda each: each[0])


def _mark(model: dict[str, Any]) -> str:
    return f"{str(model.get('last_modified'))[:60]} {str(model.get('size'))[:20]}"


def _decoded(content: object) -> bytes:
    try:
        return base64.b64decode(content if isinstance(content, str) else "?")
    except (binascii.Error, ValueError):
        raise Unanswered("it answered with something that is no file") from None
