"""The kernel's body in two halves: `prepare`, what needs no socket and no thread, before any fork; `open`, the rest.

With `publishing` and `shell`, the only module of the guest that imports more than the standard library: ipykernel, and what
comes with it.
"""

# mypy: disable-error-code="no-untyped-call, attr-defined, union-attr, misc, override"
# ipykernel and IPython say that they are typed, and are in part only.

import asyncio
import contextlib
import contextvars
import functools
import importlib
import importlib.abc
import io
import os
import queue
import random
import signal
import socket
import sys
import tempfile
import threading
import time
import types
import uuid
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"

import ipykernel
import ipykernel.displayhook
import ipykernel.iostream
import ipykernel.ipkernel
import ipykernel.kernelapp
import IPython.core.async_helpers
import IPython.core.completerlib
import IPython.core.debugger
import IPython.core.oinspect
import IPython.utils.capture
import tornado.ioloop
import tornado.locks
import tornado.platform.asyncio
import tornado.queues
import traitlets
from ipykernel.control import ControlThread
from IPython.core.application import BaseIPythonApplication
from jupyter_client.jsonutil import json_clean
from jupyter_client.session import Session

from cellblock.guest import leftovers, linux, listeners, pages, shown
from cellblock.guest.channels import Channel, Frame, Router, Xpub
from cellblock.guest.init import report
from cellblock.guest.marks import milliseconds
from cellblock.guest.moving import moved
from cellblock.guest.publishing import BoundedSession, Publisher, Requests, Stream
from cellblock.guest.shelf import Move, Revival
from cellblock.guest.shell import Shell
from cellblock.guest.snapshots import Keeper, Revived, deaf
from cellblock.messages import MAX_PACKET

MINIMUM = (7, 0)  # of ipykernel: the first whose handlers are coroutines with contexts of their own
ROUTERS = ("shell", "control", "stdin")
TIDY_SECONDS = 1.0
TURN_SECONDS = 0.001
MOST_COUNTED = 1 << 20  # a list is filled up to it

WARM = ("1+1", "x = 40\nprint(x)", "?print", "!true", "%time 1", "%cd .", "await __import__('asyncio').sleep(0)")
WARM_PANDAS = (
    "import pandas as pd, numpy as np\ndf = pd.DataFrame({'a': np.arange(5.0), 'b': list('abcde')})\ndf.describe()",
    "df",
    "print(df.describe()); print(df)",
    "df.groupby('b').a.mean()",
    "import io; pd.read_csv(io.StringIO(df.to_csv()))",
)
WARM_PLOT = (
    "import matplotlib.pyplot as plt\nplt.bar(['a', 'b'], [1, 2]); plt.title('t'); plt.legend(['l']); plt.show()",
    "f, ax = plt.subplots(); ax.plot([1, 2], [3, 4]); ax.set_xlabel('x'); plt.tight_layout(); plt.show()",
)
WARM_BOTH = ("df.plot(x='b', y='a', kind='bar'); plt.show()",)

_graveyard: list[object] = []  # objects of another life, whose destructors must never run
_ours: list[str] = []  # found before any fork: to look through sys.modules in a kernel unshares 3 MB of pages


# --- the kernel ------------------------------------------------------------------------------------------------------


