"""The demo's trade: orders placed and shipped at BNG, purchases made in Odoo, and where each of them ends."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import yaml
from sqlalchemy import Connection, text

from isthmus.demo.orders import DISCOUNT, SHIPPING, Order, Shelf, Ware, purchases, sales
from isthmus.demo.outcome import Books, Placed, Unexpected, books
from isthmus.demo.seed import Seed, Values
from isthmus.demo.stage import Stage
from isthmus.errors import Unavailable
from isthmus.operate import flows, lookups
from isthmus.operate import pairs as pair_verbs
from isthmus.operate.assemble import parse_pair, template
from isthmus.operate.runtime import Runtime

CUTS: Mapping[str, Sequence[tuple[str, str, str]]] = {
    "order-to-cash": [("complete", "yes", "back")],
    "procure-to-pay": [],
}
"""The flows that run, and where each is led past what takes accounting: node, port and where that leads instead."""
STARTS = ("changed", "agreed")
BOOKED = ("invoice", "payment")
"""Entities that take accounting, which the Odoo sandbox does not keep: the demo's pair goes without them."""
STOCK = 500
SAME = "the same on both sides"
AT_ONCE = 50
FAULTS: Sequence[Values] = (
    {"kind": "status", "status": 503, "rate": 0.04, "method": "GET"},
    {"kind": "drop_after_commit", "rate": 0.05, "method": "PUT"},
    {"kind": "throttle", "rate": 0.04, "method": "PUT", "retry_after": 0.2},
    {"kind": "webhook_duplicate", "rate": 0.1},
    {"kind": "webhook_lose", "rate": 0.02},
)
"""What goes wrong at BNG while orders are under way; people's own doings are spared."""


def pair_files(name: str, left: str, right: str) -> dict[str, str]:
    """The files of the trade pair as far as the sandboxes go, with the products of charges on whole orders."""
    body = template("pairs", "odoo-bng-trade")
    for word, value in (("pair", name), ("left", left), ("right", right), ("environment", "sandbox")):
        body = body.replace(f"${{{word}}}", value)
    made = yaml.safe_load(body)
    made["settings"] |= {"shipping_product": SHIPPING, "discount_product": DISCOUNT}
    for entity in BOOKED:
        del made["entities"][entity]
    told = yaml.safe_dump(made, sort_keys=False)
    sides = [side for entity in parse_pair(told).entities.values() for side in (entity.left, entity.right)]
    return {"pair.yaml": told, **lookups.shipped([template("mappings", side.mapping) for side in sides])}


def flow_file(name: str) -> str:
    """A shipped flow as far as the sandboxes go: what follows shipping and receiving takes a real Odoo."""
    made = yaml.safe_load(template("flows", name))
    nodes = made["nodes"]
    for node, port, to in CUTS[name]:
        nodes[node]["to"][port] = to
    for role in made["pairs"].values():
        role["entities"] = [entity for entity in role["entities"] if entity not in BOOKED]
    del made["tests"]
    reached: set[str] = set()
    todo = list(STARTS)
    while todo:
        here = todo.pop()
        if here not in reached:
            reached.add(here)
            after = nodes[here].get("to") or {}
            todo += [after] if isinstance(after, str) else list(after.values())
    made["nodes"] = {here: node for here, node in nodes.items() if here in reached}
    return yaml.safe_dump(made, sort_keys=False)


def charges() -> list[Seed]:
    """The products that stand for charges of whole orders; Odoo has them, BNG learns of them."""
    return [
        Seed(
            tag=f"P-{code}",
            entity="product",
            story="a charge of whole orders",
            odoo=[{"name": name, "default_code": code, "list_price": 0.0, "type": "service", "taxes_id": False}],
        )
        for code, name in ((SHIPPING, "Shipping charges"), (DISCOUNT, "Discount on the whole order"))
    ]


