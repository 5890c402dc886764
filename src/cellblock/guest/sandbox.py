"""Closes a sandbox: one ordered list of restrictions for init, one for the kernel. Every step or nothing."""

import errno
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from cellblock.guest import filesystem, limits, linux, seccomp, threads
from cellblock.guest.marks import milliseconds
from cellblock.messages import Level, Policy

CAPABILITY_VERSION = 0x20080522
INSIDE_UID = 1000
WORKSPACE = "/workspace"
KERNEL_OOM_SCORE = 1000
NAMESPACE_LIMITS = {"max_user_namespaces": 0, "max_inotify_instances": 16}
SPARE_NAMESPACES = linux.NEWNS | linux.NEWNET | linux.NEWIPC | linux.NEWUTS
KEPT_ENVIRONMENT = ("LANG", "TZ")
ENVIRONMENT = {
    "USER": "user",
    "LOGNAME": "user",
    "SHELL": "/bin/sh",
    "TERM": "xterm-color",
    "CLICOLOR": "1",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PLOTLY_RENDERER": "plotly_mimetype",
    "PYTHONDONTWRITEBYTECODE": "1",
}


class StepFailed(Exception):
    """A restriction could not be put in place: its name, and why."""

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"{step}: {reason}")
        self.step = step
        self.reason = reason


@dataclass
class Sandbox:
    """What the steps need to know of one kernel, and the time each of them took."""

    policy: Policy
    home: str  # as this process sees it: below /.host, or the host's own path
    uid: int
    root: bool  # whether this process may change its user
    prefixes: Sequence[str]
    filter: bytes
    grouped: bool  # a cgroup limits it
    keep: set[int]  # descriptors that outlive the closing
    stages: dict[str, float] = field(default_factory=dict)
    namespaces: dict[int, int] = field(default_factory=dict)  # of the init that a kernel joins: descriptors by kind

    @property
    def full(self) -> bool:
        return self.policy.level == "full"

    @property
    def workspace(self) -> str:
        return WORKSPACE if self.full else f"{self.home}/files"

    @property
    def branches(self) -> str:
        """Where the workspaces of branches lie, each in a directory that stays when it goes."""
        return "/forks" if self.full else f"{self.home}/b"

    def branch(self, name: str) -> str:
        """The workspace of a branch: a path as long as `workspace`; see guest/moving.py."""
        return f"{self.branches}/{name}/w"

    @property
    def sockets(self) -> str:
        return "/run/cb" if self.full else f"{self.home}/run"

    @property
    def private(self) -> str:
        """A place for HOME and temporary files; never the workspace."""
        return filesystem.TMP if self.full else f"{self.home}/tmp"  # noqa: S108


@dataclass(frozen=True)
class Step:
    name: str
    take: Callable[[Sandbox], None]
    levels: tuple[Level, ...] = ("full", "unprivileged", "off")


@contextmanager
def named(step: str) -> Iterator[None]:
    """What fails in it fails under the name of a step."""
    try:
        yield
    except (OSError, ValueError) as problem:
        raise StepFailed(step, str(problem)) from problem


def close(sandbox: Sandbox, steps: Sequence[Step]) -> None:
    """Takes the steps of the sandbox's level, in order. StepFailed at the first that cannot be taken."""
    for step in steps:
        if sandbox.policy.level not in step.levels:
            continue
        began = time.perf_counter()
        with named(step.name):
            step.take(sandbox)
        sandbox.stages[step.name] = milliseconds(began)


# --- init's steps ----------------------------------------------------------------------------------------------------


def _session(_: Sandbox) -> None:
    os.setsid()
    linux.prctl(linux.PDEATHSIG, signal.SIGTERM)


def _namespaces(_: Sandbox) -> None:
    linux.unshare(SPARE_NAMESPACES)


def _network(_: Sandbox) -> None:
    filesystem.raise_loopback()
    linux.sethostname(b"cellblock")


