"""Fulfilments: shipped in whole or in part from one location, with tracking; tracked anew, or taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isthmus.connectors.shopify import inputs
from isthmus.connectors.shopify.batching import Batch, Call, Job, failed
from isthmus.connectors.shopify.catalogue import entity
from isthmus.connectors.shopify.keys import gid, key_of
from isthmus.connectors.shopify.ledger import fingerprint
from isthmus.connectors.shopify.reading import Reader
from isthmus.connectors.shopify.selecting import Row, selection, value_at
from isthmus.connectors.shopify.wire import Wire
from isthmus.sdk import Create, Gone, InvalidRecord, IsthmusError, Outcome, RefusedByTarget, Stale, Update, Written

OPEN = ("OPEN", "IN_PROGRESS", "SCHEDULED")
_NEEDS = (
    "id name fulfillments(first: 100) { id status trackingInfo(first: 20) { company number url } "
    "fulfillmentLineItems(first: 250) { nodes { quantity lineItem { id } } pageInfo { hasNextPage } } } "
    "fulfillmentOrders(first: 50) { nodes { id status assignedLocation { location { id } } "
    "lineItems(first: 250) { nodes { id remainingQuantity lineItem { id sku } } pageInfo { hasNextPage } } } "
    "pageInfo { hasNextPage } }"
)


class Shipments:
    """What is particular to fulfilments."""

    name = "fulfilment"
    listed = "fulfillments"
    needs = _NEEDS

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def plan(self, order: Row, item: Create, doing: str) -> tuple[Call, str]:
        """Spread the asked quantities over what is open of the order, at one location."""
        entity(self.name).part("lines")
        inputs.nested(item.values, entity(self.name), doing)
        location = item.values.get("location") or self._wire.settings.location
        groups, shipped = _spread(order, item.values.get("lines"), location, doing)
        tracking = _tracking(item.values.get("trackingInfo"), doing)
        given: dict[str, Any] = {
            "lineItemsByFulfillmentOrder": groups,
            "notifyCustomer": self._wire.settings.notify_customers,
        }
        if tracking:
            given["trackingInfo"] = tracking
        call = Call("fulfillmentCreate", {"fulfillment": ("FulfillmentInput!", given)}, "fulfillment")
        return call, _print(shipped, item.values.get("trackingInfo") or [])

    def print_of(self, row: Row) -> str:
        """Lines and tracking of a fulfilment."""
        shipped: dict[str, int] = {}
        for one in row["fulfillmentLineItems"]["nodes"]:
            key = key_of(one["lineItem"]["id"]) or ""
            shipped[key] = shipped.get(key, 0) + one["quantity"]
        return _print(shipped, row["trackingInfo"])


class Tracker:
    """Changes fulfilments: their tracking, or their status to cancelled."""

    def __init__(self, wire: Wire, reader: Reader) -> None:
        self._wire = wire
        self._reader = reader
        self._batch = Batch(wire)

    async def update(self, items: Sequence[Update]) -> list[Outcome]:
        """One Outcome per item."""
        told = entity("fulfilment")
        paths = tuple({path: None for item in items for path in ("status", *item.values, *item.expect)})
        tree = selection(told, paths, page=self._wire.settings.line_page)
        try:
            rows = await self._reader.rows("fulfilment", [item.key for item in items], tree)
        except IsthmusError as error:
            return [failed(error, item.key) for item in items]
        found = {key_of(row["id"]): row for row in rows}
        jobs = [self._job(item, found.get(item.key)) for item in items]
        await self._batch.run(jobs)
        return [job.outcome or self._written(item, job) for item, job in zip(items, jobs, strict=True)]

    def _job(self, item: Update, row: Row | None) -> Job:
        told, doing = entity("fulfilment"), f"updating fulfilment {item.key}"
        job = Job(item.key, doing, [])
        if row is None:
            job.outcome = Gone(key=item.key)
            return job
        done = all(inputs.same(value, value_at(told, row, path)) for path, value in item.values.items())
        if done:
            job.outcome = Written(key=item.key, version=row.get("updatedAt"), created=False)
            return job
        if any(not inputs.same(value, value_at(told, row, path)) for path, value in item.expect.items()):
            job.outcome = Stale(key=item.key)
            return job
        try:
            job.calls = self._calls(item, doing)
        except IsthmusError as error:
            job.outcome = failed(error, item.key)
        return job

    def _calls(self, item: Update, doing: str) -> list[Call]:
        text, wants = gid("Fulfillment", item.key), "fulfillment { id updatedAt }"
        calls: list[Call] = []
        for path, value in item.values.items():
            if path == "trackingInfo":
                arguments: dict[str, tuple[str, Any]] = {
                    "fulfillmentId": ("ID!", text),
                    "trackingInfoInput": ("FulfillmentTrackingInput!", _tracking(value, doing) or {}),
                    "notifyCustomer": ("Boolean", self._wire.settings.notify_customers),
                }
                calls.append(Call("fulfillmentTrackingInfoUpdate", arguments, wants))
            elif path == "status" and value == "CANCELLED":
                calls.append(Call("fulfillmentCancel", {"id": ("ID!", text)}, wants))
            else:
                hint = "Of a fulfilment its tracking can be changed, and its status to CANCELLED."
                raise InvalidRecord(f"{doing}: {path} cannot be set to {value!r}", hint=hint)
        return calls

    def _written(self, item: Update, job: Job) -> Outcome:
        row = job.payloads[-1].get("fulfillment") or {}
        return Written(key=item.key, version=row.get("updatedAt"), created=False)


def _spread(order: Row, asked: Any, location: str | None, doing: str) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Quantities per fulfilment order and its lines; without any asked, all that is open."""
    open_orders = [one for one in order["fulfillmentOrders"]["nodes"] if one["status"] in OPEN]
    if location:
        open_orders = [one for one in open_orders if _location(one) == str(location)]
    if not asked:
        places = {_location(one) for one in open_orders}
        if len(places) > 1:
            hint = "Give location, or lines of one location: each location ships by itself."
            raise InvalidRecord(f"{doing}: order {order['name']} ships from {len(places)} locations", hint=hint)
        rows = [(one, row, row["remainingQuantity"]) for one in open_orders for row in one["lineItems"]["nodes"]]
        return _grouped([(one, row, count) for one, row, count in rows if count], order, doing)
    for place in dict.fromkeys(_location(one) for one in open_orders):
        here = [one for one in open_orders if _location(one) == place]
        chosen = _chosen(here, asked, doing)
        if chosen is not None:
            return _grouped(chosen, order, doing)
    left = {
        str(row["lineItem"].get("sku") or key_of(row["lineItem"]["id"])): row["remainingQuantity"]
        for one in open_orders
        for row in one["lineItems"]["nodes"]
    }
    raise RefusedByTarget(
        f"{doing}: order {order['name']} has not that much left to ship at one location",
        answered=f"open are {left or 'none'}",
        hint="Look at the order: it may be shipped, cancelled or refunded already, or ship from several locations.",
    )


