"""Which system calls a kernel may make. The rules are data; compiled to BPF before any fork, installed by one call.

`python …/guest/__main__.py filter` prints {"full": base64, "unprivileged": base64}; only that needs pyseccomp.
"""

import base64
import ctypes
import errno
import json
import os
import struct
import sys
from dataclasses import dataclass
from socket import AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, SOCK_RDM, SOCK_SEQPACKET, SOCK_STREAM, SOL_SOCKET
from typing import Any

from cellblock.guest import linux
from cellblock.messages import Level


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_MOUNTS = _names("""mount umount2 pivot_root open_tree open_tree_attr move_mount fsopen fsconfig fsmount fspick
mount_setattr statmount listmount chroot""")
_OTHERS = _names("""unshare setns ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd process_madvise
process_mrelease lookup_dcookie move_pages migrate_pages mbind set_mempolicy set_mempolicy_home_node""")
_KERNEL = _names("""bpf keyctl add_key request_key io_uring_setup io_uring_enter io_uring_register userfaultfd
perf_event_open init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff acct quotactl
quotactl_fd name_to_handle_at open_by_handle_at fanotify_init iopl ioperm settimeofday clock_settime adjtimex
clock_adjtime sethostname setdomainname syslog vhangup nfsservctl uselib ustat sysfs _sysctl modify_ldt vm86
landlock_create_ruleset memfd_secret io_setup semget msgget""")  # the last three: memory and slots that no limit counts
DENIED = (*_MOUNTS, *_OTHERS, *_KERNEL)

FAMILIES: dict[Level, frozenset[int]] = {
    "full": frozenset((AF_UNIX, AF_INET, AF_INET6, AF_NETLINK)),  # vsock would ignore the network namespace
    "unprivileged": frozenset((AF_UNIX,)),
}
SOCK_DCCP = 6
NAMESPACE_FLAGS = (
    0x80,
    linux.NEWNS,
    linux.NEWCGROUP,
    linux.NEWUTS,
    linux.NEWIPC,
    linux.NEWUSER,
    linux.NEWPID,
    linux.NEWNET,
)
TERMINAL_CALLS = (0x5412, 0x541C, 0x5423)  # TIOCSTI, TIOCLINUX; TIOCSETD loads line disciplines into the host's kernel
F_SETLEASE, F_SETDELEG = 1024, 1040  # a lease on a file of one's own user holds up everybody who opens it, for 45 s
MAP_HUGETLB, MFD_HUGETLB = 0x40000, 4  # pages that the host has put aside for others; no memory limit counts them
# SO_ATTACH_FILTER and kin: some 90 KB a socket, most of it machine code that no limit counts and all of the host shares room for
SOCKET_FILTERS = (26, 50, 51, 52)
RLIMIT_CORE = 4  # stays what it is; see limits.py
SET_DUMPABLE = 4  # a process that hides from /proc escapes who watches its memory and its deleted files
MODULES = (
    33,
    115,
    132,
    136,
    262,
)  # DCCP, L2TP, SCTP, UDP-Lite, MPTCP: protocols that a socket loads into the host's kernel

# Without namespaces: what would reach other processes and files of the same user. Landlock does not cover these.
# A descriptor open for reading is enough to change the mode of a file of one's own user.
SHARED = _names(
    """shmget shmat shmctl semop semtimedop semctl msgsnd msgrcv msgctl mq_open mq_unlink connect sendmmsg"""
)
PRETENDED = _names("""chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes utimensat futimesat
setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat""")
UNSUPPORTED = _names("getxattr lgetxattr getxattrat listxattr llistxattr listxattrat")
UNWATCHED = _names("inotify_init inotify_init1 inotify_add_watch")  # would name what others do in any directory
FILE_FLAGS = (
    0x40086602,
    0x40046602,
    0x40087602,
    0x401C5820,
    0x40806685,
)  # FS_IOC_SETFLAGS and kin, by a read-only descriptor
OWN_ONLY = ("sched_setaffinity", "sched_setattr")
OWN_ONLY_PRETENDED = ("sched_setscheduler", "sched_setparam")  # libzmq names its own thread by id and aborts if refused

