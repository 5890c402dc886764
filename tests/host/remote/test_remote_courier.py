"""What an other end tells of files is not believed: nothing leaves the workspace, and no more comes than it may hold."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cellblock.host.remote.courier import Courier
from cellblock.host.remote.journey import There
from cellblock.host.remote.record import Record
from cellblock.host.remote.rest import Refused, Unanswered
from cellblock.host.workspace import Workspace


@dataclass
class Way:
    """A way for files that gives what it was told to give."""

    files: dict[str, bytes] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)  # that it tells, where they are not true
    fails: Exception | None = None
    more: bool = False
    read: list[str] = field(default_factory=list)

    async def listed(self, most: int) -> tuple[dict[str, There], bool]:
        if self.fails:
            raise self.fails
        told = {path: self.sizes.get(path, len(data)) for path, data in self.files.items()}
        return {path: There(size, str(hash(self.files[path]))) for path, size in told.items()}, self.more

    async def chunks(self, path: str, size: int) -> AsyncIterator[bytes]:
        self.read.append(path)
        data = self.files[path]
        for at in range(0, len(data), 1000):
            yield data[at : at + 1000]

    async def write(self, path: str, chunks: AsyncIterator[bytes]) -> str:
        if self.fails:
            raise self.fails
        self.files[path] = b"".join([chunk async for chunk in chunks])
        return str(hash(self.files[path]))

    async def remove(self, paths: list[str]) -> None:
        for path in paths:
            del self.files[path]


@dataclass
class Pair:
    workspace: Workspace
    way: Way
    courier: Courier

    def here(self) -> dict[str, bytes]:
        root = self.workspace.root
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    root = tmp_path / "home" / "files"
    root.mkdir(parents=True)
    way = Way()
    record = Record("http://x", "k", "s", "python", "3.11", "contents", "/there")
    return Pair(Workspace(root, limit=100_000, upload_limit=10), way, Courier(record, root.parent, way))


@pytest.mark.parametrize(
    "path", ["../out", "/etc/out", "a/../../out", "..", "", "a\0b", "a/" * 70 + "b", "x" * 300, "\ud800"]
)
async def test_no_path_leaves_the_workspace(pair: Pair, path: str, tmp_path: Path) -> None:
    pair.way.files = {path: b"evil", "good": b"good"}
    notice = await pair.courier.back(pair.workspace, whole=True)
    assert pair.here() == {"good": b"good"}
    assert str(notice).startswith("1 files that it changed could not be fetched")
    assert {each.name for each in tmp_path.iterdir()} == {"home"}
    assert str(notice).encode()


async def test_a_link_here_is_not_followed(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (pair.workspace.root / "link").symlink_to(tmp_path / "outside")
    pair.way.files = {"link/x": b"evil", "link": b"evil"}
    assert await pair.courier.back(pair.workspace, whole=True)
    assert list((tmp_path / "outside").iterdir()) == []
    assert (pair.workspace.root / "link").is_symlink()


async def test_more_than_was_told_does_not_come(pair: Pair) -> None:
    pair.way.files = {"liar": b"x" * 50_000}
    pair.way.sizes = {"liar": 10}
    assert "liar" in str(await pair.courier.back(pair.workspace, whole=True))
    assert pair.here() == {}


async def test_no_more_comes_than_the_workspace_may_hold(pair: Pair) -> None:
    pair.way.files = dict.fromkeys("abc", b"x" * 40000)
    notice = await pair.courier.back(pair.workspace, whole=True)
    assert sorted(pair.here()) == ["a", "b"]
    assert "c: the workspace has no room for it" in str(notice)
    assert pair.way.read == ["a", "b"]


async def test_nothing_is_removed_here_unless_the_kernel_lives_and_all_is_known(pair: Pair) -> None:
    (pair.workspace.root / "mine").write_bytes(b"mine")
    assert await pair.courier.there(pair.workspace) is None
    pair.way.files = {}
    assert await pair.courier.back(pair.workspace, whole=False) is None
    assert pair.here() == {"mine": b"mine"}
    pair.way.more = True
    assert "more than 10,000 files" in str(await pair.courier.back(pair.workspace, whole=True))
    assert pair.here() == {"mine": b"mine"}
    pair.way.more = False
    assert await pair.courier.back(pair.workspace, whole=True) is None
    assert pair.here() == {}


@pytest.mark.parametrize("problem", [Unanswered("it did not answer in time"), Refused(403, "read-only")])
async def test_what_could_not_travel_is_told_and_travels_the_next_time(pair: Pair, problem: Exception) -> None:
    (pair.workspace.root / "mine").write_bytes(b"mine")
    pair.way.fails = problem
    assert str(problem).rstrip(".") in str(await pair.courier.there(pair.workspace))
    assert str(problem).rstrip(".") in str(await pair.courier.back(pair.workspace, whole=True))
    assert pair.here() == {"mine": b"mine"}
    pair.way.fails = None
    assert await pair.courier.there(pair.workspace) is None
    assert pair.way.files == {"mine": b"mine"}


async def test_what_is_left_of_a_kernels_own_caches_stays_there(pair: Pair) -> None:
    pair.way.files = {"__pycache__/m.pyc": b"1", ".ipynb_checkpoints/n": b"2", ".hidden": b"3"}
    assert await pair.courier.back(pair.workspace, whole=True) is None
    assert pair.here() == {".hidden": b"3"}


async def test_files_do_not_travel_to_another_language_and_that_is_said(pair: Pair) -> None:
    courier = Courier(Record("http://x", "k", "s", "R", "4.4"), pair.workspace.root.parent, None)
    assert await courier.there(pair.workspace) is None
    (pair.workspace.root / "mine").write_bytes(b"mine")
    assert "its language is R" in str(await courier.there(pair.workspace))
    assert await courier.back(pair.workspace, whole=True) is None