def _mounts(sandbox: Sandbox) -> None:
    """Shared memory may be as large as memory where a cgroup counts it as such: processes pass arrays through it."""
    policy = sandbox.policy
    shm = policy.memory if sandbox.grouped else policy.tmp
    filesystem.mount_own(sandbox.home, policy.tmp, shm, sandbox.prefixes)


def _adopt_orphans(_: Sandbox) -> None:
    linux.prctl(linux.CHILD_SUBREAPER, 1)


def _descriptors(sandbox: Sandbox) -> None:
    linux.close_all_but({0, 1, 2, *sandbox.keep})


def _user(sandbox: Sandbox) -> None:
    if not sandbox.root:
        return
    os.setgroups([])
    os.setresgid(sandbox.uid, sandbox.uid, sandbox.uid)
    os.setresuid(sandbox.uid, sandbox.uid, sandbox.uid)
    linux.prctl(linux.DUMPABLE, 1)  # lost with the user; without it /proc/self/uid_map is root's
    linux.prctl(linux.PDEATHSIG, signal.SIGTERM)  # lost as well


def _reachable(sandbox: Sandbox) -> None:
    """As another user than the server's: the paths that a mount namespace would have brought near."""
    for path in (sandbox.workspace, sandbox.sockets, sandbox.private, *sandbox.prefixes):
        if not os.access(path, os.R_OK | os.X_OK):
            raise OSError(
                f"user {sandbox.uid} may not enter {path}; let others enter its parent directories, or run without root"
            )


def _user_namespace(sandbox: Sandbox) -> None:
    gid = os.getgid()
    linux.unshare(linux.NEWUSER)
    linux.map_identity(INSIDE_UID, INSIDE_UID, sandbox.uid, gid)


def _namespace_limits(_: Sandbox) -> None:
    """Counted per user of the host otherwise: no namespaces below this one, and a few watches on files."""
    for name, most in NAMESPACE_LIMITS.items():
        linux.write(f"/proc/sys/user/{name}", str(most))


def _capabilities(sandbox: Sandbox) -> None:
    if sandbox.full:
        for capability in range(64):
            try:
                linux.prctl(linux.CAPBSET_DROP, capability)
            except OSError as problem:
                if problem.errno != errno.EINVAL:
                    raise
                break  # past the last one
    linux.prctl(linux.CAP_AMBIENT, 4)
    header = CAPABILITY_VERSION.to_bytes(4, sys.byteorder) + bytes(4)
    linux.syscall("capset", header, bytes(24))
    linux.prctl(linux.NO_NEW_PRIVS, 1)


def _environment(sandbox: Sandbox) -> None:
    lay_environment(sandbox.workspace, sandbox.private, threads.granted(sandbox.policy))
    os.umask(0o022)
    os.chdir(sandbox.workspace)


def lay_environment(workspace: str, private: str, cores: int) -> None:
    """The variables of a kernel, and no others. The template has those of most already: to set them costs each 0.5 MB."""
    if _laid == [workspace, private, cores]:
        return
    kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    os.environ.clear()
    path = f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin"
    os.environ.update(ENVIRONMENT | {"LANG": "C.UTF-8"} | kept | {"PATH": path, "PWD": workspace})
    os.environ.update(threads.environment(cores), HOME=private, TMPDIR=private)
    os.environ.update(MPLCONFIGDIR=f"{private}/.config/matplotlib", IPYTHONDIR=f"{private}/.ipython")
    _laid[:] = workspace, private, cores


def lay_usual_environment() -> None:
    """In the template at level full."""
    lay_environment(WORKSPACE, filesystem.TMP, threads.granted(Policy("full")))


_laid: list[object] = []


SHUT: tuple[Level, ...] = ("full", "unprivileged")
FULL: tuple[Level, ...] = ("full",)
UNSHIELDED: tuple[Level, ...] = ("unprivileged", "off")

# At level full an init takes these before it knows for whom; see nursery.py.
SPARE = (
    Step("session", _session, FULL),
    Step("namespaces", _namespaces, FULL),
    Step("network", _network, FULL),
)

