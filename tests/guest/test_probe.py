"""What is said of the host: layers with remedies, and the level that follows from them."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import ORDINARY, ROOT

from cellblock.errors import SandboxUnavailable
from cellblock.guest.probe import Layer, best_level
from cellblock.host.launcher import choose_level, probe


def layer(name: str, ok: bool = True, needed_for: str = "full", detail: str = "") -> Layer:
    return {"name": name, "ok": ok, "detail": detail, "remedy": "" if ok else f"get {name}", "needed_for": needed_for}


LANDLOCK = layer("landlock", True, "unprivileged", "ABI 7")


async def test_this_host_is_told_layer_by_layer() -> None:
    found = await probe()
    names = [each["name"] for each in found["layers"]]
    assert {"machine", "user namespace", "mounts", "landlock", "seccomp", "cgroups", "ipykernel"} <= set(names)
    assert all(each["ok"] or each["remedy"] or "not tried" in each["detail"] for each in found["layers"])
    assert found["level"] in {"full", "unprivileged", None}


CONFINED = """
import os, sys, pyseccomp
if int(sys.argv[1]) != os.getuid():
    os.setgroups([]); os.setresgid(*[int(sys.argv[1])] * 3); os.setresuid(*[int(sys.argv[1])] * 3)
profile = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
for name in ("unshare", "mount"): profile.add_rule(pyseccomp.ERRNO(1), name)
profile.load()
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


def confined(python: Path, guest: Path, user: int) -> dict[str, Any]:
    command = [python, "-c", CONFINED, str(user), guest, "probe"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(not ROOT, reason="needs root to become another user")
@pytest.mark.parametrize("user", [0, ORDINARY], ids=["root", "user"])
def test_where_namespaces_are_forbidden_it_says_so_and_what_to_do(
    open_environment: Path, readable: Path, user: int
) -> None:
    found = confined(open_environment, readable / "source/cellblock/guest/__main__.py", user)
    refused = [each for each in found["layers"] if not each["ok"] and each["needed_for"] == "full"]
    assert found["level"] == "unprivileged"
    assert "Operation not permitted" in refused[0]["detail"]
    assert refused[0]["remedy"]
    assert all("not tried" in each["detail"] for each in refused[1:])


REFUSED_MIDWAY = """
import os, sys
sys.path.insert(0, sys.argv[1])
from cellblock.guest import linux, probe, seccomp
probe._user_namespace()
probe._mount_namespace()
linux.mount(None, "/", flags=linux.REC | linux.PRIVATE)
linux.mount("tmpfs", "/usr", "tmpfs", 0, "size=64k")  # in the place of the host's
open("/usr/precious", "w").close()
linux.prctl(linux.NO_NEW_PRIVS, 1)
seccomp.install(seccomp.refusing("mount_setattr"))
try:
    probe._mounts()
except OSError as problem:
    print(problem.errno, os.listdir("/usr"), flush=True)
os._exit(0)
"""


@pytest.mark.parametrize(
    "user",
    [
        pytest.param(0, marks=pytest.mark.skipif(not ROOT, reason="not root"), id="root"),
        pytest.param(ORDINARY, id="user"),
    ],
)
def test_a_host_that_refuses_the_last_mount_keeps_its_programs(
    open_environment: Path, readable: Path, user: int
) -> None:
    own = {"user": user, "group": user, "extra_groups": []} if ROOT else {}
    command = [open_environment, "-c", REFUSED_MIDWAY, readable / "source"]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", **own)
    assert done.stdout.split(maxsplit=1) == ["1", "['precious']\n"], done.stderr


def test_a_layer_that_full_needs_leaves_unprivileged() -> None:
    assert best_level([layer("mounts"), LANDLOCK]) == "full"
    assert best_level([layer("mounts", False), LANDLOCK]) == "unprivileged"


def test_an_old_landlock_leaves_full_only() -> None:
    old = layer("landlock", False, "unprivileged", "ABI 3 of 6")
    assert best_level([layer("mounts"), old]) == "full"
    assert best_level([layer("mounts", False), old]) is None


def test_without_what_every_level_needs_there_is_none() -> None:
    assert best_level([layer("machine", False, "any"), layer("mounts"), LANDLOCK]) is None


def test_limits_that_are_less_exact_do_not_change_the_level() -> None:
    assert best_level([layer("cgroups", False, ""), LANDLOCK]) == "full"


def test_auto_takes_the_best_and_off_is_always_to_be_had() -> None:
    assert choose_level("auto", {"level": "full", "layers": []}) == "full"
    assert choose_level("auto", {"level": "unprivileged", "layers": []}) == "unprivileged"
    assert choose_level("unprivileged", {"level": "full", "layers": []}) == "unprivileged"
    assert choose_level("off", {"level": None, "layers": []}) == "off"


def test_a_level_that_cannot_be_had_is_refused_with_what_is_missing() -> None:
    host = {"level": "unprivileged", "layers": [layer("mounts", False, detail="EPERM"), LANDLOCK]}
    with pytest.raises(SandboxUnavailable, match="mounts: EPERM") as refused:
        choose_level("full", host)
    assert refused.value.hint == "get mounts"


def test_auto_never_means_off() -> None:
    with pytest.raises(SandboxUnavailable):
        choose_level("auto", {"level": None, "layers": [layer("landlock", False, "any", "ABI 0")]})
