"""A connector to nothing: records arrive with their webhook, writes cost nothing and are noted with their time."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from isthmus.model.schema import EntitySchema, FieldType
from isthmus.model.schema import Field as SchemaField
from isthmus.sdk import (
    ByExternalKeys,
    ByKeys,
    ByValues,
    ChangePage,
    Connector,
    ConnectorKind,
    Create,
    Delivery,
    Finding,
    Hint,
    Outcome,
    Rate,
    Record,
    Scope,
    Selection,
    Services,
    Traits,
    Update,
    WebhookRequest,
    Written,
)

_BORN = datetime(2026, 1, 1, tzinfo=UTC)


class Settings(BaseModel):
    """Where writes are noted."""

    log: str = Field(description="File that gets a line for every write: what it carried, and when.")


class Stub(Connector):
    """Both sides of the bench: `account` records live in this process."""

    key: ClassVar[str] = "bench_stub"

    def __init__(self, settings: Settings) -> None:
        self._rows: dict[str, dict[str, Any]] = {}
        self._external: dict[str, str] = {}
        self._log = Path(settings.log).open("a", buffering=1)  # noqa: SIM115  # held as long as the connector lives

    @property
    def traits(self) -> Traits:
        return Traits(batch_create=100, batch_update=100, parallel=4, ceiling_seconds=1, idempotent_creates=True)

    async def check(self) -> Sequence[Finding]:
        return [Finding(check="stub", status="ok", message="always there")]

    async def describe(self, entities: Sequence[str] | None = None) -> Sequence[EntitySchema]:
        names = ("name", "email", "phone")
        fields = {n: SchemaField(name=n, type=FieldType.STRING, label=n) for n in names}
        return [EntitySchema(name="account", label="Account", fields=fields)]

    async def read(
        self, entity: str, selection: Selection, paths: Sequence[str], scope: Scope | None = None
    ) -> AsyncIterator[Sequence[Record]]:
        if isinstance(selection, ByKeys):
            keys = [k for k in selection.keys if k in self._rows]
        elif isinstance(selection, ByExternalKeys):
            keys = [self._external[k] for k in selection.keys if k in self._external]
        elif isinstance(selection, ByValues):
            keys = []
        else:
            keys = list(self._rows)
        yield [self._record(key, paths) for key in keys]

    def _record(self, key: str, paths: Sequence[str]) -> Record:
        row = self._rows[key]
        return Record(key=key, values={p: row.get(p) for p in paths if p[0] != "@"}, version="1", created_at=_BORN)

    async def changes(self, entity: str, cursor: str | None, scope: Scope | None = None) -> AsyncIterator[ChangePage]:
        yield ChangePage(hints=[], cursor="0")

    async def create(self, entity: str, items: Sequence[Create]) -> Sequence[Outcome]:
        out = []
        for item in items:
            key = f"n{len(self._rows) + 1}"
            self._rows[key] = dict(item.values)
            self._external[item.external_key] = key
            out.append(Written(key=key, version="1", created_at=_BORN))
        self._note(item.values for item in items)
        return out

    async def update(self, entity: str, items: Sequence[Update]) -> Sequence[Outcome]:
        for item in items:
            self._rows[item.key].update(item.values)
        self._note(item.values for item in items)
        return [Written(key=item.key, version="1") for item in items]

    async def exists(self, entity: str, keys: Sequence[str]) -> Mapping[str, bool]:
        return {key: key in self._rows for key in keys}

    def receive(self, request: WebhookRequest) -> Delivery:
        told = json.loads(request.body)
        self._rows.setdefault(told["key"], {}).update(told["values"])
        return Delivery(delivery_id=told["id"], hints=[Hint(entity="account", key=told["key"])])

    def _note(self, written: Any) -> None:
        now = time.time()
        self._log.write("".join(json.dumps({"at": now, **values}) + "\n" for values in written))


connector = ConnectorKind(
    key="bench_stub",
    name="Bench stub",
    summary="Nothing behind it: for measuring what Isthmus itself costs.",
    settings=Settings,
    build=lambda settings, services: Stub(settings),
    rate_of=lambda settings: Rate(per_second=0),
)

__all__ = ["Services", "connector"]