# Newer than Debian's libseccomp, which knows them by no name. The numbers are the same on every machine.
NUMBERS = {
    "statmount": 457,
    "listmount": 458,
    "setxattrat": 463,
    "getxattrat": 464,
    "listxattrat": 465,
    "removexattrat": 466,
    "open_tree_attr": 467,
    "fchmodat2": 452,
    "set_mempolicy_home_node": 450,
}
NEWEST = 467  # open_tree_attr, Linux 6.15; what came later (file_setattr by path, …) answers "not implemented"


@dataclass(frozen=True)
class Rule:
    """Answer `error` (0: pretend success) to a call whose arguments fit all of `when`: (index, operator, value, mask).

    Arguments that the kernel reads as 32 bits are compared under INT: a filter sees 64, and the caller fills the rest.
    """

    call: str
    error: int = errno.EPERM
    when: tuple[tuple[int, str, int, int], ...] = ()


INT, LONG = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF


def rules(level: Level) -> list[Rule]:
    """What the filter of a level answers instead of the kernel; all else is allowed."""
    made = [Rule(name) for name in DENIED]
    made += [Rule("clone", when=((0, "masked", flag, flag),)) for flag in NAMESPACE_FLAGS]
    made.append(Rule("clone3", errno.ENOSYS))
    made += [Rule("ioctl", when=((1, "masked", command, INT),)) for command in TERMINAL_CALLS]
    made += [Rule("fcntl", when=((1, "masked", command, INT),)) for command in (F_SETLEASE, F_SETDELEG)]
    made.append(Rule("mmap", when=((3, "masked", MAP_HUGETLB, MAP_HUGETLB),)))
    made.append(Rule("memfd_create", when=((1, "masked", MFD_HUGETLB, MFD_HUGETLB),)))
    made.append(Rule("prctl", 0, ((0, "masked", SET_DUMPABLE, INT), (1, "masked", 0, LONG))))
    made += [
        Rule("setsockopt", when=((1, "masked", SOL_SOCKET, INT), (2, "masked", option, INT)))
        for option in SOCKET_FILTERS
    ]
    made += _protocols() if level == "full" else []
    for name in ("socket", "socketpair"):
        refused = [n for n in range(64) if n not in FAMILIES[level]]
        made += [Rule(name, errno.EAFNOSUPPORT, ((0, "masked", n, INT),)) for n in refused]
        made.append(Rule(name, errno.EAFNOSUPPORT, ((0, "ge", 64, 0),)))
    made.append(Rule("prlimit64", when=((0, "ne", 0, 0),)))  # else a kernel could set its init's limits
    made.append(Rule("setrlimit", 0, ((0, "masked", RLIMIT_CORE, INT),)))
    made.append(Rule("prlimit64", 0, ((0, "masked", 0, LONG), (1, "masked", RLIMIT_CORE, INT), (2, "ne", 0, 0))))
    return made + (_unshielded() if level == "unprivileged" else [])


def _protocols() -> list[Rule]:
    """Of the internet TCP, UDP and ICMP; of netlink what lists interfaces. The rest is only more of the host's kernel."""
    refuse = errno.EPROTONOSUPPORT
    made = [Rule("socket", refuse, ((0, "masked", AF_NETLINK, INT), (2, "ne", 0, 0)))]
    for family in (AF_INET, AF_INET6):
        is_it = (0, "masked", family, INT)
        made += [Rule("socket", refuse, (is_it, (2, "masked", protocol, INT))) for protocol in MODULES]
        made += [
            Rule("socket", refuse, (is_it, (1, "masked", kind, 0xF))) for kind in (SOCK_RDM, SOCK_SEQPACKET, SOCK_DCCP)
        ]
    return made


