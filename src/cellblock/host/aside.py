"""Files as they were: what a state's workspace held is kept aside before a cell, and put back when that is undone.

One copy per file and state of it, shared by all states that have it; where the file system can, the copy shares the blocks
too. Without that there is a limit, and what is not kept is named when it could not be put back. Regular files only.
"""

import asyncio
import errno
import fcntl
import hashlib
import os
import shutil
import uuid
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from cellblock.errors import CellblockError
from cellblock.host.workspace import Change, Scan, Stamp, Workspace, changes, write_all

LIMIT = 64 << 20  # bytes of copies that take room of their own, in one session
LEAST = 1 << 10  # bytes any copy counts for: it has a name and an inode, though it be empty or share all its blocks
FICLONE = 0x40049409
BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Copy:
    """A file kept aside; `cost`: bytes of disk, LEAST where blocks are shared."""

    name: str
    cost: int


@dataclass(frozen=True, slots=True)
class PutBack:
    """What became of the files that were not as they had been, by path."""

    restored: tuple[str, ...] = ()
    not_restored: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()

    def sentence(self) -> str:
        """What is said of the files that are not as they were; empty when all are."""
        if not self.not_restored:
            return ""
        named = ", ".join(self.not_restored[:5])
        more = f" and {len(self.not_restored) - 5} more" if len(self.not_restored) > 5 else ""
        return f"These files could not be put back: {named}{more}."


@dataclass(eq=False)
class Aside:
    """In `place`, which is the server's alone. `keep` and `put_back` block: call them in a thread, one at a time."""

    place: Path
    workspace: Workspace
    limit: int = LIMIT
    scans: dict[str, Scan] = field(default_factory=dict)
    copies: dict[tuple[str, Stamp], Copy] = field(default_factory=dict)
    _taken: int = 0  # bytes, of all copies
    _held: int = 0  # of them those that may not go for what is kept now
    _begun: bool = False

    def keep(self, state: str, scan: Scan, *, spared: str = "") -> None:
        """The workspace as `scan` says it is belongs to a state from now on. `spared`: a state that makes no room
        for it, since it is about to be put back."""
        self._sweep()
        before = next(reversed(list(self.scans.values())), None)
        self.scans[state] = scan
        if before is not None and before.files == scan.files:
            return
        self._held = self._held_by((state, spared))
        for path, stamp in scan.files.items():
            if (path, stamp) not in self.copies:
                self._copy((state, spared), path, stamp)

    def forget(self, states: Collection[str] | None = None) -> None:
        """Of these states no files are kept any more: their copies go with the next. Of all: in a thread. Does not block."""
        for state in list(self.scans) if states is None else states:
            self.scans.pop(state, None)
        if states is None and self._begun:
            self._begun = False
            self.copies.clear()
            self._taken = 0
            gone = self.place.parent.with_name(
                str(uuid.uuid4())
            )  # what a server leaves of it goes as a home of nobody's
            with suppress(FileNotFoundError):
                self.place.rename(gone)
                asyncio.get_running_loop().run_in_executor(None, partial(shutil.rmtree, gone, ignore_errors=True))

    def put_back(self, state: str, *, into: Workspace | None = None) -> PutBack:
        """The workspace, or a copy of it as it is now, is made what it was in a state, as far as that is kept; of an unknown
        one nothing is."""
        now = self.workspace.scan()
        then = self.scans.get(state)
        if then is None:
            return PutBack((), ("files of that state were not kept",))
        restored: list[str] = []
        failed: list[str] = []
        for path in sorted(then.files.keys() | now.files.keys()):
            was, is_now = then.files.get(path), now.files.get(path)
            if (was, was and was.mode) != (is_now, is_now and is_now.mode):
                done = self._restore(into, path, was, is_now)
                (restored if done else failed).append(path)
        complete = () if then.complete and now.complete else ("files beyond the first 100,000",)
        changed = changes(now, self.workspace.scan()) if restored and into is None else []
        return PutBack(tuple(restored), (*failed, *complete), tuple(changed))

    # inside

    def _copy(self, spared: Collection[str], path: str, stamp: Stamp) -> None:
        name = hashlib.sha256(f"{path}\0{stamp}".encode()).hexdigest()[:40]
        try:
            source = self.workspace.open(path)
        except (CellblockError, OSError):
            return
        with source:
            self._begin()
            target = os.open(self.place / name, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                cost = self._filled(spared, source.fileno(), target, stamp.size)
                found = os.fstat(source.fileno())
            except OSError:
                cost, found = None, None
            finally:
                os.close(target)
        if cost is None or found is None or stamp != Stamp.of(found):
            (self.place / name).unlink()
        else:
            self.copies[path, stamp] = Copy(name, cost)
            self._taken += cost
            self._held += cost

    def _begin(self) -> None:
        """What a server before this one has kept nobody knows any more."""
        if not self._begun:
            shutil.rmtree(self.place, ignore_errors=True)
            self.place.mkdir(mode=0o700)
            self._begun = True

    def _filled(self, spared: Collection[str], source: int, target: int, size: int) -> int | None:
        """What the copy takes of the disk; None when there is no room for it."""
        if not self._room(spared, LEAST):
            return None
        if size == 0 or cloned(source, target):
            return LEAST
        if not self._room(spared, size):
            return None
        offset = 0
        while offset < size and (block := os.pread(source, min(BLOCK, size - offset), offset)):
            write_all(target, block)
            offset += len(block)
        return max(size, LEAST) if offset == size else None

    def _room(self, spared: Collection[str], size: int) -> bool:
        """Whether there is room; copies that only older states have go first, but for those of the spared."""
        if size <= self.limit - self._taken:
            return True
        if size > self.limit - self._held:
            return False  # nor would there be, were all others gone
        for old in [each for each in self.scans if each not in spared]:
            self.scans.pop(old, None)
            self._sweep()
            if size <= self.limit - self._taken:
                return True
        return False

    def _held_by(self, states: Collection[str]) -> int:
        """Bytes of copies that these states have."""
        had = {item for state in states if (scan := self.scans.get(state)) for item in scan.files.items()}
        return sum(copy.cost for item, copy in list(self.copies.items()) if item in had)

    def _sweep(self) -> None:
        """Copies that no state has."""
        had = {item for scan in list(self.scans.values()) for item in scan.files.items()}
        for item in [item for item in list(self.copies) if item not in had]:
            if copy := self.copies.pop(item, None):
                self._taken -= copy.cost
                (self.place / copy.name).unlink(missing_ok=True)

    def _restore(self, into: Workspace | None, path: str, then: Stamp | None, now: Stamp | None) -> bool:
        workspace = into or self.workspace
        try:
            if then is None:
                workspace.delete(path)
                return True
            if then == now:
                workspace.permit(path, then.mode)
                return True
            copy = self.copies.get((path, then))
            if copy is None:
                return False
            with (self.place / copy.name).open("rb", buffering=0) as source:
                same = into is None and now is not None and now.inode == then.inode
                workspace.restore(path, source.fileno(), then.mode, then.modified_ns, in_place=same)
        except (CellblockError, OSError):
            return False
        return True


def cloned(source: int, target: int) -> bool:
    """Whether the file system has made one file share the blocks of another."""
    try:
        fcntl.ioctl(target, FICLONE, source)
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        return False
    return True
