"""The kernel's body in two halves: `prepare`, what needs no socket and no thread, before any fork; `open`, the rest.

The only module of the guest that imports more than the standard library: ipykernel, and what comes with it.
"""

# mypy: disable-error-code="no-untyped-call, attr-defined, union-attr, misc, override"
# ipykernel and IPython say that they are typed, and are in part only.

import asyncio
import atexit
import contextlib
import contextvars
import importlib
import importlib.abc
import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"

import ipykernel
import ipykernel.debugger  # 240 ms at the first start of a kernel, were it not here
import ipykernel.displayhook
import ipykernel.heartbeat
import ipykernel.iostream
import ipykernel.ipkernel
import ipykernel.kernelapp
import ipykernel.subshell_manager
import ipykernel.zmqshell
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
import zmq
from IPython.core.application import BaseIPythonApplication
from jupyter_client.jsonutil import json_clean, json_default
from jupyter_client.session import Session
from zmq.eventloop.zmqstream import ZMQStream

from cellblock.messages import MAX_DISPLAY, MAX_STREAM

MINIMUM = (7, 0)  # of ipykernel: the first with a thread of its own for the shell channel
CHANNELS = {"shell": 1, "iopub": 2, "stdin": 3, "hb": 4, "control": 5}
STREAM_CHARACTERS = MAX_STREAM // 6 - 1024  # JSON may write one character in six bytes
HIGH_WATER = 1 << 20  # characters written and not yet sent, above which a writer waits

WARM = ("1+1", "x = 40\nprint(x)", "?print", "!true", "%time 1", "await __import__('asyncio').sleep(0)")
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


# --- what is sent ----------------------------------------------------------------------------------------------------


def packed(content: object) -> bytes:
    """JSON in UTF-8, whatever text is in it: half a surrogate pair, as in a name that is no UTF-8, is escaped."""
    try:
        return json.dumps(content, default=json_default, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError):  # bytes, NaN, or such text
        return json.dumps(json_clean(content), default=json_default, allow_nan=False).encode()


class BoundedSession(Session):
    """Lets no message grow beyond MAX_DISPLAY: above it, an error says so in its place."""

    pack = traitlets.Callable(packed)

    def serialize(self, msg: dict[str, Any], ident: Any = None) -> list[bytes]:
        made: list[bytes] = super().serialize(msg, ident)
        size = sum(len(part) for part in made) + sum(memoryview(b).nbytes for b in msg.get("buffers") or ())
        if size <= MAX_DISPLAY:
            return made
        msg["buffers"] = []
        small: list[bytes] = super().serialize(self._instead(msg, size), ident)
        return small

    def _instead(self, msg: dict[str, Any], size: int) -> dict[str, Any]:
        says = f"{msg['msg_type']} of {size:,} bytes: at most {MAX_DISPLAY:,} can be shown. Write it to a file."
        error = {"ename": "OutputTooLarge", "evalue": says, "traceback": [f"OutputTooLarge: {says}"]}
        if msg["msg_type"].endswith("_reply"):
            count = msg["content"].get("execution_count")
            return msg | {"content": {"status": "error", "execution_count": count} | error}
        header = dict(msg["header"], msg_type="error")
        return msg | {"header": header, "msg_type": "error", "content": error, "metadata": {}}


class Publisher(ipykernel.iostream.IOPubThread):
    """Sends at once what its own thread asks for: queued, a flood would fill the queue that only this thread empties."""

    def schedule(self, f: Callable[[], object]) -> None:
        if threading.get_ident() == self.thread.ident:
            f()
        else:
            super().schedule(f)


class SplitStream(ipykernel.iostream.OutStream):
    """Sends what was written in messages of at most MAX_STREAM bytes, and lets a writer wait who is far ahead."""

    _ahead = 0

    def write(self, string: str) -> int | None:
        written: int | None = super().write(string)
        self._ahead += len(string)
        if self._ahead > HIGH_WATER:
            self.flush()
        return written

    def _flush_buffers(self) -> Iterator[tuple[dict[str, Any], str]]:
        self._ahead = 0
        for parent, text in super()._flush_buffers():
            for start in range(0, len(text), STREAM_CHARACTERS):
                yield parent, text[start : start + STREAM_CHARACTERS]


