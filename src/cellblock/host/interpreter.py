"""The service, and the only object doors see: it finds the session, and lets it do the work."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cellblock.errors import Unavailable, VariableNotFound
from cellblock.execution import Event, Result, timestamp
from cellblock.host import closer
from cellblock.host.branching import Wish
from cellblock.host.config import Config, ExecuteRequest
from cellblock.host.environments import Environments
from cellblock.host.executions import Executions
from cellblock.host.exporting import Export, exported
from cellblock.host.housekeeping import Housekeeping
from cellblock.host.launcher import Launcher
from cellblock.host.lock import DataDirectory
from cellblock.host.looking import TableView, VariableView
from cellblock.host.one_shots import OneShots
from cellblock.host.peeking import FOREIGN
from cellblock.host.recovery import recover
from cellblock.host.remote.fleet import Fleet
from cellblock.host.remote.remains import remaining
from cellblock.host.sessions import KernelView, Session, Sessions
from cellblock.host.shares import Share, Shares
from cellblock.host.store import Conversation, Store
from cellblock.host.survivors import Survivors
from cellblock.host.tape import Request, Spoken, Tape
from cellblock.host.travel import redoing, undoing
from cellblock.host.views import Alias, BranchView, Desk, EnvironmentView, StateView, TravelView
from cellblock.host.wire import Posted
from cellblock.host.workspace import FileEntry, OpenFile
from cellblock.notebook import NotebookView
from cellblock.version import __version__

__all__ = [
    "Alias",
    "Config",
    "Conversation",
    "Desk",
    "EnvironmentView",
    "ExecuteRequest",
    "Export",
    "FileEntry",
    "Interpreter",
    "KernelView",
    "OpenFile",
    "Page",
    "Posted",
    "Request",
    "Share",
    "Spoken",
    "Tape",
]


@dataclass(eq=False)
class Interpreter:
    """Sessions, their kernels, and what they ran. Every call names an owner; another owner's id is an unknown id.

    Raises, besides what each method says: KernelNotFound for an unknown session, ExecutionNotFound for an unknown
    execution. One event loop; `aclose` when done.
    """

    config: Config
    directory: DataDirectory
    store: Store
    environments: Environments
    sessions: Sessions
    executions: Executions
    one_shots: OneShots
    housekeeping: Housekeeping
    shares: Shares

    def __post_init__(self) -> None:
        self.started = self.config.clock()

    @classmethod
    async def start(cls, config: Config) -> "Interpreter":
        """Takes the data directory, opens the store and starts the environments in the background: see `ready`.

        DataDirectoryInUse when another server has it, ConfigurationError when its store is a newer version's.
        """
        directory = DataDirectory(config.data_dir)
        store: Store | None = None
        left: Survivors | None = None
        fleet = Fleet(config.remote) if config.remote else None
        try:
            store = await Store.open(config.data_dir)
            left = await (remaining(config, store, fleet) if fleet else Survivors.found(config, store))
            unfinished = await recover(config, store, left.kernels)
            made = cls._made(config, directory, store, await store.uids(), left.launchers, fleet)
            await made.housekeeping.sweep()
            await made.sessions.go_on(left.kernels, unfinished)
        except BaseException:
            if left:
                left.let_go()
            if fleet:
                await fleet.aclose()
            if store:
                await store.aclose()
            directory.release()
            raise
        made.environments.start()
        made.housekeeping.start()
        return made

    @classmethod
    def _made(
        cls,
        config: Config,
        directory: DataDirectory,
        store: Store,
        uids: Sequence[int],
        launchers: Mapping[str, Launcher],
        fleet: Fleet | None,
    ) -> "Interpreter":
        executions = Executions(config, store)
        environments = Environments(config, uids=uids, busy=executions.unfinished, launchers=launchers, fleet=fleet)
        sessions = Sessions(config, store, environments, executions)
        one_shots = OneShots(config, environments, sessions, executions)
        housekeeping = Housekeeping(config, store, environments, sessions, executions, one_shots)
        shares = Shares(store, config.clock)
        return cls(config, directory, store, environments, sessions, executions, one_shots, housekeeping, shares)

    @property
    def is_ready(self) -> bool:
        """The environments are preloaded and the pool is full."""
        return self.environments.is_ready

    async def ready(self) -> None:
        """Waits for `is_ready`. SandboxUnavailable or KernelStartFailed when the default environment cannot start."""
        await self.environments.ready()

    @property
    def level(self) -> str | None:
        """The sandbox level in force; None as long as the default environment has not started."""
        return self.environments.level

    async def aclose(self) -> None:
        """Ends what runs, or leaves it to the next server; keeps what lasts, frees the data directory."""
        keep = self.config.keep_kernels and self.directory.stands  # else no server would come for them
        await self.housekeeping.aclose()
        await asyncio.gather(self.sessions.leave() if keep else self.sessions.aclose(), self.one_shots.aclose())
        await self.environments.aclose(keep=keep)
        await self.store.aclose()
        self.directory.release()

    # kernels

    async def create(self, owner: str, *, environment: str | None = None, title: str | None = None) -> KernelView:
        """A new session with a kernel from the pool, or one being started (`state` is `starting` then).

        EnvironmentNotFound, KernelLimit, NoMemory, KernelStartFailed.
        """
        return (await self.sessions.create(owner, environment=environment, title=title)).view()

    async def kernels(self, owner: str, *, limit: int = 50, after: str | None = None) -> "Page":
        """The owner's sessions, newest first: {items: [KernelView], next: the id to pass as `after`, or None}."""
        return await self.sessions.page(owner, limit=limit, after=after)

    async def kernel(self, owner: str, id: str) -> KernelView:
        return (await self._session(owner, id)).view()

    async def rename(self, owner: str, id: str, title: str) -> KernelView:
        session = await self._session(owner, id)
        session.rename(title)
        return session.view()

    async def delete(self, owner: str, id: str) -> None:
        """The session, its notebook, files, executions and conversation are gone; what runs is ended."""
        await self.sessions.delete(await self._session(owner, id))

    async def release(self, owner: str, id: str) -> KernelView:
        """Ends the kernel process only: what runs is `interrupted`, what waits `cancelled`."""
        session = await self._session(owner, id)
        await self.sessions.to_its_end(session.release("it was released on request"))
        return session.view()

    async def interrupt(self, owner: str, id: str) -> KernelView:
        """Interrupts what runs; what waits goes on afterwards. Nothing happens to an idle kernel."""
        session = await self._session(owner, id)
        session.interrupt()
        return session.view()

    async def restart(self, owner: str, id: str) -> KernelView:
        """A fresh kernel process: what runs is `interrupted` with `kernel_state` lost, what waits is `cancelled`."""
        session = await self._session(owner, id)
        await self.sessions.to_its_end(session.restart())
        return session.view()

    async def complete(self, owner: str, id: str, code: str, cursor_pos: int) -> dict[str, Any]:
        """Jupyter's `complete_reply` content; no matches while the kernel is busy or released."""
        return await (await self._session(owner, id)).complete(code, cursor_pos)

    async def inspect(
        self, owner: str, id: str, code: str, cursor_pos: int, detail_level: Literal[0, 1] = 0
    ) -> dict[str, Any]:
        """Jupyter's `inspect_reply` content; nothing found while the kernel is busy or released."""
        return await (await self._session(owner, id)).inspect(code, cursor_pos, detail_level)

    async def variables(self, owner: str, id: str) -> list[dict[str, Any]]:
        """The user's variables: [{name, type, shape: [int] | None, size: bytes | None, preview}]; at most 200.

        Unavailable while the kernel is busy for longer than a few seconds.
        """
        session = await self._session(owner, id)
        return await session.variables() if in_python(session) else []

    async def variable(
        self, owner: str, id: str, name: str, *, offset: int, limit: int, sort: int | None, descending: bool
    ) -> VariableView:
        """One variable: rows of a table from `offset`, ordered by the column at `sort`, or what `repr` says.

        VariableNotFound; Unavailable while the kernel is busy for longer than a few seconds.
        """
        session = await self._session(owner, id)
        view = in_python(session) and await session.variable(
            name, offset=offset, limit=limit, sort=sort, descending=descending
        )
        if not view:
            raise VariableNotFound(f"There is no variable {name[:80]!r}.")
        return view

    async def rows(
        self, owner: str, id: str, cell_id: str, at: int, *, offset: int, limit: int, sort: int | None, descending: bool
    ) -> TableView:
        """Rows of the table that output `at` of a cell shows, as for `variable`; OutputNotFound when it is gone."""
        session = await self._session(owner, id)
        return await closer.rows(session, cell_id, at, offset=offset, limit=limit, sort=sort, descending=descending)

    async def drawing(self, owner: str, id: str, cell_id: str, at: int) -> bytes:
        """The figure that output `at` of a cell shows, as SVG; OutputNotFound when the kernel does not hold it."""
        return await closer.drawing(await self._session(owner, id), cell_id, at)

    # executions

    async def submit(self, owner: str, request: ExecuteRequest) -> Result:
        """Accepts an execution: the Result so far, `status` queued, running, or already final (a syntax error).

        CodeTooLarge, InvalidRequest, QueueFull, KernelLimit, NoMemory, CellNotFound, IdempotencyConflict, and for
        `files` what `write_file` raises.
        """
        return (await self.accept(owner, request))[0]

    async def accept(self, owner: str, request: ExecuteRequest) -> tuple[Result, bool]:
        """As `submit`; and whether this began it, and not the same request before: who repeats it only listens."""
        async with self.executions.once(owner, request) as known:
            if known:
                return await self.executions.result(owner, known), False
            one_shot = request.kernel_id is None
            job = await (self.one_shots if one_shot else self.sessions).submit(owner, request)
            return job.execution.result(), True

    async def result(self, owner: str, execution_id: str) -> Result:
        """The Result so far, or the final one."""
        return await self.executions.result(owner, execution_id)

    async def wait(self, owner: str, execution_id: str) -> Result:
        """The final Result, when it is there."""
        return await self.executions.wait(owner, execution_id)

    def events(self, owner: str, execution_id: str, *, after: int = 0) -> AsyncIterator[Event]:
        """The execution's events that follow number `after`, live until `execution_end`, and also long after it.

        Where some are no longer there: one `gap` {from, to}, then one `snapshot` (the Result so far).
        """
        return self.executions.events(owner, execution_id, after=after)

    async def interrupt_execution(self, owner: str, execution_id: str) -> Result:
        """Interrupts it when it runs, cancels it when it waits; one that has ended stays as it is."""
        return await self.executions.interrupt(owner, execution_id)

    async def answer(self, owner: str, execution_id: str, value: str) -> None:
        """Answers `input()`. NotWaitingForInput when nothing was asked."""
        await self.executions.answer(owner, execution_id, value)

    async def watch(self, owner: str, id: str) -> AsyncIterator[Event]:
        """Everything that happens in a session: a `snapshot` first, then events of all executions and edits.

        `snapshot` {notebook, kernel: KernelView, running: execution id | None, queue: [execution id]} (again after a
        `gap`, after an import, and for a notebook replaced as a whole); `kernel_state` {kernel: KernelView, notice};
        `cell_added` {cell, after, revision}; `cell_edited` {cell, revision}; `cell_moved` {cell_id, after, revision};
        `cell_deleted` {cell_id, revision}; `file_changed` {path, size, change}; besides the events of executions.
        Numbers are the session's own and do not outlast the server.
        """
        session = await self._session(owner, id)
        async for event in session.watchers.watch():
            yield event

    # states

    async def undo(self, owner: str, id: str, *, to: str | None = None) -> TravelView:
        """The kernel and its files are as before execution `to`, without it before the last one that stands.

        What that undoes stays in the notebook, marked, and can be redone until something else runs. KernelBusy while code
        runs or waits; NoState when the state is not kept.
        """
        return await self.sessions.jump(await self._session(owner, id), undoing(to))

    async def redo(self, owner: str, id: str) -> TravelView:
        """Takes the last undo back: to the next state that is kept. KernelBusy, NoState."""
        return await self.sessions.jump(await self._session(owner, id), redoing)

    async def branch(
        self, owner: str, id: str, *, at: str | None = None, title: str | None = None, reseed: bool = False
    ) -> BranchView:
        """A new session that goes on from the state behind execution `at`, without it from where the kernel stands.

        It has a copy of the files and the notebook up to there. The kernel of either draws the same random numbers, unless
        `reseed`. KernelBusy while code runs or waits; NoState; KernelLimit, BranchLimit, NoMemory, KernelStartFailed,
        WorkspaceFull, HostExhausted.
        """
        session = await self._session(owner, id)
        branch, made = await self.sessions.branch(session, Wish(at, reseed), title=title)
        return made.view(branch.view(), id, at)

    async def snapshots(self, owner: str, id: str) -> list[StateView]:
        """The states that are kept, measured now, the oldest first; none of a kernel that is not there."""
        session = await self._session(owner, id)
        return await session.travel.look(session.kernel)

    # notebook

    async def notebook(self, owner: str, id: str) -> NotebookView:
        return (await self._session(owner, id)).notebook.view()

    async def export(self, owner: str, id: str, format: Literal["ipynb", "py", "html", "md"]) -> Export:
        return await exported(await self._session(owner, id), format)

    async def import_notebook(
        self, owner: str, id: str, ipynb: dict[str, Any], *, revision: int | None = None, keep: bool = False
    ) -> NotebookView:
        """Replaces the notebook by an nbformat document. InvalidRequest when it is none; StaleRevision.

        `keep`: as an editor saves: what runs in cells that stay goes on there.
        """
        session = await self._session(owner, id)
        going_on = session.notebook.going_on if keep else None
        read = await session.edits.read(ipynb)
        session = await self._session(owner, id)  # it may have been put away meanwhile
        return session.edits.import_notebook(read, revision=revision, keep=going_on)

    async def add_cell(
        self,
        owner: str,
        id: str,
        *,
        type: Literal["code", "markdown"] = "code",
        source: str = "",
        after: str | None = None,
        cell_id: str | None = None,
        revision: int | None = None,
    ) -> NotebookView:
        """A new cell behind cell `after`, or at the end; `cell_id` if that is a good id nobody has. CellNotFound,
        StaleRevision (with the `current` notebook)."""
        edits = (await self._session(owner, id)).edits
        return edits.add_cell(type=type, source=source, after=after, id=cell_id, revision=revision)

    async def edit_cell(
        self,
        owner: str,
        id: str,
        cell_id: str,
        *,
        source: str | None = None,
        type: Literal["code", "markdown"] | None = None,
        outputs_hidden: bool | None = None,
        revision: int | None = None,
    ) -> NotebookView:
        """Changes a cell's source or type, or hides its outputs. CellNotFound, StaleRevision."""
        return (await self._session(owner, id)).edits.edit_cell(
            cell_id, source=source, type=type, outputs_hidden=outputs_hidden, revision=revision
        )

    async def delete_cell(self, owner: str, id: str, cell_id: str, *, revision: int | None = None) -> NotebookView:
        return (await self._session(owner, id)).edits.delete_cell(cell_id, revision=revision)

    async def restore_cell(
        self, owner: str, id: str, cell_id: str, *, after: str | None, revision: int | None = None
    ) -> NotebookView:
        """Takes a deletion back: the cell with its outputs, behind cell `after`. CellNotFound, StaleRevision."""
        return (await self._session(owner, id)).edits.restore_cell(cell_id, after=after, revision=revision)

    async def move_cell(
        self, owner: str, id: str, cell_id: str, *, after: str | None, revision: int | None = None
    ) -> NotebookView:
        """Moves a cell behind cell `after`; None: to the top. CellNotFound, StaleRevision."""
        return (await self._session(owner, id)).edits.move_cell(cell_id, after=after, revision=revision)

    # files

    async def files(self, owner: str, id: str) -> list[FileEntry]:
        """Everything in the workspace by path, at most 10,000 entries."""
        return await asyncio.to_thread((await self._session(owner, id)).workspace.entries)

    async def write_file(
        self, owner: str, id: str, path: str, chunks: AsyncIterator[bytes], *, size: int | None = None
    ) -> tuple[FileEntry, bool]:
        """Replaces a file atomically: its entry, and whether it is new. `size`: bytes as announced by the sender.

        InvalidPath, NotARegularFile, UploadTooLarge, WorkspaceFull: nothing has changed then.
        """
        return await (await self._session(owner, id)).files.write(path, chunks, size=size)

    async def open_file(self, owner: str, id: str, path: str) -> OpenFile:
        """A regular file for reading; close it. InvalidPath, FileNotFound, NotARegularFile."""
        return await asyncio.to_thread((await self._session(owner, id)).workspace.open, path)

    async def delete_file(self, owner: str, id: str, path: str) -> None:
        """Removes a file, a symlink, or a directory with all it holds. InvalidPath, FileNotFound."""
        await (await self._session(owner, id)).files.delete(path)

    async def archive(self, owner: str, id: str) -> AsyncIterator[bytes]:
        """All regular files as a zip, in pieces as it is made."""
        return (await self._session(owner, id)).files.archive()

    async def open_execution_file(self, owner: str, execution_id: str, path: str) -> OpenFile:
        """A file that an execution left: for a one-shot up to an hour after its end. FileNotFound, InvalidPath."""
        workspace = await self.one_shots.workspace(owner, execution_id)
        return await asyncio.to_thread(workspace.open, path)

    async def make_directory(self, owner: str, id: str, path: str) -> None:
        """An empty directory, parents created. InvalidPath, NotARegularFile when something is in its way."""
        await asyncio.to_thread((await self._session(owner, id)).workspace.make_directory, path)

    async def rename_file(self, owner: str, id: str, path: str, new: str) -> None:
        """Another name for a file or a directory. InvalidPath, FileNotFound, NotARegularFile when the new one is taken."""
        await (await self._session(owner, id)).files.rename(path, new)

    # the Jupyter door's

    def environments_known(self) -> list[EnvironmentView]:
        """The environments, the default one first."""
        return self.environments.views()

    async def kernel_info(self, owner: str, id: str) -> dict[str, Any]:
        """Jupyter's `kernel_info_reply` content; the kernel need not be asked."""
        session = await self._session(owner, id)
        kernel = await session.awake()
        return session.engine.kernel_info or await kernel.connection.request("kernel_info_request", {}, "control")

    def live(self, owner: str) -> list[KernelView]:
        """The owner's sessions that have a kernel, or are getting one; each can be asked for its `desk` at once."""
        theirs = (each for each in self.sessions.live() if each.owner == owner and not each.deleted)
        return [session.view() for session in theirs if session.state != "released"]

    async def find(self, owner: str, start: str) -> KernelView:
        """The one session whose id begins so. KernelNotFound."""
        return (await self.sessions.matching(owner, start)).view()

    async def wake(self, owner: str, id: str) -> KernelView:
        """Starts a kernel where there is none, and waits for it. KernelLimit, NoMemory, KernelStartFailed."""
        return (await self.sessions.wake(owner, id)).view()

    async def tape(self, owner: str, id: str) -> Tape:
        """What Jupyter clients hear of the session's kernel."""
        return (await self._session(owner, id)).tape

    async def post(self, owner: str, id: str, request: Request, message: Posted) -> None:
        """A message for the kernel that is no execution; what it says to it is on the tape.

        KernelStartFailed, KernelDied, ProtocolError.
        """
        session = await self._session(owner, id)
        kernel = await session.awake()
        session.last_used = self.config.clock()
        session.tape.expect(message.id, request)
        kernel.connection.post(message)

    async def desk(self, owner: str, id: str) -> Desk:
        """What a Jupyter client needs to know of the session to show it as a notebook in a folder."""
        session = await self._session(owner, id)
        return Desk(
            session.view(), session.alias, session.file, timestamp(session.changed_at), session.tape.connections
        )

    async def name_notebook(self, owner: str, id: str, alias: Alias | None, *, file: str | None = None) -> None:
        """What a Jupyter client calls the session's notebook, until the server ends; `file`: in its folder, where it keeps
        that name when the client gives the notebook another session's kernel."""
        session = await self._session(owner, id)
        session.alias, session.file = alias, file or session.file

    # the chat door's

    async def peek(self, owner: str, id: str, code: str, *, timeout: float = 10.0) -> str:
        """Runs code silently in the session's kernel: no cell, no count, no events. What it printed, at most 1 MiB.

        Waits its turn. InternalError with the code's own error when it raised; Unavailable when time ran out.
        """
        session = await self._session(owner, id)
        if not in_python(session):
            raise Unavailable(FOREIGN)
        return await session.peek(code, timeout=timeout)

    async def load_conversation(self, owner: str, id: str) -> Conversation | None:
        return await self.store.load_conversation(owner, id)

    async def save_conversation(
        self, owner: str, id: str, *, messages: bytes, title: str | None = None, running: bool = False
    ) -> None:
        """Keeps the conversation of session `id`, unless that is deleted meanwhile; `title` is for one that has none."""
        session, now = await self._session(owner, id), self.config.clock()
        await self.store.save_conversation(
            owner, id, messages=messages, title=title, running=running, at=now, unless=lambda: session.deleted
        )

    async def conversations(self, owner: str, *, limit: int = 50, after: str | None = None) -> "Page":
        """{items: [{id, title, updated, running}], next}, the last updated first."""
        return await self.store.conversations(owner, limit=limit, after=after)

    async def find_conversations(
        self, owner: str, find: Callable[[str | None, bytes], str | None], *, limit: int = 50
    ) -> list[dict[str, Any]]:
        """[{id, title, updated, running, excerpt}] for which `find`, given title and messages, has an excerpt."""
        return await self.store.find_conversations(owner, find, limit=limit)

    async def rename_conversation(self, owner: str, id: str, title: str) -> None:
        """ConversationNotFound."""
        (await self._session(owner, id)).rename(title)
        await self.store.rename_conversation(owner, id, title)

    async def delete_conversation(self, owner: str, id: str) -> None:
        """The messages only; the session stays. ConversationNotFound."""
        await self.store.delete_conversation(owner, id)

    # copies for others

    async def share(self, owner: str, id: str, content: bytes) -> tuple[Share, str]:
        """Keeps `content` for whoever has the token, which is told this once. ShareLimit, TooLarge."""
        session = await self._session(owner, id)
        return await self.shares.add(owner, id, title=session.view()["title"], content=content)

    async def shared(self, owner: str, id: str) -> list[Share]:
        """What is shared of the session, the newest first."""
        await self._session(owner, id)
        return await self.shares.of(id)

    async def revoke(self, owner: str, id: str, share_id: str) -> None:
        """Nobody can read that copy any more. ShareNotFound."""
        await self._session(owner, id)
        await self.shares.revoke(id, share_id)

    async def read_shared(self, token: str | None) -> bytes:
        """The content a token stands for: the only call that names no owner. ShareNotFound, always in the same words."""
        return await self.shares.read(token)

    async def status(self) -> dict[str, Any]:
        """{version, ready, sandbox: {level, layers}, environments, pool, kernels, limits, store}: for `/api/status`."""
        return {
            "version": __version__,
            "ready": self.is_ready,
            **self.environments.status(),
            "kernels": self.sessions.statistics(),
            "limits": limits(self.config),
            "store": self.store.status(),
        }

    def activity(self) -> dict[str, Any]:
        """{started, last_activity, connections}: of all sessions in memory, as a Jupyter server says it."""
        last = max((session.last_used for session in self.sessions.live()), default=self.started)
        connections = sum(session.tape.connections for session in self.sessions.live())
        return {
            "started": timestamp(self.started),
            "last_activity": timestamp(max(last, self.started)),
            "connections": connections,
        }

    async def _session(self, owner: str, id: str) -> Session:
        return await self.sessions.get(owner, id)


Page = dict[str, Any]


def in_python(session: Session) -> bool:
    """Whether its kernel can be asked in Python, as far as is known."""
    return session.engine.environment.spec is None and (session.kernel is None or session.kernel.python)


def limits(config: Config) -> dict[str, float]:
    """The limits a caller may run into, by the names of API.md's settings."""
    names = (
        "max_timeout",
        "memory_limit",
        "output_limit",
        "workspace_limit",
        "upload_limit",
        "code_limit",
        "queue_limit",
        "kernels_per_owner",
        "idle_timeout",
        "processes",
        "cpus",
        "stdin_timeout",
        "snapshots",
        "snapshot_limit",
    )
    return {name: getattr(config, name) for name in names}
