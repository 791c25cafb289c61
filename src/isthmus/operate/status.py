"""Status of a pair: the books of the inbox, what is open, and how fresh it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from isthmus.store import changes


@dataclass(slots=True, kw_only=True)
class EntityStatus:
    """One Entity of a pair: Links, open Changes, what waits for a person, seconds the oldest Change has waited."""

    entity: str
    links: int = 0
    in_flight: int = 0
    oldest_seconds: float = 0.0
    dead_letters: int = 0
    conflicts: int = 0


@dataclass(slots=True, kw_only=True)
class PairStatus:
    """How a pair stands. The books always balance: see `changes.balance`."""

    pair: str
    state: str
    reason: dict[str, Any] | None
    environment: str
    version: int
    books: dict[str, int]
    intents: dict[str, int]
    dead_letters: dict[str, int]
    conflicts: int
    links: int
    entities: list[EntityStatus] = field(default_factory=list)
    latency_ms: dict[str, float] = field(default_factory=dict)
    balanced: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def status(conn: Connection, pair: Any) -> PairStatus:
    """Everything a person asks about one pair (a row of `pair`), by queries anyone can run."""
    books = changes.balance(conn, pair.id)
    given = {"pair_id": pair.id}
    intents = _counts(conn, "select state, count(*) from intent where pair_id = :pair_id group by 1", given)
    letters = _counts(
        conn, "select kind, count(*) from dead_letter where pair_id = :pair_id and state = 'open' group by 1", given
    )
    entities = [
        EntityStatus(
            entity=row.entity,
            links=int(row.links),
            in_flight=int(row.in_flight),
            oldest_seconds=float(row.oldest or 0),
            dead_letters=int(row.letters),
            conflicts=int(row.conflicts),
        )
        for row in conn.execute(_ENTITIES, given)
    ]
    latency = conn.execute(_LATENCY, given).one()
    balanced = books["events"] == books["coalesced"] + books["changes"] and books["changes"] == (
        books["applied"] + books["unchanged"] + books["held"] + books["in_flight"]
    )
    return PairStatus(
        pair=pair.name,
        state=pair.state,
        reason=pair.state_reason,
        environment=pair.environment,
        version=pair.version,
        books=books,
        intents=intents,
        dead_letters=letters,
        conflicts=sum(e.conflicts for e in entities),
        links=sum(e.links for e in entities),
        entities=entities,
        latency_ms={"p50": float(latency.p50 or 0), "p95": float(latency.p95 or 0)},
        balanced=balanced,
    )


def _counts(conn: Connection, sql: str, given: dict[str, Any]) -> dict[str, int]:
    return {str(name): int(count) for name, count in conn.execute(text(sql), given).all()}


_ENTITIES = text(
    """
    select entity, sum(links) as links, sum(in_flight) as in_flight, max(oldest) as oldest, sum(letters) as letters,
           sum(conflicts) as conflicts
    from (
      select entity, count(*) as links, 0 as in_flight, null::float8 as oldest, 0 as letters, 0 as conflicts
      from link where pair_id = :pair_id and state <> 'tombstone' group by 1
      union all
      select entity, 0, count(*), extract(epoch from now() - min(first_at)), 0, 0
      from change where pair_id = :pair_id and state <> 'closed' group by 1
      union all
      select entity, 0, 0, null, count(*), 0 from dead_letter
      where pair_id = :pair_id and state = 'open' group by 1
      union all
      select entity, 0, 0, null, 0, count(*) from conflict where pair_id = :pair_id and state <> 'closed' group by 1
    ) as parts group by entity order by entity
    """
)

_LATENCY = text(
    """
    select percentile_cont(0.5) within group (order by ms) as p50,
           percentile_cont(0.95) within group (order by ms) as p95
    from (
      select extract(epoch from closed_at - last_at) * 1000 as ms from change
      where pair_id = :pair_id and outcome = 'applied' order by closed_at desc limit 1000
    ) as recent
    """
)
