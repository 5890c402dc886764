"""A directory tree of a hostile owner, walked and removed by descriptor: no symlink followed, no depth too deep."""

import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from cellblock.host.exhaustion import SPENT
from cellblock.host.names import MAX_DEPTH, shown
from cellblock.messages import BRANCHES

TEMPORARY = ".cellblock-upload-"  # begins the names of what is being written or removed
BATCH = 10_000  # entries of one directory that are held at a time
MAX_STEPS = 1 << 20  # or a program that goes on writing would keep a removal going
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Found:
    """An entry met by a walk: its path, where it hangs, and what it is."""

    path: str
    name: str
    parent: int
    stat: os.stat_result


def walk(root: int) -> Iterator[Found]:
    """Every entry below directory `root`, directories before what they hold, at most MAX_DEPTH deep.

    A descriptor is open per level, no more; what vanishes or cannot be opened meanwhile is passed over.
    """
    yield from _walk(root, "", 0)


def _walk(directory: int, prefix: str, depth: int) -> Iterator[Found]:
    with os.scandir(directory) as listing:
        for item in listing:
            try:
                found = item.stat(follow_symlinks=False)
            except OSError:
                continue
            path = prefix + shown(item.name)
            yield Found(path, item.name, directory, found)
            if stat.S_ISDIR(found.st_mode) and depth < MAX_DEPTH:
                yield from _below(directory, item.name, path, depth)


def _below(directory: int, name: str, path: str, depth: int) -> Iterator[Found]:
    try:
        fd = os.open(name, DIRECTORY, dir_fd=directory)
    except OSError as problem:
        if problem.errno in SPENT:
            raise  # what is below is there
        return
    try:
        yield from _walk(fd, path + "/", depth + 1)
    finally:
        os.close(fd)


def remove_tree(parent: int, name: str) -> None:
    """Removes a directory and all it holds. What is nested is first lifted up to `parent`, so no depth is too deep."""
    waiting = [name]
    for _ in range(MAX_STEPS):
        if not waiting:
            return
        lifted, more = emptied(parent, waiting[-1])
        waiting.extend(lifted)
        if not lifted and not more:
            os.rmdir(waiting.pop(), dir_fd=parent)
    raise OSError(errno.ENOTEMPTY, "somebody fills the directory as fast as it is emptied")


def emptied(parent: int, name: str) -> tuple[list[str], bool]:
    """Unlinks files of directory `name` and lifts its directories up to `parent`: their names there; and whether more is left."""
    lifted: list[str] = []
    fd = opened_anyhow(parent, name)
    try:
        with os.scandir(fd) as listing:
            batch = list(islice(listing, BATCH))
        for item in batch:
            if item.is_dir(follow_symlinks=False):
                os.close(opened_anyhow(fd, item.name))  # one that its owner has closed cannot be moved by him either
                lifted.append(TEMPORARY + secrets.token_hex(8))
                os.rename(item.name, lifted[-1], src_dir_fd=fd, dst_dir_fd=parent)
            else:
                os.unlink(item.name, dir_fd=fd)
    finally:
        os.close(fd)
    return lifted, len(batch) == BATCH


def opened_anyhow(parent: int, name: str) -> int:
    """Opens a directory that its owner may have closed to himself."""
    if sys.platform != "linux":
        os.chmod(name, 0o700, dir_fd=parent, follow_symlinks=False)
        return os.open(name, DIRECTORY, dir_fd=parent)
    path = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=parent)
    try:
        os.chmod(f"/proc/self/fd/{path}", 0o700)
    finally:
        os.close(path)
    return os.open(name, DIRECTORY, dir_fd=parent)


def prepare_home(home: Path) -> None:
    """`files`, an empty `run`, and `b` for branches: what a former kernel left in it is not followed. Blocks."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    run = home / "run"
    if run.is_symlink():
        run.unlink()
    elif run.exists():
        parent = os.open(home, DIRECTORY)
        try:
            remove_tree(parent, "run")
        finally:
            os.close(parent)
    run.mkdir(mode=0o700)
    (home / "files").mkdir(mode=0o700, exist_ok=True)
    for place in (home / "b", *(home / "b" / name for name in BRANCHES)):
        place.mkdir(exist_ok=True)
        place.chmod(0o711)