class Kernel(ipykernel.ipkernel.IPythonKernel):
    """ipykernel's, on channels of our own. Without subshells, which need threads of libzmq's."""

    shell_class = Shell
    shell_stream = traitlets.Any()
    control_stream = traitlets.Any()
    shell_channel_thread = types.SimpleNamespace(parent_thread=threading.main_thread())
    _supports_kernel_subshells = False
    _execute_sleep = 0.0  # ours are in order without waiting

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.answers: queue.SimpleQueue[list[Frame]] = queue.SimpleQueue()
        self.condensed = 0  # the execution count at which its memory was
        self.cells: contextvars.Context | None = None  # one for all: what a cell sets there, the next one finds

    def start(self) -> None:
        """Takes requests from now on."""
        self.shell.exit_now = False
        self._control_lock = asyncio.Lock()
        self.control_stream.on_recv(self.dispatch_control, contextvars.Context())
        self.cells = self.cells or contextvars.copy_context()
        self.shell_stream.on_recv(functools.partial(self.shell_main, None), self.cells)
        self._publish_status("starting", "shell")

    async def do_execute(self, *arguments: Any, cell_meta: Any = None, cell_id: Any = None, **more: Any) -> Any:
        """Before a cell that asks for it, the kernel is forked."""
        asked = cell_meta if isinstance(cell_meta, dict) else {}
        if isinstance(count := asked.get("count"), int):
            self.go_on_counting(min(count, MOST_COUNTED))
        if more.get("silent"):  # its code is not shown: this says that an interrupt is heard from now on
            self._publish_status("busy", "shell")
        if isinstance(name := asked.get("snapshot"), str):
            self.parent.snapshot(name, patient=asked.get("patient") is True)
        return await super().do_execute(*arguments, cell_meta=cell_meta, cell_id=cell_id, **more)

    def go_on_counting(self, count: int) -> None:
        """The next execution has number `count` + 1: numbers of undone ones are not used again."""
        shell = self.shell
        history = shell.history_manager
        for inputs in (history.input_hist_parsed, history.input_hist_raw):
            inputs.extend([""] * (count + 1 - len(inputs)))
        shell.execution_count = max(shell.execution_count, count + 1)

    def post_handler_hook(self) -> None:
        super().post_handler_hook()
        self.io_loop.call_later(TIDY_SECONDS, self._tidy, self.execution_count)

    def _tidy(self, count: int) -> None:
        """Gives back what a cell needed for a moment, once nothing has run for a while; what it left is made cheap to fork."""
        if count == self.execution_count:
            linux.give_back_memory()
            if count != self.condensed:
                self.condensed = count
                self._condense(count, pages.condensed())

    def _condense(self, count: int, steps: Iterator[int]) -> None:
        """Step by step: a request that comes meanwhile does not wait."""
        if count == self.execution_count and next(steps, None) is not None:
            self.io_loop.call_later(TURN_SECONDS, self._condense, count, steps)

    def _abort_queues(self, subshell_id: str | None = None) -> None:
        """Aborts the requests that have come, up to a mark behind them."""
        self._aborting = True
        self.iopub_thread.schedule(functools.partial(self.shell_stream.put, [Frame(b"stop aborting")]))

    def _input_request(self, prompt: str, ident: Any, parent: Any, password: bool = False) -> str:
        """Asks, and waits for the answer in a way that an interrupt ends."""
        sys.stdout.flush()
        sys.stderr.flush()
        while not self.answers.empty():
            self.answers.get()
        content = json_clean({"prompt": prompt, "password": password})
        self.session.send(self.stdin_socket, "input_request", content, parent, ident=ident)
        try:
            value = self._answer()
        except KeyboardInterrupt:
            raise KeyboardInterrupt("Interrupted by user") from None  # without the frames of our waiting
        if value == "\x04":
            raise EOFError
        return value

    def _answer(self) -> str:
        while True:
            _, parts = self.session.feed_identities(list[bytes](self.answers.get()))
            try:
                return str(self.session.deserialize(parts)["content"]["value"])
            except (ValueError, KeyError, TypeError) as problem:
                self.log.warning("not an input_reply: %s", problem)