@dataclass(slots=True, kw_only=True)
class Trade:
    """All orders with what became of them; `stages` counts where they ended."""

    orders: list[Order] = field(default_factory=list)
    purchases: list[Order] = field(default_factory=list)
    ends: dict[str, str] = field(default_factory=dict)

    @property
    def held(self) -> set[tuple[str, str, str]]:
        """Orders that have to be held: entity, side and key."""
        sides = (("sales_order", "right", self.orders), ("purchase_order", "left", self.purchases))
        return {(entity, side, o.key) for entity, side, mine in sides for o in mine if o.story.end == "held"}

    def counts(self, orders: Sequence[Order]) -> dict[str, int]:
        """How many orders ended where; all of them under `placed`."""
        found = Counter(self.ends.get(order.tag, "?") for order in orders)
        return {"placed": len(orders), **{name.replace(" ", "_"): found[name] for name in sorted(found)}}


async def publish(runtime: Runtime, pair: str, left: str, right: str, gateway: str, actor: str) -> None:
    """Have the flows of orders run, as `isthmus flow import`, `bind` and `publish` do."""
    roles = {"bng": right, "odoo": left, "gateway": gateway, "trade": pair}
    for name in CUTS:
        file = flow_file(name)
        told = yaml.safe_load(file)
        bindings = {role: roles[role] for role in (*told["connections"], *told["pairs"])}
        await flows.bring_in(runtime, file, bindings=bindings, actor=actor)
        await flows.publish(runtime, name, actor=actor)


async def shelf(stage: Stage, things: Sequence[Placed], found: Books) -> Shelf:
    """What orders are made of: things that both sides agree on, and some that cannot work. Fills Odoo's stock."""
    products = [thing for thing in things if thing.seed.entity == "product"]
    same = [thing for thing in products if _in_use(thing, found) and thing.seed.story == SAME]
    wares = [_ware(thing, found) for thing in same if not thing.settled.get("price")]
    counted = [ware for ware in wares if ware.stored]
    scarce, plain = counted[:5], [ware for ware in wares if ware not in counted[:5]]
    await stage.odoo.count([ware.left for ware in plain if ware.stored], STOCK)
    return Shelf(
        customers=[_right(t, found) for t in things if t.seed.entity == "customer" and _in_use(t, found)][:120],
        vendors=[_left(t, found) for t in things if t.seed.entity == "vendor" and _in_use(t, found)][:40],
        plain=plain,
        scarce=scarce,
        unknown=[t.right[0] for t in products if t.seed.story == "the same SKU, another barcode"],
        nameless=[int(t.left[0]) for t in products if t.seed.story == "no SKU, only in Odoo"],
    )


def _in_use(thing: Placed, found: Books) -> bool:
    record = thing.seed.odoo[0] if thing.seed.odoo else {}
    linked = any(key in found.left[thing.seed.entity] for key in thing.left)
    idle = thing.settled.get("active", record.get("active", True)) is False
    return thing.end == "agreed" and linked and not idle and not thing.disputed and thing.seed.story == SAME


def _left(thing: Placed, found: Books) -> int:
    return int(thing.left[0])


def _right(thing: Placed, found: Books) -> str:
    return found.left[thing.seed.entity][thing.left[0]]


def _ware(thing: Placed, found: Books) -> Ware:
    record = thing.seed.odoo[0]
    price = Decimal(str(record["list_price"])).quantize(Decimal("0.01"))
    return Ware(left=_left(thing, found), right=_right(thing, found), price=price, stored=bool(record["is_storable"]))


# -- what people do ----------------------------------------------------------------------------------------------------


async def place(stage: Stage, things: Sequence[Placed], found: Books) -> Trade:
    """Place every order where it is placed: sales at BNG, purchases in Odoo."""
    goods = await shelf(stage, things, found)
    out = Trade(orders=sales(goods, random.Random("sales")), purchases=purchases(goods, random.Random("purchases")))
    guests = [order for order in out.orders if order.guest]
    keys = await stage.bng.make("customer", [order.guest for order in guests], quiet=False)
    for order, key in zip(guests, keys, strict=True):
        order.record["CustomerID"] = key
    for order in out.orders:
        if order.charged:
            total = str(order.record["TotalAmount"])
            await stage.gateway.charge(order.tag, total, at_once=order.charged == "sale")
    made = await stage.odoo.buy([order.record for order in out.purchases])
    for order, number in zip(out.purchases, made, strict=True):
        order.key = str(number)
    keys = await stage.bng.make("sales_order", [order.record for order in out.orders], quiet=False)
    for order, key in zip(out.orders, keys, strict=True):
        order.key = key
    await stage.odoo.confirm([int(o.key) for o in out.purchases if o.story.end != "left out"])
    return out


