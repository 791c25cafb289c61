"""The seven verbs over a shop's orders, customers, products, variants, levels of stock, fulfilments and refunds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar

from isthmus.connectors.shopify import catalogue
from isthmus.connectors.shopify.cancelling import CANCEL, Canceller
from isthmus.connectors.shopify.catalogue import Entity
from isthmus.connectors.shopify.changing import Changer
from isthmus.connectors.shopify.customids import CustomIds
from isthmus.connectors.shopify.doctor import Doctor
from isthmus.connectors.shopify.documents import Documents
from isthmus.connectors.shopify.hooks import Hooks
from isthmus.connectors.shopify.keys import is_key, level_parts
from isthmus.connectors.shopify.ledger import Ledger
from isthmus.connectors.shopify.reading import Reader, locations_in, search_of
from isthmus.connectors.shopify.refunding import Refunds
from isthmus.connectors.shopify.selecting import record, row_key
from isthmus.connectors.shopify.settings import ShopifySettings
from isthmus.connectors.shopify.shipping import Shipments, Tracker
from isthmus.connectors.shopify.stocking import Stocker
from isthmus.connectors.shopify.wire import Wire
from isthmus.connectors.shopify.writing import Writer
from isthmus.sdk import (
    Act,
    ByExternalKeys,
    ByKeys,
    ByValues,
    ChangePage,
    Connector,
    Create,
    Delivery,
    EntitySchema,
    Everything,
    Failed,
    Finding,
    HookStatus,
    InvalidRecord,
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


class ShopifyConnector(Connector):
    """One custom app in one shop. A scope is a search in Shopify's syntax, for levels `{locations: [...]}`."""

    key: ClassVar[str] = "shopify"

    def __init__(self, settings: ShopifySettings, services: Services) -> None:
        self.settings = settings
        self.wire = Wire(settings, services)
        self._reader = Reader(self.wire)
        self._ids = CustomIds(self.wire, self._reader)
        self._changer = Changer(self.wire, self._reader)
        self._writer = Writer(self.wire, self._reader, self._ids)
        self._stocker = Stocker(self.wire)
        self._tracker = Tracker(self.wire, self._reader)
        ledger = Ledger(self.wire)
        self._documents = {
            "fulfilment": Documents(self.wire, self._reader, ledger, Shipments(self.wire)),
            "refund": Documents(self.wire, self._reader, ledger, Refunds(self.wire)),
        }
        self._canceller = Canceller(self.wire)
        self._hooks = Hooks(self.wire)
        self._doctor = Doctor(self.wire)

    @property
    def traits(self) -> Traits:
        return Traits(
            batch_create=self.settings.batch_size,
            batch_update=self.settings.batch_size,
            batch_read=self.settings.page_size,
            parallel=min(3, self.wire.concurrency.limit),
            ceiling_seconds=self.settings.request_ceiling,
            external_key_max=64,
        )

    async def check(self) -> Sequence[Finding]:
        return await self._doctor.findings()

    async def describe(self, entities: Sequence[str] | None = None) -> Sequence[EntitySchema]:
        names = catalogue.entities() if entities is None else entities
        return [catalogue.entity(name).schema() for name in names]

    async def read(
        self, entity: str, selection: Selection, paths: Sequence[str], scope: Scope | None = None
    ) -> AsyncIterator[Sequence[Record]]:
        told, wanted = catalogue.entity(entity), tuple(dict.fromkeys(paths))
        if isinstance(selection, Everything):
            async for page in self._reader.everything(entity, wanted, scope, selection.after):
                yield page
            return
        found = await self._found(told, selection, wanted)
        if found and scope:
            inside = await self._inside(told, [one.key for one in found], scope)
            found = [one for one in found if one.key in inside]
        if found:
            yield found

    async def _found(self, told: Entity, selection: Selection, paths: tuple[str, ...]) -> list[Record]:
        if isinstance(selection, ByKeys):
            return await self._reader.by_keys(told.name, selection.keys, paths)
        if isinstance(selection, ByValues):
            return await self._reader.by_values(told.name, selection.path, selection.values, paths)
        assert isinstance(selection, ByExternalKeys)  # the last of the four
        if told.name in self._documents:
            return await self._documents[told.name].by_external_keys(selection.keys, paths)
        if not (told.custom_id and told.creates):
            return []  # records of this kind are never made by us, so none carries our key
        rows = await self._ids.find(told, list(dict.fromkeys(selection.keys)), self._reader.tree(told, paths))
        return [record(told, row, paths, external_key=key) for key, row in rows.items()]

    async def _inside(self, told: Entity, keys: Sequence[str], scope: Scope) -> set[str]:
        """Which of these records are inside the scope, by Shopify's own search."""
        if told.kind == "InventoryLevel":
            places = locations_in(scope)
            return {key for key in keys if not places or (level_parts(key) or ("", ""))[1] in places}
        if told.root == "orders" and told.kind != "Order":
            inside: set[str] = set()
            async for page in self._reader.children(told, search_of(scope)):
                inside.update(page)
            return inside & set(keys)
        found: set[str] = set()
        for start in range(0, len(keys), 25):
            ids = " OR ".join(f"id:{key}" for key in keys[start : start + 25] if is_key(key))
            search = f"({ids}) AND ({search_of(scope)})" if search_of(scope) else ids
            async for rows in self._reader.listed(told.name, {"id": {}}, query=search, complete=False):
                found.update(row_key(told, row) for row in rows)
        return found

    async def changes(self, entity: str, cursor: str | None, scope: Scope | None = None) -> AsyncIterator[ChangePage]:
        async for page in self._changer.pages(entity, cursor, scope):
            yield page

    async def create(self, entity: str, items: Sequence[Create]) -> Sequence[Outcome]:
        told = catalogue.entity(entity)
        if told.name in self._documents:
            return await self._documents[told.name].create(items)
        if told.creates:
            return await self._writer.create(told.name, items)
        hint = "Records of this kind come to be in the shop itself; map this entity in the other direction only."
        return [Failed(error=_not_written(told, "made", item.external_key, hint)) for item in items]

    async def update(self, entity: str, items: Sequence[Update]) -> Sequence[Outcome]:
        told = catalogue.entity(entity)
        if told.name == "inventory_level":
            return await self._stocker.update(items)
        if told.name == "fulfilment":
            return await self._tracker.update(items)
        if told.updates:
            return await self._writer.update(told.name, items)
        hint = "A refund stays as it was made; make another one."
        return [Failed(error=_not_written(told, "changed", item.key, hint)) for item in items]

    async def exists(self, entity: str, keys: Sequence[str]) -> Mapping[str, bool]:
        told = catalogue.entity(entity)
        rows = await self._reader.rows(entity, keys, self._reader.tree(told, ()))
        found = {row_key(told, row) for row in rows}
        return {key: key in found for key in keys}

    def operations(self) -> Sequence[Operation]:
        return (CANCEL,)

    async def perform(self, operation: str, acts: Sequence[Act]) -> Sequence[Performed]:
        if operation != CANCEL.name:
            return await super().perform(operation, acts)
        return await self._canceller.perform(acts)

    async def verify(self, operation: str, acts: Sequence[Act]) -> Sequence[Verdict]:
        if operation != CANCEL.name:
            return await super().verify(operation, acts)
        return await self._canceller.verify(acts)

    def receive(self, request: WebhookRequest) -> Delivery:
        return self._hooks.receive(request)

    def uses(self, paths: Mapping[str, Sequence[str]]) -> None:
        self._doctor.uses(list(paths))

    async def install_hooks(self, entities: Sequence[str], url: str) -> Sequence[HookStatus]:
        return await self._hooks.install(entities, url)

    async def remove_hooks(self, url: str) -> None:
        await self._hooks.remove(url)

    async def hooks(self, entities: Sequence[str], url: str) -> Sequence[HookStatus]:
        return await self._hooks.status(entities, url)

    async def fingerprint(self) -> Mapping[str, Any]:
        data = await self.wire.ask("{ shop { id myshopifyDomain } }", doing="asking the shop for its identity")
        return {"shop": data["shop"]["id"], "domain": data["shop"]["myshopifyDomain"]}

    async def close(self) -> None:
        await self.wire.http.close()


def _not_written(told: Entity, verb: str, name: str, hint: str) -> InvalidRecord:
    return InvalidRecord(f"writing {told.label.lower()} {name}: it cannot be {verb} here", record=name, hint=hint)
