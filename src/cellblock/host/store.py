"""What lasts: written behind the scenes in small batches, so that no execution ever waits for a disk.

`put` and `remove` only note what is to be written; a task writes all of it in one transaction at most 50 ms later.
Whoever has much to write says so with `wake`, and is asked for it (`sources`) when a batch is made. A batch that cannot
be written is kept, tried again, logged, and shown in `status()`. Whoever reads sees every write noted before, or gets
StoreUnavailable.
"""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from cellblock.errors import ConversationNotFound, StoreUnavailable
from cellblock.host import schema

FILE = "cellblock.db"
BATCH_SECONDS = 0.05
RETRY_SECONDS = 1.0
LOCK_SECONDS = 5.0  # how long one statement waits for another program that has the database locked
SEARCHED_AT_ONCE = 50  # conversations
MAX_WAITING = 256 << 20  # bytes of rows held back while the disk takes none

log = structlog.get_logger("cellblock.store")

Row = dict[str, Any]
Key = tuple[str, ...]
Statement = tuple[str, list[tuple[Any, ...]]]  # for the driver, once per row


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation as the chat door keeps it; `messages` is the door's own encoding."""

    id: str
    title: str | None
    updated: str
    running: bool
    messages: bytes


@dataclass(frozen=True, slots=True)
class Put:
    """A row to insert, or to take the place of the one with its key."""

    table: sa.Table
    row: Row


@dataclass(frozen=True, slots=True)
class Remove:
    """Rows to delete: those of `table` in which `column` is `value`."""

    table: sa.Table
    column: str
    value: str