# --- the shell -------------------------------------------------------------------------------------------------------


class Shell(ipykernel.zmqshell.ZMQInteractiveShell):
    """`!cmd` on a terminal of its own where there are terminals, else through a pipe."""

    terminals = True

    def _tee(self, channel: str) -> contextlib.AbstractContextManager[None]:
        """IPython keeps whatever is printed, for a history that nobody saves here: a print of 1 GB held 1 GB."""
        return contextlib.nullcontext()

    def system_piped(self, cmd: str) -> None:
        if self.terminals:
            super().system_piped(cmd)
            return
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        command = self.var_expand(cmd, depth=1)
        with subprocess.Popen(command, shell=True, text=True, errors="replace", **pipes) as process:  # noqa: S602
            try:
                for line in process.stdout or ():
                    print(line, end="", flush=True)
            except KeyboardInterrupt:
                process.terminate()
                raise
        self.user_ns["_exit_code"] = process.returncode

    system = system_piped


class Kernel(ipykernel.ipkernel.IPythonKernel):
    shell_class = Shell


class App(ipykernel.kernelapp.IPKernelApp):
    """ipykernel's application, taken apart at the line between what can be forked and what cannot."""

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
        self.init_gui_pylab()
        self.init_extensions()
        self.init_code()
        self.configure_tornado_logger()
        self.patch_io()

    def init_control(self, context: Any) -> None:
        """Without the debugger's sockets."""
        self.control_socket = context.socket(zmq.ROUTER)
        self.control_socket.linger = 1000
        self.control_port = self._bind_socket(self.control_socket, self.control_port)
        self.control_socket.router_handover = 1
        self.control_thread = ipykernel.kernelapp.ControlThread(daemon=True)
        self.shell_channel_thread = ipykernel.kernelapp.ShellChannelThread(context, daemon=True)

    def init_iopub(self, context: Any) -> None:
        """Without the TCP pipe for forked children (libzmq aborts where AF_NETLINK is refused)."""
        self.iopub_socket = context.socket(zmq.XPUB)
        self.iopub_socket.linger = 1000
        self.iopub_socket.setsockopt(zmq.XPUB_NODROP, 1)  # a full queue waits: a lost `idle` would hang its reader
        self.iopub_port = self._bind_socket(self.iopub_socket, self.iopub_port)
        self.iopub_thread = Publisher(self.iopub_socket, pipe=False, session=self.session)
        self.iopub_thread.start()
        self.iopub_socket = self.iopub_thread.background_socket

    def open(self, key: str, sockets: str, *, terminals: bool) -> None:
        """Sockets in the directory `sockets`, threads, loops, streams. After the fork, in the closed sandbox."""
        self._new_life(key)
        workspace = os.getcwd()
        os.chdir(sockets)  # bound by relative name: a socket's whole path has 107 bytes at most
        self.init_sockets()
        os.chdir(workspace)
        self._ports = dict(CHANNELS)
        self._open_streams()
        self.init_signal()
        self._connect_kernel()
        Shell.terminals = terminals
        self.kernel.start()

    def _new_life(self, key: str) -> None:
        """What a fork copies and must not share."""
        reseed()
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        self._wake_on_signals()
        atexit.unregister(self.close)
        self.transport, self.ip, self.context = "ipc", "k", None
        for channel, port in CHANNELS.items():
            setattr(self, f"{channel}_port", port)
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
        _graveyard.append((reader, writer))

    def _open_streams(self) -> None:
        sys.stdout = SplitStream(self.session, self.iopub_thread, "stdout")
        sys.stderr = SplitStream(self.session, self.iopub_thread, "stderr")
        self.displayhook = ipykernel.displayhook.ZMQDisplayHook(self.session, self.iopub_socket)
        sys.displayhook = self.displayhook

    def _connect_kernel(self) -> None:
        kernel = self.kernel
        shell_stream = ZMQStream(self.shell_socket, self.shell_channel_thread.io_loop)
        self.shell_channel_thread.shell_stream = shell_stream
        kernel.control_stream = ZMQStream(self.control_socket, self.control_thread.io_loop)
        kernel.shell_stream = shell_stream
        self.control_thread.start()
        self.shell_channel_thread.start()
        for name in ("control_thread", "shell_channel_thread", "iopub_thread", "iopub_socket", "stdin_socket"):
            setattr(kernel, name, getattr(self, name))
        kernel._stdout, kernel._stderr = sys.stdout, sys.stderr
        kernel._shell_parent.set({})
        kernel._shell_parent_ident.set(b"")
        kernel._shell_context = contextvars.copy_context()
        kernel._main_asyncio_lock = asyncio.Lock()
        kernel._aborting = False
        kernel.record_ports({f"{name}_port": port for name, port in CHANNELS.items()})
        for publisher in (self.shell.displayhook, self.shell.display_pub):
            publisher.session, publisher.pub_socket = self.session, self.iopub_socket
        self.shell.displayhook.topic = kernel._topic("execute_result")
        self.displayhook.get_execution_count = lambda: kernel.execution_count

    def run(self) -> None:
        """Until the kernel shuts itself down."""
        self.io_loop = tornado.ioloop.IOLoop.current()
        self.io_loop.start()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()


