"""Copies for others to read: frozen when they are made, had by whoever holds a token, gone when they are revoked.

Of a token only its hash is kept. A token finds one copy and nothing else: neither a session nor an owner.
"""

import asyncio
import hashlib
import re
import secrets
import uuid
import zlib
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from typing_extensions import TypedDict

from cellblock.errors import ShareLimit, ShareNotFound, TooLarge
from cellblock.host import schema
from cellblock.host.store import Store, stamp

MAX_SHARES = 20
"""Copies of one session at a time."""
MAX_CONTENT = 64 << 20
"""Bytes of one copy."""
TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


class Share(TypedDict):
    """A copy that others can read. `created` is ISO 8601 UTC."""

    id: str
    title: str | None
    created: str


class Shares:
    """The copies of all sessions. Whoever calls has made sure that the session is the owner's."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store, self._clock = store, clock

    async def add(self, owner: str, session: str, *, title: str | None, content: bytes) -> tuple[Share, str]:
        """Keeps a copy: what it is, and its token, which is told this once. ShareLimit, TooLarge."""
        if len(content) > MAX_CONTENT:
            raise TooLarge(f"A shared copy may have {MAX_CONTENT >> 20} MiB.", hint="Clear large outputs first.")
        if len(await self.of(session)) >= MAX_SHARES:
            raise ShareLimit(f"A conversation may be shared {MAX_SHARES} times.")
        token = secrets.token_urlsafe(32)
        row = {
            "id": str(uuid.uuid4()),
            "token_sha256": digest(token),
            "session_id": session,
            "owner": owner,
            "title": title,
            "created": self._clock(),
            "content": await asyncio.to_thread(zlib.compress, content),
        }
        self._store.put(schema.shares, row)
        await self._store.flush()
        return share_of(row), token

    async def of(self, session: str) -> list[Share]:
        """A session's copies, the newest first."""
        table = schema.shares
        query = sa.select(table.c.id, table.c.title, table.c.created).where(table.c.session_id == session)
        return [share_of(row) for row in await self._store.rows(query.order_by(table.c.created.desc(), table.c.id))]

    async def revoke(self, session: str, id: str) -> None:
        """The copy is gone, also from the disk, when this returns. ShareNotFound when the session has no such copy."""
        if id not in {share["id"] for share in await self.of(session)}:
            raise ShareNotFound("There is no such shared copy.")
        self._store.remove(schema.shares, "id", id)
        await self._store.flush()

    async def read(self, token: str | None) -> bytes:
        """The copy of a token. ShareNotFound, always in the same words."""
        table = schema.shares
        if token is not None and TOKEN.fullmatch(token):
            found = await self._store.rows(sa.select(table.c.content).where(table.c.token_sha256 == digest(token)))
            if found:
                return await asyncio.to_thread(zlib.decompress, found[0]["content"])
        raise ShareNotFound("Nothing is shared here.")


def digest(token: str) -> str:
    """What is kept of a token: it is random, so it needs no salt."""
    return hashlib.sha256(token.encode()).hexdigest()


def share_of(row: dict[str, Any]) -> Share:
    return {"id": row["id"], "title": row["title"], "created": stamp(row["created"])}
