"""Interpreters at a level of the sandbox's own: places and programs that every user may enter, and users who do."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from interpreting import Bench, small

from cellblock.host.interpreter import Interpreter
from cellblock.host.launcher import Environment

LEVELS = ("full", "unprivileged")
ROOT = Path(__file__).resolve().parents[2]
# The system counts the tasks of a user: those of another test, run at the same time, would be allowed to this one.
ORDINARY = 12345 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
SERVER = """
aiosqlite alembic httpx2 hypothesis markdown-it-py pydantic pytest pytest-asyncio pytest-timeout sqlalchemy[asyncio]
structlog websockets
""".split()  # what these tests need besides what kernels do
SHARED = ("conftest.py", "templates.py", "host", "guest/environment.py")
TESTED = ("pyproject.toml", "src/cellblock", *(f"tests/{name}" for name in SHARED))


def environments() -> ModuleType:
    """The guest's tests' own module of that name."""
    spec = importlib.util.spec_from_file_location("guest_environment", ROOT / "tests/guest/environment.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def open_place() -> Iterator[Path]:
    """A directory that everybody may enter: without namespaces a kernel of root's walks to its files by the host's paths."""
    place = Path(tempfile.mkdtemp(prefix="cellblock-test-", dir="/var/tmp"))
    place.chmod(0o755)
    try:
        yield place
    finally:
        shutil.rmtree(place)


@asynccontextmanager
async def interpreter_at(level: str, **config: Any) -> AsyncIterator[Bench]:
    """With kernels that every user may run."""
    environment = Environment(python=str(environments().environment()), preload=())
    with open_place() as place:
        limits = small(place / "data", sandbox=level, environments=[environment], **config)
        interpreter = await Interpreter.start(limits)
        try:
            await interpreter.ready()
            yield Bench(interpreter)
        finally:
            await interpreter.aclose()


def as_ordinary_user(file: str, selected: str, patience: float) -> str:
    """Runs some of these tests as one, and gives what pytest said. `file` below tests/host; `selected` as for its -k."""
    module = environments()
    python = module.environment((*module.PACKAGES, *SERVER))
    with open_place() as place:
        for each in TESTED:
            copy_to(place / each, ROOT / each)
        subprocess.run(["chmod", "-R", "a+rX", place], check=True)
        home = place / "home"
        home.mkdir()
        os.chown(home, ORDINARY, ORDINARY)
        command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/host/{file}", "-k", selected]
        done = subprocess.run(
            command,
            cwd=place,
            env={"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"},
            user=ORDINARY,
            group=ORDINARY,
            extra_groups=[],
            capture_output=True,
            text=True,
            timeout=patience,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copy_to(place: Path, source: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, place, ignore=shutil.ignore_patterns("static", "__pycache__", "adapters"))
    else:
        shutil.copy(source, place)


if __name__ == "__main__":
    print(as_ordinary_user(sys.argv[1], sys.argv[2], 600.0))
