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
from socket import AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, SOCK_STREAM
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
landlock_create_ruleset memfd_secret""")
DENIED = (*_MOUNTS, *_OTHERS, *_KERNEL)

FAMILIES: dict[Level, frozenset[int]] = {
    "full": frozenset((AF_UNIX, AF_INET, AF_INET6, AF_NETLINK)),  # vsock would ignore the network namespace
    "unprivileged": frozenset((AF_UNIX,)),
}
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
TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX

# Without namespaces: what would reach other processes and files of the same user. Landlock does not cover these.
SHARED = _names("""shmget shmat shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl mq_open mq_unlink
connect sendmmsg""")
PRETENDED = _names("""chmod fchmodat fchmodat2 chown lchown fchownat utime utimes utimensat futimesat setxattr
lsetxattr setxattrat removexattr lremovexattr""")
OWN_ONLY = ("sched_setaffinity", "sched_setattr")
OWN_ONLY_PRETENDED = ("sched_setscheduler", "sched_setparam")  # libzmq names its own thread by id and aborts if refused

# Newer than Debian's libseccomp, which knows them by no name. The numbers are the same on every machine.
NUMBERS = {
    "statmount": 457,
    "listmount": 458,
    "setxattrat": 463,
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


INT = 0xFFFFFFFF


def rules(level: Level) -> list[Rule]:
    """What the filter of a level answers instead of the kernel; all else is allowed."""
    made = [Rule(name) for name in DENIED]
    made += [Rule("clone", when=((0, "masked", flag, flag),)) for flag in NAMESPACE_FLAGS]
    made.append(Rule("clone3", errno.ENOSYS))
    made += [Rule("ioctl", when=((1, "masked", command, INT),)) for command in TERMINAL_INPUT]
    for name in ("socket", "socketpair"):
        refused = [n for n in range(64) if n not in FAMILIES[level]]
        made += [Rule(name, errno.EAFNOSUPPORT, ((0, "masked", n, INT),)) for n in refused]
        made.append(Rule(name, errno.EAFNOSUPPORT, ((0, "ge", 64, 0),)))
    made.append(Rule("prlimit64", when=((0, "ne", 0, 0),)))  # else a kernel could set its init's limits
    return made + (_unshielded() if level == "unprivileged" else [])


def _unshielded() -> list[Rule]:
    made = [Rule(name) for name in SHARED] + [Rule(name, 0) for name in PRETENDED]
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


def _refuse_unknown() -> bytes:
    """BPF put before libseccomp's: load the call's number; above NEWEST (x32 numbers too) → ENOSYS."""
    load, jump_greater, give = 0x20, 0x25, 0x06
    return (
        struct.pack("=HBBI", load, 0, 0, 0)
        + struct.pack("=HBBI", jump_greater, 0, 1, NEWEST)
        + struct.pack("=HBBI", give, 0, 0, 0x00050000 | errno.ENOSYS)
    )


def install(program: bytes) -> None:
    """For this thread and all that it starts. Needs no_new_privs or CAP_SYS_ADMIN."""

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    if not program:
        raise OSError("there is no seccomp program to install")
    buffer = ctypes.create_string_buffer(program, len(program))
    header = Program(len(program) // 8, ctypes.addressof(buffer))
    set_mode_filter = 1
    linux.syscall("seccomp", set_mode_filter, 0, ctypes.byref(header))


def main(_arguments: list[str]) -> None:
    levels: tuple[Level, ...] = ("full", "unprivileged")
    programs = {level: base64.b64encode(compile_filter(level)).decode() for level in levels}
    json.dump(programs, sys.stdout)
