"""One check's stage: a wiretap, connectors that speak through it, and sample records to play with."""

from __future__ import annotations

import hashlib
import itertools
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from isthmus.model.clock import Clock, SystemClock
from isthmus.model.schema import EntitySchema
from isthmus.model.secret import Secret
from isthmus.sdk.connector import Connector, Create, Hint, Outcome, Record, Selection, Unsure, Written
from isthmus.sdk.limits import Rate, TokenBucket
from isthmus.sdk.network import NetworkPolicy
from isthmus.sdk.registry import ConnectorKind, Live
from isthmus.sdk.services import Services
from isthmus.testing.contract.scenario import EntityScenario, Scenario, place, sample_values
from isthmus.testing.contract.tape import Tape
from isthmus.testing.contract.wiretap import Wiretap


class FixedClock:
    """The clock of a recording: it stands at the moment of the recording, durations are real."""

    def __init__(self, at: datetime) -> None:
        self._at = at
        self._real = SystemClock()
        self._began = self._real.monotonic()

    def now(self) -> datetime:
        return self._at + timedelta(seconds=self._real.monotonic() - self._began)

    def monotonic(self) -> float:
        return self._real.monotonic()


@dataclass(slots=True)
class Stage:
    """What a check works with."""

    kind: ConnectorKind
    scenario: Scenario
    wiretap: Wiretap
    name: str
    live: Live | None = None
    shown: list[str] = field(default_factory=list)
    _made: list[Connector] = field(default_factory=list)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))
    _schemas: dict[str, EntitySchema] = field(default_factory=dict)

    def connector(self, *, secrets: Mapping[str, str] | None = None, url: str | None = None) -> Connector:
        """A connector that speaks through the wiretap; `secrets` replace the usual ones."""
        own = self.live.settings if self.live else {}
        settings = _placed({**self.scenario.settings, **own}, url or self.wiretap.url)
        given = {**self.scenario.secrets, **(self.live.secrets if self.live else {}), **(secrets or {})}
        clock: Clock = SystemClock() if self.wiretap.live else FixedClock(self.wiretap.tape.recorded_at)
        services = Services(
            budget=TokenBucket(Rate(0), clock=clock),
            network=NetworkPolicy(allow_loopback=True),
            clock=clock,
            installation="contract",
        )
        made = self.kind.make(settings, {name: Secret(value) for name, value in given.items()}, services)
        self._made.append(made)
        return made

    async def close(self) -> None:
        """Close every connector that was made."""
        for made in self._made:
            await made.close()

    async def schema(self, entity: str) -> EntitySchema:
        """The Entity as the connector describes it."""
        if entity not in self._schemas:
            found = await self.connector().describe([entity])
            self._schemas.update({schema.name: schema for schema in found})
        return self._schemas[entity]

    def entity(self, entity: str) -> EntityScenario:
        """The samples of an Entity."""
        return self.scenario.entities[entity]

    def number(self, which: int | str) -> str:
        """What `{n}` stands for in a sample: short, the same in every run of this check, different in any other."""
        return hashlib.sha256(f"{self.name} {which}".encode()).hexdigest()[:10]

    async def item(self, connector: Connector, entity: str, given: Mapping[str, Any] | None = None) -> Create:
        """A record to make: the sample, or `given`, with the records it needs made first."""
        number = self.number(next(self._numbers))
        told = self.entity(entity)
        schema = await self.schema(entity)
        values = sample_values(told.sample if given is None else given, number, schema)
        for path, other in told.needs.items():
            made = await self.make(connector, other)
            place(values, path, made[0].key)
        digest = hashlib.sha256(f"{self.name} {entity} {number}".encode()).hexdigest()
        return Create(external_key=f"contract-{digest[:20]}", values=values, idempotency_key=digest[20:56])

    async def make(self, connector: Connector, entity: str, count: int = 1) -> list[Written]:
        """Sample records in the system; fails the check when one cannot be made."""
        items = [await self.item(connector, entity) for _ in range(count)]
        outcomes = await connector.create(entity, items)
        return [self.written(outcome) for outcome in outcomes]

    def written(self, outcome: Outcome) -> Written:
        """The outcome as a Written; anything else fails the check and says why."""
        error = getattr(outcome, "error", None)
        if error is not None:
            self.shown.append(str(error))
        assert isinstance(outcome, Written), f"expected the write to take place, got {outcome}: {error}"
        return outcome

    def kept(self, outcome: Outcome) -> Outcome:
        """Remember what an outcome tells people: secrets are looked for in it afterwards."""
        error = getattr(outcome, "error", None)
        if error is not None:
            self.shown.extend([str(error), repr(error.as_dict())])
        return outcome

    def secret_values(self) -> list[str]:
        """The secrets in play."""
        live = self.live.secrets if self.live else {}
        return [*self.scenario.secrets.values(), *live.values(), *self.scenario.refused.values()]


@asynccontextmanager
async def on_stage(
    kind: ConnectorKind, scenario: Scenario, name: str, tape: Tape, live: Live | None, *, record: bool = False
) -> AsyncIterator[Stage]:
    """Set the stage for one check and clear it away."""
    wiretap = Wiretap(tape, live.url if live else None, record=record)
    await wiretap.start()
    stage = Stage(kind, scenario, wiretap, name, live)
    try:
        yield stage
    finally:
        await stage.close()
        await wiretap.stop()


async def read_all(
    connector: Connector, entity: str, selection: Selection, paths: Sequence[str], scope: Any = None
) -> list[Record]:
    """Every Record of every page."""
    return [record async for page in connector.read(entity, selection, paths, scope) for record in page]


async def follow(connector: Connector, entity: str, cursor: str | None) -> tuple[list[list[Hint]], list[str]]:
    """The hints of each page of changes, and the cursor behind each."""
    pages: list[list[Hint]] = []
    cursors: list[str] = []
    async for page in connector.changes(entity, cursor):
        pages.append(list(page.hints))
        cursors.append(page.cursor)
    return pages, cursors


def closed_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_unsure(outcome: Outcome) -> bool:
    """Whether an outcome admits that it is not known."""
    return isinstance(outcome, Unsure)


def _placed(value: Any, url: str) -> Any:
    if isinstance(value, str):
        return value.replace("{server}", url)
    if isinstance(value, Mapping):
        return {name: _placed(inner, url) for name, inner in value.items()}
    return [_placed(inner, url) for inner in value] if isinstance(value, list | tuple) else value
