"""All sessions: made with a kernel from the pool, found again in the store, released when idle, deleted."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import uuid4

import structlog

from cellblock.content import clean
from cellblock.errors import CellblockError, KernelLimit, KernelNotFound, NoState
from cellblock.execution import Event, Result, timestamp
from cellblock.host import memory, schema
from cellblock.host.branching import Branching, Made, Trunk, Wish
from cellblock.host.config import Config, ExecuteRequest
from cellblock.host.environments import AnyEngine, Engine, Environments
from cellblock.host.executions import Executions, Job
from cellblock.host.kernels import KernelProcess
from cellblock.host.process import Process
from cellblock.host.recovery import SERVER_ENDED, Unfinished
from cellblock.host.session import Session
from cellblock.host.store import Row, Store
from cellblock.host.timeline import Timeline
from cellblock.host.travel import Jump
from cellblock.host.views import KernelView, TravelView
from cellblock.host.workspace import Workspace
from cellblock.notebook import Cell, Notebook, NotebookView

__all__ = ["KernelView", "Session", "Sessions"]

T = TypeVar("T")

SHORT = 2 * memory.KERNEL  # bytes above the reserve

log = structlog.get_logger("cellblock.sessions")


def new_cell_id() -> str:
    return uuid4().hex[:12]


class Sessions:
    """Sessions by id; those of the store are loaded when somebody asks for them."""

    def __init__(self, config: Config, store: Store, environments: Environments, executions: Executions) -> None:
        self.config, self.store, self.environments, self.executions = config, store, environments, executions
        self.one_shots: dict[str, int] = {}  # running ones by owner
        self._sessions: dict[str, Session] = {}
        self._loading: dict[str, asyncio.Task[Session | None]] = {}
        self._changed: dict[str, set[str]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        store.sources.append(self._note_changed)

    # finding

    async def get(self, owner: str, id: str) -> Session:
        """KernelNotFound, also for another owner's."""
        session = self._sessions.get(id) or await self._load(id)
        if session is None or session.owner != owner or session.deleted:
            raise KernelNotFound(f"There is no kernel {clean(id[:80])!r}.")
        return session

    async def page(self, owner: str, *, limit: int, after: str | None) -> dict[str, Any]:
        """{items: [KernelView], next}, newest first."""
        rows = await self.store.sessions(owner, limit=limit + 1, after=after)
        items = [self._view(row) for row in rows[:limit]]
        return {"items": items, "next": items[-1]["id"] if len(rows) > limit else None}

    def live(self) -> list[Session]:
        """Those in memory."""
        return list(self._sessions.values())

    def statistics(self) -> dict[str, int]:
        """How many sessions have a kernel, by state."""
        states = [session.state for session in self._sessions.values()]
        return {state: states.count(state) for state in ("starting", "idle", "busy")}

    def _view(self, row: Row) -> KernelView:
        """A session that need not be loaded to be listed."""
        if session := self._sessions.get(row["id"]):
            return session.view()
        return {
            "id": row["id"],
            "title": row["title"],
            "environment": row["environment"],
            "state": "released",
            "sandbox": self._engine(row["environment"]).level,
            "queue": 0,
            "execution_count": 0,
            "created": timestamp(row["created"]),
            "last_used": timestamp(row["last_used"]),
            "memory_bytes": 0,
        }

    async def matching(self, owner: str, start: str) -> Session:
        """The one session whose id begins with `start`. KernelNotFound, also when there are several."""
        found = {session.id for session in self.live() if session.owner == owner and session.id.startswith(start)}
        found |= await self.store.session_ids(owner, start)
        if len(found) != 1:
            raise KernelNotFound(f"There is no kernel {clean(start[:80])!r}.")
        return await self.get(owner, found.pop())

    # making and ending

    async def wake(self, owner: str, id: str) -> Session:
        """A kernel for one that has none. KernelNotFound, KernelLimit, and what `Session.awake` raises."""
        session = await self._at_hand(owner, id)
        await session.awake()
        return session

    async def _at_hand(self, owner: str, id: str) -> Session:
        """A session that has a kernel, or may have one now."""
        session = await self.get(owner, id)
        if session.state == "released":
            await session.engine.settled()
            session = await self.get(owner, id)  # it may have been put away meanwhile, and loaded again
            self.admit(owner)
        return session

    async def create(self, owner: str, *, environment: str | None, title: str | None) -> Session:
        engine = self.environments.get(environment)
        await engine.settled()
        self.admit(owner)
        kernel = engine.pool.take()
        if kernel is None:
            engine.admit()
        id, uid = (kernel.id, kernel.uid) if kernel else (str(uuid4()), self.environments.homes.new_uid())
        notebook = Notebook(id, engine.environment.name, new_cell_id, clean(title)[:500] if title else None)
        now = self.config.clock()
        session = self._session(id, owner, uid, now, now, notebook, engine)
        self._sessions[id] = session  # counts from now on
        if kernel:
            session.adopt(kernel)
        else:
            try:
                await asyncio.to_thread(self.environments.homes.make, id, uid)
            except BaseException:
                del self._sessions[id]
                await asyncio.to_thread(self.environments.homes.remove, id, uid)
                raise
            session.begin()
        self._note(session, None)
        return session

    async def jump(self, session: Session, place: Callable[[Timeline], int]) -> TravelView:
        """Undo or redo, in its turn. KernelBusy while code runs or waits; NoState."""
        session.at_rest(turn := Jump(place))
        return (await self._outcome(session, turn.went)).view(session.view())

    async def _outcome(self, session: Session, turn: asyncio.Future[T]) -> T:
        """What comes of a turn; that its session has been deleted meanwhile is a truer answer than what that led to."""
        try:
            return await turn
        except CellblockError:
            session.exists()
            raise

    async def branch(self, session: Session, wish: Wish, *, title: str | None) -> tuple[Session, Made]:
        """Another session that goes on from a state of this one. KernelBusy, KernelLimit, and what `Trunk.branch` raises."""
        engine = session.engine
        if not isinstance(engine, Engine):
            raise NoState("A kernel of another server has no earlier states.")
        self.admit(session.owner)
        self.one_shots[session.owner] = self.one_shots.get(session.owner, 0) + 1  # counts from now on
        try:
            turn = Branching(
                lambda: self._trunk(session, engine).branch(wish), lambda made: self._unwanted(session, made)
            )
            session.at_rest(turn)
            made = await self._outcome(session, turn.made)
        except asyncio.CancelledError:
            if turn.is_made:  # a moment too late for it to be taken back where it was made
                self._soon(self._unwanted(session, turn.made.result()))
            raise
        finally:
            self.one_shots[session.owner] -= 1
        return self._branched(session, engine, made, title), made

    async def _unwanted(self, trunk: Session, made: Made) -> None:
        await made.kernel.stop()
        await asyncio.to_thread(self.environments.homes.leave, made.id, trunk.uid, lambda _: None)

    def _trunk(self, session: Session, engine: Engine) -> Trunk:
        async def lookup(id: str) -> tuple[str, Result]:
            job = self.executions.get(session.owner, id)
            if job:
                return job.request.code, job.execution.result()
            row = await self.executions.row(session.owner, id)
            return row["code"], row["result"]

        kernel = session.kernel
        return Trunk(
            session.id,
            session.uid,
            engine,
            kernel,
            lambda: session.kernel is kernel,
            session.travel,
            session.workspace,
            session.notebook.view()["cells"],
            session.execution_count,
            lookup,
        )

    def _branched(self, trunk: Session, engine: Engine, made: Made, title: str | None) -> Session:
        now = self.config.clock()
        named = clean(title)[:500] if title else trunk.notebook.title
        notebook = Notebook(made.id, engine.environment.name, new_cell_id, named, made.cells)
        notebook.metadata = dict(trunk.notebook.metadata)
        session = self._session(made.id, trunk.owner, trunk.uid, now, now, notebook, engine)
        session.execution_count, session.own_syntax = made.count, trunk.own_syntax
        self._sessions[made.id] = session
        session.adopt(made.kernel)
        self.lodges(session, made.kernel.process)
        self._note(session, None)
        for cell in made.cells:
            self._note(session, cell["id"])
        return session

    def lodges(self, session: Session, process: KernelProcess) -> None:
        """Of a session in a sandbox with others: its workspace comes home when it has left, and what is left behind goes."""
        if isinstance(process, Process) and process.lineage:
            process.box.leaving[session.id] = lambda: self._soon(self._came_home(session, process.home))
            process.box.gone.add_done_callback(lambda _: self._soon(self._tidied(process.home)))

    def _soon(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def to_its_end(self, work: Coroutine[Any, Any, None]) -> None:
        """Waits for something that goes on when nobody waits for it any more."""
        await asyncio.shield(self._soon(work))

    async def settled(self) -> None:
        """Waits until what has ended has left its place."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _came_home(self, session: Session, home: Path) -> None:
        if not session.deleted:
            await asyncio.to_thread(self.environments.homes.bring_home, session.id, out_of=home)

    async def _tidied(self, home: Path) -> None:
        """Nobody lives there any more, and if it is no session's it goes."""
        if home.name not in self._sessions and not await self.store.session(home.name):
            await asyncio.to_thread(self.environments.homes.abandon, home)

    async def submit(self, owner: str, request: ExecuteRequest) -> Job:
        """Into the session the request names. KernelNotFound, KernelLimit, and what `Session.submit` raises."""
        session = await self._at_hand(owner, request.kernel_id or "")
        return await session.submit(request)

    def admit(self, owner: str) -> None:
        """KernelLimit when the owner has as many kernels as one may have; starting ones count."""
        held = sum(1 for each in self._sessions.values() if each.owner == owner and each.state != "released")
        held += self.one_shots.get(owner, 0)
        if held >= self.config.kernels_per_owner:
            raise KernelLimit(f"You have {held} live kernels, as many as one may have.", retry_after=10.0)

    async def delete(self, session: Session) -> None:
        """Ends it and removes all it had."""
        session.deleted = True
        await session.close("cancelled", "its session was deleted")
        self._sessions.pop(session.id, None)
        self.executions.forget(session.id)
        self._changed.pop(session.id, None)
        self.store.remove_session(session.id)
        lives_in = session.engine.launcher.lives_in if session.engine.launcher else lambda _: None
        await asyncio.to_thread(self.environments.homes.leave, session.id, session.uid, lives_in)

    async def release_idle(self) -> None:
        """Frees kernels that nobody has used for long, and the memory of sessions without one."""
        now = self.config.clock()
        oldest = now - self.config.idle_timeout
        for session in self.live():
            session.tape.tidy()
            session.last_used = min(session.last_used, now)  # the clock may have been set back
            if session.last_used > oldest:
                continue
            if session.state == "idle":
                minutes = f"{self.config.idle_timeout / 60:g}"
                await session.release(f"it was idle for {minutes} minutes and was released")
            if not session.active:
                await self.store.flush()
                if not session.active and session.id not in self._changed:
                    self._sessions.pop(session.id, None)

    async def patrol(self) -> None:
        """Looks at what idle kernels do to the disk, and at memory; one that cannot be looked at hides no other."""
        self.give_back_memory()
        for session in self.live():
            try:
                await session.patrol()
            except (CellblockError, OSError) as problem:
                log.warning("disk_not_watched", kernel=session.id, error=str(problem))

    def give_back_memory(self) -> None:
        """When this machine is short of memory, kernels keep their last state only."""
        if memory.free() < self.config.memory_reserve + SHORT:
            for session in self.live():
                if session.kernel:
                    session.travel.press(session.kernel)

    async def go_on(self, kernels: Mapping[str, KernelProcess], unfinished: Sequence[Unfinished]) -> None:
        """Takes back the kernels that have outlived the server before this one, and what goes on in them."""
        for id, process in kernels.items():
            session = await self._stored(id, alive=True)
            if session is None:
                continue
            theirs = [each for each in unfinished if each.row["session_id"] == id]
            for each in theirs:
                tell_again(session.notebook, each)
                self._note(session, each.execution.cell_id)
            self.lodges(session, process)
            session.go_on(process, [self.executions.go_on(each) for each in theirs])

    async def aclose(self) -> None:
        """Ends all kernels; what they held is lost, and the next execution will say so."""
        await asyncio.gather(*(session.close("interrupted", "the server was stopped") for session in self.live()))

    async def leave(self) -> None:
        """Leaves all kernels to another server."""
        await asyncio.gather(*(session.leave() for session in self.live()))

    # the store

    async def _load(self, id: str) -> Session | None:
        """One task per session, however many ask at the same time."""
        if id not in self._loading:
            task = self._loading[id] = asyncio.create_task(self._stored(id))
            task.add_done_callback(lambda _: self._loading.pop(id, None))
        return await asyncio.shield(self._loading[id])

    async def _stored(self, id: str, *, alive: bool = False) -> Session | None:
        found = await self.store.session(id)
        if found is None or id in self._sessions:
            return self._sessions.get(id)
        row, cells = found
        session = self._session(
            id,
            row["owner"],
            row["uid"] or 0,
            row["created"],
            row["last_used"],
            Notebook.from_view(view_of(row, cells), new_cell_id),
            self._engine(row["environment"]),
        )
        if alive:
            session.execution_count, session.lost = row["execution_count"], row["lost"]
        else:
            session.lost = row["lost"] or (SERVER_ENDED if row["execution_count"] else None)
        self._sessions[id] = session
        return session

    def _session(
        self, id: str, owner: str, uid: int, created: float, used: float, notebook: Notebook, engine: AnyEngine
    ) -> Session:
        files, config = partial(self.environments.homes.files, id), self.config  # it may move
        workspace = Workspace(files, uid=uid, limit=config.workspace_limit, upload_limit=config.upload_limit)
        return Session(id, owner, uid, created, used, notebook, workspace, engine, config, self.executions, self._note)

    def _engine(self, environment: str) -> AnyEngine:
        """The session's own; the default one when an operator has taken that away."""
        return self.environments.get(environment if environment in self.environments.names else None)

    def _note(self, session: Session, cell_id: str | None) -> None:
        changed = self._changed.setdefault(session.id, set())
        if cell_id is not None:
            changed.add(cell_id)
        self.store.wake()

    def _note_changed(self) -> None:
        changed, self._changed = self._changed, {}
        for id, cell_ids in changed.items():
            session = self._sessions.get(id)
            if session and not session.deleted:
                self._put(session, cell_ids)

    def _put(self, session: Session, cell_ids: set[str]) -> None:
        cells = {cell["id"]: cell for cell in session.notebook.cells}
        for cell_id in cell_ids:
            row = {"session_id": session.id, "id": cell_id, "cell": cells.get(cell_id)}
            self.store.put(schema.cells, row)
        self.store.put(schema.sessions, row_of(session))


def tell_again(notebook: Notebook, unfinished: Unfinished) -> None:
    """What an execution has shown so far, in its cell; what has been written into the cell since stays."""
    source = next((cell["source"] for cell in notebook.cells if cell["id"] == unfinished.execution.cell_id), "")
    for event in unfinished.events:
        content = event["content"] | ({"code": source} if event["event"] == "execution_start" else {})
        notebook.apply(cast(Event, event | {"content": content}))


def row_of(session: Session) -> Row:
    notebook = session.notebook
    return {
        "id": session.id,
        "owner": session.owner,
        "title": notebook.title,
        "environment": session.engine.environment.name,
        "uid": session.uid,
        "created": session.created,
        "last_used": session.last_used,
        "execution_count": session.execution_count,
        "lost": session.lost,
        "revision": notebook.revision,
        "cell_ids": [cell["id"] for cell in notebook.cells],
        "metadata": notebook.metadata,
    }


def view_of(row: Row, cells: list[Row]) -> NotebookView:
    """A stored notebook; a cell that is no longer in it may still have a row."""
    found: dict[str, Cell] = {each["id"]: each["cell"] for each in cells if each["cell"]}
    return {
        "kernel_id": row["id"],
        "revision": row["revision"],
        "title": row["title"],
        "environment": row["environment"],
        "cells": [found[id] for id in row["cell_ids"] if id in found],
        "metadata": row["metadata"],
    }
