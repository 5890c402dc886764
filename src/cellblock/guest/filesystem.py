"""What a kernel can see and touch of the file system: the base root, its own mounts, and Landlock over both."""

import fcntl
import os
import site
import socket
import struct
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from cellblock.guest import linux
from cellblock.guest.linux import BIND, NODEV, NOEXEC, NOSUID, PRIVATE, REC, REMOUNT
from cellblock.messages import BRANCHES

TMP, SHM = "/tmp", "/dev/shm"  # noqa: S108
HOST = "/.host"  # the data directory inside the base root; a kernel has it no more
SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix", "gnu")
SSL = ("ssl/certs", "ssl/cert.pem", "ssl/openssl.cnf")  # not ssl/private
ETC = ("alternatives", "fonts", *SSL, "localtime", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "mime.types")
ETC_FILES = {
    "passwd": "user:x:1000:1000::/tmp:/bin/sh\n",
    "group": "user:x:1000:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
DEVICES = ("null", "zero", "full", "random", "urandom")
DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "fd/0",
    "stdout": "fd/1",
    "stderr": "fd/2",
    "ptmx": "pts/ptmx",
}
MASKED = ("keys", "key-users")  # names of keys that the server's user holds
TEMPLATE_TMP = 64 << 20
TERMINALS = 64


def interpreter_prefixes() -> list[str]:
    """Directories this interpreter and its packages live in, as they are spelt and as they really are.

    Of a prefix that is a home, or holds one, only the interpreter's parts: kernels may read all that is named here.
    """
    found = {
        sys.prefix,
        sys.base_prefix,
        sys.exec_prefix,
        os.path.dirname(os.path.dirname(os.path.realpath(sys.executable))),
    }
    found.add(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # the guest's own files
    if site.ENABLE_USER_SITE and site.USER_SITE:
        found.add(site.USER_SITE)
    spelt = {os.path.abspath(path) for path in found} | {os.path.realpath(path) for path in found}
    return sorted({part for path in spelt for part in narrowed(path, os.path.expanduser("~")) if os.path.isdir(part)})


def narrowed(prefix: str, home: str) -> list[str]:
    """A prefix, or where that would show a home its parts with programs and libraries."""
    if not f"{home}/".startswith(f"{prefix.rstrip('/')}/"):
        return [prefix]
    return [f"{prefix.rstrip('/')}/{part}" for part in ("bin", "lib", "lib64")]


# --- the base root: once per fork server -----------------------------------------------------------------------------


def enter_base_root(data: str, prefixes: Collection[str]) -> None:
    """In a mount namespace of our own: a root that holds the interpreter and no more of the host. HOST is `data`."""
    scratch = os.path.join(data, ".root")
    os.makedirs(scratch, exist_ok=True)
    os.umask(0o022)
    linux.mount(None, "/", flags=REC | PRIVATE)
    linux.mount("tmpfs", scratch, "tmpfs", NOSUID | NODEV, "size=16m,mode=755")
    os.makedirs(scratch + TMP)
    _scratch(scratch + TMP, TEMPLATE_TMP)  # first: an environment may lie in it; and without it warming fails
    _system(scratch, prefixes)
    _etc(scratch)
    _devices(scratch)
    _own_places(scratch, data)
    _hide(scratch, data, prefixes)
    _pivot(scratch)


def _system(root: str, prefixes: Iterable[str]) -> None:
    for name in SYSTEM:
        if os.path.islink(f"/{name}"):
            os.symlink(os.readlink(f"/{name}"), f"{root}/{name}")
        elif os.path.isdir(f"/{name}"):
            _graft(f"/{name}", f"{root}/{name}")
    _prefixes(root, prefixes)


def _prefixes(root: str, prefixes: Iterable[str]) -> None:
    for prefix in prefixes:
        if not os.path.lexists(root + prefix):
            _graft(prefix, root + prefix)


def _hide(root: str, data: str, prefixes: Collection[str]) -> None:
    """The data directory, where it lies in what kernels may read, by each name that this has; not an interpreter in it."""
    for place in (*(f"/{name}" for name in SYSTEM if not os.path.islink(f"/{name}")), *prefixes):
        real = os.path.realpath(place)
        seen = f"{root}{place}{data.removeprefix(real)}"
        if f"{data}/".startswith(f"{real}/") and os.path.isdir(seen):
            linux.mount("tmpfs", seen, "tmpfs", NOSUID | NODEV, "size=4k,mode=555")
    _prefixes(root, prefixes)


def _etc(root: str) -> None:
    os.makedirs(f"{root}/etc", exist_ok=True)
    pythons = [name for name in os.listdir("/etc") if name.startswith("python")]
    for name in (*ETC, *pythons):
        if os.path.exists(f"/etc/{name}"):
            _graft(os.path.realpath(f"/etc/{name}"), f"{root}/etc/{name}")
    for name, text in ETC_FILES.items():
        with open(f"{root}/etc/{name}", "w") as file:
            file.write(text)


def _devices(root: str) -> None:
    for name in ("shm", "pts"):
        os.makedirs(f"{root}/dev/{name}")
    for name in DEVICES:
        with open(f"{root}/dev/{name}", "w"):
            pass
        linux.mount(f"/dev/{name}", f"{root}/dev/{name}", flags=BIND)
    for name, target in DEVICE_LINKS.items():
        os.symlink(target, f"{root}/dev/{name}")
    _terminals(f"{root}/dev/pts")


def _own_places(root: str, data: str) -> None:
    for name in ("proc", "workspace", "forks", "run/cb", HOST[1:], ".old"):
        os.makedirs(f"{root}/{name}", exist_ok=True)
    _scratch(root + SHM, TEMPLATE_TMP)
    linux.mount(data, root + HOST, flags=BIND)
    # Before the host's is gone: a user namespace may mount /proc only where one is fully visible.
    linux.mount("proc", f"{root}/proc", "proc", NOSUID | NODEV | NOEXEC)


def _pivot(root: str) -> None:
    linux.syscall("pivot_root", os.fsencode(root), os.fsencode(f"{root}/.old"))
    os.chdir("/")
    linux.unmount("/.old")
    os.rmdir("/.old")
    linux.mount_read_only("/", recursive=False)


def _graft(source: str, target: str) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "w"):
            pass
    linux.mount(source, target, flags=BIND | REC)
    linux.mount_read_only(target)


