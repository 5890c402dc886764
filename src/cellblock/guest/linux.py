"""The system calls that Python lacks. Every failure is an OSError that names the call; nothing is decided here."""

import ctypes
import os
import struct
import sys

NEWNS, NEWCGROUP, NEWUTS, NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
NEWUSER, NEWPID, NEWNET = 0x10000000, 0x20000000, 0x40000000
RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, REC, PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
DETACH = 2

PDEATHSIG, DUMPABLE, CAPBSET_DROP, CHILD_SUBREAPER, NO_NEW_PRIVS, CAP_AMBIENT = 1, 4, 24, 36, 38, 47

_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_EVERYWHERE = {
    "pidfd_open": 434,
    "close_range": 436,
    "mount_setattr": 442,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
}
_BY_MACHINE = {
    "x86_64": {"pivot_root": 155, "seccomp": 317, "capset": 126, "bind": 49}
    | {"set_tid_address": 218, "set_robust_list": 273, "get_robust_list": 274, "rseq": 334},
    "aarch64": {"pivot_root": 41, "seccomp": 277, "capset": 91, "bind": 200}
    | {"set_tid_address": 96, "set_robust_list": 99, "get_robust_list": 100, "rseq": 293},
}

libc = ctypes.CDLL(None, use_errno=True)


def supported() -> bool:
    """Whether this machine's system call numbers are known here."""
    return os.uname().sysname == "Linux" and os.uname().machine in _BY_MACHINE


def number(name: str) -> int:
    """A system call's number on this machine; OSError where it is not known."""
    known = _EVERYWHERE | _BY_MACHINE.get(os.uname().machine, {})
    if name not in known:
        raise OSError(f"{name}: its number on {os.uname().machine} is not known; x86_64 and aarch64 are supported")
    return known[name]


def checked(what: str, result: int) -> int:
    """`result`, or the OSError that libc left in errno."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def syscall(name: str, *arguments: object) -> int:
    """A system call by name. Integers are passed as longs; bytes as pointers; None as NULL."""
    passed = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return checked(name, libc.syscall(ctypes.c_long(number(name)), *passed))


def unshare(flags: int) -> None:
    checked(f"unshare {flags:#x}", libc.unshare(flags))


def setns(fd: int, kind: int) -> None:
    checked("setns", libc.setns(fd, kind))


def prctl(option: int, value: int = 0, other: int = 0) -> int:
    arguments = [ctypes.c_ulong(a) for a in (value, other, 0, 0)]
    return checked(f"prctl {option}", libc.prctl(option, *arguments))


def sethostname(name: bytes) -> None:
    checked("sethostname", libc.sethostname(name, len(name)))


def give_back_memory() -> None:
    """Free memory that the allocator holds, to the system; where it is glibc's."""
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


def forget_types() -> None:
    """CPython's cache of what was found on types: a fork would replace each entry, and so write to each name in it."""
    forget = getattr(sys, "_clear_internal_caches", None) or getattr(sys, "_clear_type_cache", None)
    if forget:
        forget()


def pidfd_open(pid: int) -> int:
    return syscall("pidfd_open", pid, 0)


def mount(source: str | None, target: str, kind: str | None = None, flags: int = 0, data: str | None = None) -> None:
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    result = libc.mount(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3])
    checked(f"mount {target}", result)


def unmount(target: str) -> None:
    checked(f"umount {target}", libc.umount2(os.fsencode(target), DETACH))


def mount_read_only(target: str, *, recursive: bool = True) -> None:
    """Makes a mount and all below it read-only, without set-uid and devices. (A remount would miss the submounts.)"""
    attributes = struct.pack("=QQQQ", RDONLY | NOSUID | NODEV, 0, 0, 0)  # sets only: a locked flag is never cleared
    flags = _AT_RECURSIVE if recursive else 0
    syscall("mount_setattr", _AT_FDCWD, os.fsencode(target), flags, attributes, len(attributes))


def close_all_but(keep: set[int]) -> None:
    """Closes every descriptor that is not named."""
    edge = 0
    for fd in [*sorted(keep), 1 << 31]:
        if fd > edge:
            syscall("close_range", edge, fd - 1, 0)
        edge = fd + 1


def write(path: str, text: str, *, dir_fd: int | None = None) -> None:
    """One write(2) to an existing file, so that the kernel's refusal is heard (a buffered file would hide it)."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def read(path: str, *, dir_fd: int | None = None) -> str:
    """All of a file. Of a table in /proc one read(2) gives a page at most, whatever is asked for."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=dir_fd)
    parts: list[bytes] = []
    try:
        while part := os.read(fd, 1 << 20):
            parts.append(part)
        return b"".join(parts).decode(errors="replace")
    finally:
        os.close(fd)


def map_identity(inside_uid: int, inside_gid: int, uid: int, gid: int) -> None:
    """In a new user namespace: one user and one group of the parent's, under numbers of our choice."""
    write("/proc/self/setgroups", "deny")
    write("/proc/self/uid_map", f"{inside_uid} {uid} 1")
    write("/proc/self/gid_map", f"{inside_gid} {gid} 1")
