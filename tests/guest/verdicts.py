"""The sandbox verdict table: what code in a kernel tries, and what each level must answer.

Every row says *allowed* or *blocked*, never "failed": system calls get bad pointers and impossible arguments, so that
EFAULT, EINVAL, EBADF or ESRCH mean that it got through, and only a refusal counts as blocked. The same
table runs at level `off`, as root, where every row must come out as allowed: a row that is broken is noticed.
"""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["allowed", "blocked"]


@dataclass(frozen=True)
class Row:
    """`code` is an expression in the kernel (see PRELUDE). It is allowed when it ends, or fails with no refusal."""

    name: str
    code: str
    full: Verdict = "blocked"
    unprivileged: Verdict = "blocked"
    off: Verdict = "allowed"


def _calls() -> list[Row]:
    """System calls by name, with arguments that can do no harm where they are let through."""
    calls = {
        "mount": "BAD, BAD, BAD, 0, BAD",
        "umount2": "BAD, 0",
        "pivot_root": "BAD, BAD",
        "chroot": "BAD",
        "open_tree": "-1, BAD, 0",
        "move_mount": "-1, BAD, -1, BAD, 0",
        "fsopen": "BAD, 0",
        "mount_setattr": "-1, BAD, 0, BAD, 32",
        "statmount": "BAD, BAD, 0, 0",
        "listmount": "BAD, BAD, 0, 0",
        "unshare": "0",
        "setns": "-1, 0",
        "ptrace": "3, -1, 0, 0",
        "process_vm_readv": "-1, BAD, 1, BAD, 1, 0",
        "process_vm_writev": "-1, BAD, 1, BAD, 1, 0",
        "kcmp": "-1, -1, 0, 0, 0",
        "pidfd_getfd": "-1, 0, 0",
        "bpf": "0, BAD, 64",
        "keyctl": "0, 0, 0, 0, 0",
        "add_key": "BAD, BAD, BAD, 0, 0",
        "io_uring_setup": "1, BAD",
        "userfaultfd": "-1",
        "perf_event_open": "BAD, 0, -1, -1, 0",
        "finit_module": "-1, BAD, 0",
        "kexec_load": "0, 99999, BAD, 0",
        "reboot": "0, 0, 0, BAD",
        "swapoff": "BAD",
        "open_by_handle_at": "-1, BAD, 0",
        "fanotify_init": "-1, 0",
        "sethostname": "BAD, 5",
        "settimeofday": "BAD, BAD",
        "memfd_secret": "-1",
        "landlock_create_ruleset": "BAD, 8, 0",
    }
    return [Row(f"system call {name}", f"call({name!r}, {arguments})") for name, arguments in calls.items()]


def _clones() -> list[Row]:
    """clone() with a flag of a new namespace and an impossible combination, so that no process is ever born."""
    flags = {"NEWUSER": 0x10000000, "NEWNS": 0x00020000, "NEWPID": 0x20000000, "NEWNET": 0x40000000}
    impossible = 0x00010000  # CLONE_THREAD without CLONE_SIGHAND: EINVAL
    rows = [Row(f"clone {name}", f"call('clone', {flag | impossible}, 0, 0, 0, 0)") for name, flag in flags.items()]
    return [
        *rows,
        Row("clone3", "call('clone3', BAD, 64)"),
        Row("a system call of the future", "call(100000)", off="blocked"),
    ]


def _sockets() -> list[Row]:
    families: dict[str, tuple[str, Verdict, Verdict]] = {
        "vsock": ("40, 1", "blocked", "blocked"),
        "netlink": ("16, 3", "allowed", "blocked"),
        "internet stream": ("2, 1", "allowed", "blocked"),
        "internet datagram": ("2, 2", "allowed", "blocked"),
        "packet": ("17, 3", "blocked", "blocked"),
        "UNIX stream": ("1, 1", "allowed", "allowed"),
        "UNIX datagram": ("1, 2", "allowed", "blocked"),
        "UNIX raw, a datagram by another name": ("1, 3", "allowed", "blocked"),
    }
    rows = [Row(f"socket: {n}", f"call('socket', {a}, 0)", f, u) for n, (a, f, u) in families.items()]
    rows.append(Row("socket family with garbage in the upper half", "call('socket', (1 << 32) | 40, 1, 0)"))
    return rows


