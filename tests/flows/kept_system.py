"""A system that outlives the processes that speak to it: its records and acts stand in a table of the test's database.

It makes a create that is sent twice twice, and performs an act that is performed twice twice: only who asks first, and
stores before sending, comes out with one of each.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, ClassVar

import psycopg
from pydantic import BaseModel, Field

from isthmus.errors import OutcomeUnknown
from isthmus.model.schema import EntitySchema
from isthmus.sdk.connector import (
    ByExternalKeys,
    ByKeys,
    ByValues,
    ChangePage,
    Connector,
    Create,
    Finding,
    Outcome,
    Record,
    Scope,
    Selection,
    Stale,
    Traits,
    Unsure,
    Update,
    Written,
)
from isthmus.sdk.operations import Act, Done, NotDone, Operation, Performed, Verdict

TABLES = """
create table if not exists outside (key bigint generated always as identity primary key, entity text not null,
  external_key text, values jsonb not null, version int not null default 1);
create table if not exists outside_act (id bigint generated always as identity primary key, act text, document text,
  amount text);
"""


class Capture(BaseModel):
    """What is captured."""

    document: str = Field(description="The key of the document.")
    amount: str = Field(description="How much, exactly.")


class Captured(BaseModel):
    """What came of it."""

    state: str = Field(description="The state of the document.")


class KeptConnector(Connector):
    """Speaks to the kept system. `point` is called before and after every write; `lose` loses its answer."""

    key: ClassVar[str] = "kept"

    def __init__(self, conninfo: str, *, point: Callable[[str], None] = lambda _: None, ceiling: float = 0.2) -> None:
        self._db = psycopg.connect(conninfo, autocommit=True)
        self._db.execute(TABLES)
        self._point = point
        self.lose = 0
        self._ceiling = ceiling

    @property
    def traits(self) -> Traits:
        return Traits(batch_create=20, batch_update=20, ceiling_seconds=self._ceiling, idempotent_creates=False)

    async def check(self) -> Sequence[Finding]:
        return []

    async def describe(self, entities: Sequence[str] | None = None) -> Sequence[EntitySchema]:
        return [EntitySchema(name=name) for name in entities or []]

    async def read(
        self, entity: str, selection: Selection, paths: Sequence[str], scope: Scope | None = None
    ) -> AsyncIterator[Sequence[Record]]:
        rows = self._db.execute("select key, external_key, values, version from outside where entity = %s", [entity])
        found = []
        for key, external, values, version in rows.fetchall():
            if isinstance(selection, ByKeys) and str(key) not in selection.keys:
                continue
            if isinstance(selection, ByExternalKeys) and external not in selection.keys:
                continue
            if isinstance(selection, ByValues) and values.get(selection.path) not in selection.values:
                continue
            told = {path: values.get(path) for path in paths}
            found.append(Record(key=str(key), values=told, version=str(version), external_key=external))
        yield found

    async def changes(self, entity: str, cursor: str | None, scope: Scope | None = None) -> AsyncIterator[ChangePage]:
        yield ChangePage(hints=[], cursor="0")

    async def create(self, entity: str, items: Sequence[Create]) -> Sequence[Outcome]:
        self._point("before create")
        out: list[Outcome] = []
        for item in items:
            sql = "insert into outside (entity, external_key, values) values (%s, %s, %s) returning key"
            made = self._db.execute(sql, [entity, item.external_key, json.dumps(dict(item.values), default=str)])
            row = made.fetchone()
            assert row is not None
            out.append(Written(key=str(row[0]), version="1"))
        self._point("after create")
        return self._answer(out)

    async def update(self, entity: str, items: Sequence[Update]) -> Sequence[Outcome]:
        self._point("before update")
        out: list[Outcome] = []
        for item in items:
            sql = """update outside set values = values || %s, version = version + 1 where key = %s and version = %s
                     returning version"""
            given = [json.dumps(dict(item.values), default=str), int(item.key), int(item.version or 0)]
            row = self._db.execute(sql, given).fetchone()
            out.append(Stale(key=item.key) if row is None else Written(key=item.key, version=str(row[0])))
        self._point("after update")
        return self._answer(out)

    def operations(self) -> Sequence[Operation]:
        return [
            Operation(
                name="capture", label="Capture", summary="Takes the money.", input=Capture, result=Captured,
                lease={"document": "document"}, money=True,
            )
        ]  # fmt: skip

    async def verify(self, operation: str, acts: Sequence[Act]) -> Sequence[Verdict]:
        out: list[Verdict] = []
        for act in acts:
            sql = "select 1 from outside_act where act = %s and document = %s"
            found = self._db.execute(sql, [operation, act.input["document"]]).fetchone()
            out.append(Done(result={"state": "captured"}, repeated=True) if found else NotDone())
        return out

    async def perform(self, operation: str, acts: Sequence[Act]) -> Sequence[Performed]:
        self._point("before perform")
        for act in acts:
            sql = "insert into outside_act (act, document, amount) values (%s, %s, %s)"
            self._db.execute(sql, [operation, act.input["document"], act.input["amount"]])
        self._point("after perform")
        if self.lose > 0:
            self.lose -= 1
            return [Unsure(error=OutcomeUnknown("capturing", answered="no answer in time")) for _ in acts]
        return [Done(result={"state": "captured"}) for _ in acts]

    def _answer(self, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        if self.lose > 0:
            self.lose -= 1
            return [Unsure(error=OutcomeUnknown("writing", answered="no answer in time")) for _ in outcomes]
        return outcomes

    async def close(self) -> None:
        self._db.close()


def written(values: Mapping[str, Any]) -> str:
    """How a record is compared in assertions."""
    return json.dumps(dict(values), sort_keys=True)
