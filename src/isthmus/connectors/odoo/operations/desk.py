"""Calls that operations make: rows of many documents at once, and methods on many of which a few may be refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from isthmus.connectors.odoo.creating import LOAD
from isthmus.connectors.odoo.external import ExternalIds, external_id
from isthmus.connectors.odoo.fields import Fields
from isthmus.connectors.odoo.refusal import clean, is_contention
from isthmus.connectors.odoo.wire import Wire
from isthmus.sdk import Contended, IsthmusError, RefusedByTarget, Reject

if TYPE_CHECKING:
    from isthmus.connectors.odoo.operations.method import Work

Row = dict[str, Any]

AS_ON_SCREEN: Mapping[str, Any] = {"active_test": True}
"""Business methods choose taxes, routes and journals by themselves: archived ones are not among them."""

_TRIES = 6
_PAUSE = 0.1


class Desk:
    """What operations know of one database; all calls raise IsthmusError only."""

    def __init__(self, wire: Wire, fields: Fields, external: ExternalIds) -> None:
        self.wire = wire
        self.fields = fields
        self.external = external

    async def rows(self, model: str, ids: Collection[int], fields: Sequence[str], *, doing: str) -> dict[int, Row]:
        """Documents by id, archived ones too; absent are those that are not there or not ours to see."""
        found = await self.search(model, [["id", "in", sorted(set(ids))]], fields, doing=doing) if ids else []
        return {int(row["id"]): row for row in found}

    async def search(
        self, model: str, domain: Sequence[Any], fields: Sequence[str], *, doing: str, order: str = "id"
    ) -> list[Row]:
        """Documents of a domain, many2one fields as plain ids."""
        rows = await self.wire.call(
            model,
            "search_read",
            doing=doing,
            reads=True,
            domain=list(domain),
            fields=list(fields),
            order=order,
            load="",
        )
        return [dict(row) for row in rows]

    async def known(self, model: str, *fields: str) -> list[str]:
        """Those of some fields that this Odoo has: apps bring them."""
        described = await self.fields.model(model)
        return [name for name in fields if described.has(name)]

    async def call(
        self,
        model: str,
        method: str,
        ids: Sequence[int] | None,
        *,
        doing: str,
        context: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> Any:
        """A business method, as a person on the screen would call it."""
        return await self.wire.call(
            model, method, doing=doing, ids=ids, context={**AS_ON_SCREEN, **(context or {})}, **arguments
        )

    async def each(self, works: Sequence[Work[Any]], call: Callable[[list[Work[Any]]], Awaitable[None]]) -> None:
        """One call for all works that are open; where Odoo refuses, halves, until only the refused stand alone.

        A refused call has written nothing, so the others are simply called again. A conflict of two transactions is
        tried again after a pause. Without an answer nothing more is sent: looking afterwards tells what happened.
        """
        todo = [work for work in works if work.open]
        if not todo:
            return
        for attempt in range(1, _TRIES + 1):
            try:
                await call(todo)
                return
            except Contended as error:
                if attempt == _TRIES:
                    _fail(todo, error)
                    return
                await asyncio.sleep(_PAUSE * 2**attempt)
            except Reject as error:
                if len(todo) == 1:
                    _fail(todo, error)
                    return
                middle = len(todo) // 2
                await self.each(todo[:middle], call)
                await self.each(todo[middle:], call)
                return
            except IsthmusError as error:
                _fail(todo, error)
                return

    async def load(
        self, works: Sequence[Work[Any]], model: str, sheet: Callable[[Any], list[dict[str, Any]]], *, doing: str
    ) -> dict[int, int]:
        """Make or change one record per work by `load()`; the ids by `id(work)`.

        `sheet` gives its rows, the first one with the record's own cells, all with `id` or `.id` in the first. Rows of
        the same columns share a call, because an empty cell is not the same as none.
        """
        made: dict[int, int] = {}
        groups: dict[tuple[str, ...], list[Work[Any]]] = {}
        sheets = {id(work): sheet(work) for work in works if work.open}
        for work in works:
            if work.open:
                columns = tuple(dict.fromkeys(name for row in sheets[id(work)] for name in row))
                groups.setdefault(columns, []).append(work)
        for columns, group in groups.items():

            async def call(todo: list[Work[Any]], columns: tuple[str, ...] = columns) -> None:
                rows = [row for work in todo for row in sheets[id(work)]]
                ids = await self._load(model, columns, rows, doing)
                made.update({id(work): one for work, one in zip(todo, ids, strict=True)})

            await self.each(group, call)
        return made

    async def load_all(self, work: Work[Any], model: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Make several records of one work, all or none of them."""
        columns = tuple(dict.fromkeys(name for row in rows for name in row))

        async def call(todo: list[Work[Any]]) -> None:
            await self._load(model, columns, rows, todo[0].doing)

        await self.each([work], call)

    async def _load(
        self, model: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]], doing: str
    ) -> list[int]:
        data = [[_cell(row.get(name, "")) for name in columns] for row in rows]
        told = await self.wire.call(model, "load", doing=doing, context=LOAD, fields=list(columns), data=data)
        if told.get("ids"):
            return [int(one) for one in told["ids"]]
        said = [clean(str(m.get("message"))) for m in told.get("messages") or () if m.get("type") == "error"]
        if any(is_contention(one) for one in said):
            raise Contended(doing, answered=said[0])
        raise RefusedByTarget(doing, answered="; ".join(dict.fromkeys(said)) or "nothing", facts={"model": model})

    def xid(self, operation: str, key: str) -> str:
        """The External ID of what an Act makes."""
        return external_id(made_key(operation, key))

    async def made_by(self, model: str, operation: str, ids: Sequence[int]) -> dict[str, int]:
        """Which of some documents the Acts of an operation made: document by the Act's key."""
        found = await self.external.of(model, list(ids))
        prefix = made_key(operation, "")
        return {key.removeprefix(prefix): one for one, key in found.items() if key.startswith(prefix)}


def made_key(operation: str, key: str) -> str:
    """The external key of what an Act makes: unique over all operations."""
    return f"{operation}.{key}"


def number(value: Any) -> Decimal:
    """A number of Odoo, exact and without digits that floats leave behind."""
    found = round(Decimal(str(value or 0)), 6).normalize()
    return found.quantize(Decimal(1)) if found == found.to_integral_value() else found


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, list | tuple):
        return ",".join(str(one) for one in value)
    return "" if value is None else value if isinstance(value, int | str) else str(value)


def _fail(works: Sequence[Work[Any]], error: IsthmusError) -> None:
    for work in works:
        work.fail(error)
