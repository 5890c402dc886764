"""Small questions of ours to a Python kernel, about its files: one expression each, its answer in the reply.

A reply is no output: a server that limits how much a kernel may say does not hold it back. What comes back is text in base64,
and believed no further than that.
"""

import base64
import binascii
import hashlib
import json
import re
import secrets
from collections.abc import AsyncIterator
from typing import Any

from cellblock.content import Malformed, cut, plain
from cellblock.errors import KernelFault
from cellblock.host.connection import Connection
from cellblock.host.remote.journey import There
from cellblock.host.remote.rest import Unanswered

CHUNK = 1 << 20
PYTHON = r"""
import base64, hashlib, json, os, shutil, stat, tempfile
unnoticed = {"__pycache__", ".ipynb_checkpoints"}
def answer(value):
    return base64.b64encode(json.dumps(value).encode()).decode()
def settle(name, probe, litter):
    for each in litter:
        if os.path.basename(each).startswith("cellblock-"):
            shutil.rmtree(each, ignore_errors=True)
    try:
        with open(probe, "rb") as file:
            found = file.read(100).decode()
        os.unlink(probe)
        base = os.getcwd()
    except (OSError, ValueError):
        found = ""
        base = os.path.join(os.path.realpath(tempfile.gettempdir()), name)
        os.mkdir(base, 0o700)
        os.chdir(base)
    return answer({"base": base, "probe": found})
def listed(base, most):
    files, more = [], False
    for where, directories, names in os.walk(base):
        directories[:] = [each for each in directories if each not in unnoticed]
        for name in names:
            path = os.path.join(where, name)
            try:
                found = os.lstat(path)
                shown = os.path.relpath(path, base).replace(os.sep, "/")
                shown.encode()
            except (OSError, ValueError):
                continue
            if not stat.S_ISREG(found.st_mode) or name.startswith(".cellblock-upload-"):
                continue
            if len(files) == most:
                return answer({"files": files, "more": True})
            files.append([shown, found.st_size, "%d.%d.%d" % (found.st_mtime_ns, found.st_size, found.st_ino)])
    return answer({"files": files, "more": False})
def read(base, path, offset, count):
    with open(os.path.join(base, path), "rb") as file:
        file.seek(offset)
        return base64.b64encode(file.read(count)).decode()
def digest(base, path):
    made = hashlib.sha256()
    with open(os.path.join(base, path), "rb") as file:
        while block := file.read(1 << 20):
            made.update(block)
    return answer(made.hexdigest())
def write(base, temporary, data, first):
    with open(os.path.join(base, temporary), "wb" if first else "ab") as file:
        file.write(base64.b64decode(data))
    return answer(None)
def finish(base, temporary, path, expected):
    source, target = os.path.join(base, temporary), os.path.join(base, path)
    found = json.loads(base64.b64decode(digest(base, temporary)))
    if found != expected:
        os.unlink(source)
        return answer({})
    os.makedirs(os.path.dirname(target), exist_ok=True)
    os.replace(source, target)
    made = os.lstat(target)
    return answer({"mark": "%d.%d.%d" % (made.st_mtime_ns, made.st_size, made.st_ino)})
def remove(base, paths):
    for path in paths:
        try:
            os.unlink(os.path.join(base, path))
        except OSError:
            pass
    return answer(None)
"""


