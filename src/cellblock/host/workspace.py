"""The files of one session, seen by a server that trusts none of them: every step by descriptor, no symlink followed.

A path is walked component by component with `openat(O_NOFOLLOW)`, so neither a symlink nor a directory swapped under
the walk leads outside. Only regular files are read or replaced, and sizes are the descriptor's own. What is no
coroutine blocks: call it in a thread.
"""

import asyncio
import errno
import os
import secrets
import stat
import zipfile
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Literal

from typing_extensions import TypedDict

from cellblock.errors import FileNotFound, InvalidPath, NotARegularFile, UploadTooLarge, WorkspaceFull
from cellblock.host.exhaustion import FAILING, exhausted
from cellblock.host.names import actual, parts_of, shown
from cellblock.host.sink import Sink
from cellblock.host.tree import DIRECTORY, TEMPORARY, Found, remove_tree, walk

MAX_ENTRIES = 100_000
MAX_LISTED = 10_000
MAX_CHANGES = 1_000
BLOCK = 1 << 20
OURS = ".cellblock"  # the directory of what we write there besides
UNNOTICED = frozenset({"__pycache__", ".ipynb_checkpoints", OURS})

Where = Callable[[], Path]
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class FileEntry(TypedDict):
    """One entry of a workspace: `size` in bytes, `modified` ISO 8601 UTC. `other`: a symlink, a pipe, a socket …"""

    path: str
    type: Literal["file", "directory", "other"]
    size: int
    modified: str


