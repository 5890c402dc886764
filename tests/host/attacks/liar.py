"""Runs inside a kernel, before the code of an attack: speaks to the server on the kernel's own sockets, byte by byte.

Independent of what the kernel itself uses to speak: it finds the descriptors by the names they are bound to, and knows
the key and the request it answers as all code in a kernel can know them.
"""

# ruff: noqa: F401 -- the attacks that follow use what is imported here

import hashlib
import hmac
import json
import os
import select
import signal
import socket
import stat
import sys
import threading
import time
import uuid

KERNEL = get_ipython().kernel  # noqa: F821
REQUEST = {"msg_id": KERNEL.get_parent("shell")["header"]["msg_id"]}
KEY = KERNEL.session.key
RUN = "/run/cb" if os.path.isdir("/run/cb") else os.path.abspath("../run")  # where its sockets are
NAMES = {"k-1": "shell", "k-2": "iopub", "k-3": "stdin", "k-5": "control"}


def sockets(listening=False):
    """The descriptors of the server's connections (or of those that listen), by channel."""
    found = {}
    for fd in range(3, 1024):  # /proc may be closed
        try:
            if not stat.S_ISSOCK(os.stat(fd).st_mode):
                continue
            with socket.socket(fileno=os.dup(fd)) as one:
                bound = one.getsockname()
                listens = bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
                if one.family == socket.AF_UNIX and bound and isinstance(bound, str) and listens == listening:
                    found[NAMES[os.path.basename(bound)]] = fd
        except (OSError, KeyError):
            pass
    return found


KERNEL.iopub_thread.wait(lambda: None)  # what the kernel itself has begun to say is out: two writers would garble both
WIRES = sockets()


def put(channel, data):
    """Bytes as they are."""
    left = memoryview(bytes(data))
    while left:
        try:
            left = left[os.write(WIRES[channel], left) :]
        except BlockingIOError:
            select.select([], [WIRES[channel]], [])


def zmtp(parts):
    made = b""
    for n, part in enumerate(parts, 1):
        more = n < len(parts)
        made += bytes((more | 2,)) + len(part).to_bytes(8, "big") + part
    return made


def sign(parts, key=None):
    made = hmac.new(KEY if key is None else key, digestmod=hashlib.sha256)
    for part in parts:
        made.update(part)
    return made.hexdigest().encode()


def header_of(msg_type, **more):
    made = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": msg_type,
        "session": "liar",
        "username": "",
        "date": "",
        "version": "5.3",
    }
    return {**made, **more}


def parts_of(msg_type, content, parent=REQUEST, metadata=None):
    return [json.dumps(part).encode() for part in (header_of(msg_type), parent, metadata or {}, content)]


def signed(parts, key=None, buffers=()):
    return zmtp([b"topic", b"<IDS|MSG>", sign(parts, key), *parts, *buffers])


def say(channel, msg_type, content, parent=REQUEST, metadata=None):
    put(channel, signed(parts_of(msg_type, content, parent, metadata)))


def out(text, **options):
    """A `stream` as an honest kernel sends it."""
    say("iopub", "stream", {"name": "stdout", "text": text}, **options)


def flood(msg_type, contents, channel="iopub", batch=1 << 16):
    """Many messages, as fast as the server reads."""
    waiting = bytearray()
    for content in contents:
        waiting += signed(parts_of(msg_type, content))
        if len(waiting) > batch:
            put(channel, waiting)
            waiting.clear()
    put(channel, waiting)


def reply(status="ok", **more):
    say("shell", "execute_reply", {"status": status, "execution_count": 1, **more})


def idle():
    say("iopub", "status", {"execution_state": "idle"})
