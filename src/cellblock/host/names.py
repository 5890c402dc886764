"""Names of files between the disk, where they are bytes, and everybody else, for whom they are text."""

import os
import re

from cellblock.errors import InvalidPath

MAX_DEPTH = 64


def parts_of(path: str) -> list[str]:
    """The components of a workspace path. InvalidPath when it is absolute, empty, has `..` or NUL, or is too long."""
    if "\0" in path or path.startswith("/"):
        raise InvalidPath("The path is not a relative path inside the workspace.")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or len(parts) > MAX_DEPTH:
        raise InvalidPath("The path is empty, leaves the workspace or is too deep.")
    try:
        sizes = [len(os.fsencode(part)) for part in parts]
    except UnicodeEncodeError:
        raise InvalidPath("The path is not valid Unicode.") from None
    if max(sizes) > 255 or sum(sizes) + len(sizes) > 4096:
        raise InvalidPath("The path is too long.")
    return parts


def shown(name: str) -> str:
    """A file name as text that every encoder takes: bytes that are no UTF-8 appear as `\\xNN`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def meant(name: str) -> str:
    """The file name behind a shown one."""
    raw = re.sub(
        rb"\\x([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), name.encode("utf-8", "surrogateescape")
    )
    return os.fsdecode(raw)


def actual(directory: int, name: str) -> str:
    """The name on disk that is meant: `name` itself, or the one with the bytes that `\\xNN` stands for."""
    if "\\x" not in name:
        return name
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return meant(name)
    return name