async def move_on(stage: Stage, trade: Trade, found: Books) -> None:
    """Ship and receive what is to be, parcel by parcel, and cancel what is to be cancelled."""
    for order in trade.purchases:
        for parcel in order.parcels:
            await stage.bng.receive(found.left["purchase_order"][order.key], parcel)
    for turn in range(2):
        for order in trade.orders:
            if turn < len(order.parcels):
                await stage.bng.ship(order.key, order.parcels[turn], f"1Z{order.tag}-{turn + 1}")
    for order in trade.orders:
        if order.story.end == "cancelled":
            await stage.bng.edit("sales_order", order.key, {"Status": "Cancelled"})
    await stage.odoo.give_up([int(o.key) for o in trade.purchases if o.story.end == "cancelled"])


# -- where everything stands -------------------------------------------------------------------------------------------

_BUSY = text(
    """select (select count(*) from change where state <> 'closed' and not_before < now() + interval '20 seconds')
            + (select count(*) from flow_event where state = 'pending')
            + (select count(*) from run_item where state = 'ready'
               or (state = 'waiting' and due_at < now() + interval '20 seconds'))"""
)
PATIENCE_SECONDS = 240.0


async def idle(runtime: Runtime) -> None:
    """Wait until neither the pair nor a flow has anything to do."""
    clock = runtime.clock
    began, quiet = clock.monotonic(), 0
    while quiet < 3:
        busy = await runtime.db.run(lambda conn: int(conn.execute(_BUSY).scalar_one()))
        quiet = 0 if busy else quiet + 1
        if clock.monotonic() - began > PATIENCE_SECONDS:
            raise Unavailable(
                "waiting for the orders to come to their ends",
                answered=f"{busy} steps are still under way after {PATIENCE_SECONDS:.0f} s",
                hint="`isthmus run list` and `isthmus status` say which.",
            )
        await asyncio.sleep(0.1)


async def judge_orders(stage: Stage, runtime: Runtime, trade: Trade, found: Books) -> list[Unexpected]:
    """Where every order ended, by both systems and the product's books; told are those that ended elsewhere."""
    stuck = await runtime.db.run(_stuck)
    at_bng = await stage.bng.everything("sales_order")
    in_odoo = await stage.odoo.sales()
    out: list[Unexpected] = []
    for order in trade.orders:
        end, why = _end_of_sale(order, found, at_bng[order.key], in_odoo.get(order.key, ()), stuck.get(order.key, ""))
        if order.story.end == "cancelled" and not why:
            left = await stage.gateway.conditions(order.tag) - {"canceled", "failed"}
            why = f"the gateway still holds money: {', '.join(sorted(left))}" if left else ""
        out += _told(trade, order, "sales_order", end, why)
    for key in in_odoo.keys() - {order.key for order in trade.orders}:
        out.append(Unexpected(tag=key, entity="sales_order", story="nobody's", what="Odoo has an order nobody placed"))
    bought = await stage.odoo.bought([int(order.key) for order in trade.purchases])
    there = await stage.bng.everything("purchase_order")
    for order in trade.purchases:
        right = found.left.get("purchase_order", {}).get(order.key)
        end, why = _end_of_purchase(order, found, bought[order.key], there.get(right or ""))
        out += _told(trade, order, "purchase_order", end, why)
    return out


def _told(trade: Trade, order: Order, entity: str, end: str, why: str) -> list[Unexpected]:
    trade.ends[order.tag] = end
    if end == order.story.end and not why:
        return []
    what = why or f"it ended as {end!r}, {order.story.end!r} was expected"
    return [Unexpected(tag=order.tag, entity=entity, story=order.story.name, what=what)]