def _unshielded() -> list[Rule]:
    made = [Rule(name) for name in SHARED] + [Rule(name, 0) for name in PRETENDED]
    made += [Rule(name, errno.EOPNOTSUPP) for name in UNSUPPORTED] + [Rule(name, errno.ENOSYS) for name in UNWATCHED]
    made += [Rule("ioctl", when=((1, "masked", command, INT),)) for command in FILE_FLAGS]
    made += [Rule(name, when=((0, "ne", 0, 0),)) for name in OWN_ONLY]
    made += [Rule(name, 0, ((0, "ne", 0, 0),)) for name in OWN_ONLY_PRETENDED]
    made.append(Rule("sendto", when=((4, "ne", 0, 0),)))
    for name in ("socket", "socketpair"):  # streams only; a raw UNIX socket is a datagram socket by another name
        made += [Rule(name, when=((1, "masked", kind, 0xF),)) for kind in range(16) if kind != SOCK_STREAM]
    for name, whole_group, all_of_user in (("setpriority", 1, 2), ("ioprio_set", 2, 3)):
        made += [Rule(name, when=((0, "masked", which, INT),)) for which in (whole_group, all_of_user)]
        made.append(Rule(name, when=((1, "ne", 0, 0),)))
    return made


def compile_filter(level: Level) -> bytes:
    """The rules as BPF. OSError where libseccomp refuses one; ImportError without pyseccomp."""
    import pyseccomp

    program = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    for rule in rules(level):
        _add(pyseccomp, program, rule)
    reader, writer = os.pipe()
    with open(reader, "rb") as source, open(writer, "wb") as sink:
        program.export_bpf(sink)
        sink.close()
        return _refuse_unknown() + source.read()


def _add(library: Any, program: Any, rule: Rule) -> None:
    comparisons = [_comparison(library, *condition) for condition in rule.when]
    action = library.ERRNO(rule.error)
    try:
        program.add_rule(action, rule.call, *comparisons)
    except OSError:  # libseccomp is older than the call
        if rule.call not in NUMBERS:
            raise
        program.add_rule(action, NUMBERS[rule.call], *comparisons)


def _comparison(library: Any, index: int, operator: str, value: int, mask: int) -> Any:
    if operator == "masked":
        return library.Arg(index, library.MASKED_EQ, mask, value)
    return library.Arg(index, {"ne": library.NE, "ge": library.GE}[operator], value)


_LOAD, _JUMP_EQUAL, _JUMP_GREATER, _GIVE = 0x20, 0x15, 0x25, 0x06
_ERRNO, _ALLOW = 0x00050000, 0x7FFF0000


def _instruction(code: int, yes: int, no: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)


def _refuse_unknown() -> bytes:
    """BPF put before libseccomp's: load the call's number; above NEWEST (x32 numbers too) → ENOSYS."""
    return (
        _instruction(_LOAD, 0, 0, 0)
        + _instruction(_JUMP_GREATER, 0, 1, NEWEST)
        + _instruction(_GIVE, 0, 0, _ERRNO | errno.ENOSYS)
    )


def refusing(call: str) -> bytes:
    """A program that refuses one call by linux.number: for a second filter, on top of a level's."""
    return (
        _instruction(_LOAD, 0, 0, 0)
        + _instruction(_JUMP_EQUAL, 0, 1, linux.number(call))
        + _instruction(_GIVE, 0, 0, _ERRNO | errno.EPERM)
        + _instruction(_GIVE, 0, 0, _ALLOW)
    )


def install(program: bytes, *, all_threads: bool = False) -> None:
    """For this thread, or all of them, and what they start. Needs no_new_privs or CAP_SYS_ADMIN."""

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    if not program:
        raise OSError("there is no seccomp program to install")
    buffer = ctypes.create_string_buffer(program, len(program))
    header = Program(len(program) // 8, ctypes.addressof(buffer))
    set_mode_filter, synchronize = 1, 1
    if thread := linux.syscall("seccomp", set_mode_filter, synchronize if all_threads else 0, ctypes.byref(header)):
        raise OSError(f"thread {thread} cannot be put under the filter")


def main(_arguments: list[str]) -> None:
    levels: tuple[Level, ...] = ("full", "unprivileged")
    programs = {level: base64.b64encode(compile_filter(level)).decode() for level in levels}
    json.dump(programs, sys.stdout)
