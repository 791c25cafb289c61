"""Links that were announced before both Records are in scope."""

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute((Path(__file__).parent / "r0007_expected_links.sql").read_text().replace(":", "\\:"))
