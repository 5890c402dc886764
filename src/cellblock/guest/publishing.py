"""What a kernel says: messages bounded, text split, and all of it written by one thread, in order.

Imports ipykernel. A writer that flushes waits until its text stands in the client's socket; one who is far ahead waits too.
"""

# mypy: disable-error-code="no-untyped-call, attr-defined, misc, override"
# ipykernel says that it is typed, and is in part only.

import _thread
import codecs
import contextvars
import fcntl
import json
import os
import sys
import termios
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import ipykernel.iostream
import ipykernel.zmqshell
import traitlets
from ipykernel.control import ControlThread
from jupyter_client.jsonutil import json_clean, json_default
from jupyter_client.session import Session

from cellblock import zmtp
from cellblock.guest.channels import Frame, Router, Xpub
from cellblock.messages import MAX_DISPLAY, MAX_STREAM

STREAM_CHARACTERS = MAX_STREAM // 6 - 1024  # JSON may write one character in six bytes
HIGH_WATER = 1 << 20  # characters or bytes not yet sent, above which a writer waits
_CHUNK = 64 << 10


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
    """The channels' thread as ipykernel's streams and displays know it. Acts are done there, in the order of asking."""

    def __init__(self, channel: Xpub, thread: ControlThread, session: Session) -> None:
        self.socket, self.session, self.thread = channel, session, thread
        self.background_socket = ipykernel.iostream.BackgroundSocket(self)
        self.io_loop = thread.io_loop
        self._acts: deque[Callable[[], object]] = deque()
        self._awake = False  # only the thread itself says so: an interrupt may come between any two steps of another
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.io_loop.asyncio_loop.add_reader(self._bell, self._act)
        channel.welcome = self._welcome

    @property
    def here(self) -> bool:
        """Whether this is the thread, or it is no more."""
        return threading.get_ident() == self.thread.ident or not self.thread.is_alive()

    def schedule(self, f: Callable[[], object]) -> None:
        """Has it done by the thread; at once if this is it."""
        if self.here:
            f()
            return
        self._acts.append(f)
        if not self._awake:
            os.eventfd_write(self._bell, 1)

    def send_multipart(self, parts: list[Any], *_: object, **__: object) -> None:
        """To all who listen to the first part, the topic."""
        topic = bytes(parts[0])
        data = zmtp.message([bytes(part) for part in parts])
        self.schedule(partial(self.socket.send, topic, data))
        if self.socket.queued > HIGH_WATER:
            self.wait(lambda: None)

    def wait(self, act: Callable[[], object]) -> None:
        """Returns when the act is done and everything that was said until then is sent."""
        if self.here:
            act()
            return
        done = _thread.allocate_lock()  # a flush is this wait: an Event makes it a third longer
        done.acquire()

        def act_and_tell() -> None:
            try:
                act()
            finally:
                self.socket.when_sent(done.release)

        self.schedule(act_and_tell)
        done.acquire()

    @contextmanager
    def parked(self) -> Iterator[None]:
        """The thread stands still and holds no lock: for a fork. Locks without owners, which both sides of it may open."""
        here, on = _thread.allocate_lock(), _thread.allocate_lock()
        here.acquire()
        on.acquire()

        def park() -> None:
            here.release()
            on.acquire()

        try:
            if self.thread.is_alive():
                self.schedule(park)
                here.acquire()
            yield
        finally:
            on.release()

    def close(self) -> None:
        """In a snapshot that is to live: the thread is no more."""
        os.close(self._bell)

    def _act(self) -> None:
        os.eventfd_read(self._bell)
        self._awake = True
        self._act_on_all()
        self._awake = False
        self._act_on_all()  # what was asked for while we still seemed awake

    def _act_on_all(self) -> None:
        while self._acts:
            try:
                self._acts.popleft()()
            except Exception:
                traceback.print_exc(file=sys.__stderr__)

    def _welcome(self, topic: bytes) -> bytes:
        """With how many bytes are missing of what was kept."""
        header = self.session.msg_header("iopub_welcome")
        dropped, self.socket.dropped = self.socket.dropped, 0
        content = {"subscription": topic.decode(errors="replace")} | ({"dropped": dropped} if dropped else {})
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
        return zmtp.message(self.session.serialize(message, topic or None))