def _chosen(here: Sequence[Row], asked: Any, doing: str) -> list[tuple[Row, Row, int]] | None:
    """What is asked for, taken from the open lines of one location; None when there is not enough."""
    left = {row["id"]: row["remainingQuantity"] for one in here for row in one["lineItems"]["nodes"]}
    chosen: list[tuple[Row, Row, int]] = []
    for told in asked:
        wanted = told.get("quantity") if isinstance(told, Mapping) else None
        if not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 1:
            raise InvalidRecord(f"{doing}: a line needs a whole quantity above nought, not {wanted!r}")
        for one in here:
            for row in one["lineItems"]["nodes"]:
                step = min(wanted, left[row["id"]]) if _is_line(told, row) else 0
                if step:
                    left[row["id"]] -= step
                    wanted -= step
                    chosen.append((one, row, step))
        if wanted:
            return None
    return chosen


def _is_line(told: Mapping[str, Any], row: Row) -> bool:
    if told.get("lineItem"):
        return str(told["lineItem"]) == key_of(row["lineItem"]["id"])
    return bool(told.get("sku")) and told["sku"] == row["lineItem"].get("sku")


def _grouped(
    chosen: Sequence[tuple[Row, Row, int]], order: Row, doing: str
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    if not chosen:
        raise RefusedByTarget(
            f"{doing}: nothing of order {order['name']} is open to be shipped",
            hint="It is shipped, cancelled or refunded already; look at the order in the shop.",
        )
    groups: dict[str, dict[str, int]] = {}
    shipped: dict[str, int] = {}
    for one, row, count in chosen:
        rows = groups.setdefault(one["id"], {})
        rows[row["id"]] = rows.get(row["id"], 0) + count
        key = key_of(row["lineItem"]["id"]) or ""
        shipped[key] = shipped.get(key, 0) + count
    given = [
        {
            "fulfillmentOrderId": text,
            "fulfillmentOrderLineItems": [{"id": line, "quantity": count} for line, count in rows.items()],
        }
        for text, rows in groups.items()
    ]
    return given, shipped


def _location(one: Row) -> str:
    found = (one["assignedLocation"] or {}).get("location") or {}
    return key_of(found.get("id")) or ""


def _tracking(given: Any, doing: str) -> dict[str, Any]:
    rows = [row for row in given or () if isinstance(row, Mapping)]
    if len(rows) != len(given or ()):
        raise InvalidRecord(f"{doing}: trackingInfo must be a list of company, number and url")
    companies = {row.get("company") for row in rows if row.get("company")}
    if len(companies) > 1:
        raise InvalidRecord(f"{doing}: one fulfilment has one carrier, not {', '.join(sorted(map(str, companies)))}")
    out: dict[str, Any] = {"company": next(iter(companies), None)}
    out["numbers"] = [row["number"] for row in rows if row.get("number")]
    out["urls"] = [row["url"] for row in rows if row.get("url")]
    return {name: value for name, value in out.items() if value}


def _print(shipped: Mapping[str, int], tracking: Sequence[Mapping[str, Any]]) -> str:
    numbers = sorted(str(row["number"]) for row in tracking if row.get("number"))
    return fingerprint({"lines": dict(sorted(shipped.items())), "numbers": numbers})
