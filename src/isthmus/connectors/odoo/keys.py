"""The API keys of our own login, as far as Odoo tells of them: their names and when they end, never themselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from isthmus.connectors.odoo.fields import Fields
from isthmus.connectors.odoo.wire import Wire

KEYS = "res.users.apikeys"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """One key of this login; `expires_at` None when it does not end."""

    id: int
    name: str
    expires_at: datetime | None


async def own_keys(wire: Wire, fields: Fields) -> list[ApiKey]:
    """The keys of our own login, oldest first."""
    model = await fields.model(KEYS)
    ends = model.has("expiration_date")  # versions before 18 know no end
    rows = await wire.call(
        KEYS,
        "search_read",
        doing="looking at the API keys of this login",
        reads=True,
        domain=[["user_id", "=", await wire.uid()]],
        fields=["name", *(["expiration_date"] if ends else [])],
        order="id",
    )
    return [
        ApiKey(id=int(row["id"]), name=str(row["name"]), expires_at=_instant(row.get("expiration_date")))
        for row in rows
    ]


def _instant(raw: object) -> datetime | None:
    return datetime.strptime(str(raw)[:19], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) if raw else None
