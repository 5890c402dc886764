"""What lasts: batches, failures, versions, and what is folded when."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from cellblock.errors import ConfigurationError, ConversationNotFound, DataDirectoryInUse, StoreUnavailable
from cellblock.host import schema
from cellblock.host.lock import DataDirectory
from cellblock.host.store import FILE, Store


def execution(id: str, **other: Any) -> dict[str, Any]:
    row = {
        "id": id,
        "owner": "local",
        "session_id": "s",
        "home": None,
        "uid": None,
        "door": "http",
        "code": "1",
        "code_sha256": "x",
        "stored": True,
        "timeout": 60.0,
        "status": "ok",
        "accepted": 1.0,
        "ended": 2.0,
        "events": 2,
        "result": {"id": id, "text": "ü\n"},
    }
    return {**row, **other}


async def test_what_was_noted_is_read_before_it_is_written_and_after_a_restart(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    store.put(schema.executions, execution("a", status="running"))
    store.put(schema.executions, execution("a"))
    store.put_events("a", [{"seq": 1}, {"seq": 2}])
    assert (await store.execution("a") or {})["status"] == "ok"
    assert await store.events("a", 1) == [{"seq": 2}]
    await store.aclose()
    store = await Store.open(tmp_path)
    assert (await store.execution("a") or {})["result"] == {"id": "a", "text": "ü\n"}
    await store.aclose()


async def test_a_batch_is_written_without_anybody_asking(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    asked = asyncio.Event()
    store.sources.append(asked.set)
    store.put(schema.executions, execution("a"))
    async with asyncio.timeout(90):
        await asked.wait()
    await store.aclose()


async def test_a_removal_takes_what_was_noted_before_it_and_not_what_comes_after(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    store.put(schema.executions, execution("a"))
    store.remove(schema.executions, "session_id", "s")
    assert await store.execution("a") is None
    store.put(schema.executions, execution("b"))
    assert await store.execution("b")
    await store.aclose()


async def test_a_row_at_fault_is_dropped_alone_and_counted(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    store.put(schema.executions, execution("good"))
    store.put(schema.executions, execution("bad", code="\ud800"))
    store.put(schema.executions, execution("after"))
    assert await store.execution("good")
    assert await store.execution("after")
    assert await store.execution("bad") is None
    assert store.status()["dropped"] == 1
    await store.aclose()


async def test_a_disk_that_fails_loses_nothing_and_is_told(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    await store.flush()
    with closing(sqlite3.connect(tmp_path / FILE)) as thief:
        thief.execute("ALTER TABLE executions RENAME TO elsewhere")
        thief.commit()
        store.put(schema.executions, execution("a"))
        with pytest.raises(StoreUnavailable, match="executions"):
            await store.flush()
        assert "executions" in str(store.status()["error"])
        assert store.status()["waiting"] == 1
        thief.execute("ALTER TABLE elsewhere RENAME TO executions")
        thief.commit()
    assert await store.execution("a")
    assert store.status() == {"waiting": 0, "error": None, "dropped": 0}
    await store.aclose()


async def test_who_does_not_wait_for_the_disk_is_no_fault_of_its(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    store.put(schema.executions, execution("e"))
    flushed = asyncio.create_task(store.flush())
    while not store._writing.locked():
        await asyncio.wait([flushed], timeout=0)
    flushed.cancel()
    await asyncio.wait([flushed])
    assert flushed.cancelled()
    assert store.status()["error"] is None
    assert await store.execution("e")
    await store.aclose()


async def test_a_conversation_renamed_while_it_is_saved_keeps_title_and_messages(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    await store.save_conversation("local", "c", messages=b"[]", title="first", running=True, at=1.0)
    for turn in (1, 2):
        messages, title = b"[%d]" % turn, f"title {turn}"
        save = store.save_conversation("local", "c", messages=messages, title="first", running=True, at=1.0)
        rename = store.rename_conversation("local", "c", title)
        await asyncio.gather(*((save, rename) if turn == 1 else (rename, save)))
        loaded = await store.load_conversation("local", "c")
        assert loaded
        assert (loaded.messages, loaded.title) == (messages, title)
    await store.aclose()


async def test_conversations(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    for index in range(3):
        await store.save_conversation(
            "local", f"c{index}", messages=b"[]", title=f"t{index}", running=False, at=float(index)
        )
    await store.save_conversation("local", "c0", messages=b"[1]", title=None, running=True, at=9.0)
    await store.save_conversation("other", "c9", messages=b"[]", title="theirs", running=False, at=99.0)
    first = await store.conversations("local", limit=2, after=None)
    assert [each["id"] for each in first["items"]] == ["c0", "c2"]
    rest = await store.conversations("local", limit=2, after=first["next"])
    assert [each["id"] for each in rest["items"]] == ["c1"]
    assert rest["next"] is None
    loaded = await store.load_conversation("local", "c0")
    assert loaded
    assert (loaded.title, loaded.messages, loaded.running) == ("t0", b"[1]", True)
    found = await store.find_conversations("local", lambda title, stored: stored.decode() if title else None, limit=2)
    assert [(each["id"], each["excerpt"]) for each in found] == [("c0", "[1]"), ("c2", "[]")]
    await store.rename_conversation("local", "c1", "new")
    assert (await store.load_conversation("local", "c1") or loaded).title == "new"
    await store.delete_conversation("local", "c1")
    assert await store.load_conversation("local", "c1") is None
    assert await store.load_conversation("local", "c9") is None
    with pytest.raises(ConversationNotFound):
        await store.rename_conversation("local", "c9", "mine")
    await store.aclose()


async def test_events_are_folded_by_the_end_of_their_execution(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    for id, ended in (("old", 10.0), ("new", 100.0), ("running", None)):
        store.put(schema.executions, execution(id, ended=ended))
        store.put_events(id, [{"seq": 1}])
    await store.fold_events(50.0)
    assert [bool(await store.events(id, 0)) for id in ("old", "new", "running")] == [False, True, True]
    assert await store.execution("old")
    await store.aclose()


async def test_the_files_are_for_the_server_only(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    store.put(schema.executions, execution("a"))
    await store.flush()
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        FILE: 0o600,
        f"{FILE}-wal": 0o600,
        f"{FILE}-shm": 0o600,
    }
    await store.aclose()


# versions


def test_the_newest_version_is_the_one_the_code_names(tmp_path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).with_name("migrations")))
    assert ScriptDirectory.from_config(config).get_heads() == [schema.REVISION]


def test_the_migrations_make_the_tables_that_the_code_knows(tmp_path: Path) -> None:
    path = tmp_path / FILE
    schema.prepare(path)
    engine = sa.create_engine(f"sqlite:///{path}")
    found = sa.MetaData()
    found.reflect(engine)
    engine.dispose()

    def described(metadata: sa.MetaData) -> dict[str, object]:
        return {
            name: (
                [(column.name, str(column.type), column.nullable, column.primary_key) for column in table.columns],
                sorted((str(index.name), [column.name for column in index.columns]) for index in table.indexes),
            )
            for name, table in metadata.tables.items()
            if name != "alembic_version"
        }

    assert described(found) == described(schema.metadata)


def test_a_file_of_this_version_is_left_alone_without_alembic(tmp_path: Path) -> None:
    path = tmp_path / FILE
    schema.prepare(path)
    before = path.read_bytes()
    assert schema.prepare(path) is None
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_older_file_is_copied_before_it_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, was = tmp_path / FILE, schema.REVISION
    schema.prepare(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("INSERT INTO conversations VALUES ('c', 'local', 't', 1.0, 0, x'')")
        database.commit()
    applied: list[str | None] = []
    monkeypatch.setattr(schema, "REVISION", "9998")
    monkeypatch.setattr(schema, "upgrade", lambda _, current: applied.append(current))
    copy = schema.prepare(path)
    assert applied == [was]
    assert copy
    assert copy.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(copy)) as database:
        assert database.execute("SELECT id FROM conversations").fetchall() == [("c",)]


def test_rows_of_the_first_version_are_kept(tmp_path: Path) -> None:
    path = tmp_path / FILE
    with pytest.MonkeyPatch.context() as first:
        first.setattr(schema, "REVISION", "0001")
        schema.prepare(path)
    with closing(sqlite3.connect(path)) as database:
        row = "'e', 'local', 's', NULL, NULL, 'http', '1', '', 1, 60, 'running', 1.0, NULL, 1, '{}'"
        database.execute(f"INSERT INTO executions VALUES ({row})")
        database.commit()
    schema.prepare(path)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT id, allow_stdin FROM executions").fetchall() == [("e", None)]


def test_a_newer_file_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / FILE
    schema.prepare(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    with pytest.raises(ConfigurationError, match="9999"):
        schema.prepare(path)
    assert schema.revision_of(path) == "9999"


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"hello" * 1000)
    with pytest.raises(ConfigurationError, match="no database"):
        schema.prepare(tmp_path / FILE)


# the data directory


def test_a_second_server_on_a_data_directory_is_told_the_first_ones_pid(tmp_path: Path) -> None:
    first = DataDirectory(tmp_path / "data")
    assert first.path.stat().st_mode & 0o777 == 0o700
    with pytest.raises(DataDirectoryInUse, match=r"process \d+"):
        DataDirectory(tmp_path / "data")
    first.release()
    DataDirectory(tmp_path / "data").release()


def test_a_data_directory_that_cannot_be_made_is_a_setting_at_fault(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError):
        DataDirectory(tmp_path / "file" / "data")
