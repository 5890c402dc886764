"""The store's tables as this version of the code knows them, and how a database file gets to that version."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
import structlog

from cellblock.errors import ConfigurationError

REVISION = "0003"

log = structlog.get_logger("cellblock.store")
metadata = sa.MetaData()

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("owner", sa.String, nullable=False),
    sa.Column("title", sa.Text),
    sa.Column("environment", sa.String, nullable=False),
    sa.Column("uid", sa.Integer),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("last_used", sa.Float, nullable=False),
    sa.Column("execution_count", sa.Integer, nullable=False),
    sa.Column("lost", sa.Text),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("cell_ids", sa.JSON, nullable=False),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Index("sessions_by_owner", "owner", "created"),
)
cells = sa.Table(
    "cells",
    metadata,
    sa.Column("session_id", sa.String, primary_key=True),
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("cell", sa.JSON, nullable=False),
)
executions = sa.Table(
    "executions",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("owner", sa.String, nullable=False),
    sa.Column("session_id", sa.String),
    sa.Column("home", sa.String),
    sa.Column("uid", sa.Integer),
    sa.Column("door", sa.String, nullable=False),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("code_sha256", sa.String, nullable=False),
    sa.Column("stored", sa.Boolean, nullable=False),
    sa.Column("timeout", sa.Float),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("accepted", sa.Float, nullable=False),
    sa.Column("ended", sa.Float),
    sa.Column("events", sa.Integer, nullable=False),
    sa.Column("result", sa.JSON, nullable=False),
    sa.Column("allow_stdin", sa.Boolean),
    sa.Index("executions_by_session", "session_id", "accepted"),
    sa.Index("executions_by_end", "ended"),
)
events = sa.Table(
    "events",
    metadata,
    sa.Column("execution_id", sa.String, primary_key=True),
    sa.Column("first", sa.Integer, primary_key=True),
    sa.Column("last", sa.Integer, nullable=False),
    sa.Column("lines", sa.LargeBinary, nullable=False),
)
conversations = sa.Table(
    "conversations",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("owner", sa.String, nullable=False),
    sa.Column("title", sa.Text),
    sa.Column("updated", sa.Float, nullable=False),
    sa.Column("running", sa.Boolean, nullable=False),
    sa.Column("messages", sa.LargeBinary, nullable=False),
    sa.Index("conversations_by_owner", "owner", "updated"),
)
shares = sa.Table(
    "shares",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("token_sha256", sa.String, nullable=False),
    sa.Column("session_id", sa.String, nullable=False),
    sa.Column("owner", sa.String, nullable=False),
    sa.Column("title", sa.Text),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Index("shares_by_token", "token_sha256", unique=True),
    sa.Index("shares_by_session", "session_id", "created"),
)
idempotency = sa.Table(
    "idempotency",
    metadata,
    sa.Column("owner", sa.String, primary_key=True),
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("digest", sa.String, nullable=False),
    sa.Column("execution_id", sa.String, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
)


def prepare(path: Path) -> Path | None:
    """Brings the database file at `path` to REVISION, creating it (0600) when it is absent. Blocks.

    The file as it was is copied first; returns where, None when nothing had to change. ConfigurationError when the file
    is of a version this code does not know.
    """
    existed = path.exists()
    if not existed:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    current = revision_of(path)
    if current == REVISION:
        return None
    copy = backup(path, current) if existed and current else None
    upgrade(path, current)
    log.info("store_migrated", version=REVISION, was=current, backup=copy and str(copy))
    return copy


def revision_of(path: Path) -> str | None:
    """The version of the schema in the file; None when it has none."""
    with closing(sqlite3.connect(path)) as database:
        try:
            row = database.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError as problem:
            if "no such table" not in str(problem):
                raise  # locked, or the disk fails: no reason to take it for new
            return None
        except sqlite3.DatabaseError as problem:
            hint = "Move it away, or restore a backup of it."
            raise ConfigurationError(f"{path} is no database: {problem}.", hint=hint) from None
    return str(row[0]) if row else None


def backup(path: Path, version: str) -> Path:
    """A copy of the database, its log included, beside it."""
    copy = path.with_name(f"{path.name}.before-{REVISION}-was-{version}")
    os.close(os.open(copy, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def upgrade(path: Path, current: str | None) -> None:
    """Applies the missing versions, all or none. Alembic is imported here, where it is needed: it costs 0.1 s."""
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise ConfigurationError(
            f"The data in {path} is of version {current}, which this version of Cellblock does not know.",
            hint="Use the version of Cellblock that wrote it, or a newer one, or restore the backup beside it.",
        )
    engine = sa.create_engine(f"sqlite:///{path}")
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, REVISION)
    finally:
        engine.dispose()
