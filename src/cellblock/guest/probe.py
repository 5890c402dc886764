"""What this host gives: each layer of the sandbox is tried in a child process, and what is missing has a remedy.

`python …/guest/__main__.py probe` prints a Report as JSON. It changes nothing on the host.
"""

import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import TypedDict

from cellblock.guest import filesystem, limits, linux
from cellblock.messages import Level

UNPRIVILEGED_ABI = 6
FIRST_UID = 200_000


class Layer(TypedDict):
    """`needed_for`: the level that cannot be had without it; empty where it only makes limits better."""

    name: str
    ok: bool
    detail: str
    remedy: str
    needed_for: str


class Report(TypedDict):
    """`level`: the best that this user can have here; None when there is none."""

    level: Level | None
    layers: list[Layer]
    machine: str
    kernel: str
    user: int
    python: str
    ipykernel: str | None


def main(_arguments: list[str]) -> None:
    json.dump(probe(), sys.stdout)


def probe() -> Report:
    """Tries every layer, in the order in which a sandbox needs them."""
    layers = [machine(), own_users(), *namespaces(), landlock(), seccomp(), cgroups(), kernel_package()]
    system = os.uname()
    return {
        "level": best_level(layers),
        "layers": layers,
        "machine": system.machine,
        "kernel": system.release,
        "user": os.getuid(),
        "python": sys.version.split()[0],
        "ipykernel": _version("ipykernel"),
    }


def best_level(layers: list[Layer]) -> Level | None:
    """`full` needs every layer that is needed at all, `unprivileged` those that are needed for it."""
    missing = {layer["needed_for"] for layer in layers if not layer["ok"]}
    if "any" in missing or "unprivileged" in missing:
        return None if "any" in missing or "full" in missing or _abi(layers) < 1 else "full"
    return "unprivileged" if "full" in missing else "full"


def _abi(layers: list[Layer]) -> int:
    return next(int(layer["detail"].split()[1]) for layer in layers if layer["name"] == "landlock")


def _layer(name: str, ok: bool, detail: str, remedy: str, needed_for: str = "") -> Layer:
    return {"name": name, "ok": ok, "detail": detail, "remedy": "" if ok else remedy, "needed_for": needed_for}


def machine() -> Layer:
    return _layer(
        "machine",
        linux.supported(),
        f"{os.uname().sysname} on {os.uname().machine}",
        "Kernels are shut in on Linux on x86_64 or aarch64 only.",
        "any",
    )


# --- namespaces ------------------------------------------------------------------------------------------------------


def namespaces() -> list[Layer]:
    """One layer per step into the base root; after the first that fails the others cannot be tried."""
    steps: list[tuple[str, Callable[[], None]]] = [
        ("user namespace", _user_namespace),
        ("mount and PID namespaces", _mount_namespace),
        ("mounts", _mounts),
        ("network, IPC, UTS and cgroup namespaces", _other_namespaces),
        ("nested user namespace", _nested),
    ]
    failed = _try_in_child([take for _, take in steps])
    layers = []
    for index, (name, _) in enumerate(steps):
        reached = failed is None or index < failed[0]
        why = (
            "" if reached else failed[1] if failed and index == failed[0] else "not tried: the layer before is missing"
        )
        remedy = _remedy(why) if failed and index == failed[0] else ""
        layers.append(_layer(name, reached, why, remedy, "full"))
    return layers


def _user_namespace() -> None:
    uid, gid = os.getuid(), os.getgid()
    if uid:
        linux.unshare(linux.NEWUSER)
        linux.map_identity(uid, gid, uid, gid)


def _mount_namespace() -> None:
    linux.unshare(linux.NEWNS | linux.NEWPID)
    pid = os.fork()
    if pid:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 0xFF)


def _mounts() -> None:
    place = tempfile.mkdtemp()
    try:
        linux.mount(None, "/", flags=linux.REC | linux.PRIVATE)
        linux.mount("tmpfs", place, "tmpfs", linux.NOSUID | linux.NODEV, "size=64k")
        try:
            _mounts_below(place)
        finally:
            linux.unmount(place)
    finally:
        os.rmdir(place)  # never with what is in it: that may be the host's programs


def _mounts_below(place: str) -> None:
    for name in ("proc", "usr"):
        os.mkdir(f"{place}/{name}")
    linux.mount("proc", f"{place}/proc", "proc", linux.NOSUID | linux.NODEV | linux.NOEXEC)
    linux.mount("/usr", f"{place}/usr", flags=linux.BIND | linux.REC)
    linux.mount_read_only(f"{place}/usr")


def _other_namespaces() -> None:
    linux.unshare(linux.NEWNET | linux.NEWIPC | linux.NEWUTS | linux.NEWCGROUP)
    filesystem.raise_loopback()