class Store:
    """The database of one data directory. Use from one event loop."""

    def __init__(self, engine: AsyncEngine, writer: sa.Engine) -> None:
        self._engine, self._writer = engine, writer
        self._thread = ThreadPoolExecutor(1, "store")  # where batches are written, one after the other
        self.sources: list[Callable[[], None]] = []  # each notes, when called, what has changed
        self._waiting: dict[Key, Put | Remove] = {}
        self._noted = asyncio.Event()
        self._closing = False
        self._writing = asyncio.Lock()
        self._conversing = asyncio.Lock()  # a row of theirs is read and written as one: title and messages come apart
        self.error: str | None = None
        self.dropped = 0
        self._task = asyncio.create_task(self._write_behind(), name="store")

    @classmethod
    async def open(cls, data_dir: Path) -> "Store":
        """Opens the database below `data_dir`, migrating it when it is of an older version.

        ConfigurationError when it is none, or a newer version's; StoreUnavailable when it is locked or the disk is full.
        """
        path = data_dir / FILE
        with told():
            await asyncio.to_thread(schema.prepare, path)
        options: dict[str, Any] = {"json_serializer": dumps, "hide_parameters": True}
        engine = create_async_engine(f"sqlite+aiosqlite:///{path}", pool_pre_ping=False, **options)
        writer = sa.create_engine(f"sqlite:///{path}", **options)
        for each in (engine.sync_engine, writer):
            sa.event.listen(each, "connect", tuned)
        return cls(engine, writer)

    # writing

    def put(self, table: sa.Table, row: Row) -> None:
        """Notes a whole row; of several with one key the last is written."""
        self._note((table.name, *(str(row[column.name]) for column in table.primary_key)), Put(table, row))

    def remove(self, table: sa.Table, column: str, value: str) -> None:
        """Notes that the rows in which `column` is `value` go, those noted before included."""
        for key, op in list(self._waiting.items()):
            if isinstance(op, Put) and op.table is table and op.row[column] == value:
                del self._waiting[key]
        self._note(("-", table.name, column, value), Remove(table, column, value))

    def wake(self) -> None:
        """A source has something: it will be asked for it soon."""
        self._noted.set()

    async def flush(self) -> None:
        """Writes what is noted now. StoreUnavailable, after which the writes are still noted."""
        for source in self.sources:
            source()
        if not self._waiting and not self._writing.locked():
            return
        async with self._writing:
            batch, self._waiting = self._waiting, {}
            try:
                with told():
                    await self._write(batch)
            except BaseException as problem:
                newer = self._waiting
                if isinstance(problem, Exception):  # and not only who waited for it gone
                    self.error = str(problem)[:500] or type(problem).__name__
                self._waiting = {key: op for key, op in batch.items() if key not in newer} | newer
                raise

    async def _write(self, batch: dict[Key, Put | Remove]) -> None:
        """One transaction; if a row in it is at fault, and not the disk, each row by itself without that one."""
        try:
            statements = statements_of(batch, self._writer.dialect)
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._thread, in_one_transaction, self._writer, statements)
            self.error = None
        except Exception as problem:
            if of_the_database(problem):
                raise
            if len(batch) > 1:
                for key, op in batch.items():
                    await self._write({key: op})
                return
            self.dropped += 1
            log.error("store_dropped_row", key=next(iter(batch))[:2], error=type(problem).__name__)

    async def aclose(self) -> None:
        """Writes what is noted and closes. A failure is logged: there is nobody left to tell."""
        self._closing = True
        self._noted.set()
        await self._task
        try:
            await self.flush()
        except Exception as problem:
            log.exception("store_lost_writes", rows=len(self._waiting), error=str(problem))
        await self._engine.dispose()
        self._thread.shutdown()
        self._writer.dispose()

    def status(self) -> dict[str, Any]:
        """{waiting: rows not yet written, error: why the last batch could not be, or None, dropped: rows lost}."""
        return {"waiting": len(self._waiting), "error": self.error, "dropped": self.dropped}

    def _note(self, key: Key, op: Put | Remove) -> None:
        self._waiting.pop(key, None)
        self._waiting[key] = op
        self._noted.set()

    async def _write_behind(self) -> None:
        while await self._due():
            self._noted.clear()
            try:
                await self.flush()
            except Exception:
                self._failed()
                await self._pause()

    async def _due(self) -> bool:
        """Waits until a batch should be written; False when the store is being closed."""
        await self._noted.wait()
        if not self._closing:
            await asyncio.sleep(BATCH_SECONDS)
        return not self._closing

    def _failed(self) -> None:
        log.error("store_not_written", rows=len(self._waiting), error=self.error)
        held = sum(len(op.row["lines"]) for op in self._waiting.values() if isinstance(op, Put) and "lines" in op.row)
        if held > MAX_WAITING:
            self._waiting = {key: op for key, op in self._waiting.items() if key[0] != schema.events.name}
            log.error("store_dropped_events", bytes=held)

    async def _pause(self) -> None:
        """Until it is worth another try; closing does not wait for that."""
        self._noted.clear()
        try:
            async with asyncio.timeout(RETRY_SECONDS):
                while not self._closing:
                    await self._noted.wait()
                    self._noted.clear()
        except TimeoutError:
            pass
        self._noted.set()

    # reading

    async def rows(self, query: sa.Select[Any]) -> list[Row]:
        """The rows of a query, after what is noted was written. StoreUnavailable."""
        await self.flush()
        with told():
            async with self._engine.connect() as connection:
                try:
                    return [dict(row) for row in (await connection.execute(query)).mappings()]
                except UnicodeEncodeError:  # asked for text that cannot be written, so it was not
                    return []

    async def uids(self) -> list[int]:
        """User ids that files on disk may belong to; that of a branch and what it was made of as often as there are of them."""
        tables = (schema.sessions, schema.executions)
        query = sa.select(sa.union_all(*(sa.select(table.c.uid) for table in tables)).subquery())
        return [row["uid"] for row in await self.rows(query) if row["uid"] is not None]

    async def session(self, id: str) -> tuple[Row, list[Row]] | None:
        """A session's row and its cells' (`id`, `cell`)."""
        found = await self.rows(sa.select(schema.sessions).where(schema.sessions.c.id == id))
        if not found:
            return None
        cells = await self.rows(sa.select(schema.cells).where(schema.cells.c.session_id == id))
        return found[0], cells

    async def sessions(self, owner: str, *, limit: int, after: str | None) -> list[Row]:
        """An owner's sessions, newest first, from the one behind `after`."""
        table = schema.sessions
        query = sa.select(table).where(table.c.owner == owner).order_by(table.c.created.desc(), table.c.id)
        return await self.rows(behind(query, table, table.c.created, after).limit(limit))

    async def session_ids(self, owner: str, start: str) -> set[str]:
        """Ids of an owner's sessions that begin with `start`."""
        table = schema.sessions
        theirs = sa.select(table).where(table.c.owner == owner, table.c.id.startswith(start, autoescape=True))
        return {row["id"] for row in await self.rows(theirs.limit(2))}

    def remove_session(self, id: str) -> None:
        """The session with its cells, executions, their events, its conversation and the copies shared of it."""
        self.remove(schema.sessions, "id", id)
        self.remove(schema.cells, "session_id", id)
        self.remove(schema.executions, "session_id", id)
        self.remove(schema.conversations, "id", id)
        self.remove(schema.shares, "session_id", id)

    async def execution(self, id: str) -> Row | None:
        found = await self.rows(sa.select(schema.executions).where(schema.executions.c.id == id))
        return found[0] if found else None

    async def unfinished(self) -> list[Row]:
        """Executions that have no end: the server that ran them is gone."""
        return await self.rows(sa.select(schema.executions).where(schema.executions.c.ended.is_(None)))

    def put_events(self, execution_id: str, events: Sequence[Mapping[str, Any]]) -> int:
        """A run of consecutive events; how many bytes they take."""
        lines = "\n".join(map(dumps, events)).encode()
        first, last = events[0]["seq"], events[-1]["seq"]
        self.put(schema.events, {"execution_id": execution_id, "first": first, "last": last, "lines": lines})
        return len(lines)

    async def events(self, execution_id: str, after: int) -> list[dict[str, Any]]:
        """The events that follow number `after`, as far as they were kept."""
        table = schema.events
        query = sa.select(table.c.lines).where(table.c.execution_id == execution_id, table.c.last > after)
        chunks = await self.rows(query.order_by(table.c.first))
        read = [json.loads(line) for chunk in chunks for line in chunk["lines"].split(b"\n")]
        return [event for event in read if event["seq"] > after]

    async def idempotent(self, owner: str, key: str) -> Row | None:
        table = schema.idempotency
        found = await self.rows(sa.select(table).where(table.c.owner == owner, table.c.key == key))
        return found[0] if found else None

    # conversations

    async def load_conversation(self, owner: str, id: str) -> Conversation | None:
        row = await self._conversation(owner, id)
        if row is None:
            return None
        return Conversation(row["id"], row["title"], stamp(row["updated"]), row["running"], row["messages"])

    async def save_conversation(
        self,
        owner: str,
        id: str,
        *,
        messages: bytes,
        title: str | None,
        running: bool,
        at: float,
        unless: Callable[[], bool] = lambda: False,
    ) -> None:
        """`title` is for a conversation that has none; `unless` is asked last."""
        async with self._conversing:
            old = await self._conversation(owner, id)
            if unless():
                return
            title = (old["title"] if old else None) or title
            row = {"id": id, "owner": owner, "title": title, "updated": at, "running": running, "messages": messages}
            self.put(schema.conversations, row)

    async def conversations(self, owner: str, *, limit: int, after: str | None) -> dict[str, Any]:
        """{items: [{id, title, updated, running}], next}, the last updated first."""
        table = schema.conversations
        columns = (table.c.id, table.c.title, table.c.updated, table.c.running)
        query = sa.select(*columns).where(table.c.owner == owner).order_by(table.c.updated.desc(), table.c.id)
        found = await self.rows(behind(query, table, table.c.updated, after).limit(limit + 1))
        items = [{**row, "updated": stamp(row["updated"])} for row in found[:limit]]
        return {"items": items, "next": items[-1]["id"] if len(found) > limit else None}

    async def find_conversations(
        self, owner: str, find: Callable[[str | None, bytes], str | None], *, limit: int
    ) -> list[dict[str, Any]]:
        """[{id, title, updated, running, excerpt}], the last updated first: those for which `find` has an excerpt.

        `find` gets a title and what the door has stored; it is called in a thread.
        """
        table, found, after = schema.conversations, list[dict[str, Any]](), None
        query = sa.select(table).where(table.c.owner == owner).order_by(table.c.updated.desc(), table.c.id)
        while len(found) < limit:
            rows = await self.rows(behind(query, table, table.c.updated, after).limit(SEARCHED_AT_ONCE))
            found += await asyncio.to_thread(excerpts, rows, find)
            if len(rows) < SEARCHED_AT_ONCE:
                break
            after = rows[-1]["id"]
        return found[:limit]

    async def rename_conversation(self, owner: str, id: str, title: str) -> None:
        async with self._conversing:
            self.put(schema.conversations, {**await self._known(owner, id), "title": title})

    async def delete_conversation(self, owner: str, id: str) -> None:
        async with self._conversing:
            await self._known(owner, id)
            self.remove(schema.conversations, "id", id)

    async def _known(self, owner: str, id: str) -> Row:
        row = await self._conversation(owner, id)
        if row is None:
            raise ConversationNotFound(f"There is no conversation {id[:80]!r}.")
        return row

    async def _conversation(self, owner: str, id: str) -> Row | None:
        table = schema.conversations
        found = await self.rows(sa.select(table).where(table.c.owner == owner, table.c.id == id))
        return found[0] if found else None

    # housekeeping

    async def fold_events(self, ended_before: float) -> None:
        """Drops the events of executions that ended before; their Results stay. Events without execution go too."""
        kept = sa.select(schema.executions.c.id).where(
            sa.or_(schema.executions.c.ended.is_(None), schema.executions.c.ended >= ended_before)
        )
        await self._delete(sa.delete(schema.events).where(schema.events.c.execution_id.not_in(kept)))

    async def one_shots(self, ended_before: float, *, with_home: bool) -> list[Row]:
        """One-shot executions that ended before; `with_home`: those whose files are still there."""
        table = schema.executions
        query = sa.select(table).where(table.c.session_id.is_(None), table.c.ended < ended_before)
        return await self.rows(query.where(table.c.home.is_not(None)) if with_home else query)

    async def forget_keys(self, created_before: float) -> None:
        await self._delete(sa.delete(schema.idempotency).where(schema.idempotency.c.created < created_before))

    async def homes(self) -> set[str]:
        """Directories below `kernels` that belong to a session or a one-shot."""
        sessions = await self.rows(sa.select(schema.sessions.c.id))
        shots = await self.rows(sa.select(schema.executions.c.home).where(schema.executions.c.home.is_not(None)))
        return {row["id"] for row in sessions} | {row["home"] for row in shots}

    async def _delete(self, statement: sa.Delete) -> None:
        await self.flush()
        with told():
            async with self._writing, self._engine.begin() as connection:
                await connection.execute(statement)


