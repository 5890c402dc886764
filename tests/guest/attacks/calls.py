"""System calls by number: what the filter refuses, whatever the arguments. One that is let through does no harm here."""

import os

from attacks import Attempt

BY_NAME = {
    "mount": "BAD, BAD, BAD, 0, BAD",
    "umount2": "BAD, 0",
    "pivot_root": "BAD, BAD",
    "chroot": "BAD",
    "open_tree": "-1, BAD, 0",
    "open_tree_attr": "-1, BAD, 0, BAD, 32",
    "move_mount": "-1, BAD, -1, BAD, 0",
    "fsopen": "BAD, 0",
    "fsconfig": "-1, 0, BAD, BAD, 0",
    "fsmount": "-1, 0, 0",
    "fspick": "-1, BAD, 0",
    "mount_setattr": "-1, BAD, 0, BAD, 32",
    "statmount": "BAD, BAD, 0, 0",
    "listmount": "BAD, BAD, 0, 0",
    "unshare": "0",
    "setns": "-1, 0",
    "ptrace": "3, -1, 0, 0",
    "process_vm_readv": "-1, BAD, 1, BAD, 1, 0",
    "process_vm_writev": "-1, BAD, 1, BAD, 1, 0",
    "process_madvise": "-1, BAD, 1, 0, 0",
    "process_mrelease": "-1, 0",
    "move_pages": "-1, 1, BAD, BAD, BAD, 0",
    "migrate_pages": "-1, 1, BAD, BAD",
    "kcmp": "-1, -1, 0, 0, 0",
    "pidfd_getfd": "-1, 0, 0",
    "bpf": "0, BAD, 64",
    "keyctl": "0, 0, 0, 0, 0",
    "add_key": "BAD, BAD, BAD, 0, 0",
    "request_key": "BAD, BAD, BAD, 0",
    "io_uring_setup": "1, BAD",
    "io_uring_enter": "-1, 0, 0, 0, 0, 0",
    "io_uring_register": "-1, 0, BAD, 0",
    "io_setup": "1, BAD",
    "semget": "0, 0, 0",
    "msgget": "0x7ffffff1, 0",
    "userfaultfd": "-1",
    "perf_event_open": "BAD, 0, -1, -1, 0",
    "init_module": "BAD, 0, BAD",
    "finit_module": "-1, BAD, 0",
    "delete_module": "BAD, 0",
    "kexec_load": "0, 99999, BAD, 0",
    "kexec_file_load": "-1, -1, 0, BAD, 0",
    "reboot": "0, 0, 0, BAD",
    "swapon": "BAD, 0",
    "swapoff": "BAD",
    "acct": "BAD",
    "quotactl": "0, BAD, 0, BAD",
    "quotactl_fd": "-1, 0, 0, BAD",
    "name_to_handle_at": "-1, BAD, BAD, BAD, 0",
    "open_by_handle_at": "-1, BAD, 0",
    "fanotify_init": "-1, 0",
    "iopl": "4",
    "ioperm": "0, 1, 0",
    "modify_ldt": "0, BAD, 0",
    "lookup_dcookie": "0, BAD, 0",
    "syslog": "-1, BAD, 0",
    "vhangup": "",
    "sethostname": "BAD, 5",
    "setdomainname": "BAD, 5",
    "settimeofday": "BAD, BAD",
    "clock_settime": "0, BAD",
    "adjtimex": "BAD",
    "memfd_secret": "-1",
    "landlock_create_ruleset": "BAD, 8, 0",
}
NOT_OUTSIDE = {"vhangup"}  # it would hang up the terminal of whoever runs the tests

# clone() with a flag of a new namespace and an impossible combination, so that no process is ever born.
NAMESPACES = {
    "NEWUSER": 0x10000000,
    "NEWNS": 0x00020000,
    "NEWPID": 0x20000000,
    "NEWNET": 0x40000000,
    "NEWIPC": 0x08000000,
    "NEWUTS": 0x04000000,
    "NEWCGROUP": 0x02000000,
}
IMPOSSIBLE = 0x00010000  # CLONE_THREAD without CLONE_SIGHAND: EINVAL

PROGRAMS = {"FILTER": 26, "BPF": 50, "REUSEPORT_CBPF": 51, "REUSEPORT_EBPF": 52}  # machine code that no limit counts
BUFFER = "call('setsockopt', -1, 1, 8, BAD, 4)"

INTERRUPTS = [
    Attempt("a 32-bit system call", "by_interrupt(20)", control="by_64_bits()"),
    Attempt("a refused call, by way of 32 bits", "by_interrupt(21)", control="by_64_bits()"),
]

ATTEMPTS = [
    *(
        Attempt(
            f"system call {name}",
            f"call({', '.join(filter(None, (repr(name), arguments)))})",
            off=None if name in NOT_OUTSIDE else "allowed",
            control="call('getpid')" if name in NOT_OUTSIDE else "",
        )
        for name, arguments in BY_NAME.items()
    ),
    *(
        Attempt(f"clone {name}", f"call('clone', {flag | IMPOSSIBLE}, 0, 0, 0, 0)", control="forked()")
        for name, flag in NAMESPACES.items()
    ),
    Attempt("clone3", "call('clone3', BAD, 64)", control="threaded()"),
    Attempt("a system call of the future", "call(100000)", off="blocked", control="call('getpid')"),
    Attempt("a system call of x32 programs", "call(0x40000000 | 39)", off=None, control="call('getpid')"),
    Attempt("numbers nobody has given yet", "unknown_numbers()", off=None, control="call('getpid')"),
    *(INTERRUPTS if os.uname().machine == "x86_64" else []),
    Attempt("a personality of one's own", "call('personality', 0xFFFFFFFF)", "allowed", "allowed"),
    Attempt("pages put aside", "call('mmap', -4096, 4096, 3, 0x40022, -1, 0)", control="mmap.mmap(-1, 4096).close()"),
    Attempt("a file of pages put aside", "call('memfd_create', BAD, 4)", control="os.close(os.memfd_create('x'))"),
    *(
        Attempt(f"a program on a socket: {name}", f"call('setsockopt', -1, 1, {option}, BAD, 16)", control=BUFFER)
        for name, option in PROGRAMS.items()
    ),
    Attempt("a program on a socket, garbage in the upper half", "call('setsockopt', -1, (1 << 32) | 1, 26, BAD, 16)"),
    Attempt("push input into a terminal", "call('ioctl', 0, 0x5412, BAD)", control="call('ioctl', 0, 0x5401, BAD)"),
    Attempt("paste into a console", "call('ioctl', 0, 0x541C, BAD)", control="call('ioctl', 0, 0x5401, BAD)"),
    Attempt("a line discipline", "call('ioctl', 0, 0x5423, BAD)", control="call('ioctl', 0, 0x5401, BAD)"),
    Attempt("an ioctl with garbage in the upper half", "call('ioctl', 0, (1 << 32) | 0x5412, BAD)"),
]