# --- before the fork -------------------------------------------------------------------------------------------------


def prepare(preload: Sequence[str]) -> tuple[App, dict[str, Any]]:
    """The template of all kernels, and what became of it: {ipykernel, missing: [module], warming: [failure]}.

    RuntimeError when ipykernel is too old, or a preloaded module leaves threads behind (they would not survive a fork).
    """
    if ipykernel.version_info[:2] < MINIMUM:
        needed = ".".join(map(str, MINIMUM))
        raise RuntimeError(f"ipykernel {ipykernel.__version__} is too old: {needed} or newer is needed")
    ipykernel.debugger._is_debugpy_available = False
    sys.meta_path.insert(0, RendererHook())
    missing = [name for name in preload if not _preload(name)]
    app: App = App.instance()
    app.prepare()
    present = set(preload) - set(missing)
    failures = warm(app, [*WARM, *_warming_of(present)])
    os.register_at_fork(after_in_child=print_to_descriptors)
    return app, {"ipykernel": ipykernel.__version__, "missing": missing, "warming": failures}


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
    before = set(shell.user_ns)
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


def _forget(shell: Any, before: set[str]) -> None:
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
    shell.reset(new_session=True)
    shell.payload_manager.clear_payload()  # or the first cell of every kernel shows what a warming cell paged
    shell.execution_count = 1
    for name in set(shell.user_ns) - before:
        del shell.user_ns[name]
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
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    tempfile._name_sequence = tempfile.tempdir = None


def print_to_descriptors() -> None:
    """In a process that a cell forks: print goes to descriptors 1 and 2, which the kernel reads."""
    for name, fd in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if isinstance(stream, ipykernel.iostream.OutStream):
            _graveyard.append(stream)
            setattr(sys, name, open(fd, "w", buffering=1, closefd=False))  # noqa: SIM115


def forget_package() -> None:
    """The guest's modules stay alive, but `import cellblock` in a cell finds the environment's own, or none."""
    for name in [n for n in sys.modules if n == "cellblock" or n.startswith("cellblock.")]:
        del sys.modules[name]


def private_places(home: str) -> None:
    """Libraries keep settings and caches in HOME; the template's own places, which some have remembered, are gone."""
    settings = f"{home}/.config/matplotlib"
    os.makedirs(settings, exist_ok=True)
    os.environ.update(MPLCONFIGDIR=settings, IPYTHONDIR=f"{home}/.ipython")
    if "matplotlib" in sys.modules:
        matplotlib = sys.modules["matplotlib"]
        matplotlib.get_configdir = matplotlib.get_cachedir = lambda: settings
    if "jedi" in sys.modules:
        sys.modules["jedi"].settings.cache_directory = f"{home}/.cache/jedi"