class App(ipykernel.kernelapp.IPKernelApp):
    """ipykernel's application, taken apart at the line between what can be forked and what cannot."""

    channels: Sequence[Channel] = ()
    keeper = Keeper()
    streams: Sequence[Stream] = ()
    loops: Sequence[asyncio.AbstractEventLoop] = ()

    @traitlets.default("session")
    def _bounded(self) -> Session:
        return BoundedSession(parent=self)

    def prepare(self) -> None:
        """Application, kernel object, shell, completer. No socket, no thread, no loop."""
        arguments = ["--HistoryManager.enabled=False", "--log-level=40", "--Session.key=b''"]
        BaseIPythonApplication.initialize(self, arguments)
        self.init_pdb()
        self.session = BoundedSession(parent=self)
        self.kernel = Kernel.instance(
            parent=self, session=self.session, log=self.log, profile_dir=self.profile_dir, user_ns=self.user_ns
        )
        self.init_path()
        self.init_shell()
        self.shell.shown = shown.watch(self.shell.display_formatter)
        self.init_gui_pylab()
        self.init_extensions()
        self.init_code()
        self.configure_tornado_logger()
        self.patch_io()

    def open(self, key: str, sockets: str, link: socket.socket, *, terminals: bool) -> None:
        """Channels in the directory `sockets`, their thread, loops, streams. After the fork, in the closed sandbox.

        `link` leads to init, which is told of snapshots there.
        """
        reseed()
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        self.keeper.link = link
        Shell.terminals = terminals
        self._open(key, listeners.bound(sockets), link)

    def reopen(self, revival: Revival) -> None:
        """A snapshot lives on, as what it was: the same objects, streams and numbers, on channels of its own."""
        self._bury()
        leftovers.settle()
        self.kernel.comm_manager.comms.clear()  # their other ends are another kernel's
        if revival.reseed:
            reseed()
        if revival.move:
            move_shell(self.shell, revival.move)
        self._open(revival.key, revival.listeners, revival.link)
        self.kernel.go_on_counting(revival.count)

    def _bury(self) -> None:
        """What the fork has copied of loops and channels. User code may hold them: they are closed, not forgotten."""
        for loop in self.loops:
            if loop.is_closed():
                continue  # of a thread that has ended before the kernel lay down
            loop._selector.close()  # first: what it watches it shares with the kernel it was forked from
            loop._ssock.close()
            loop._csock.close()
            loop._closed = True
        signal.set_wakeup_fd(-1)
        for end in self.waking:
            end.close()
        self.iopub_thread.close()
        asyncio.set_event_loop(None)
        _graveyard.append((self.loops, self.control_thread, self.channels, self.iopub_thread, self.kernel.shell_stream))

    def _open(self, key: str, sockets: dict[str, socket.socket], link: socket.socket) -> None:
        self._new_life(key)
        self.control_thread = ControlThread(daemon=True)
        self.loops = (asyncio.get_event_loop(), self.control_thread.io_loop.asyncio_loop)
        self.loops[0].add_reader(link, self._hear, link)
        self._open_channels(sockets)
        self._open_streams()
        self.init_signal()
        self._connect_kernel()
        with deaf():  # signals are for the main thread: one in this would reach it in the middle of a snapshot
            self.control_thread.start()
        self.kernel.start()

    def _open_channels(self, sockets: dict[str, socket.socket]) -> None:
        loop = self.control_thread.io_loop.asyncio_loop
        self.routers = {name: Router(loop, sockets[name]) for name in ROUTERS}
        iopub = Xpub(loop, sockets["iopub"])
        self.channels = [*self.routers.values(), iopub]
        self.iopub_thread = Publisher(iopub, self.control_thread, self.session)
        self.iopub_socket = self.iopub_thread.background_socket

    def _new_life(self, key: str) -> None:
        """What a fork copies and must not share."""
        self._wake_on_signals()
        session = self.session
        session.key, session.session, session.pid = key.encode(), str(uuid.uuid4()), os.getpid()
        session.digest_history.clear()
        self.kernel.ident = str(uuid.uuid4())

    def _wake_on_signals(self) -> None:
        """A loop of its own; a signal ends its waiting, else an interrupted `await` is noticed only when it ends."""
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        reader, writer = socket.socketpair()
        for end in (reader, writer):
            end.setblocking(False)
        loop.add_reader(reader, reader.recv, 4096)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        self.waking = (reader, writer)

    def _open_streams(self) -> None:
        if self.streams:
            for stream in self.streams:
                stream.revive(self.iopub_thread)
            self.displayhook.pub_socket = self.iopub_socket
            return
        sys.stdout = Stream(self.session, self.iopub_thread, "stdout", 1)
        sys.stderr = Stream(self.session, self.iopub_thread, "stderr", 2)
        self.streams = (sys.stdout, sys.stderr)
        self.keeper.own = {stream._original_stdstream_copy for stream in self.streams}
        self.displayhook = ipykernel.displayhook.ZMQDisplayHook(self.session, self.iopub_socket)
        sys.displayhook = self.displayhook

    def _connect_kernel(self) -> None:
        kernel = self.kernel
        shell, control, stdin = (self.routers[name] for name in ROUTERS)
        kernel.io_loop = tornado.ioloop.IOLoop.current()
        kernel.shell_stream = Requests(shell, self.iopub_thread, kernel.io_loop)
        kernel.control_stream = Requests(control, self.iopub_thread, self.control_thread.io_loop)
        kernel.stdin_socket = Requests(stdin, self.iopub_thread, self.control_thread.io_loop)
        stdin.on_message = kernel.answers.put
        for name in ("control_thread", "iopub_thread", "iopub_socket"):
            setattr(kernel, name, getattr(self, name))
        kernel._stdout, kernel._stderr = self.streams
        kernel._shell_parent.set({})
        kernel._shell_parent_ident.set(b"")
        kernel._shell_context = contextvars.copy_context()
        kernel._main_asyncio_lock = asyncio.Lock()
        kernel._aborting = False
        for publisher in (self.shell.displayhook, self.shell.display_pub):
            publisher.session, publisher.pub_socket = self.session, self.iopub_socket
        self.shell.displayhook.topic = kernel._topic("execute_result")
        self.displayhook.get_execution_count = lambda: kernel.execution_count

    def run(self) -> None:
        """Until the kernel shuts itself down. A snapshot that is to live comes back to here, and opens again."""
        while True:
            self.io_loop = tornado.ioloop.IOLoop.current()
            try:
                self.io_loop.start()
                break
            except KeyboardInterrupt:  # it came between the end of a cell and what makes the kernel ignore it
                self.init_signal()
                continue
            except Revived as revived:
                revival = revived.revival
            self._live_again(revival)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        self.iopub_thread.wait(lambda: None)

    def _live_again(self, revival: Revival) -> None:
        began = time.perf_counter()
        self.reopen(revival)
        report(revival.link, stages={"revive": milliseconds(began)}, pid=os.getpid())

    def snapshot(self, name: str, *, patient: bool) -> None:
        """Forks the kernel as it is now; the process between is reaped at once, so that no os.wait() of a cell meets it.

        `patient`: returns when the copy is there.
        """
        between = self.keeper.take(name, self.iopub_thread.parked)
        if between and patient:
            self.keeper.wait(between)
        elif between:
            self.iopub_thread.schedule(functools.partial(self._reap_when_ended, between))

    def _hear(self, link: socket.socket) -> None:
        """Init wants this state kept, and another one for its kernel."""
        try:
            _, [fd], _, _ = socket.recv_fds(link, MAX_PACKET, 1)
        except (OSError, ValueError):  # init has gone, or a cell has closed the link
            self.loops[0].remove_reader(link)
            return
        self.keeper.lie_down(socket.socket(fileno=fd), self.iopub_thread.parked, self._close)

    def _close(self) -> None:
        """No thread and no channel any more, as after a fork."""
        self.control_thread.stop()
        self.control_thread.join()
        self.forget_channels()

    def _reap_when_ended(self, pid: int) -> None:
        try:
            fd = os.pidfd_open(pid)
        except OSError:
            return  # before the next snapshot, then
        loop = self.control_thread.io_loop.asyncio_loop

        def ended() -> None:
            loop.remove_reader(fd)
            os.close(fd)
            self.keeper.reap()

        loop.add_reader(fd, ended)

    def log_failure(self, text: str) -> None:
        """Into the sandbox's log, wherever descriptor 2 leads by now."""
        os.write(min(self.keeper.own, default=2), text.encode(errors="replace"))

    def forget_channels(self) -> None:
        """In a process that is forked, by a cell or for a snapshot: they are the kernel's alone."""
        for channel in self.channels:
            for each in channel.sockets():
                each.close()
            channel.peers.clear()


