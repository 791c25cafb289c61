"""The tables of flows and their Runs; dead letters know the item they hold."""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute((Path(__file__).parent / "r0004_flows.sql").read_text().replace(":", "\\:"))
