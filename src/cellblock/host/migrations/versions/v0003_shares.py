"""Read-only copies of a conversation that whoever has a token may see; of the token only its hash is kept."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "shares",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("token_sha256", sa.String, nullable=False),
        sa.Column("session_id", sa.String, nullable=False),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("title", sa.Text),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_index("shares_by_token", "shares", ["token_sha256"], unique=True)
    op.create_index("shares_by_session", "shares", ["session_id", "created"])
