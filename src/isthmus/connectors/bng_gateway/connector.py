"""The seven verbs over one merchant account of the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

from isthmus.connectors.bng_gateway import doctor, hooks
from isthmus.connectors.bng_gateway.changing import Poller
from isthmus.connectors.bng_gateway.entities import (
    CHARGEBACK,
    CUSTOMER,
    SCHEMAS,
    SETTLEMENT,
    TRANSACTION,
    check_paths,
    customer_record,
    settlement_record,
    transaction_record,
)
from isthmus.connectors.bng_gateway.gateway import Gateway
from isthmus.connectors.bng_gateway.operations import OPERATIONS, Operator
from isthmus.connectors.bng_gateway.settings import GatewaySettings
from isthmus.connectors.bng_gateway.values import Transaction
from isthmus.connectors.bng_gateway.vault import LONGEST_ID
from isthmus.connectors.bng_gateway.writing import Writer
from isthmus.sdk import (
    Act,
    ByExternalKeys,
    ByKeys,
    ByValues,
    ChangePage,
    Connector,
    Create,
    Delete,
    Delivery,
    EntitySchema,
    Finding,
    Hint,
    HookStatus,
    Misconfigured,
    Operation,
    Outcome,
    Performed,
    Record,
    Scope,
    Selection,
    Services,
    Traits,
    Update,
    Verdict,
    WebhookRequest,
)
from isthmus.sdk.together import together


class GatewayConnector(Connector):
    """One connection to one merchant account.

    A scope is a mapping from field to the value, or the list of values, that records in scope have.
    """

    key: ClassVar[str] = "bng_gateway"

    def __init__(self, settings: GatewaySettings, services: Services) -> None:
        self.settings = settings
        self.gateway = Gateway(settings, services)
        self._clock = services.clock
        self._writer = Writer(self.gateway)
        self._operator = Operator(self.gateway)
        self._poller = Poller(settings.poll_overlap, settings.page_size, services.clock)

    @property
    def traits(self) -> Traits:
        return Traits(
            batch_create=self.settings.parallel,
            batch_update=self.settings.parallel,
            batch_read=50,
            parallel=self.gateway.http.concurrency.limit,
            ceiling_seconds=self.settings.request_ceiling,
            can_delete=True,
            external_key_max=LONGEST_ID,
        )

    async def check(self) -> Sequence[Finding]:
        return await doctor.findings(self.settings, self.gateway.queries, self._clock, self.gateway.http.base_url)

    async def describe(self, entities: Sequence[str] | None = None) -> Sequence[EntitySchema]:
        wanted = list(SCHEMAS) if entities is None else list(entities)
        for name in wanted:
            check_paths(name, ())
        return [SCHEMAS[name] for name in wanted]

    async def read(
        self, entity: str, selection: Selection, paths: Sequence[str], scope: Scope | None = None
    ) -> AsyncIterator[Sequence[Record]]:
        inside = dict(scope) if scope else {}
        check_paths(entity, (*paths, *inside))
        if isinstance(selection, ByValues):
            check_paths(entity, (selection.path,))
        every = tuple(dict.fromkeys([*paths, *inside]))
        async for page in self._pages(entity, selection, every):
            kept = [record for record in page if _in_scope(record, inside)]
            if kept:
                yield [_narrowed(record, paths) for record in kept] if inside else kept

    async def changes(self, entity: str, cursor: str | None, scope: Scope | None = None) -> AsyncIterator[ChangePage]:
        check_paths(entity, tuple(scope or ()))
        if entity == CHARGEBACK:
            yield ChangePage(hints=(), cursor=cursor or "webhooks")  # only webhooks tell of chargebacks
            return
        if entity == SETTLEMENT:
            async for page in self._settled(cursor):
                yield page
            return
        queries = self.gateway.queries

        def window(since: datetime) -> AsyncIterator[Sequence[Any]]:
            return queries.transactions(since) if entity == TRANSACTION else queries.customers(since)

        async for page in self._poller.pages(entity, cursor, window):
            yield page

    async def create(self, entity: str, items: Sequence[Create]) -> Sequence[Outcome]:
        return await self._writer.create(entity, items)

    async def update(self, entity: str, items: Sequence[Update]) -> Sequence[Outcome]:
        return await self._writer.update(entity, items)

    async def delete(self, entity: str, items: Sequence[Delete]) -> Sequence[Outcome]:
        return await self._writer.delete(entity, items)

    def operations(self) -> Sequence[Operation]:
        return OPERATIONS

    async def perform(self, operation: str, acts: Sequence[Act]) -> Sequence[Performed]:
        return await self._operator.perform(operation, acts)

    async def verify(self, operation: str, acts: Sequence[Act]) -> Sequence[Verdict]:
        return await self._operator.verify(operation, acts)

    async def exists(self, entity: str, keys: Sequence[str]) -> Mapping[str, bool]:
        if entity in (SETTLEMENT, CHARGEBACK):
            return {}  # put together from other records, so neither presence nor absence can be proven
        found = {record.key async for page in self.read(entity, ByKeys(keys), ()) for record in page}
        return {key: key in found for key in keys}

    def receive(self, request: WebhookRequest) -> Delivery:
        return hooks.receive(self.settings, request, self._clock)

    async def install_hooks(self, entities: Sequence[str], url: str) -> Sequence[HookStatus]:
        return hooks.by_hand(entities, url)

    async def hooks(self, entities: Sequence[str], url: str) -> Sequence[HookStatus]:
        return hooks.by_hand(entities, url)

    async def fingerprint(self) -> Mapping[str, Any]:
        """The address: the gateway does not say which account a key belongs to."""
        return {"host": urlsplit(self.gateway.http.base_url).netloc}

    async def close(self) -> None:
        await self.gateway.close()

    async def _pages(self, entity: str, selection: Selection, paths: Sequence[str]) -> AsyncIterator[Sequence[Record]]:
        if entity == SETTLEMENT:
            batches = await self.gateway.queries.recent_settlements()
            yield [r for r in (settlement_record(b, paths) for b in batches) if _selected(r, selection)]
        elif entity == CHARGEBACK:
            raise Misconfigured(
                "reading chargebacks: the gateway cannot be asked for them",
                hint="They come by webhook only: their events carry all there is to know.",
            )
        elif entity == CUSTOMER:
            async for page in self._customers(selection, paths):
                yield page
        else:
            async for page in self._transactions(selection, paths):
                yield page

    async def _transactions(self, selection: Selection, paths: Sequence[str]) -> AsyncIterator[Sequence[Record]]:
        queries = self.gateway.queries
        if isinstance(selection, ByKeys):
            yield [transaction_record(t, paths) for t in (await queries.by_ids(selection.keys)).values()]
        elif isinstance(selection, ByExternalKeys):
            # What was declined was not made: only what stands is the record that a create was to make.
            yield [transaction_record(t, paths) for t in await self._of_orders(selection.keys) if not t.dead]
        elif isinstance(selection, ByValues) and selection.path == "OrderID":
            keys = [str(value) for value in selection.values]
            yield [transaction_record(t, paths) for t in await self._of_orders(keys)]
        elif isinstance(selection, ByValues) and selection.path == "TransactionID":
            found = await queries.by_ids([str(value) for value in selection.values])
            yield [transaction_record(t, paths) for t in found.values()]
        else:
            every = (*paths, selection.path) if isinstance(selection, ByValues) else tuple(paths)
            async for page in queries.transactions(first_page=_page_after(selection)):
                records = [transaction_record(t, every) for t in page]
                yield [_narrowed(r, paths) for r in records if _selected(r, selection)]

    async def _of_orders(self, keys: Sequence[str]) -> list[Transaction]:
        found = await together(*(self.gateway.find(key) for key in dict.fromkeys(keys)))
        return [t for transactions in found for t in transactions]

    async def _customers(self, selection: Selection, paths: Sequence[str]) -> AsyncIterator[Sequence[Record]]:
        queries = self.gateway.queries
        named = isinstance(selection, ByValues) and selection.path == "VaultID"
        if isinstance(selection, ByKeys | ByExternalKeys) or (isinstance(selection, ByValues) and named):
            keys = selection.values if isinstance(selection, ByValues) else selection.keys
            found = await together(*(queries.customer(str(key)) for key in dict.fromkeys(keys)))
            yield [customer_record(c, paths) for c in found if c is not None]
            return
        every = (*paths, selection.path) if isinstance(selection, ByValues) else tuple(paths)
        async for page in queries.customers(first_page=_page_after(selection)):
            records = [customer_record(c, every) for c in page]
            yield [_narrowed(r, paths) for r in records if _selected(r, selection)]

    async def _settled(self, cursor: str | None) -> AsyncIterator[ChangePage]:
        """Batches not told before. They are made once a day, so the Cursor is the list of those in reach."""
        batches = await self.gateway.queries.recent_settlements()
        known = set(cursor.split(",")) if cursor else {b.id for b in batches}
        fresh = [b for b in batches if b.id not in known]
        told = [Hint(entity=SETTLEMENT, key=b.id, occurred_at=b.at) for b in fresh]
        yield ChangePage(hints=told, cursor=",".join(["", *(b.id for b in batches)]) or ",")


def _page_after(selection: Selection) -> int:
    """Where `Everything(after=…)` goes on: its token is the number of the next page."""
    after = getattr(selection, "after", None)
    return int(after) if isinstance(after, str) and after.isdigit() else 0


def _selected(record: Record, selection: Selection) -> bool:
    match selection:
        case ByKeys(keys=keys):
            return record.key in keys
        case ByExternalKeys(keys=keys):
            return record.external_key in keys
        case ByValues(path=path, values=values):
            return record.values.get(path) in values
        case _:
            return True


def _in_scope(record: Record, inside: Mapping[str, Any]) -> bool:
    return all(
        record.values[path] in wanted if isinstance(wanted, list | tuple) else record.values[path] == wanted
        for path, wanted in inside.items()
    )


def _narrowed(record: Record, paths: Sequence[str]) -> Record:
    return Record(
        key=record.key,
        values={path: record.values[path] for path in paths},
        version=record.version,
        changed_at=record.changed_at,
        created_at=record.created_at,
        active=record.active,
        external_key=record.external_key,
    )