# --- before the fork -------------------------------------------------------------------------------------------------


def prepare(preload: Sequence[str]) -> tuple[App, dict[str, Any]]:
    """The template of all kernels, and what became of it: {ipykernel, missing: [module], warming: [failure]}.

    RuntimeError when ipykernel is too old, or a preloaded module leaves threads behind (they would not survive a fork).
    """
    if ipykernel.version_info[:2] < MINIMUM:
        needed = ".".join(map(str, MINIMUM))
        raise RuntimeError(f"ipykernel {ipykernel.__version__} is too old: {needed} or newer is needed")
    _import_debugger()
    sys.meta_path.insert(0, RendererHook())
    missing = [name for name in preload if not _preload(name)]
    app: App = App.instance()
    app.prepare()
    present = set(preload) - set(missing)
    failures = warm(app, [*WARM, *_warming_of(present)])
    _ours.extend(name for name in sys.modules if name.split(".")[0] == "cellblock")
    os.register_at_fork(after_in_child=app.forget_channels)
    os.register_at_fork(after_in_child=functools.partial(print_to_descriptors, app.keeper))
    return app, {"ipykernel": ipykernel.__version__, "missing": missing, "warming": failures}


def _import_debugger() -> None:
    """ipykernel's module, 240 ms at a kernel's start, without debugpy: 8 MB for what needs sockets of its own."""
    sys.modules["debugpy"] = None  # type: ignore[assignment]
    importlib.import_module("ipykernel.debugger")
    del sys.modules["debugpy"]