class Errands:
    """A way for files through the kernel's own code. `base` is its directory. Unanswered when an errand fails."""

    def __init__(self, connection: Connection, base: str, timeout: float) -> None:
        self._connection, self._timeout = connection, timeout
        self.base = base

    async def settle(self, name: str, probe: str, litter: list[str]) -> str:
        """Finds or makes the kernel's directory; what stands in file `probe` there, "" when there is none."""
        found = self._object(await self._asked("settle", name, probe, litter))
        base, content = found.get("base"), found.get("probe")
        if not isinstance(base, str) or not isinstance(content, str) or not 0 < len(base) < 4096:
            raise Unanswered("the kernel told no directory")
        self.base = base
        return content

    async def listed(self, most: int) -> tuple[dict[str, There], bool]:
        """Regular files below the directory by path, and whether there are more than `most`."""
        found = self._object(await self._asked("listed", self.base, most))
        rows, files = found.get("files"), {}
        if not isinstance(rows, list) or len(rows) > most:
            raise Unanswered("the kernel told no files")
        for row in rows:
            match row:
                case [str(path), int(size), str(mark)] if size >= 0 and len(path) <= 4096 and len(mark) <= 100:
                    files[path] = There(size, mark)
                case _:
                    raise Unanswered("the kernel told of a file that is none")
        return files, found.get("more") is True

    async def chunks(self, path: str, size: int) -> AsyncIterator[bytes]:
        """A file of `size` bytes in pieces; the last of them comes only when all were what the kernel has."""
        made, offset = hashlib.sha256(), 0
        while offset < size:
            count = min(CHUNK, size - offset)
            data = _bytes(await self._asked("read", self.base, path, offset, count))
            made.update(data)
            offset += len(data)
            if len(data) != count:
                raise Unanswered("it changed while it was read")
            if offset == size and self._value(await self._asked("digest", self.base, path)) != made.hexdigest():
                raise Unanswered("it changed while it was read")
            yield data

    async def write(self, path: str, chunks: AsyncIterator[bytes]) -> str:
        """Replaces a file once all of it has arrived whole: its mark."""
        temporary, made = f".cellblock-upload-{secrets.token_hex(8)}", hashlib.sha256()
        await self._asked("write", self.base, temporary, "", True)
        async for chunk in chunks:
            made.update(chunk)
            await self._asked("write", self.base, temporary, base64.b64encode(chunk).decode(), False)
        found = self._object(await self._asked("finish", self.base, temporary, path, made.hexdigest()))
        mark = found.get("mark")
        if not isinstance(mark, str) or len(mark) > 100:
            raise Unanswered("it did not arrive whole")
        return mark

    async def remove(self, paths: list[str]) -> None:
        await self._asked("remove", self.base, paths)

    async def _asked(self, name: str, *arguments: Any) -> str:
        """What the function gives: text in base64."""
        call = f"{name}({', '.join(map(repr, arguments))})"
        expression = f"(lambda scope: (exec({PYTHON!r}, scope), eval({call!r}, scope))[1])({{}})"
        content = {"code": "", "silent": True, "store_history": False, "allow_stdin": False, "stop_on_error": False}
        content["user_expressions"] = {"cellblock": expression}
        try:
            reply = await self._connection.request("execute_request", content, "shell", timeout=self._timeout)
        except KernelFault as problem:
            raise Unanswered(problem.message) from None
        return _text_in(reply)

    def _value(self, text: str) -> Any:
        try:
            return plain(json.loads(_bytes(text)))
        except (ValueError, RecursionError, Malformed):
            raise Unanswered("the kernel answered with something that is no JSON") from None

    def _object(self, text: str) -> dict[str, Any]:
        found = self._value(text)
        if not isinstance(found, dict):
            raise Unanswered("the kernel answered with something that is no object")
        return found


def _text_in(reply: dict[str, Any]) -> str:
    """The text that an execute_reply has for our expression."""
    expressions = reply.get("user_expressions")
    found = expressions.get("cellblock") if isinstance(expressions, dict) else None
    if not isinstance(found, dict):
        raise Unanswered("the kernel did not do what it was asked")
    if found.get("status") != "ok":
        raise Unanswered(cut(f"in the kernel: {found.get('ename')}: {found.get('evalue')}", 300))
    data = found.get("data")
    text = data.get("text/plain") if isinstance(data, dict) else None
    if not isinstance(text, str) or not re.fullmatch(r"'[A-Za-z0-9+/=]*'", text):
        raise Unanswered("the kernel answered with something else")
    return text[1:-1]


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise Unanswered("the kernel answered with something else") from None