NETWORK = [
    Row("TCP to a listener of the host", "tcp(HOST['port'])"),
    Row("abstract socket of the host", "unix(b'\\0' + HOST['abstract'].encode())"),
    Row("path socket of the host", "unix(HOST['socket'])"),
    Row("TCP to a listener of one's own", "own_tcp()", "allowed"),
    Row("a socket pair", "socket.socketpair()[0].send(b'x')", "allowed", "allowed"),
    Row("name of localhost", "socket.getaddrinfo('localhost', 80)", "allowed"),
]

FILES = [
    Row("read a secret of the server's", "open(HOST['secret']).read()"),
    Row("list the data directory", "os.listdir(HOST['data'])"),
    Row("write into the data directory", "open(HOST['data'] + '/evil', 'w')"),
    Row("the workspace of another kernel", "os.listdir(HOST['other'])"),
    Row("read /etc/passwd of the host", "'root' in open('/etc/passwd').read() or refuse()"),
    Row("a file beside the sockets", "open(beside_sockets('file'), 'w')"),
    Row("a directory beside the sockets", "os.mkdir(beside_sockets('directory'))"),
    Row("a link beside the sockets", "os.symlink('/etc', beside_sockets('link'))"),
    Row("a socket taken away", "os.rename(beside_sockets('k-4'), beside_sockets('k-6'))"),
    Row("write into the interpreter", "open(sys.prefix + '/evil', 'w')"),
    Row("write into /usr", "open('/usr/evil', 'w')"),
    Row("list /home", "os.listdir('/home')"),
    Row("list /sys", "os.listdir('/sys/kernel')"),
    Row("change the mode of a file of the host", "changed(os.chmod, HOST['victim'], 0o640)"),
    Row("set the times of a file of the host", "changed(os.utime, HOST['victim'], (1, 1))"),
    Row("write to the workspace", "open('mine.txt', 'w').write('x')", "allowed", "allowed"),
    Row("a temporary file", "tempfile.NamedTemporaryFile('w').write('x')", "allowed", "allowed"),
    Row("read the interpreter", "open(os.__file__).read(1)", "allowed", "allowed"),
    Row("run a program", "subprocess.run(['true'], check=True)", "allowed", "allowed"),
    Row("shared memory", "open('/dev/shm/mine', 'w').close() or os.unlink('/dev/shm/mine')", "allowed"),
]

PROCESSES = [
    Row("signal a process of the host", "os.kill(HOST['pid'], 0)"),
    Row("signal a child of one's own", "signal_child()", "allowed", "allowed"),
    Row("renice a process of the host", "os.setpriority(os.PRIO_PROCESS, HOST['pid'], 5)"),
    Row("renice a user, with garbage in the upper half", "call('setpriority', (1 << 32) | 2, 54321, 5)", "allowed"),
    Row("processor affinity of a process of the host", "os.sched_setaffinity(HOST['pid'], {0})"),
    Row("limits of a process of the host", "resource.prlimit(HOST['pid'], resource.RLIMIT_CORE)"),
    Row("memory of a process of the host", "open(f\"/proc/{HOST['pid']}/mem\", 'rb')"),
    Row("environment of a process of the host", "open(f\"/proc/{HOST['pid']}/environ\", 'rb').read()"),
    Row("command line of a process of the host", "open(f\"/proc/{HOST['pid']}/cmdline\", 'rb').read()"),
    Row("System V shared memory of the host", "shared_memory(HOST['shm'])"),
    Row("fork", "forked()", "allowed", "allowed"),
    Row("threads", "threaded()", "allowed", "allowed"),
]

PROC_AND_DEVICES = [
    Row("environment of init", "open(f'/proc/{(os.getppid() or 1)}/environ', 'rb').read()"),
    Row("memory of init", "open(f'/proc/{(os.getppid() or 1)}/mem', 'rb')"),
    Row("descriptors of init", "os.listdir(f'/proc/{(os.getppid() or 1)}/fd')"),
    Row("kill init", "os.kill((os.getppid() or 1), 0)"),
    Row("limit init", "resource.prlimit((os.getppid() or 1), resource.RLIMIT_CORE)"),
    Row("trigger a system request", "open('/proc/sysrq-trigger', 'w')"),
    Row("write a sysctl", "open('/proc/sys/kernel/core_pattern', 'r+')"),
    Row("kernel messages", "open('/dev/kmsg', 'rb')"),
    Row("own entry in /proc", "open('/proc/self/status').read()", "allowed"),
    Row("make a device", "os.mknod('disk', 0o600 | stat.S_IFBLK, os.makedev(7, 0)) or os.unlink('disk')"),
    Row("null device", "open('/dev/null', 'w').write('x')", "allowed", "allowed"),
    Row("random device", "open('/dev/urandom', 'rb').read(1)", "allowed", "allowed"),
    Row("push input into a terminal", "call('ioctl', 0, 0x5412, BAD)"),
]

