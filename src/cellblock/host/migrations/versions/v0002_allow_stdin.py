"""Whether an execution may ask for input: one that waits when the server is restarted must still be allowed to."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("executions", sa.Column("allow_stdin", sa.Boolean))
