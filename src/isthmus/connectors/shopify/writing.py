"""Creating and updating customers, products, variants and orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from isthmus.connectors.shopify import inputs
from isthmus.connectors.shopify.batching import Batch, Call, Job, failed
from isthmus.connectors.shopify.catalogue import Entity, entity
from isthmus.connectors.shopify.customids import CustomIds
from isthmus.connectors.shopify.keys import gid, key_of
from isthmus.connectors.shopify.reading import Reader
from isthmus.connectors.shopify.selecting import Row, Tree, moment, record, render, selection, value_at
from isthmus.connectors.shopify.wire import Wire
from isthmus.sdk import (
    Create,
    Failed,
    Gone,
    InvalidRecord,
    IsthmusError,
    Outcome,
    RefusedByTarget,
    Stale,
    Update,
    Written,
)


@dataclass(frozen=True, slots=True)
class Verb:
    """A mutation for one Entity: its name, how its input is called and typed, where the answer holds the record."""

    mutation: str
    argument: str
    type: str
    holds: str


CREATES: Mapping[str, Verb] = {
    "customer": Verb("customerCreate", "input", "CustomerInput!", "customer"),
    "product": Verb("productSet", "input", "ProductSetInput!", "product"),
    "variant": Verb("productVariantsBulkCreate", "variants", "[ProductVariantsBulkInput!]!", "productVariants"),
}
UPDATES: Mapping[str, Verb] = {
    "customer": Verb("customerUpdate", "input", "CustomerInput!", "customer"),
    "product": Verb("productUpdate", "product", "ProductUpdateInput", "product"),
    "variant": Verb("productVariantsBulkUpdate", "variants", "[ProductVariantsBulkInput!]!", "productVariants"),
    "order": Verb("orderUpdate", "input", "OrderInput!", "order"),
}


class Writer:
    """Writes records that carry our key themselves."""

    def __init__(self, wire: Wire, reader: Reader, ids: CustomIds) -> None:
        self._wire = wire
        self._reader = reader
        self._ids = ids
        self._batch = Batch(wire)

    async def create(self, name: str, items: Sequence[Create]) -> list[Outcome]:
        """Make records under our keys; one that is there already under its key is adopted."""
        told, verb = entity(name), CREATES[name]
        jobs = [self._new(told, verb, item) for item in items]
        await self._batch.run(jobs)
        if await self._missing_definition(told, jobs):
            again = [job for job in jobs if job.refusals]
            for job in again:
                job.outcome, job.refusals = None, []
            await self._batch.run(again)
        await self._adopt(told, items, jobs)
        return [self._made(told, verb, item, job) for item, job in zip(items, jobs, strict=True)]

    def _new(self, told: Entity, verb: Verb, item: Create) -> Job:
        doing = f"creating {told.label.lower()} {item.external_key}"
        try:
            given = inputs.nested(item.values, told, doing)
            return Job(item.external_key, doing, [self._create_call(told, verb, item, given, doing)])
        except IsthmusError as error:
            return Job(item.external_key, doing, [], outcome=failed(error, item.external_key))

    def _create_call(self, told: Entity, verb: Verb, item: Create, given: dict[str, Any], doing: str) -> Call:
        wants = f"{verb.holds} {{ {render(self._tree(told, tuple(item.values)))} }}"
        mark = [self._ids.metafield(item.external_key)]
        if told.name == "customer":
            made = inputs.customer(given) | {"metafields": mark}
            if given.get("defaultAddress"):
                made["addresses"] = [inputs.address(given["defaultAddress"])]
            return Call(verb.mutation, {verb.argument: (verb.type, made)}, wants)
        if told.name == "product":
            made = inputs.product(given, doing) | {"metafields": mark}
            arguments = {verb.argument: (verb.type, made), "synchronous": ("Boolean", True)}
            return Call(verb.mutation, arguments, wants)
        product = inputs.reference("Product", given.get("product"), doing, "product")
        made = inputs.variant(given, doing) | {"metafields": mark}
        return Call(verb.mutation, {"productId": ("ID!", product), verb.argument: (verb.type, [made])}, wants)

    async def _missing_definition(self, told: Entity, jobs: Sequence[Job]) -> bool:
        """Whether the shop did not know our metafield before now; asked once, and when one was refused for it."""
        if not any(job.payloads or job.refusals for job in jobs):
            return False
        try:
            made = await self._ids.define(told)
        except IsthmusError as error:
            for job in jobs:
                if job.refusals:
                    job.outcome = failed(error, job.name)
            return False
        return made and any(job.refusals for job in jobs)

    async def _adopt(self, told: Entity, items: Sequence[Create], jobs: Sequence[Job]) -> None:
        """A refused create may be one that took place before: then its record carries our key."""
        refused = {item.external_key: job for item, job in zip(items, jobs, strict=True) if job.refusals}
        if not refused:
            return
        paths = tuple({path: None for item in items for path in item.values})
        try:
            found = await self._ids.find(told, list(refused), self._tree(told, paths))
        except IsthmusError as error:
            for job in refused.values():
                job.outcome = failed(error, job.name)
            return
        for key, row in found.items():
            job = refused[key]
            values = next(tuple(item.values) for item in items if item.external_key == key)
            job.outcome = self._written(told, row, values, created=False)

    def _made(self, told: Entity, verb: Verb, item: Create, job: Job) -> Outcome:
        if job.outcome is not None:
            return job.outcome
        row = _row(job.payloads[0].get(verb.holds))
        if row is None:
            error = RefusedByTarget(f"{job.doing}: the answer holds no record", record=job.name)
            return Failed(error=error)
        return self._written(told, row, tuple(item.values), created=True)

    async def update(self, name: str, items: Sequence[Update]) -> list[Outcome]:
        """Change records that are as they were when read: they are looked at again just before."""
        told, verb = entity(name), UPDATES[name]
        paths = tuple({path: None for item in items for path in (*item.values, *item.expect)})
        tree = self._tree(
            told, tuple({path.split(".")[0]: None for path in paths if "." in path} | dict.fromkeys(paths))
        )
        if name == "customer":
            tree.setdefault("defaultAddress", {})["id"] = {}
        if name == "variant":
            tree.setdefault("product", {})["id"] = {}
        try:
            rows = await self._reader.rows(name, [item.key for item in items], tree)
        except IsthmusError as error:
            return [failed(error, item.key) for item in items]
        found = {key_of(row["id"]): row for row in rows}
        jobs = [self._changed(told, verb, item, found.get(item.key)) for item in items]
        await self._batch.run(jobs)
        return [self._updated(told, verb, item, job) for item, job in zip(items, jobs, strict=True)]

    def _changed(self, told: Entity, verb: Verb, item: Update, row: Row | None) -> Job:
        doing = f"updating {told.label.lower()} {item.key}"
        job = Job(item.key, doing, [])
        if row is None:
            job.outcome = Gone(key=item.key)
            return job
        if _moved(told, item, row):
            job.outcome = Stale(key=item.key)
            return job
        try:
            values = inputs.nested(item.values, told, doing)
            job.calls = self._update_calls(told, verb, item, row, values, doing)
        except IsthmusError as error:
            job.outcome = failed(error, item.key)
        return job

    def _update_calls(
        self, told: Entity, verb: Verb, item: Update, row: Row, given: dict[str, Any], doing: str
    ) -> list[Call]:
        wants = f"{verb.holds} {{ {render(self._tree(told, tuple(item.values)))} }}"
        text = gid(told.kind, item.key)
        if told.name == "variant":
            if "product" in given:
                raise InvalidRecord(f"{doing}: a variant stays with its product", hint="Unmap product for updates.")
            made = inputs.variant(given, doing) | {"id": text}
            product = row["product"]["id"]
            return [Call(verb.mutation, {"productId": ("ID!", product), verb.argument: (verb.type, [made])}, wants)]
        if told.name == "product":
            if "variants" in given:
                hint = "Map the entity variant for changes to variants that are there already."
                raise InvalidRecord(f"{doing}: variants are changed one by one", hint=hint)
            made = inputs.product(given, doing) | {"id": text}
            return [Call(verb.mutation, {verb.argument: (verb.type, made)}, wants)]
        if told.name == "order":
            given = given | _overlaid(told, row, given, "shippingAddress")
            made = inputs.order(given) | {"id": text}
            return [Call(verb.mutation, {verb.argument: (verb.type, made)}, wants)]
        return self._customer_calls(told, verb, row, given, wants, doing)

    def _customer_calls(
        self, told: Entity, verb: Verb, row: Row, given: dict[str, Any], wants: str, doing: str
    ) -> list[Call]:
        """The address first, so that the record that comes back with the rest shows it."""
        calls: list[Call] = []
        if "defaultAddress" in given:
            if given["defaultAddress"] is None:
                raise InvalidRecord(f"{doing}: an address is changed, not removed", hint="Map empties to keep.")
            whole = _overlaid(told, row, given, "defaultAddress")["defaultAddress"]
            arguments: dict[str, tuple[str, Any]] = {
                "customerId": ("ID!", row["id"]),
                "address": ("MailingAddressInput!", inputs.address(whole)),
                "setAsDefault": ("Boolean", True),
            }
            known = (row.get("defaultAddress") or {}).get("id")
            if known:
                arguments["addressId"] = ("ID!", known)
            calls.append(
                Call("customerAddressUpdate" if known else "customerAddressCreate", arguments, "address { id }")
            )
        made = inputs.customer(given) | {"id": row["id"]}
        calls.append(Call(verb.mutation, {verb.argument: (verb.type, made)}, wants))
        return calls

    def _updated(self, told: Entity, verb: Verb, item: Update, job: Job) -> Outcome:
        if job.outcome is not None:
            missing = any("does not exist" in str(one.get("message")) for one in job.refusals)
            return Gone(key=item.key) if missing and _about_itself(job) else job.outcome
        row = _row(job.payloads[-1].get(verb.holds))
        if row is None:
            return Written(key=item.key, created=False)
        return self._written(told, row, tuple(item.values), created=False)

    def _tree(self, told: Entity, paths: Sequence[str]) -> Tree:
        return selection(told, paths, page=min(self._wire.settings.line_page, 20))

    def _written(self, told: Entity, row: Row, paths: Sequence[str], *, created: bool) -> Written:
        whole = not any(_cut(row.get(told.fields[path.split(".")[0]].wire[0])) for path in paths)
        return Written(
            key=key_of(row["id"]) or "",
            version=row.get("updatedAt"),
            changed_at=moment(row.get("updatedAt")),
            created_at=moment(row.get("createdAt")),
            record=record(told, row, paths) if whole else None,
            created=created,
        )


def _moved(told: Entity, item: Update, row: Row) -> bool:
    """Whether a field that is to be changed is not as it was read; without such knowledge the version decides."""
    if item.expect:
        return any(not inputs.same(value, value_at(told, row, path)) for path, value in item.expect.items())
    return item.version is not None and item.version != row.get("updatedAt")


def _overlaid(told: Entity, row: Row, given: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object of which only parts were given, with the rest as it is."""
    if not isinstance(given.get(name), Mapping):
        return {}
    now = value_at(told, row, name) or {}
    return {name: {**now, **given[name]}}


def _about_itself(job: Job) -> bool:
    return all((one.get("field") or ["id"])[-1] in ("id", "input", "variants") for one in job.refusals)


def _row(found: Any) -> Row | None:
    if isinstance(found, list):
        found = found[0] if found else None
    return found if isinstance(found, Mapping) else None


def _cut(found: Any) -> bool:
    """Whether a list came back without its end."""
    return isinstance(found, Mapping) and bool((found.get("pageInfo") or {}).get("hasNextPage"))