def of_the_database(problem: BaseException) -> bool:
    """Locked, full, unreadable, broken: at fault is the database or its disk, and not a row."""
    ours = (sa.exc.OperationalError, sa.exc.TimeoutError, sqlite3.OperationalError, OSError)
    return isinstance(problem, ours) or type(problem) in (sa.exc.DatabaseError, sqlite3.DatabaseError)


@contextmanager
def told() -> Iterator[None]:
    """StoreUnavailable in the place of what the database says; its own words, without the rows."""
    try:
        yield
    except Exception as problem:
        if not of_the_database(problem):
            raise
        says = getattr(problem, "orig", None) or problem
        raise StoreUnavailable(f"The server's database cannot be used: {says}.", retry_after=RETRY_SECONDS) from problem


def dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def excerpts(rows: Sequence[Row], find: Callable[[str | None, bytes], str | None]) -> list[dict[str, Any]]:
    """Blocks."""
    told = [(row, find(row["title"], row["messages"])) for row in rows]
    return [
        {**{name: row[name] for name in ("id", "title", "running")}, "updated": stamp(row["updated"]), "excerpt": text}
        for row, text in told
        if text is not None
    ]


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def tuned(connection: Any, _: Any) -> None:
    """SQLite as a server wants it: readers beside the writer, and a wait instead of an error."""
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={int(LOCK_SECONDS * 1000)}", "journal_mode=WAL", "synchronous=NORMAL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def behind(query: sa.Select[Any], table: sa.Table, order: sa.ColumnElement[Any], after: str | None) -> sa.Select[Any]:
    """The part of a descending listing that follows row `after`."""
    if after is None:
        return query
    at = sa.select(order).where(table.c.id == after).scalar_subquery()
    return query.where(sa.or_(order < at, sa.and_(order == at, table.c.id > after)))