INIT = (
    Step("session", _session, UNSHIELDED),
    Step("mounts", _mounts, FULL),
    Step("orphans", _adopt_orphans, UNSHIELDED),
    Step("descriptors", _descriptors),
    Step("user", _user, SHUT),
    Step("reachable", _reachable, ("unprivileged",)),
    # Last of the namespaces: the others then belong to the fork server's, and RLIMIT_NPROC counts this sandbox.
    Step("user namespace", _user_namespace, FULL),
    Step("namespace limits", _namespace_limits, FULL),
    Step("capabilities", _capabilities, SHUT),
    Step("environment", _environment, UNSHIELDED),
)


# --- the kernel's steps ----------------------------------------------------------------------------------------------


def _own_session(_: Sandbox) -> None:
    os.setsid()


def _join(sandbox: Sandbox) -> None:
    for kind, fd in sandbox.namespaces.items():
        if kind != linux.NEWUSER:
            linux.setns(fd, kind)
    linux.unshare(linux.NEWCGROUP)  # its own, whose root is the group it was born in


def _join_user_namespace(sandbox: Sandbox) -> None:
    linux.setns(sandbox.namespaces[linux.NEWUSER], linux.NEWUSER)


def _die_with_init(_: Sandbox) -> None:
    linux.prctl(linux.PDEATHSIG, signal.SIGKILL)


def _score(_: Sandbox) -> None:
    try:
        linux.write("/proc/self/oom_score_adj", str(KERNEL_OOM_SCORE))
    except OSError:
        pass  # not a restriction: it only says whom the host should choose first


def _limits(sandbox: Sandbox) -> None:
    before = 0 if sandbox.full else limits.tasks_of(os.getuid())
    held = None if sandbox.grouped else limits.data_held()
    limits.apply_rlimits(limits.rlimits(sandbox.policy, tasks_before=before, data_before=held))


def _landlock(sandbox: Sandbox) -> None:
    if sandbox.full:
        filesystem.landlock(filesystem.FULL_RULES, forbid_tcp=False)
        return
    abi = filesystem.landlock_abi()
    if abi < 6:
        raise OSError(f"Landlock ABI {abi}: below 6 it does not stop signals to other processes of the user")
    filesystem.landlock(filesystem.unprivileged_rules(sandbox.home, sandbox.prefixes), forbid_tcp=True)


def _seccomp(sandbox: Sandbox) -> None:
    seccomp.install(sandbox.filter)


# At level full a kernel is a child of the fork server, born in the PID namespace of its init; elsewhere a child of init.
JOIN = (
    Step("own session", _own_session, FULL),
    Step("join namespaces", _join, FULL),
    Step("user", _user, FULL),
    Step("join user namespace", _join_user_namespace, FULL),
    Step("descriptors", _descriptors, FULL),
    Step("capabilities", _capabilities, FULL),
    Step("environment", _environment, FULL),
)

KERNEL = (
    Step("die with init", _die_with_init),
    Step("out-of-memory score", _score),
    Step("limits", _limits),
    Step("landlock", _landlock, SHUT),  # before any thread: it binds only the one that calls
    Step("seccomp", _seccomp, SHUT),
)


def _no_listeners(_: Sandbox) -> None:
    """Names of abstract sockets are the whole host's here: code could answer in the place of another program."""
    seccomp.install(seccomp.refusing("bind"), all_threads=True)


OPENED = (Step("no more listeners", _no_listeners, ("unprivileged",)),)  # once the kernel has bound its own sockets


def shut_init(filter_program: bytes, level: Level) -> None:
    """Once the kernel is born: nothing of init is readable through /proc, it imports nothing from the workspace, and it
    keeps to the same system calls."""
    linux.prctl(linux.DUMPABLE, 0)
    os.umask(0o022)
    os.chdir("/")
    sys.path[:] = [place for place in sys.path if place]
    if level != "off":
        seccomp.install(filter_program)


def packet_pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
