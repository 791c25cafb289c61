"""The seven verbs over any model of an Odoo database, custom ones included."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from isthmus.connectors.odoo.changing import Changer
from isthmus.connectors.odoo.counting import Counting, writable
from isthmus.connectors.odoo.creating import Creator
from isthmus.connectors.odoo.doctor import Doctor
from isthmus.connectors.odoo.external import ExternalIds
from isthmus.connectors.odoo.fields import Fields
from isthmus.connectors.odoo.grouped import Groups, grouping
from isthmus.connectors.odoo.hooks import Hooks
from isthmus.connectors.odoo.identity import fingerprint
from isthmus.connectors.odoo.natural import NaturalKeys
from isthmus.connectors.odoo.operations import Operations
from isthmus.connectors.odoo.paths import real
from isthmus.connectors.odoo.reading import PAGE, Reader, value_domain
from isthmus.connectors.odoo.rotation import Rotation
from isthmus.connectors.odoo.settings import OdooSettings
from isthmus.connectors.odoo.sources import Roots
from isthmus.connectors.odoo.updating import Updater
from isthmus.connectors.odoo.wire import Wire
from isthmus.connectors.odoo.writing import Resolver
from isthmus.sdk import (
    Act,
    AdaptiveConcurrency,
    ByExternalKeys,
    ByKeys,
    ByValues,
    ChangePage,
    Connector,
    Create,
    Delete,
    Delivery,
    EntitySchema,
    Everything,
    Failed,
    Finding,
    HookStatus,
    IsthmusError,
    Misconfigured,
    Operation,
    Outcome,
    Performed,
    Record,
    Scope,
    Secret,
    Selection,
    Services,
    Traits,
    Update,
    Verdict,
    WebhookRequest,
)
from isthmus.sdk.together import together

EXTERNAL_KEY = "@external_key"
"""The path that asks for Record.external_key."""

SHOWN = ("res.partner", "product.template", "product.product", "sale.order", "purchase.order", "account.move",
         "account.payment", "stock.picking", "hr.employee", "crm.lead")  # fmt: skip
"""What `describe` tells of when nothing is named, as far as it is installed."""


class OdooConnector(Connector):
    """One login to one database, in one company and one language. A scope is an Odoo domain."""

    key: ClassVar[str] = "odoo"

    def __init__(self, settings: OdooSettings, services: Services) -> None:
        self.settings = settings
        self.services = services
        self._concurrency = AdaptiveConcurrency(start=2, most=4, clock=services.clock)
        http = services.http(settings.url, concurrency=self._concurrency, timeout=settings.request_ceiling)
        self.wire = Wire(settings, http, services.clock)
        self._fields = Fields(self.wire)
        natural = NaturalKeys(self.wire, self._fields)
        self._reader = Reader(self.wire, self._fields, natural)
        self._external = ExternalIds(self.wire, self._fields)
        resolver = Resolver(self._fields, natural)
        self._creator = Creator(self.wire, self._fields, resolver, self._reader)
        self._updater = Updater(self.wire, self._fields, self._reader, resolver, self._creator.addresses)
        self._groups = Groups(self.wire, self._fields, self._reader)
        self._counting = Counting(self.wire, self._fields, self._reader, natural)
        self._roots = Roots(self.wire, self._fields)
        self._changer = Changer(self.wire, self._roots)
        self._hooks = Hooks(self.wire, installation=services.installation, connection=services.connection)
        self._doctor = Doctor(self.wire, self._fields, self._hooks, name=services.connection)
        self._rotation = Rotation(self.wire, connection=services.connection)
        self._operations = Operations(self.wire, self._fields, self._external)

    @property
    def traits(self) -> Traits:
        return Traits(
            batch_create=500,
            batch_update=200,
            batch_read=PAGE,
            parallel=min(3, self._concurrency.limit + 1),  # one more than are answered: it is made ready meanwhile
            ceiling_seconds=self.settings.request_ceiling,
            external_key_max=100,
        )

    async def check(self) -> Sequence[Finding]:
        found = await self._doctor.findings()
        complete = any(one.check == "calls" for one in found)  # else something stops everything
        return [*found, *await self._operations.findings()] if complete else found

    async def describe(self, entities: Sequence[str] | None = None) -> Sequence[EntitySchema]:
        if entities is not None:
            await self.wire.version()  # asked once, before all the others want to know it
            return await together(*(self._schema(name) for name in entities))
        found = []
        for name in SHOWN:
            try:
                found.append(await self._fields.schema(name))
            except IsthmusError as error:
                if error.action == "retry" or error.kind == "AuthFailed":
                    raise
        return found

    async def _schema(self, name: str) -> EntitySchema:
        sums = grouping(name)
        return await (self._fields.schema(name) if sums is None else self._groups.schema(name, sums, writable(sums)))

    async def read(
        self, entity: str, selection: Selection, paths: Sequence[str], scope: Scope | None = None
    ) -> AsyncIterator[Sequence[Record]]:
        wanted = tuple(dict.fromkeys(paths))
        domain = _domain(scope)
        if (sums := grouping(entity)) is not None:
            if not isinstance(selection, ByExternalKeys):  # a sum carries no key of ours
                async for summed in self._groups.read(sums, selection, wanted, domain):
                    yield summed
            return
        await self._roots.learn(entity, real(wanted))
        if isinstance(selection, ByExternalKeys):
            async for page in self._by_external_keys(entity, selection, wanted, domain):
                yield page
            return
        for chosen, after in await self._domains(entity, selection):
            async for page in self._reader.pages(entity, [*chosen, *domain], wanted, after=after):
                yield await self._with_external_keys(entity, page) if EXTERNAL_KEY in wanted else page

    async def _domains(self, entity: str, selection: Selection) -> list[tuple[list[Any], int]]:
        """The domains of a selection, and the id to go on behind."""
        if isinstance(selection, ByKeys):
            ids = sorted({int(key) for key in selection.keys if key.isdigit()})
            return [([["id", "in", ids[n : n + PAGE]]], 0) for n in range(0, len(ids), PAGE)]
        if isinstance(selection, ByValues):
            described = await self._fields.model(entity)
            values = list(selection.values)
            return [
                (value_domain(described, selection.path, values[n : n + PAGE]), 0) for n in range(0, len(values), PAGE)
            ]
        assert isinstance(selection, Everything)
        return [([], int(selection.after or 0))]

    async def _by_external_keys(
        self, entity: str, selection: ByExternalKeys, paths: Sequence[str], domain: Sequence[Any]
    ) -> AsyncIterator[Sequence[Record]]:
        found = await self._external.find(entity, selection.keys)
        keys: dict[int, list[str]] = {}
        for key, one in found.items():
            keys.setdefault(one, []).append(key)
        ids = sorted(keys)
        for start in range(0, len(ids), PAGE):
            chosen = [["id", "in", ids[start : start + PAGE]], *domain]
            async for page in self._reader.pages(entity, chosen, paths):
                yield [replace(record, external_key=key) for record in page for key in keys[int(record.key)]]

    async def _with_external_keys(self, entity: str, page: Sequence[Record]) -> list[Record]:
        found = await self._external.of(entity, [int(record.key) for record in page])
        return [replace(record, external_key=found.get(int(record.key))) for record in page]

    async def changes(self, entity: str, cursor: str | None, scope: Scope | None = None) -> AsyncIterator[ChangePage]:
        async for page in self._changer.pages(entity, cursor, _domain(scope)):
            yield page

    async def create(self, entity: str, items: Sequence[Create]) -> Sequence[Outcome]:
        if (sums := grouping(entity)) is not None:
            return await self._counting.create(sums, items)
        return await self._creator.create(entity, items)

    async def update(self, entity: str, items: Sequence[Update]) -> Sequence[Outcome]:
        if (sums := grouping(entity)) is not None:
            return await self._counting.update(sums, items)
        return await self._updater.update(entity, items)

    async def delete(self, entity: str, items: Sequence[Delete]) -> Sequence[Outcome]:
        refusal = Misconfigured(
            f"deleting {entity}: records of Odoo are archived, never deleted",
            hint="Set the deletes Policy of this Entity to `archive` or `ignore`.",
        )
        return [Failed(error=refusal) for _ in items]

    def operations(self) -> Sequence[Operation]:
        return self._operations.listing()

    async def perform(self, operation: str, acts: Sequence[Act]) -> Sequence[Performed]:
        return await self._operations.perform(operation, acts)

    async def verify(self, operation: str, acts: Sequence[Act]) -> Sequence[Verdict]:
        return await self._operations.verify(operation, acts)

    async def exists(self, entity: str, keys: Sequence[str]) -> Mapping[str, bool]:
        """Absent is what neither a search with archived ones nor a read by id finds, with the right to read intact."""
        if (sums := grouping(entity)) is not None:
            return await self._groups.exists(sums, keys)
        ids = [int(key) for key in keys if key.isdigit()]
        out = {key: False for key in keys if not key.isdigit()}
        found = set(await self._reader.ids(entity, [["id", "in", ids]])) if ids else set()
        for one in ids:
            if one in found:
                out[str(one)] = True
        for one in (one for one in ids if one not in found):
            there = await self._there(entity, one)
            if there is not None:
                out[str(one)] = there
        return out

    async def _there(self, entity: str, one: int) -> bool | None:
        """Whether a record that a search does not find exists; None when it cannot be proven."""
        try:
            rows = await self.wire.call(
                entity,
                "read",
                doing=f"looking whether {entity} {one} exists",
                ids=[one],
                reads=True,
                fields=["create_date"],
            )
        except Misconfigured as error:
            # Hidden by a record rule: it is there. Without the right on the whole model nothing is proven.
            may = bool(error.facts.get("access")) and await self._fields.may(entity, "read")
            return True if may else None
        except IsthmusError as error:
            if error.facts.get("missing"):
                return False
            raise
        return bool(rows)

    async def all_keys(self, entity: str, scope: Scope | None = None) -> Sequence[str]:
        if (sums := grouping(entity)) is not None:
            pages = self._groups.read(sums, Everything(), (), _domain(scope))
            return [record.key async for page in pages for record in page]
        return [str(one) for one in await self._reader.ids(entity, _domain(scope))]

    def receive(self, request: WebhookRequest) -> Delivery:
        return self._hooks.receive(request)

    def uses(self, paths: Mapping[str, Sequence[str]]) -> None:
        self._hooks.uses(paths)
        self._doctor.uses(paths)

    async def install_hooks(self, entities: Sequence[str], url: str) -> Sequence[HookStatus]:
        done = await self._hooks.install(entities, url)
        self._updater.forget_action()
        return done

    async def remove_hooks(self, url: str) -> None:
        await self._hooks.remove(url)
        self._updater.forget_action()

    async def hooks(self, entities: Sequence[str], url: str) -> Sequence[HookStatus]:
        return await self._hooks.status(entities, url)

    async def renew(self, proof: Mapping[str, Secret]) -> Mapping[str, Secret]:
        return await self._rotation.renew(proof)

    async def retire(self, proof: Mapping[str, Secret]) -> str:
        return await self._rotation.retire(proof)

    async def fingerprint(self) -> Mapping[str, Any]:
        return await fingerprint(self.wire)

    async def close(self) -> None:
        await self.wire.http.close()


def _domain(scope: Scope | None) -> list[Any]:
    return list(scope or [])