class Requests:
    """What ipykernel takes for a ZMQStream: requests are handled in the loop `io_loop`, replies sent by the publisher."""

    def __init__(self, channel: Router, publisher: Publisher, io_loop: Any) -> None:
        self.io_loop = io_loop
        self._channel, self._publisher = channel, publisher
        self._tasks: set[Any] = set()

    def on_recv(self, callback: Callable[[list[Frame]], Any], context: contextvars.Context) -> None:
        """`callback` makes a coroutine of a message; all of them run in one context."""
        self._callback, self._context = callback, context
        self._channel.on_message = self.put

    def put(self, frames: list[Frame]) -> None:
        """As if it had come in."""
        self.io_loop.asyncio_loop.call_soon_threadsafe(self._begin, frames)

    def send_multipart(self, parts: list[Any], *_: object, **__: object) -> None:
        """A reply; its first part says to whom."""
        data = zmtp.message([bytes(part) for part in parts[1:]])
        self._publisher.schedule(partial(self._channel.send, bytes(parts[0]), data))

    def flush(self, *_: object, **__: object) -> None:
        """Replies need no pushing."""

    def _begin(self, frames: list[Frame]) -> None:
        task = self.io_loop.asyncio_loop.create_task(self._callback(frames), context=self._context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Latest:
    """Outputs belong to the request that is served: a task that a cell left behind would speak for one that has ended."""

    parent_header: dict[str, Any] = {}  # noqa: RUF012


class Displays(Latest, ipykernel.zmqshell.ZMQDisplayPublisher):
    """What is shown with display()."""


class Stream(Latest, ipykernel.iostream.OutStream):
    """sys.stdout or sys.stderr, and what anybody writes to its descriptor `fd`: other libraries, other processes."""

    _ahead = 0

    def __init__(self, session: Session, publisher: Publisher, name: str, fd: int) -> None:
        super().__init__(session, publisher, name, watchfd=False)
        self._fd = fd
        self._original_stdstream_copy = os.dup(fd)  # as ipykernel calls it: where a log may still go
        self._capture()

    def _capture(self) -> None:
        self._pipe, end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._pipe, False)
        os.dup2(end, self._fd)
        os.close(end)
        self._text = codecs.getincrementaldecoder("utf-8")("replace")
        self._listen()

    def revive(self, publisher: Publisher) -> None:
        """The same object in a snapshot that is to live: log handlers may hold it. What it had not said, its twin says."""
        os.close(self._pipe)
        self.pub_thread, self._io_loop, self._master_pid = publisher, publisher.io_loop, os.getpid()
        self._buffer_lock = threading.RLock()
        self._rotate_buffers()
        self._flush_pending = self._subprocess_flush_pending = False
        self._ahead = 0
        self._capture()

    def fileno(self) -> int:
        return self._fd

    def write(self, string: str) -> int | None:
        written: int | None = super().write(string)
        self._ahead += len(string)
        if self._ahead > HIGH_WATER:
            self._flush() if self.pub_thread.here else self.flush()
        return written

    def flush(self) -> None:
        """Returns when all that was written, to the descriptor too, stands in the client's socket."""
        if self._buffers or self._piped():
            self.pub_thread.wait(self._flush_all)

    def _flush_all(self) -> None:
        if left := self._piped():
            self._take(left)
        self._flush()

    def _flush_buffers(self) -> Iterator[tuple[dict[str, Any], str]]:
        self._ahead = 0
        for parent, text in super()._flush_buffers():
            for start in range(0, len(text), STREAM_CHARACTERS):
                yield parent, text[start : start + STREAM_CHARACTERS]

    # the descriptor, in the publisher's thread

    def _piped(self) -> int:
        """Bytes in the pipe."""
        return int.from_bytes(fcntl.ioctl(self._pipe, termios.FIONREAD, b"\0\0\0\0"), sys.byteorder)

    def _listen(self) -> None:
        self.pub_thread.io_loop.asyncio_loop.add_reader(self._pipe, self._readable)

    def _readable(self) -> None:
        self._take(_CHUNK)
        channel = self.pub_thread.socket
        if channel.queued > HIGH_WATER:
            self.pub_thread.io_loop.asyncio_loop.remove_reader(self._pipe)
            channel.when_sent(self._listen)

    def _take(self, size: int) -> None:
        try:
            data = os.read(self._pipe, size)
        except BlockingIOError:
            return
        if not data:  # nobody has its other end any more: that could be read for ever
            self.pub_thread.io_loop.asyncio_loop.remove_reader(self._pipe)
        if text := self._text.decode(data):
            self.write(text)
