"""A workspace is hostile: whatever lies in it, the server neither leaves it nor hangs nor fills up."""

import asyncio
import io
import os
import socket
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellblock.errors import FileNotFound, InvalidPath, NotARegularFile, UploadTooLarge, WorkspaceFull
from cellblock.host import workspace as room
from cellblock.host.names import MAX_DEPTH, parts_of
from cellblock.host.workspace import Scan, Stamp, Workspace, changes

SECRET = "the server's own"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    directory = tmp_path / "outside"
    directory.mkdir()
    (directory / "secret").write_text(SECRET)
    return directory


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    root = tmp_path / "files"
    root.mkdir()
    return Workspace(root, limit=1 << 20, upload_limit=512 << 10)


async def chunks(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def content(workspace: Workspace, path: str) -> bytes:
    with workspace.open(path) as found:
        return b"".join([piece async for piece in found.aiter()])


def unpacked(workspace: Workspace) -> dict[str, bytes]:
    packed = io.BytesIO(b"".join(workspace.archive()))
    with zipfile.ZipFile(packed) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


# what leaves


def test_no_name_in_a_zip_leads_out_of_where_it_is_unpacked_on_windows(workspace: Workspace) -> None:
    (workspace.root / "..\\..\\evil.txt").write_text("x")
    assert list(unpacked(workspace)) == ["..%5C..%5Cevil.txt"]


# paths


@pytest.mark.parametrize(
    "path",
    ["", "/", "/etc/passwd", "..", "../x", "a/../../x", "a/..", "a\0b", ".", "./", "x" * 256, "a/" * 65, "\ud800"],
)
def test_a_path_that_leaves_the_workspace_or_is_none_is_invalid(workspace: Workspace, path: str) -> None:
    for call in (workspace.open, workspace.delete, workspace.stat):
        with pytest.raises(InvalidPath):
            call(path)
    with pytest.raises(InvalidPath):
        asyncio.run(workspace.write(path, chunks(b"x")))


@given(st.text(max_size=40))
def test_no_text_is_a_path_that_leaves(path: str) -> None:
    try:
        parts = parts_of(path)
    except InvalidPath:
        return
    assert parts
    assert not {"", ".", ".."} & set(parts)
    assert not any("/" in part or "\0" in part for part in parts)


def test_dots_and_doubled_slashes_mean_the_same_file() -> None:
    assert parts_of("./a//b/.") == ["a", "b"]


# writing and reading


async def test_a_file_is_written_with_its_parents_and_read_back(workspace: Workspace) -> None:
    entry, created = await workspace.write("a/b/data.csv", chunks(b"x,y\n", b"1,2\n"), size=8)
    assert created
    assert (entry["path"], entry["type"], entry["size"]) == ("a/b/data.csv", "file", 8)
    assert await content(workspace, "a/b/data.csv") == b"x,y\n1,2\n"
    assert [(each["path"], each["type"]) for each in workspace.entries()] == [
        ("a", "directory"),
        ("a/b", "directory"),
        ("a/b/data.csv", "file"),
    ]


async def test_a_file_is_replaced_whole(workspace: Workspace) -> None:
    await workspace.write("a.txt", chunks(b"one"))
    with workspace.open("a.txt") as old:
        entry, created = await workspace.write("a.txt", chunks(b"another"))
        assert not created
        assert entry["size"] == 7
        assert await old.read(0, 100) == b"one"
    assert os.listdir(workspace.root) == ["a.txt"]


async def test_a_range_of_a_file(workspace: Workspace) -> None:
    await workspace.write("a", chunks(bytes(range(100))))
    with workspace.open("a") as found:
        assert b"".join([piece async for piece in found.aiter(10, 20)]) == bytes(range(10, 20))
        assert b"".join([piece async for piece in found.aiter(95, 500)]) == bytes(range(95, 100))


async def test_an_upload_that_fails_midway_leaves_what_was_there(workspace: Workspace) -> None:
    await workspace.write("a", chunks(b"old"))

    async def cut_off() -> AsyncIterator[bytes]:
        yield b"new"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await workspace.write("a", cut_off())
    assert await content(workspace, "a") == b"old"
    assert os.listdir(workspace.root) == ["a"]


async def test_an_upload_over_its_limit_is_refused_before_and_while_it_comes(workspace: Workspace) -> None:
    with pytest.raises(UploadTooLarge, match="524,288"):
        await workspace.write("a", chunks(b""), size=(512 << 10) + 1)
    with pytest.raises(UploadTooLarge):
        await workspace.write("a", chunks(*[b"x" * 65536] * 9))
    assert os.listdir(workspace.root) == []


async def test_a_full_workspace_takes_nothing_more_but_replacements(workspace: Workspace) -> None:
    block = b"x" * (400 << 10)
    await workspace.write("a", chunks(block))
    await workspace.write("b", chunks(block))
    with pytest.raises(WorkspaceFull, match="1,048,576"):
        await workspace.write("c", chunks(block))
    await workspace.write("b", chunks(block))
    assert sorted(os.listdir(workspace.root)) == ["a", "b"]
    workspace.delete("a")
    await workspace.write("c", chunks(block))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
async def test_what_is_written_belongs_to_the_sessions_user(workspace: Workspace) -> None:
    workspace.uid = 234_567
    await workspace.write("a/b", chunks(b"x"))
    workspace.append("c/d", b"x")
    for name in ("a", "a/b", "c", "c/d"):
        assert (workspace.root / name).stat().st_uid == 234_567


async def test_deleting(workspace: Workspace) -> None:
    await workspace.write("a/b/c", chunks(b"x"))
    workspace.delete("a")
    assert os.listdir(workspace.root) == []
    with pytest.raises(FileNotFound):
        workspace.delete("a")
    with pytest.raises(FileNotFound):
        workspace.open("a/b/c")


def test_appending_creates_and_adds(workspace: Workspace) -> None:
    workspace.append(".cellblock/out.txt", b"a")
    workspace.append(".cellblock/out.txt", b"b")
    assert (workspace.root / ".cellblock/out.txt").read_bytes() == b"ab"
    assert workspace.scan().files == {}


# hostile contents


async def test_a_symlink_is_never_followed(workspace: Workspace, outside: Path) -> None:
    (workspace.root / "file").symlink_to(outside / "secret")
    (workspace.root / "directory").symlink_to(outside)
    (workspace.root / "up").symlink_to("..")
    for path in ("file", "directory", "directory/secret", "up/outside/secret"):
        with pytest.raises(NotARegularFile):
            workspace.open(path)
        with pytest.raises(NotARegularFile):
            await workspace.write(path, chunks(b"mine now"))
    with pytest.raises(NotARegularFile):
        workspace.append("file", b"mine now")
    with pytest.raises(NotARegularFile):
        workspace.delete("directory/secret")
    assert (outside / "secret").read_text() == SECRET
    assert os.listdir(outside) == ["secret"]
    assert {each["path"]: each["type"] for each in workspace.entries()} == dict.fromkeys(
        ("file", "directory", "up"), "other"
    )
    assert unpacked(workspace) == {}
    assert workspace.scan().files == {}


def test_deleting_a_symlink_removes_the_link(workspace: Workspace, outside: Path) -> None:
    (workspace.root / "tree").mkdir()
    (workspace.root / "tree" / "link").symlink_to(outside)
    (workspace.root / "link").symlink_to(outside)
    workspace.delete("link")
    workspace.delete("tree")
    assert os.listdir(workspace.root) == []
    assert (outside / "secret").read_text() == SECRET


async def test_a_pipe_or_a_socket_is_no_file_and_nobody_waits_for_it(workspace: Workspace) -> None:
    os.mkfifo(workspace.root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(workspace.root / "socket"))
        for path in ("pipe", "socket"):
            with pytest.raises(NotARegularFile):
                workspace.open(path)
            with pytest.raises(NotARegularFile):
                await workspace.write(path, chunks(b"x"))
            with pytest.raises(NotARegularFile):
                workspace.append(path, b"x")
    assert {each["type"] for each in workspace.entries()} == {"other"}
    assert unpacked(workspace) == {}
    workspace.delete("pipe")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes device nodes")
def test_a_device_is_no_file(workspace: Workspace) -> None:
    try:
        os.mknod(workspace.root / "zero", 0o600 | 0o020000, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("this machine does not let root make device nodes")
    with pytest.raises(NotARegularFile):
        workspace.open("zero")


async def test_a_sparse_terabyte_takes_no_room_and_is_not_packed(workspace: Workspace) -> None:
    (workspace.root / "huge").touch()
    os.truncate(workspace.root / "huge", 1 << 40)
    await workspace.write("small", chunks(b"x"))
    assert workspace.scan().bytes < 100_000
    with workspace.open("huge") as found:
        assert found.size == 1 << 40
        assert await found.read((1 << 40) - 3, 10) == b"\0\0\0"
    assert unpacked(workspace) == {"small": b"x"}


async def test_any_name_can_be_listed_read_packed_and_deleted(workspace: Workspace) -> None:
    names = [b"new\nline", b"\xff\xfe bytes", b"tab\t", "ümläut".encode(), b"\\x41", b"-rf", b"{}"]
    for name in names:
        (workspace.root / os.fsdecode(name)).write_bytes(name)
    listed = [each["path"] for each in workspace.entries()]
    assert "\\xff\\xfe bytes" in listed
    assert all(path.encode() for path in listed)
    assert set(unpacked(workspace).values()) == set(names)
    for path in listed:
        assert await content(workspace, path) in names
        workspace.delete(path)
    assert os.listdir(workspace.root) == []


def test_very_many_files_are_listed_in_part_and_fill_the_workspace(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MAX_ENTRIES", 50)
    for index in range(60):
        (workspace.root / f"f{index}").touch()
    assert len(workspace.entries(limit=20)) == 20
    assert not workspace.scan().complete
    with pytest.raises(WorkspaceFull):
        workspace.write_bytes("one more", b"x")


def test_directories_too_deep_are_not_walked_but_deleted(workspace: Workspace) -> None:
    fd = os.open(workspace.root, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    assert len(workspace.entries()) == MAX_DEPTH + 1
    workspace.delete("d")
    assert os.listdir(workspace.root) == []


def test_a_directory_closed_to_its_owner_is_deleted_all_the_same(workspace: Workspace) -> None:
    (workspace.root / "d" / "e").mkdir(parents=True)
    (workspace.root / "d").chmod(0)
    workspace.delete("d")
    assert os.listdir(workspace.root) == []


def test_a_directory_swapped_for_a_symlink_is_not_left(workspace: Workspace, outside: Path) -> None:
    (workspace.root / "d").mkdir()
    with workspace._parent("d/x") as (parent, _):
        (workspace.root / "d").rmdir()
        (workspace.root / "d").symlink_to(outside)
        with pytest.raises(FileNotFoundError):
            os.open("secret", os.O_RDONLY, dir_fd=parent)


def test_hard_links_count_once(workspace: Workspace) -> None:
    (workspace.root / "a").write_bytes(b"x" * 100_000)
    alone = workspace.scan().bytes
    os.link(workspace.root / "a", workspace.root / "b")
    assert workspace.scan().bytes == alone


def test_a_time_outside_the_calendar_is_shown_all_the_same(workspace: Workspace) -> None:
    (workspace.root / "a").touch()
    os.utime(workspace.root / "a", (10**11, 10**11))
    assert workspace.entries()[0]["modified"].endswith("Z")
    assert unpacked(workspace) == {"a": b""}


def test_a_workspace_that_is_gone_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFound):
        Workspace(tmp_path / "gone").entries()


# changes


def test_changes_between_two_scans() -> None:
    before = Scan({"same": Stamp(1, 1, 1), "edited": Stamp(1, 1, 2), "gone": Stamp(1, 1, 3), "swapped": Stamp(1, 1, 4)})
    after = Scan({"same": Stamp(1, 1, 1), "edited": Stamp(2, 5, 2), "new": Stamp(2, 7, 5), "swapped": Stamp(1, 1, 9)})
    assert changes(before, after) == [
        {"path": "edited", "size": 5, "change": "modified"},
        {"path": "gone", "size": 0, "change": "deleted"},
        {"path": "new", "size": 7, "change": "created"},
        {"path": "swapped", "size": 1, "change": "modified"},
    ]
    many = Scan({f"{index:05}": Stamp(1, 1, index) for index in range(2000)})
    assert len(changes(Scan(), many)) == room.MAX_CHANGES


def test_what_python_and_jupyter_leave_beside_the_files_is_no_change(workspace: Workspace) -> None:
    for name in ("__pycache__/a.pyc", ".ipynb_checkpoints/a.ipynb", "sub/__pycache__/b.pyc", "mine.txt"):
        path = workspace.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert list(workspace.scan().files) == ["mine.txt"]