def in_one_transaction(engine: sa.Engine, statements: Sequence[Statement]) -> None:
    """Blocks."""
    with engine.begin() as connection:
        for sql, rows in statements:
            connection.exec_driver_sql(sql, rows)


def statements_of(batch: Mapping[Key, Put | Remove], dialect: sa.Dialect) -> list[Statement]:
    """A batch in values of the driver's: the rows of a table together, but none before a removal noted before it."""
    made: list[Statement] = []
    tables: dict[sa.Table, list[tuple[Any, ...]]] = {}

    def close() -> None:
        made.extend((upsert(table, dialect).sql, rows) for table, rows in tables.items())
        tables.clear()

    for op in batch.values():
        if isinstance(op, Put):
            tables.setdefault(op.table, []).append(upsert(op.table, dialect).values(op.row))
        else:
            close()
            made.append((removal(op.table, op.column, dialect), [(op.value,)]))
    close()
    return made


@dataclass(frozen=True)
class Upsert:
    """An insert that takes the place of the row with its key; what the driver gets for each column, in order."""

    sql: str
    columns: tuple[tuple[str, Callable[[Any], Any] | None], ...]

    def values(self, row: Row) -> tuple[Any, ...]:
        """A column that the row does not name becomes NULL."""
        return tuple(
            encode(row[name]) if encode is not None and name in row else row.get(name) for name, encode in self.columns
        )


@cache
def upsert(table: sa.Table, dialect: sa.Dialect) -> Upsert:
    statement = insert(table)
    keys = {column.name for column in table.primary_key}
    changed = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    compiled = statement.on_conflict_do_update(index_elements=sorted(keys), set_=changed).compile(dialect=dialect)
    names: list[str] = compiled.positiontup or []
    encoders = (table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names)
    return Upsert(str(compiled), tuple(zip(names, encoders, strict=True)))


@cache
def removal(table: sa.Table, column: str, dialect: sa.Dialect) -> str:
    return str(sa.delete(table).where(table.c[column] == sa.bindparam("value")).compile(dialect=dialect))