def _end_of_sale(order: Order, found: Books, bng: Values, rows: Iterable[Values], stuck: str) -> tuple[str, str]:
    kind = found.letters.get(("sales_order", "right", order.key), "") or stuck
    if kind:
        return "held", "" if kind == order.story.kind else f"held: {kind}"
    rows = list(rows)
    if not rows:
        return "left out", ""
    if len(rows) > 1:
        return "doubled", f"Odoo has it {len(rows)} times"
    [row] = rows
    why = "" if _same(row["amount_total"], bng["TotalAmount"]) else (
        f"its total is {row['amount_total']} in Odoo, {bng['TotalAmount']} in BNG"
    )  # fmt: skip
    shipped = sum(Decimal(line["QuantityShipped"]) for line in bng["LineItems"])
    goods = sum(Decimal(line["QuantityShipped"]) for line in bng["LineItems"] if line["LineNumber"] in row["goods"])
    if not why and not _same(row["delivered"], goods):
        why = f"{row['delivered']} are delivered in Odoo, {goods} of {shipped} in BNG"
    if row["state"] == "cancel":
        return "cancelled", why
    if row["state"] == "draft":
        return "draft", why
    if row["delivery_status"] == "partial":
        return "shipped in part", why
    if row["delivery_status"] == "full" or (not row["goods"] and bng["FulfillmentStatus"] == "Fulfilled"):
        return "shipped", why
    return "reserved" if row["reserved"] else "confirmed", why


def _end_of_purchase(order: Order, found: Books, row: Values, there: Values | None) -> tuple[str, str]:
    kind = found.letters.get(("purchase_order", "left", order.key), "")
    if kind:
        return "held", "" if kind == order.story.kind else f"held: {kind}"
    if there is None:
        return "left out", ""
    why = "" if _same(row["amount_total"], there["TotalAmount"]) else (
        f"its total is {row['amount_total']} in Odoo, {there['TotalAmount']} in BNG"
    )  # fmt: skip
    arrived = sum(Decimal(line["QuantityReceived"]) for line in there["LineItems"])
    if not why and not _same(row["received"], arrived):
        why = f"{row['received']} are received in Odoo, {arrived} in BNG"
    ends = {
        ("purchase", "pending", "Approved"): "ordered",
        ("purchase", "partial", "PartiallyReceived"): "received in part",
        ("purchase", "full", "Received"): "received",
        ("cancel", "", "Cancelled"): "cancelled",
    }
    states = (row["state"], row["receipt_status"] or "", there["Status"])
    return ends.get(states, " / ".join(states)), why


def _same(one: Any, other: Any) -> bool:
    return Decimal(str(one)).quantize(Decimal("0.01")) == Decimal(str(other)).quantize(Decimal("0.01"))


def _stuck(conn: Connection) -> Mapping[str, str]:
    """Orders that the flow itself holds, with the class of what holds them."""
    sql = """select r.key, d.kind
             from dead_letter d join run_item i on i.id = d.run_item_id join run r on r.id = i.run_id
             where d.state = 'open' and d.pair_id = 0"""
    return {row.key: str(row.kind) for row in conn.execute(text(sql))}


async def trading(stage: Stage, runtime: Runtime, things: Sequence[Placed], found: Books) -> Trade:
    """Place, ship and cancel all orders while both systems fail now and then; returns when everything has ended."""
    stage.spoil_odoo(False)
    out = await place(stage, things, found)
    stage.spoil_odoo(True)
    await stage.bng.spoil(FAULTS)
    await idle(runtime)
    stage.spoil_odoo(False)
    await move_on(stage, out, await runtime.db.run(books, found.pair_id))
    stage.spoil_odoo(True)
    await idle(runtime)
    stage.spoil_odoo(False)
    await stage.bng.spoil(())
    return out


async def apply_pair(runtime: Runtime, name: str, left: str, right: str, actor: str) -> None:
    """The demo's pair, as `isthmus pair apply` stores one."""
    await pair_verbs.apply(runtime, pair_files(name, left, right), actor=actor, name=name)