def _scratch(target: str, size: int) -> None:
    # As many files as pages: an empty one takes memory too, which `size` does not count.
    linux.mount("tmpfs", target, "tmpfs", NOSUID | NODEV, f"size={size},nr_inodes={size // 4096 + 1},mode=1777")


def _terminals(target: str) -> None:
    # `max`: the host has 4096 terminals for everybody.
    linux.mount("devpts", target, "devpts", NOSUID | NOEXEC, f"newinstance,ptmxmode=0666,mode=620,max={TERMINALS}")


# --- one kernel's own mounts, on top of the base root ----------------------------------------------------------------


def mount_own(home: str, tmp: int, shm: int, prefixes: Iterable[str]) -> None:
    """Own /proc, /tmp, /dev/shm and terminals; from `home` the workspace, the sockets, and room for branches. HOST goes."""
    linux.mount("proc", "/proc", "proc", NOSUID | NODEV | NOEXEC)
    for name in MASKED:
        if os.path.exists(f"/proc/{name}"):
            linux.mount("/dev/null", f"/proc/{name}", flags=BIND)
    hidden = {p: os.open(p, os.O_PATH | os.O_CLOEXEC) for p in prefixes if p.startswith(f"{TMP}/")}
    _scratch(TMP, tmp)
    for prefix, fd in hidden.items():
        os.makedirs(prefix, exist_ok=True)
        linux.mount(f"/proc/self/fd/{fd}", prefix, flags=BIND | REC)
        os.close(fd)
    _scratch(SHM, shm)
    _terminals("/dev/pts")
    for part, target in (("files", "/workspace"), ("run", "/run/cb"), ("b", "/forks")):
        linux.mount(f"{home}/{part}", target, flags=BIND)
        linux.mount(None, target, flags=REMOUNT | BIND | NOSUID | NODEV)
    linux.unmount(HOST)


def raise_loopback() -> None:
    """Brings `lo` up in a new network namespace."""
    set_flags, up_and_running = 0x8914, 0x1 | 0x40
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sh14x", b"lo", up_and_running))


