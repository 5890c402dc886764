"""Databases of sqlite3 in a branch: their descriptors lead to the copy by now, but sqlite remembers where the files lay, and
their inodes. Both are changed where they stand in memory, each only where what stands there is what is known of it.

Where the library gives no access to itself nothing is done: such a connection reads, and its writing is refused. Standard
library only.
"""

import contextlib
import ctypes
import gc
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cellblock.guest.shelf import Move

Identity = tuple[int, int]  # device and inode

FILE_POINTER = 7  # SQLITE_FCNTL_FILE_POINTER
BESIDES = ("sqlite3_filename_journal", "sqlite3_filename_wal")
_FILE = struct.Struct("@PPPi")  # the beginning of a unixFile: methods, vfs, inode, descriptor
_INODE = struct.Struct("@QQ")  # of a unixInodeInfo: device, inode


def move(to: Move, files: Mapping[int, tuple[Identity, Identity]]) -> None:
    """`files`: by descriptor, which file it was and which it is."""
    module = sys.modules.get("_sqlite3")
    if module is None or not files:
        return
    with contextlib.suppress(OSError, AttributeError, ValueError):
        library = _library(module)
        for connection in _connections(module.Connection):
            if database := ctypes.c_void_p.from_address(id(connection) + object.__basicsize__).value:
                _move_database(library, database, to, files)


def _library(module: Any) -> Any:
    """sqlite as the module is linked to it. AttributeError where that does not show its functions."""
    library = ctypes.CDLL(module.__file__)
    library.sqlite3_db_filename.restype = ctypes.c_void_p
    library.sqlite3_db_filename.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
    library.sqlite3_file_control.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p)
    for name in BESIDES:
        getattr(library, name).restype = ctypes.c_void_p
        getattr(library, name).argtypes = (ctypes.c_void_p,)
    if hasattr(library, "sqlite3_db_name"):
        library.sqlite3_db_name.restype = ctypes.c_char_p
        library.sqlite3_db_name.argtypes = (ctypes.c_void_p, ctypes.c_int)
    return library


def _connections(kind: type) -> Iterator[Any]:
    """Found by who refers to their type: to list all objects would write to each, and so copy all memory."""
    kinds: list[type] = [kind]
    for each in kinds:
        kinds += each.__subclasses__()
        yield from (found for found in gc.get_referrers(each) if type(found) is each)


def _move_database(library: Any, database: int, to: Move, files: Mapping[int, tuple[Identity, Identity]]) -> None:
    for name in _names(library, database):
        path = library.sqlite3_db_filename(database, name)
        if not path or not ctypes.string_at(path):
            continue  # in memory
        for address in (path, *(getattr(library, each)(path) for each in BESIDES)):
            _rename(address, to)
        file = ctypes.c_void_p()
        if library.sqlite3_file_control(database, name, FILE_POINTER, ctypes.byref(file)) == 0 and file.value:
            _tell_inode(file.value, files)


def _names(library: Any, database: int) -> Iterable[bytes]:
    if not hasattr(library, "sqlite3_db_name"):
        yield b"main"
        return
    number = 0
    while name := library.sqlite3_db_name(database, number):
        yield name
        number += 1


def _rename(address: int | None, to: Move) -> None:
    was, place = to.was.encode(), to.place.encode()
    if address and len(was) == len(place) and ctypes.string_at(address).startswith(was + b"/"):
        ctypes.memmove(address, place, len(place))


def _tell_inode(file: int, files: Mapping[int, tuple[Identity, Identity]]) -> None:
    """Or sqlite would find that its file has been replaced, and write no more."""
    _, _, inode, descriptor = _FILE.unpack(ctypes.string_at(file, _FILE.size))
    if inode and descriptor in files:
        was, now = files[descriptor]
        if _INODE.unpack(ctypes.string_at(inode, _INODE.size)) == was:
            ctypes.memmove(inode, _INODE.pack(*now), _INODE.size)
