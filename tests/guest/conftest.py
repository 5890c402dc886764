"""Places and programs for the guest's tests: what runs as which user, and at which level."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from environment import environment  # noqa: E402

SOURCE = HERE.parents[1] / "src" / "cellblock"
# The system counts the tasks of a user: those of another test, run at the same time, would be allowed to this one.
ORDINARY = 12345 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
SCRIPTS = ("branches.py", "busy.py", "client.py", "scenarios.py", "travels.py")

ROOT = os.getuid() == 0

Scenes = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def readable() -> Iterator[Path]:
    """A directory that everybody may enter, with the guest's source and the scenarios in it."""
    place = Path(tempfile.mkdtemp(prefix="cellblock-test-", dir="/var/tmp"))
    place.chmod(0o755)
    skipped = shutil.ignore_patterns("static", "__pycache__", "adapters")
    shutil.copytree(SOURCE, place / "source" / "cellblock", ignore=skipped)
    for script in (*(HERE / name for name in SCRIPTS), HERE.parent / "templates.py"):
        shutil.copy(script, place)
    shutil.copytree(HERE / "attacks", place / "attacks", ignore=shutil.ignore_patterns("test_*", "__pycache__"))
    shutil.copytree(HERE.parent / "states", place / "states", ignore=shutil.ignore_patterns("__pycache__"))
    for user in {0, os.getuid(), ORDINARY}:  # of a program that kernels may read and their user owns
        own = place / "source" / "cellblock" / "guest" / f"own-{user}"
        own.write_text("a program")
        if ROOT:
            os.chown(own, user, user)
    subprocess.run(["chmod", "-R", "a+rX", place], check=True)
    yield place
    shutil.rmtree(place)


@pytest.fixture(scope="session")
def open_environment() -> Path:
    """The interpreter of an environment that every user may run."""
    return environment()


@pytest.fixture(scope="session")
def scenes(readable: Path, open_environment: Path) -> Scenes:
    """What scenarios find, run once per user and level: (user, level, names, confined) → their JSON."""

    @cache
    def run(user: int, level: str, names: str, confined: bool = False) -> dict[str, Any]:
        data = Path(tempfile.mkdtemp(prefix="data-", dir=readable)) / "data"
        data.parent.chmod(0o755)
        data.mkdir(mode=0o700)
        os.chown(data.parent, user, user)
        os.chown(data, user, user)
        arguments = [readable / "source", str(user), names, level, data, *(["confined"] if confined else [])]
        command = [open_environment, readable / "scenarios.py", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=380 if names.startswith("slow:") else 250, cwd="/"
        )
        log = data / "forkserver.log"
        assert done.returncode == 0, done.stderr + (log.read_text() if log.exists() else "")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return run


USERS = [
    pytest.param(0, id="root", marks=pytest.mark.skipif(not ROOT, reason="the tests do not run as root")),
    pytest.param(ORDINARY if ROOT else os.getuid(), id="user"),
]
TRAVELS = "deaths,kept,usable,lies_down,condenses,chain,attacked,leaves"
BRANCHES = "branches_attack,lies_about_twins,ends,delays,last_one,states_apart"
ALL = "works,lacks,leftovers,handover,bombs,shared"


DIAGONAL = {(0, "full"), (ORDINARY, "unprivileged")}
AT_ALL = ("test_levels.py",)  # ordinary work is tried in every corner, always


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is run as each user and at each level: in `make test` each of them once, in `make test-all` every pair.

    Who is no root has one user, and both levels always.
    """
    for item in items:
        values = item.callspec.params if hasattr(item, "callspec") else {}
        pair = values.get("user"), values.get("level")
        if ROOT and None not in pair and pair not in DIAGONAL and item.path.name not in AT_ALL:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(params=USERS, scope="session")
def user(request: pytest.FixtureRequest) -> int:
    chosen: int = request.param
    return chosen


@pytest.fixture(params=["full", "unprivileged"], scope="session")
def level(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="session")
def travelled(scenes: Scenes, user: int, level: str) -> dict[str, Any]:
    """Every scenario of kernels that come back."""
    return scenes(user, level, TRAVELS)


@pytest.fixture(scope="session")
def branching(scenes: Scenes, user: int, level: str) -> dict[str, Any]:
    """Every scenario of kernels that branch."""
    return scenes(user, level, BRANCHES)


@pytest.fixture(scope="session")
def found(scenes: Scenes, user: int, level: str) -> dict[str, Any]:
    """Every scenario but the attacks, for one user at one level."""
    return scenes(user, level, ALL)
