"""The table of files that triggers of flows have seen."""

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute((Path(__file__).parent / "r0006_flow_files.sql").read_text().replace(":", "\\:"))