class Change(TypedDict):
    path: str
    size: int
    change: Literal["created", "modified", "deleted"]


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells one state of a regular file from another. `mode`: its permissions, which are no part of that."""

    modified_ns: int
    size: int
    inode: int
    mode: int = field(default=0, compare=False)

    @classmethod
    def of(cls, found: os.stat_result) -> "Stamp":
        return cls(found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode & 0o777)


@dataclass(frozen=True, slots=True)
class Scan:
    """A workspace at one moment: its regular files, the bytes it occupies, and whether the walk had to stop early."""

    files: Mapping[str, Stamp] = field(default_factory=dict)
    bytes: int = 0
    entries: int = 0
    complete: bool = True

    def without_changes_since(self, moment: float) -> "Scan":
        """As if every file that has been written to since epoch second `moment` were to change."""
        since = moment * 1e9
        files = {path: each if each.modified_ns < since else Stamp(0, 0, 0) for path, each in self.files.items()}
        return Scan(files, self.bytes, self.entries, self.complete)


def stamp_time(seconds: float) -> str:
    """ISO 8601 UTC with milliseconds; a time outside the calendar (a hostile mtime) is the epoch."""
    try:
        when = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        when = datetime.fromtimestamp(0, UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def changes(before: Scan, after: Scan) -> list[Change]:
    """What happened to the regular files between two scans, by path, at most MAX_CHANGES."""
    found: list[Change] = []
    for path in sorted(before.files.keys() | after.files.keys()):
        old, new = before.files.get(path), after.files.get(path)
        if old == new:
            continue
        if new is None:
            found.append({"path": path, "size": 0, "change": "deleted"})
        else:
            found.append({"path": path, "size": new.size, "change": "modified" if old else "created"})
        if len(found) == MAX_CHANGES:
            break
    return found


class OpenFile:
    """A regular file, open for reading; `size` and `modified` are the descriptor's. Close it."""

    def __init__(self, fd: int, found: os.stat_result) -> None:
        self._fd = fd
        self.size = found.st_size
        self.modified = stamp_time(found.st_mtime)
        self.modified_at = found.st_mtime
        self.inode = found.st_ino

    async def read(self, offset: int, count: int) -> bytes:
        return await asyncio.to_thread(os.pread, self._fd, count, offset)

    async def aiter(self, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` up to `end` (excluded) in blocks; fewer when the file has shrunk meanwhile."""
        end = self.size if end is None else min(end, self.size)
        while start < end:
            block = await self.read(start, min(BLOCK, end - start))
            if not block:
                return
            start += len(block)
            yield block

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> "OpenFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Workspace:
    """The directory `root`, or the one that it answers. Files written here belong to `uid` (None: to the server). Limits
    are bytes."""

    def __init__(
        self, root: Path | Where, *, uid: int | None = None, limit: int = 1 << 30, upload_limit: int = 200 << 20
    ) -> None:
        self._where, self.uid, self.limit, self.upload_limit = root, uid, limit, upload_limit

    @property
    def root(self) -> Path:
        return self._where if isinstance(self._where, Path) else self._where()

    # looking

    def entries(self, limit: int = MAX_LISTED) -> list[FileEntry]:
        """Everything in the workspace by path, at most `limit` entries."""
        listed: list[FileEntry] = []
        with self._root() as root:
            for found in walk(root):
                if found.name.startswith(TEMPORARY):
                    continue
                listed.append(entry(found.path, found.stat))
                if len(listed) == limit:
                    break
        return sorted(listed, key=lambda item: item["path"])

    def scan(self, *, ours: bool = False) -> Scan:
        """The state that `changes` compares; what Python and Jupyter leave beside the user's files is not in it.

        `ours`: with what this server has written there besides.
        """
        files: dict[str, Stamp] = {}
        seen: set[int] = set()
        occupied = count = 0
        with self._root() as root:
            for found in walk(root):
                count += 1
                if count > MAX_ENTRIES:
                    return Scan(files, occupied, count, complete=False)
                if found.stat.st_nlink == 1 or found.stat.st_ino not in seen:
                    seen.add(found.stat.st_ino)
                    occupied += found.stat.st_blocks * 512
                if stat.S_ISREG(found.stat.st_mode) and not unnoticed(found.path, ours=ours):
                    files[found.path] = Stamp.of(found.stat)
        return Scan(files, occupied, count)

    def open(self, path: str) -> OpenFile:
        """A regular file for reading. InvalidPath, FileNotFound, NotARegularFile."""
        with self._parent(path) as (parent, name):
            try:
                fd = os.open(name, READ, dir_fd=parent)
            except OSError as problem:
                raise translated(problem, path) from None
        found = os.fstat(fd)
        if stat.S_ISREG(found.st_mode):
            return OpenFile(fd, found)
        os.close(fd)
        raise NotARegularFile(f"{shown(path)!r} is not a regular file.")

    def stat(self, path: str) -> FileEntry:
        with self.open(path) as found:
            return {"path": shown(path), "type": "file", "size": found.size, "modified": found.modified}

    # changing

    async def write(
        self, path: str, chunks: AsyncIterator[bytes], *, size: int | None = None
    ) -> tuple[FileEntry, bool]:
        """Replaces a file atomically, parents created: its entry, and whether it is new. `size`: as announced.

        InvalidPath, NotARegularFile, UploadTooLarge, WorkspaceFull: nothing has changed then.
        """
        parts_of(path)
        room = await asyncio.to_thread(self._room, path)
        self._fits(size or 0, room)
        upload = await asyncio.to_thread(Upload, self, path)
        try:
            await self._receive(upload, chunks, room)
            return await asyncio.to_thread(upload.finish)
        except OSError as problem:
            raise translated(problem, path) from None
        finally:
            await asyncio.to_thread(upload.close)

    async def take_in(self, path: str, chunks: AsyncIterator[bytes], *, size: int) -> Stamp:
        """Replaces a file by one that comes from the kernel's own directory elsewhere: its stamp.

        The caller has seen that there is room for `size` bytes; more are WorkspaceFull. Raises what `write` does.
        """
        parts_of(path)
        first = await anext(chunks, b"")  # what does not come at all leaves no directory behind
        upload = await asyncio.to_thread(Upload, self, path)
        try:
            await self._receive(upload, chunks, size, first=first, most=size)
            await asyncio.to_thread(upload.finish)
            return await asyncio.to_thread(upload.stamp)
        except OSError as problem:
            raise translated(problem, path) from None
        finally:
            await asyncio.to_thread(upload.close)

    def write_bytes(self, path: str, data: bytes) -> None:
        """`write` for a small file that is in memory."""
        self._fits(len(data), self._room(path))
        upload = Upload(self, path)
        try:
            upload.write(data)
            upload.finish()
        except OSError as problem:
            raise translated(problem, path) from None
        finally:
            upload.close()

    def append(self, path: str, data: bytes) -> None:
        """Adds to a file of ours (a spill); it is created when absent. What is no regular file stays untouched."""
        with self._parent(path, create=True) as (parent, name):
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            try:
                fd = os.open(name, flags, 0o644, dir_fd=parent)
            except OSError as problem:
                raise translated(problem, path) from None
            try:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    raise NotARegularFile(f"{shown(path)!r} is not a regular file.")
                self.own(fd)
                write_all(fd, data)
            except OSError as problem:
                raise translated(problem, path) from None
            finally:
                os.close(fd)

    def restore(self, path: str, source: int, mode: int, modified_ns: int, *, in_place: bool) -> None:
        """A file as it was once, from a copy. `in_place`: whoever has it open sees it too. What `write` raises; OSError."""
        if not in_place:
            upload = Upload(self, path)
            try:
                upload.restore(source, mode, modified_ns)
                upload.finish(mode)
            finally:
                upload.close()
            return
        with self._parent(path) as (parent, name):
            fd = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
            try:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    raise NotARegularFile(f"{shown(path)!r} is not a regular file.")
                refill(fd, source, mode, modified_ns)
            finally:
                os.close(fd)

    def permit(self, path: str, mode: int) -> None:
        """Gives a regular file its permissions back. NotARegularFile, FileNotFound, InvalidPath; OSError."""
        with self._parent(path) as (parent, name):
            fd = os.open(
                name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent
            )  # it may be closed to us as it is
            try:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    raise NotARegularFile(f"{shown(path)!r} is not a regular file.")
                os.chmod(f"/proc/self/fd/{fd}", mode)
            finally:
                os.close(fd)

    def delete(self, path: str) -> None:
        """Removes a file, a symlink or a directory with all it holds. FileNotFound, InvalidPath."""
        with self._parent(path) as (parent, name):
            try:
                found = os.stat(name, dir_fd=parent, follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    remove_tree(parent, name)
                else:
                    os.unlink(name, dir_fd=parent)
            except OSError as problem:
                raise translated(problem, path) from None

    def make_directory(self, path: str) -> None:
        """An empty directory, parents created. NotARegularFile when something is in its way, InvalidPath."""
        with self._parent(path, create=True) as (parent, name):
            try:
                os.mkdir(name, 0o755, dir_fd=parent)
                made = os.open(name, DIRECTORY, dir_fd=parent)
            except OSError as problem:
                raise translated(problem, path) from None
            self.own(made)
            os.close(made)

    def rename(self, path: str, new: str) -> int:
        """Another name for what is at `path`: its size. NotARegularFile when the new one is taken; FileNotFound, InvalidPath."""
        with self._parent(path) as (parent, name), self._parent(new, create=True) as (other, wanted):
            try:
                found = os.stat(name, dir_fd=parent, follow_symlinks=False)
                if not free(other, wanted):
                    raise NotARegularFile(f"{shown(new)!r} is in the way.")
                os.rename(name, wanted, src_dir_fd=parent, dst_dir_fd=other)
            except OSError as problem:
                raise translated(problem, path) from None
        return found.st_size if stat.S_ISREG(found.st_mode) else 0

    def archive(self) -> Generator[bytes, None, None]:
        """A zip of all regular files, in pieces as it is made.

        Files larger than the workspace may be are left out, and so is what comes after MAX_ENTRIES entries.
        """
        sink = Sink()
        with self._root() as root, zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for found in islice(walk(root), MAX_ENTRIES):  # the directory of a zip stays in memory until its end
                if stat.S_ISREG(found.stat.st_mode) and not found.name.startswith(TEMPORARY):
                    yield from self._packed(archive, sink, found)
        yield sink.take()

    def own(self, fd: int) -> None:
        if self.uid is not None and os.geteuid() == 0:
            os.fchown(fd, self.uid, self.uid)

    # inside

    def _packed(self, archive: zipfile.ZipFile, sink: Sink, found: Found) -> Iterator[bytes]:
        try:
            fd = os.open(found.name, READ, dir_fd=found.parent)
        except OSError:
            return
        with open(fd, "rb", buffering=0) as source:
            size = os.fstat(fd).st_size
            if not stat.S_ISREG(os.fstat(fd).st_mode) or size > self.limit:
                return
            with archive.open(zip_entry(found, size), "w", force_zip64=size >= 1 << 31) as target:
                while size > 0 and (block := source.read(min(BLOCK, size))):
                    size -= len(block)
                    target.write(block)
                    yield sink.take()
        yield sink.take()

    def _fits(self, size: int, room: int, most: int | None = None) -> None:
        most = self.upload_limit if most is None else most
        if size > most:
            raise UploadTooLarge(f"A file may have at most {most:,} bytes.")
        if size > room:
            raise WorkspaceFull(f"The workspace may hold {self.limit:,} bytes; {max(room, 0):,} are free.")

    def _room(self, path: str) -> int:
        scan = self.scan()
        if not scan.complete:
            raise WorkspaceFull(f"The workspace holds more than {MAX_ENTRIES:,} files.")
        old = scan.files.get(path)
        return self.limit - scan.bytes + (old.size if old else 0)

    async def _receive(
        self, upload: "Upload", chunks: AsyncIterator[bytes], room: int, *, first: bytes = b"", most: int | None = None
    ) -> None:
        held = [first]
        total = waiting = len(first)
        self._fits(total, room, most)
        async for chunk in chunks:
            held.append(chunk)
            waiting += len(chunk)
            total += len(chunk)
            self._fits(total, room, most)
            if waiting >= BLOCK:
                await asyncio.to_thread(upload.write, b"".join(held))
                held, waiting = [], 0
        await asyncio.to_thread(upload.write, b"".join(held))

    @contextmanager
    def _root(self) -> Iterator[int]:
        try:
            fd = os.open(self.root, DIRECTORY)
        except FileNotFoundError:
            raise FileNotFound("The workspace is gone.") from None
        except PermissionError:
            raise NotARegularFile("The workspace is closed to the server.") from None
        except OSError as problem:
            raise exhausted(problem) from problem
        try:
            yield fd
        except OSError as problem:
            raise exhausted(problem) from problem
        finally:
            os.close(fd)

    @contextmanager
    def _parent(self, path: str, *, create: bool = False) -> Iterator[tuple[int, str]]:
        """The open directory that holds the last component, and that component's name."""
        *above, last = parts_of(path)
        with self._root() as root:
            fd = os.dup(root)
            try:
                for part in above:
                    fd = self._down(fd, part, path, create)
                yield fd, actual(fd, last)
            finally:
                os.close(fd)

    def _down(self, fd: int, part: str, path: str, create: bool) -> int:
        """Opens directory `part` of `fd`; on success `fd` is closed."""
        name = actual(fd, part)
        try:
            made = create and self._make(fd, name)
            below = os.open(name, DIRECTORY, dir_fd=fd)
        except OSError as problem:
            raise translated(problem, path) from None
        if made:
            self.own(below)
        os.close(fd)
        return below

    @staticmethod
    def _make(fd: int, name: str) -> bool:
        try:
            os.mkdir(name, 0o755, dir_fd=fd)
        except FileExistsError:
            return False
        return True


class Upload:
    """A file being written beside the one it will replace."""

    def __init__(self, workspace: Workspace, path: str) -> None:
        self._workspace, self._path = workspace, path
        self._temporary = TEMPORARY + secrets.token_hex(8)
        self._there = workspace._parent(path, create=True)
        self._parent, self._name = self._there.__enter__()
        try:
            self._refuse_irregular()
            self._fd = os.open(self._temporary, CREATE, 0o644, dir_fd=self._parent)
        except OSError as problem:
            self._there.__exit__(None, None, None)
            raise translated(problem, path) from None
        except NotARegularFile:
            self._there.__exit__(None, None, None)
            raise

    def write(self, data: bytes) -> None:
        write_all(self._fd, data)

    def restore(self, source: int, mode: int, modified_ns: int) -> None:
        refill(self._fd, source, mode, modified_ns)

    def finish(self, mode: int = 0o644) -> tuple[FileEntry, bool]:
        """Puts the file in its place."""
        self._workspace.own(self._fd)
        os.fchmod(self._fd, mode)
        existed = self._refuse_irregular()
        os.rename(self._temporary, self._name, src_dir_fd=self._parent, dst_dir_fd=self._parent)
        return entry("/".join(parts_of(self._path)), os.fstat(self._fd)), not existed

    def stamp(self) -> Stamp:
        """Of what has been written."""
        return Stamp.of(os.fstat(self._fd))

    def close(self) -> None:
        """Leaves nothing behind."""
        os.close(self._fd)
        try:
            os.unlink(self._temporary, dir_fd=self._parent)
        except FileNotFoundError:
            pass
        self._there.__exit__(None, None, None)

    def _refuse_irregular(self) -> bool:
        """Whether the target exists; NotARegularFile when it is anything but a regular file."""
        try:
            found = os.stat(self._name, dir_fd=self._parent, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if not stat.S_ISREG(found.st_mode):
            raise NotARegularFile(f"{shown(self._path)!r} is not a regular file.")
        return True


def entry(path: str, found: os.stat_result) -> FileEntry:
    regular, directory = stat.S_ISREG(found.st_mode), stat.S_ISDIR(found.st_mode)
    return {
        "path": shown(path),
        "type": "file" if regular else "directory" if directory else "other",
        "size": found.st_size if regular else 0,
        "modified": stamp_time(found.st_mtime),
    }


def zip_entry(found: Found, size: int) -> zipfile.ZipInfo:
    when = datetime.fromisoformat(stamp_time(found.stat.st_mtime))
    year = min(max(when.year, 1980), 2107)
    name = found.path.replace("\\", "%5C")  # divides directories in Windows: `..\\x` would leave where it is unpacked
    made = zipfile.ZipInfo(name, (year, when.month, when.day, when.hour, when.minute, when.second))
    made.compress_type = zipfile.ZIP_DEFLATED
    made.external_attr = 0o644 << 16
    made.file_size = size
    return made


def unnoticed(path: str, *, ours: bool = False) -> bool:
    """Whether a file is none of the user's; `ours`: nor one of ours, such as a spill."""
    parts = path.split("/")
    names = UNNOTICED - {OURS} if ours else UNNOTICED
    return not names.isdisjoint(parts) or parts[-1].startswith(TEMPORARY)


def free(parent: int, name: str) -> bool:
    """Whether nothing has that name."""
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return True
    return False


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def refill(fd: int, source: int, mode: int, modified_ns: int) -> None:
    """The content of one file becomes that of another."""
    os.ftruncate(fd, 0)
    offset = 0
    while block := os.pread(source, BLOCK, offset):
        write_all(fd, block)
        offset += len(block)
    os.fchmod(fd, mode)
    os.utime(fd, ns=(modified_ns, modified_ns))


def translated(problem: OSError, path: str) -> Exception:
    """The error a caller may see for one of the system's."""
    known = {
        errno.ENOENT: FileNotFound(f"There is no {shown(path)!r} in the workspace."),
        errno.ELOOP: NotARegularFile(f"{shown(path)!r} is, or leads over, a symlink: the server follows none."),
        errno.ENOTDIR: NotARegularFile(f"{shown(path)!r} leads over something that is not a directory."),
        errno.EISDIR: NotARegularFile(f"{shown(path)!r} is a directory."),
        errno.ENXIO: NotARegularFile(f"{shown(path)!r} is not a regular file."),
        errno.ENODEV: NotARegularFile(f"{shown(path)!r} is not a regular file."),
        errno.EEXIST: NotARegularFile(f"{shown(path)!r} is in the way."),
        errno.EACCES: NotARegularFile(
            f"{shown(path)!r} is closed to the server: code in the kernel has taken its permissions away."
        ),
        errno.EPERM: NotARegularFile(
            f"{shown(path)!r} is closed to the server: code in the kernel has taken its permissions away."
        ),
        errno.ETXTBSY: NotARegularFile(f"{shown(path)!r} is a program that runs."),
        errno.EAGAIN: NotARegularFile(f"{shown(path)!r} is held by a program that runs."),
        errno.ENOTEMPTY: NotARegularFile(f"{shown(path)!r} is being filled while it is removed."),
        errno.ENAMETOOLONG: InvalidPath("The path is too long."),
    }
    return known.get(problem.errno or 0) or (exhausted(problem) if problem.errno in FAILING else problem)
