"""Copies of workspaces: what they keep of each file, what they leave out, and where they stop."""

import os
from pathlib import Path

import pytest

from cellblock.errors import WorkspaceFull
from cellblock.host.copying import copied, filled
from cellblock.host.workspace import Workspace

MIB = 1 << 20


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Workspace, Workspace]:
    for name in ("from", "to"):
        (tmp_path / name).mkdir()
    return Workspace(tmp_path / "from", limit=MIB), Workspace(tmp_path / "to", limit=MIB)


def test_files_keep_content_mode_and_time(pair: tuple[Workspace, Workspace]) -> None:
    source, target = pair
    (source.root / "a/b").mkdir(parents=True)
    (source.root / "a/b/run.sh").write_bytes(b"x" * 10_000)
    (source.root / "a/b/run.sh").chmod(0o750)
    os.utime(source.root / "a/b/run.sh", ns=(1, 123_456_789))
    assert copied(source, target) == []
    made = target.root / "a/b/run.sh"
    assert (made.read_bytes(), made.stat().st_mode & 0o777, made.stat().st_mtime_ns) == (
        b"x" * 10_000,
        0o750,
        123_456_789,
    )


def test_holes_stay_holes(pair: tuple[Workspace, Workspace]) -> None:
    source, target = pair
    with (source.root / "sparse").open("wb") as file:
        file.write(b"begin")
        file.seek(512 * MIB)
        file.write(b"end")
        file.truncate(600 * MIB)
    assert copied(source, target) == []
    made = (target.root / "sparse").stat()
    assert (made.st_size, made.st_blocks * 512 < MIB) == (600 * MIB, True)
    with (target.root / "sparse").open("rb") as file:
        assert file.read(5) == b"begin"
        file.seek(512 * MIB)
        assert file.read(4) == b"end\0"


def test_what_cannot_be_looked_into_is_no_hole(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(writer)
    with os.fdopen(reader, "rb"), (tmp_path / "copy").open("wb") as copy, pytest.raises(OSError, match="seek"):
        filled(reader, copy.fileno(), 10)


def test_links_are_copied_and_not_followed(pair: tuple[Workspace, Workspace], tmp_path: Path) -> None:
    source, target = pair
    (tmp_path / "secret").write_text("secret")
    (source.root / "link").symlink_to(tmp_path / "secret")
    (source.root / "loop").symlink_to(".")
    assert copied(source, target) == []
    assert {path.name for path in target.root.iterdir() if path.is_symlink()} == {"link", "loop"}


def test_what_is_no_file_is_named(pair: tuple[Workspace, Workspace]) -> None:
    source, target = pair
    (source.root / "d").mkdir()
    os.mkfifo(source.root / "d/pipe")
    assert copied(source, target) == ["d/pipe"]
    assert list((target.root / "d").iterdir()) == []


def test_a_copy_holds_no_more_than_a_workspace_may(pair: tuple[Workspace, Workspace]) -> None:
    source, target = pair
    (source.root / "large").write_bytes(bytes(2 * MIB))
    with pytest.raises(WorkspaceFull):
        copied(source, target)
