"""Links are found by the match keys in their Bases."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for side in ("left", "right"):
        for field in ("tax_id", "email", "sku", "barcode"):
            value = f"({side}_base ->> '{field}')"
            op.execute(
                f"create index ix_link_{side}_{field} on link (pair_id, entity, {value}) where {value} is not null"
            )
