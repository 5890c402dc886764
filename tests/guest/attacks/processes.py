"""Signalling, tracing and looking at other processes, one's own init included."""

from attacks import Attempt

OTHERS = [
    Attempt("signal a process of the host", "os.kill(HOST['pid'], 0)", control="os.kill(os.getpid(), 0)"),
    Attempt("signal a group of the host", "os.killpg(HOST['pid'], 0)", control="signal_child()"),
    Attempt("signal a thread of the host", "reach('tgkill', HOST['pid'], HOST['pid'], 0)"),
    Attempt("queue a signal to a process of the host", "queued(HOST['pid'])", control="signal_child()"),
    Attempt(
        "signal a process of the host by its descriptor",
        "signal_by_pidfd(HOST['pid'])",
        control="signal_by_pidfd(os.getpid())",
    ),
    Attempt("signal a child of one's own", "signal_child()", "allowed", "allowed"),
    Attempt("renice a process of the host", "os.setpriority(os.PRIO_PROCESS, HOST['pid'], 5)"),
    Attempt("renice a user, with garbage in the upper half", "call('setpriority', (1 << 32) | 2, 54321, 5)", "allowed"),
    Attempt(
        "processor affinity of a process of the host",
        "os.sched_setaffinity(HOST['pid'], {0})",
        control="os.sched_setaffinity(0, os.sched_getaffinity(0))",
    ),
    Attempt(
        "limits of a process of the host",
        "resource.prlimit(HOST['pid'], resource.RLIMIT_CORE)",
        control="resource.prlimit(0, resource.RLIMIT_CORE)",
    ),
    Attempt("memory of a process of the host", "open(f\"/proc/{HOST['pid']}/mem\", 'rb')"),
    Attempt("environment of a process of the host", "open(f\"/proc/{HOST['pid']}/environ\", 'rb').read()"),
    Attempt("command line of a process of the host", "open(f\"/proc/{HOST['pid']}/cmdline\", 'rb').read()"),
    Attempt("descriptors of a process of the host", "os.listdir(f\"/proc/{HOST['pid']}/fd\")"),
    Attempt("the program of a process of the host", "os.readlink(f\"/proc/{HOST['pid']}/exe\")"),
    Attempt("System V shared memory of the host", "shared_memory(HOST['shm'])"),
    Attempt("fork", "forked()", "allowed", "allowed"),
    Attempt("threads", "threaded()", "allowed", "allowed"),
]

INIT = [
    Attempt("environment of init", "open(f'/proc/{INIT}/environ', 'rb').read()"),
    Attempt("memory of init", "open(f'/proc/{INIT}/mem', 'rb')"),
    Attempt("mappings of init", "open(f'/proc/{INIT}/maps', 'rb').read()"),
    Attempt("descriptors of init", "os.listdir(f'/proc/{INIT}/fd')"),
    Attempt("namespaces of init", "os.readlink(f'/proc/{INIT}/ns/mnt')"),
    Attempt("kill init", "os.kill(INIT, 0)", control="signal_child()"),
    Attempt(
        "limit init",
        "resource.prlimit(INIT, resource.RLIMIT_CORE)",
        control="resource.prlimit(0, resource.RLIMIT_CORE)",
    ),
    Attempt("trace init", "reach('ptrace', 16, INIT, 0, 0)", off=None, control="signal_child()"),
    Attempt("a descriptor of init's", "reach('pidfd_getfd', os.pidfd_open(INIT), 0, 0)"),
]

ONESELF = [
    Attempt("hide from who looks on", "in_child(hide)", control="forked()"),
    Attempt(
        "be as before with the host's crash handler",
        "in_child(no_dumps)",
        control="resource.setrlimit(resource.RLIMIT_FSIZE, resource.getrlimit(resource.RLIMIT_FSIZE))",
    ),
    Attempt(
        "raise a limit",
        "resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 30, 1 << 30))",
        off=None,
        control="resource.setrlimit(resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE))",
    ),
    Attempt(
        "run before everybody else",
        "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))",
        off=None,
        control="os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))",
    ),
    Attempt(
        "a better priority",
        "os.setpriority(os.PRIO_PROCESS, 0, -5)",
        off=None,
        control="os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0))",
    ),
    Attempt(
        "rearrange one's own memory map",
        "libc.prctl(35, 1, 0, 0, 0) and refuse()",
        off=None,
        control="libc.prctl(16, ctypes.create_string_buffer(16), 0, 0, 0) and refuse()",
    ),
]