def _nested() -> None:
    uid, gid = os.getuid(), os.getgid()
    linux.unshare(linux.NEWUSER)
    linux.map_identity(1000, 1000, uid, gid)


def _try_in_child(steps: list[Callable[[], None]]) -> tuple[int, str] | None:
    """The index of the step that failed, and why; None when none did."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        for index, take in enumerate(steps):
            try:
                take()
            except OSError as problem:
                os.write(writer, f"{index} {problem}".encode())
                os._exit(1)
        os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    with open(reader, "rb") as said:
        index_and_why = said.read().decode(errors="replace")
    if not index_and_why:
        return None
    first, _, why = index_and_why.partition(" ")
    return int(first), why


def _remedy(why: str) -> str:
    """What an operator can do, as far as the host's settings tell the reason."""
    if _setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" and os.getuid():
        return (
            "Ubuntu's AppArmor forbids it to ordinary users: "
            "`sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`, or an AppArmor profile with `userns,`."
        )
    if _setting("/proc/sys/kernel/unprivileged_userns_clone") == "0" and os.getuid():
        return "Switched off for ordinary users: `sudo sysctl kernel.unprivileged_userns_clone=1`."
    if _setting("/proc/sys/user/max_user_namespaces") == "0":
        return "No user namespaces are allowed: `sudo sysctl user.max_user_namespaces=10000`."
    if os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv"):
        return (
            "The container's seccomp profile or masked /proc forbids it: run it with "
            "`--security-opt seccomp=unconfined --security-opt systempaths=unconfined`; "
            "as root, also `--cap-add SYS_ADMIN`."
        )
    return f"The host refused: {why}. Ask its operator to allow user namespaces and mounts in them."


def _setting(path: str) -> str:
    try:
        return linux.read(path).strip()
    except OSError:
        return ""


# --- the other layers ------------------------------------------------------------------------------------------------


def landlock() -> Layer:
    """Level full takes any version; without namespaces signals must be held back too, which version 6 brought."""
    abi = filesystem.landlock_abi()
    if abi >= UNPRIVILEGED_ABI:
        return _layer("landlock", True, f"ABI {abi}", "", "unprivileged")
    if abi:
        remedy = "Level unprivileged needs ABI 6: Linux 6.12 or newer. Level full does not."
        return _layer("landlock", False, f"ABI {abi} of {UNPRIVILEGED_ABI}", remedy, "unprivileged")
    remedy = "Linux 5.13 or newer with CONFIG_SECURITY_LANDLOCK, and `landlock` in the boot parameter lsm=."
    return _layer("landlock", False, "ABI 0: this kernel has none", remedy, "any")


def seccomp() -> Layer:
    actions = _setting("/proc/sys/kernel/seccomp/actions_avail")
    library = importlib.util.find_spec("pyseccomp") is not None
    ok = "errno" in actions.split()
    detail = "filters can be installed" if ok else "this kernel has no seccomp filters"
    detail += "" if library else "; pyseccomp is not in this interpreter (only the server's needs it)"
    return _layer("seccomp", ok, detail, "Linux with CONFIG_SECCOMP_FILTER.", "any")


def cgroups() -> Layer:
    """Whether the host can limit memory, processes and CPU for us; without, rlimits and a watchdog do it."""
    hierarchy = limits.available()
    remedy = (
        "Limits are kept by rlimits and a watchdog, less exactly. For cgroups run the server as a systemd service "
        "with Delegate=yes, or under `systemd-run --user --scope -p Delegate=yes`."
    )
    if hierarchy is None:
        return _layer("cgroups", False, "no memory and pids controllers for this process", remedy)
    places = list(hierarchy.directories.values())
    writable = all(os.access(place, os.W_OK) for place in places)
    if hierarchy.version == 2:  # a sibling will do
        writable = writable or all(os.access(os.path.dirname(place), os.W_OK) for place in places)
    detail = f"version {hierarchy.version}" + ("" if writable else ", which this user may not write")
    return _layer("cgroups", writable, detail, remedy)


def own_users() -> Layer:
    """As root: whether each kernel can be given a user of its own (not in a container with few of them)."""
    failed = _try_in_child([lambda: os.setresuid(FIRST_UID, FIRST_UID, FIRST_UID)]) if os.getuid() == 0 else None
    remedy = "Map more users into the container (subuid), or run the server as an ordinary user."
    return _layer("a user for each kernel", failed is None, failed[1] if failed else "", remedy, "any")


def kernel_package() -> Layer:
    found = _version("ipykernel")
    remedy = f"{sys.executable} -m pip install 'ipykernel>=7'"
    return _layer("ipykernel", found is not None, f"{found or 'not installed'} in {sys.prefix}", remedy)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