def _preload(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    tasks = len(os.listdir("/proc/self/task"))
    if tasks != 1:
        raise RuntimeError(f"preloading {name} started {tasks - 1} threads; take it out of the environment's preload")
    return True


def _warming_of(present: set[str]) -> list[str]:
    pandas, pyplot = {"numpy", "pandas"} <= present, "matplotlib.pyplot" in present
    cells = [*(WARM_PANDAS if pandas else ()), *(WARM_PLOT if pyplot else ())]
    return [*cells, *(WARM_BOTH if pandas and pyplot else ())]


def warm(app: App, cells: Sequence[str]) -> list[str]:
    """Runs cells for what they leave in caches, then forgets their names. Answers the failures."""
    shell = app.shell
    before = dict(shell.user_ns)
    failures = []
    for code in cells:
        with IPython.utils.capture.capture_output(), contextlib.redirect_stderr(io.StringIO()):
            result = shell.run_cell(code, store_history=True)
        if not result.success:
            failures.append(f"{code.splitlines()[0]}: {result.error_before_exec or result.error_in_exec!r}")
    with IPython.utils.capture.capture_output():
        shell.run_cell("1/0")
        app.kernel.do_inspect("print", 5)
        for name in ("pri", *(("pd.read_cs", "df.grou") if "df" in shell.user_ns else ())):
            if not app.kernel.do_complete(name, len(name))["matches"]:  # the first loads jedi: 620 ms
                failures.append(f"completion of {name}: nothing found")
    _forget(shell, before)
    return failures


def _forget(shell: Any, before: dict[str, Any]) -> None:
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
    shell.reset(new_session=True)
    shell.shown.forget()
    shell.payload_manager.clear_payload()  # or the first cell of every kernel shows what a warming cell paged
    shell.execution_count = 1
    shell.user_ns.clear()
    shell.user_ns.update(before)  # with `__spec__`, which reset drops and multiprocessing asks the main module for
    history = shell.history_manager
    history._i00 = history._i = history._ii = history._iii = ""
    loop = IPython.core.async_helpers.get_asyncio_loop()
    loop.close()  # its epoll descriptor must not be shared with the children
    policy_loop = getattr(getattr(asyncio.get_event_loop_policy(), "_local", None), "_loop", None)
    if policy_loop is not None:
        policy_loop.close()
    asyncio.set_event_loop(None)


class RendererHook(importlib.abc.MetaPathFinder):
    """Sets altair's renderer if and when altair is imported: its own default needs scripts from the network."""

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "altair":
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _RendererLoader(spec.loader)
        return spec


class _RendererLoader(importlib.abc.Loader):
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._inner.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        self._inner.exec_module(module)
        with contextlib.suppress(Exception):  # an altair that has no such renderer draws as it likes
            module.__dict__["renderers"].enable("mimetype")


# --- after the fork --------------------------------------------------------------------------------------------------


def reseed() -> None:
    """Kernels of one template must not draw the same numbers, nor the same names of temporary files."""
    random.seed()
    if "numpy" in sys.modules:  # from numbers: its own way to find entropy unshares 1.5 MB of pages
        sys.modules["numpy"].random.seed(list(memoryview(os.urandom(32)).cast("I")))
    tempfile._name_sequence = tempfile.tempdir = None


def print_to_descriptors(keeper: Keeper) -> None:
    """In a process that a cell forks: print goes to descriptors 1 and 2, which the kernel reads."""
    if keeper.taking:
        return
    if keeper.link:
        keeper.link.close()
        keeper.link = None
    for name, fd in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if isinstance(stream, ipykernel.iostream.OutStream):
            _graveyard.append(stream)
            setattr(sys, name, open(fd, "w", buffering=1, closefd=False))  # noqa: SIM115


def forget_package() -> None:
    """The guest's modules stay alive, but `import cellblock` in a cell finds the environment's own, or none."""
    for name in _ours:
        del sys.modules[name]


def private_places(home: str) -> None:
    """Libraries keep settings and caches in HOME, where the environment says so too; the template's own places, which some
    have remembered, are gone."""
    settings = f"{home}/.config/matplotlib"
    os.makedirs(settings, exist_ok=True)
    if "matplotlib" in sys.modules:
        matplotlib = sys.modules["matplotlib"]
        matplotlib.get_configdir = matplotlib.get_cachedir = lambda: settings
    if "jedi" in sys.modules:
        sys.modules["jedi"].settings.cache_directory = f"{home}/.cache/jedi"


def move_shell(shell: Any, to: Move) -> None:
    """`%cd` goes back into the branch's own directory."""
    shell.starting_dir = moved(shell.starting_dir, to)
    visited = shell.history_manager.dir_hist
    visited[:] = [Path(moved(str(place), to)) for place in visited]


def place_shell(shell: Any, home: str) -> None:
    """What IPython remembers of directories: `%cd` goes back to where the kernel began, and notes it in HOME."""
    shell.home_dir, shell.starting_dir = home, os.getcwd()
    shell.history_manager.dir_hist[:] = [Path.cwd()]
    shell.db.root = Path(home, ".ipython", "profile_default", "db")
