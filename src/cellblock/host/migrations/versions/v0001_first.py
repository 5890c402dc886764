"""Sessions with their cells, executions with their events, conversations, idempotency keys."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "sessions",
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
    )
    op.create_index("sessions_by_owner", "sessions", ["owner", "created"])
    op.create_table(
        "cells",
        sa.Column("session_id", sa.String, primary_key=True),
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("cell", sa.JSON, nullable=False),
    )
    op.create_table(
        "executions",
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
    )
    op.create_index("executions_by_session", "executions", ["session_id", "accepted"])
    op.create_index("executions_by_end", "executions", ["ended"])
    op.create_table(
        "events",
        sa.Column("execution_id", sa.String, primary_key=True),
        sa.Column("first", sa.Integer, primary_key=True),
        sa.Column("last", sa.Integer, nullable=False),
        sa.Column("lines", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "conversations",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("title", sa.Text),
        sa.Column("updated", sa.Float, nullable=False),
        sa.Column("running", sa.Boolean, nullable=False),
        sa.Column("messages", sa.LargeBinary, nullable=False),
    )
    op.create_index("conversations_by_owner", "conversations", ["owner", "updated"])
    op.create_table(
        "idempotency",
        sa.Column("owner", sa.String, primary_key=True),
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("execution_id", sa.String, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
    )