# --- Landlock --------------------------------------------------------------------------------------------------------

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE, IOCTL_DEVICE = 1, 2, 4, 8, 1 << 14, 1 << 15
READ = EXECUTE | READ_FILE | READ_DIR
MAKE_SOCKET = 1 << 9
EVERYTHING = (1 << 16) - 1
SOCKETS = READ | MAKE_SOCKET  # no files, directories or links: no quota watches the place, and the server looks at it
_ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEVICE
_RIGHTS_SINCE = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_TCP_SINCE, _SCOPES_SINCE = 4, 6

FULL_RULES: Mapping[str, int] = {
    "/": READ,
    "/dev": READ | WRITE_FILE | IOCTL_DEVICE,
    "/workspace": EVERYTHING,
    **{f"/forks/{name}": EVERYTHING for name in BRANCHES},  # not what they lie in: none can be replaced by a link
    TMP: EVERYTHING,
    SHM: EVERYTHING,
    "/run/cb": SOCKETS,
    "/proc": READ | WRITE_FILE | TRUNCATE,
}


def landlock_abi() -> int:
    """The Landlock version of this host; 0 where there is none."""
    try:
        return linux.syscall("landlock_create_ruleset", None, 0, 1)
    except OSError:
        return 0


def unprivileged_rules(home: str, prefixes: Iterable[str]) -> dict[str, int]:
    """Paths a kernel may use where it has no mount namespace of its own. There is no /proc among them."""
    places = [*(f"/{name}" for name in SYSTEM), *(f"/etc/{name}" for name in ETC), *prefixes]
    rules = {path: READ for path in places if os.path.exists(path)}
    rules |= {f"{home}/files": EVERYTHING, f"{home}/run": SOCKETS, f"{home}/tmp": EVERYTHING}  # noqa: S108
    rules |= {f"{home}/b/{name}": EVERYTHING for name in BRANCHES}
    rules |= {
        f"/dev/{name}": READ_FILE | WRITE_FILE for name in ("null", "zero", "full") if os.path.exists(f"/dev/{name}")
    }
    return rules | {f"/dev/{name}": READ_FILE for name in ("random", "urandom")}


def landlock(rules: Mapping[str, int], *, forbid_tcp: bool) -> None:
    """Shuts this thread, and what it starts, into `rules`, for good. A missing path is an error."""
    ruleset = Ruleset.made(forbid_tcp=forbid_tcp)
    for path, access in rules.items():
        ruleset.allow(path, access)
    linux.prctl(linux.NO_NEW_PRIVS, 1)
    shut_in(ruleset.fd)
    os.close(ruleset.fd)


def shut_in(ruleset: int) -> None:
    """This thread, and what it starts, for good."""
    linux.syscall("landlock_restrict_self", ruleset, 0)


class Ruleset(NamedTuple):
    """A descriptor, and the rights that are refused where no rule allows them."""

    fd: int
    rights: int

    @classmethod
    def made(cls, *, forbid_tcp: bool) -> "Ruleset":
        """One without rules, of all that this host's Landlock knows. OSError where there is none."""
        abi = landlock_abi()
        if abi < 1:
            raise OSError("this kernel has no Landlock, or it is switched off (boot parameter lsm=)")
        rights = _RIGHTS_SINCE[max(since for since in _RIGHTS_SINCE if since <= abi)]
        attributes = struct.pack(
            "=QQQ", rights, 3 if forbid_tcp and abi >= _TCP_SINCE else 0, 3 if abi >= _SCOPES_SINCE else 0
        )
        attributes = attributes[: 8 if abi < _TCP_SINCE else 16 if abi < _SCOPES_SINCE else 24]
        return cls(linux.syscall("landlock_create_ruleset", attributes, len(attributes), 0), rights)

    def allow(self, path: str, access: int) -> None:
        """All below a directory, or a file. OSError."""
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            granted = access & self.rights if os.path.isdir(path) else access & self.rights & _ON_FILES
            linux.syscall("landlock_add_rule", self.fd, 1, struct.pack("=Qi", granted, fd), 0)
        except OSError as problem:
            raise OSError(problem.errno, f"{problem.strerror} ({path})") from None
        finally:
            os.close(fd)
