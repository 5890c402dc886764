"""Getting out by privileges, namespaces, mounts and the host's own helpers."""

from attacks import Attempt

PRIVILEGES = [
    Attempt("become root", "become_root()", control="os.setuid(os.getuid())"),
    Attempt("a capability in one's set", "capabilities() or refuse()"),
    Attempt("a capability to be had again", "bounding() or refuse()", unprivileged="allowed"),
    Attempt("more privileges by running a set-uid program", "libc.prctl(39, 0, 0, 0, 0) and refuse()"),
    Attempt("a system without a filter", "libc.prctl(21, 0, 0, 0, 0) and refuse()"),
    Attempt(
        "programs of the host keep their set-uid bit",
        "os.statvfs('/usr').f_flag & os.ST_NOSUID and refuse()",
        unprivileged="allowed",
    ),
]

NAMESPACES = [
    Attempt("a user namespace in a child", "in_child(lambda: call('unshare', 0x10000000))", control="in_child(int)"),
    Attempt("a mount namespace in a child", "in_child(lambda: call('unshare', 0x00020000))", control="in_child(int)"),
    Attempt("room for a namespace below", "int(open('/proc/sys/user/max_user_namespaces').read()) or refuse()"),
    Attempt("make room for one", "open('/proc/sys/user/max_user_namespaces', 'r+')", off=None, control="in_child(int)"),
    Attempt(
        "enter one's own user namespace again",
        "in_child(lambda: call('setns', os.open('/proc/self/ns/user', 0), 0))",
        control="in_child(int)",
    ),
    Attempt("enter the namespace of a process of the host", "open(f\"/proc/{HOST['pid']}/ns/mnt\")"),
    Attempt(
        "the namespace above",
        "fcntl.ioctl(os.open('/proc/self/ns/user', 0), 0xb702)",
        off=None,
        control="in_child(int)",
    ),
    Attempt("another root", "in_child(lambda: os.chroot('.'))", control="in_child(lambda: os.chdir('.'))"),
]

HELPERS = [
    Attempt("the program that dumps cores", "open('/proc/sys/kernel/core_pattern', 'r+')"),
    Attempt(
        "the program that loads modules", "open('/proc/sys/kernel/modprobe', 'r+')", off=None, control="in_child(int)"
    ),
    Attempt(
        "formats of programs",
        "os.close(os.open('/proc/sys/fs/binfmt_misc/register', os.O_WRONLY))",
        off=None,
        control="in_child(int)",
    ),
    Attempt("the network's settings", "open('/proc/sys/net/ipv4/ip_forward', 'r+')", off=None, control="in_child(int)"),
    Attempt("drop the host's caches", "os.close(os.open('/proc/sys/vm/drop_caches', os.O_WRONLY))"),
    Attempt("trigger a system request", "open('/proc/sysrq-trigger', 'w')", off=None, control="in_child(int)"),
    Attempt(
        "the program that a cgroup runs at its end",
        "os.close(os.open(HOST['release agent'], os.O_WRONLY))",
        off=None,
        control="in_child(int)",
    ),
    Attempt(
        "leave the cgroup",
        "os.close(os.open(HOST['cgroup'] + '/cgroup.procs', os.O_WRONLY))",
        off=None,
        control="in_child(int)",
    ),
    Attempt(
        "what every program loads first",
        "os.close(os.open('/etc/ld.so.preload', os.O_WRONLY | os.O_CREAT))",
        off=None,
        control="in_child(int)",
    ),
    Attempt("the host's passwords", "open('/etc/passwd', 'r+')"),
]