PRIVILEGE = [
    Row("become root", "become_root()"),
    Row("raise a limit", "resource.setrlimit(resource.RLIMIT_CORE, (1, 1))", off="blocked"),
    Row("a capability in one's set", "capabilities() or refuse()"),
    Row("more privileges by running a set-uid program", "libc.prctl(39, 0, 0, 0, 0) and refuse()"),
]

TABLE = [*_calls(), *_clones(), *_sockets(), *NETWORK, *FILES, *PROCESSES, *PROC_AND_DEVICES, *PRIVILEGE]

PRELUDE = '''
import ctypes, errno, json, os, resource, signal, socket, stat, subprocess, sys, tempfile, threading
BAD = 1
NEW = {"statmount": 457, "listmount": 458, "landlock_create_ruleset": 444, "clone3": 435, "memfd_secret": 447,
       "open_tree": 428, "move_mount": 429, "fsopen": 430, "mount_setattr": 442, "pidfd_getfd": 438,
       "io_uring_setup": 425}
libc = ctypes.CDLL(None, use_errno=True)

def refuse():
    raise PermissionError(errno.EPERM, "refused")

def number(name):
    if isinstance(name, int) or name in NEW:
        return NEW.get(name, name)
    import pyseccomp
    return pyseccomp.resolve_syscall(pyseccomp.system_arch(), name)

def call(name, *arguments):
    ctypes.set_errno(0)
    if libc.syscall(ctypes.c_long(number(name)), *[ctypes.c_long(a) for a in arguments]) < 0:
        raise OSError(ctypes.get_errno(), name)

def beside_sockets(name):
    place = "/run/cb" if os.path.isdir("/run/cb") else os.path.dirname(os.environ["HOME"]) + "/run"
    return place + "/" + name

def unix(path):
    with socket.socket(socket.AF_UNIX) as s: s.connect(path)

def tcp(port):
    socket.create_connection(("127.0.0.1", port), 2).close()

def own_tcp():
    with socket.create_server(("127.0.0.1", 0)) as s: tcp(s.getsockname()[1])

def changed(change, path, how):
    try: before = os.stat(path)
    except OSError: refuse()
    change(path, how)
    after = os.stat(path)
    if (before.st_mode, before.st_mtime) == (after.st_mode, after.st_mtime): refuse()

def capabilities():
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    libc.capget(header, sets)
    return any(sets)

def become_root():
    try: os.setuid(0)
    except OSError: refuse()

def signal_child():
    p = subprocess.Popen(["sleep", "30"]); p.terminate(); p.wait()

def forked():
    pid = os.fork()
    if pid == 0: os._exit(0)
    os.waitpid(pid, 0)

def threaded():
    t = threading.Thread(target=int); t.start(); t.join()

def shared_memory(key):
    libc.shmget.restype = ctypes.c_int
    if libc.shmget(key, 0, 0) < 0:
        code = ctypes.get_errno()
        raise OSError(errno.EPERM if code == errno.ENOENT else code, "shmget")

REFUSALS = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EAFNOSUPPORT, errno.EROFS}
GONE = {errno.ENOENT, errno.ECONNREFUSED, errno.ESRCH, errno.EPROTONOSUPPORT}

def judge(code):
    """allowed | blocked, and what was seen. What is not there, though it is on the host, is blocked too."""
    try: eval(code)
    except OSError as problem:
        by_name = problem.errno in GONE and not code.startswith("call(")
        refused = problem.errno in REFUSALS or by_name or isinstance(problem, socket.gaierror)
        return "blocked" if refused else "allowed", errno.errorcode.get(problem.errno, str(problem))
    except ValueError as problem:  # how setrlimit says EPERM
        return "blocked", str(problem)
    return "allowed", "done"
'''
