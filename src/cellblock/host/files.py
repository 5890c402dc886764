"""What people do to a session's files; every change is told to who looks on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from cellblock.host.workspace import FileEntry, Workspace


@dataclass(frozen=True)
class Files:
    """`tell` hears of each change: {path, size: bytes, change: created | modified | deleted}."""

    workspace: Workspace
    tell: Callable[[dict[str, Any]], None]

    async def write(self, path: str, chunks: AsyncIterator[bytes], *, size: int | None) -> tuple[FileEntry, bool]:
        entry, created = await self.workspace.write(path, chunks, size=size)
        change = "created" if created else "modified"
        self.tell({"path": entry["path"], "size": entry["size"], "change": change})
        return entry, created

    async def delete(self, path: str) -> None:
        await asyncio.to_thread(self.workspace.delete, path)
        self.tell({"path": path, "size": 0, "change": "deleted"})

    async def rename(self, path: str, new: str) -> None:
        size = await asyncio.to_thread(self.workspace.rename, path, new)
        self.tell({"path": path, "size": 0, "change": "deleted"})
        self.tell({"path": new, "size": size, "change": "created"})

    async def archive(self) -> AsyncIterator[bytes]:
        with closing(self.workspace.archive()) as pieces:
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                if piece:
                    yield piece
