"""The tables of the sync core."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute((Path(__file__).parent / "r0002_sync_core.sql").read_text().replace(":", "\\:"))
