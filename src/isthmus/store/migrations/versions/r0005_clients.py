"""The tables of clients of the canonical API."""

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute((Path(__file__).parent / "r0005_clients.sql").read_text().replace(":", "\\:"))
