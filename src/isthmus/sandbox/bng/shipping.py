"""Goods on the move: ship notices on sales orders, receipts on purchase orders."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any

from aiohttp import web

from ..parts.database import stamp_text
from .errors import Problem, invalid
from .gate import guarded
from .http import answer_raw, answer_written, read_json
from .idempotency import Answer
from .listing import body
from .schema import Doc, Entity
from .service import Sandbox
from .tokens import Grant
from .validation import checker
from .values import encode, fixed, number

_DONE = {"Shipped", "Completed", "Cancelled"}


def routes(sandbox: Sandbox) -> list[web.RouteDef]:
    """The ship notices of a sales order."""
    path = "/api/v1/sales_orders/{key}/fulfillments"
    return [
        web.get(path, guarded(sandbox, "sales_orders:read", _fulfillments)),
        web.post(path, guarded(sandbox, "sales_orders:write", _fulfil)),
    ]


async def _fulfillments(sandbox: Sandbox, request: web.Request, grant: Grant) -> web.Response:
    key = request.match_info["key"]
    sandbox.writer.current(sandbox.catalogue.entities["sales_order"], key)
    query = "SELECT CAST(doc AS BLOB) FROM fulfillment WHERE sales_order = ? ORDER BY rowid"
    rows = [row[0] for row in sandbox.store.db.execute(query, (key,))]
    return answer_raw(request, body(rows, {"NextCursor": None, "HasMore": False}))


async def _fulfil(sandbox: Sandbox, request: web.Request, grant: Grant) -> web.Response:
    key, given = request.match_info["key"], await read_json(request)
    what = ["fulfillments", key, given]
    with sandbox.store.transaction():
        write = partial(fulfil, sandbox, key, given)
        written = sandbox.idempotency.once(grant.client, request.headers.get("Idempotency-Key"), what, write)
    return answer_written(request, request.path, written)


def fulfil(sandbox: Sandbox, key: str, given: Any) -> Answer:
    """Ship lines of an order: everything that is open unless lines are named. Needs an open transaction."""
    orders = sandbox.catalogue.entities["sales_order"]
    old = sandbox.writer.current(orders, key)
    problems: list[Problem] = []
    notice = checker("Fulfillment").whole(given, "", problems)
    if not problems and old["Status"] in ("Cancelled", "Draft"):
        problems.append(Problem("SalesOrderID", "WrongStatus", f"an order that is {old['Status']} cannot ship"))
    if problems:
        raise invalid(problems)
    items = [dict(item) for item in old["LineItems"]]
    notice["Lines"] = _ship(items, notice["Lines"])
    stamp = sandbox.store.stamp()
    notice["ShippedDate"] = notice["ShippedDate"] or stamp_text(stamp)[:10]
    tracking = [*(old["TrackingNumbers"] or ()), *(notice["TrackingNumbers"] or ())]
    complete = all(number(item["QuantityShipped"]) >= number(item["Quantity"]) for item in items)
    status = old["Status"] if old["Status"] in _DONE else "Shipped" if complete else "Fulfilling"
    new = {
        **old,
        "LineItems": items,
        "Status": status,
        "TrackingNumbers": list(dict.fromkeys(tracking)) or None,
        "Carrier": notice["Carrier"] or old["Carrier"],
        "ShippingMethod": notice["ShippingMethod"] or old["ShippingMethod"],
        "ShippedDate": notice["ShippedDate"],
    }
    sandbox.writer.rewrite("sales_order", old, new)
    notice |= {"FulfillmentID": sandbox.store.new_id(), "SalesOrderID": key, "CreatedAt": stamp_text(stamp)}
    raw = encode(notice)
    row = (notice["FulfillmentID"], key, raw.decode())
    sandbox.store.db.execute("INSERT INTO fulfillment VALUES (?, ?, ?)", row)
    return Answer(201, notice["FulfillmentID"], 1, raw)


def _ship(items: list[Doc], named: list[Doc] | None) -> list[Doc]:
    """Raise what `items` have shipped and return the notice's lines, complete with both keys."""
    if named is None:
        left = [(item, number(item["Quantity"]) - number(item["QuantityShipped"])) for item in items]
        shipped = [(item, quantity) for item, quantity in left if quantity > 0]
        if not shipped:
            raise invalid([Problem("Lines", "OverShipped", "nothing is left to ship")])
    else:
        shipped = _named_items(items, named)
    out = []
    for item, quantity in shipped:
        item["QuantityShipped"] = fixed(number(item["QuantityShipped"]) + quantity, 4)
        line = {"LineNumber": item["LineNumber"], "LineItemID": item["LineItemID"], "Quantity": fixed(quantity, 4)}
        out.append(line)
    return out


def _named_items(items: list[Doc], named: list[Doc]) -> list[tuple[Doc, Decimal]]:
    problems: list[Problem] = []
    out: list[tuple[Doc, Decimal]] = []
    left = {item["LineItemID"]: number(item["Quantity"]) - number(item["QuantityShipped"]) for item in items}
    for place, line in enumerate(named):
        item = _item_for(items, line)
        quantity = number(line["Quantity"])
        if item is None:
            problems.append(Problem(f"Lines[{place}]", "UnknownReference", "the order has no such line"))
        elif quantity <= 0 or quantity > left[item["LineItemID"]]:
            message = f"{quantity} cannot ship, {left[item['LineItemID']]} are open"
            problems.append(Problem(f"Lines[{place}].Quantity", "OverShipped", message))
        else:
            left[item["LineItemID"]] -= quantity
            out.append((item, quantity))
    if problems or not out:
        raise invalid(problems or [Problem("Lines", "Required", "must name at least one line")])
    return out


def _item_for(items: list[Doc], line: Doc) -> Doc | None:
    for item in items:
        if line.get("LineItemID") is not None:
            if item["LineItemID"] == line["LineItemID"]:
                return item
        elif item["LineNumber"] == line["LineNumber"]:
            return item
    return None


def receive(sandbox: Sandbox, key: str, given: Any) -> Doc:
    """Take in goods on a purchase order as BNG's warehouse does: a receipt, and the quantities that follow."""
    orders: Entity = sandbox.catalogue.entities["purchase_order"]
    with sandbox.store.transaction():
        old = sandbox.writer.current(orders, key)
        problems: list[Problem] = []
        receipt = checker("Receipt").whole(given, "", problems)
        if problems:
            raise invalid(problems)
        items = [dict(item) for item in old["LineItems"]]
        by_number = {item["LineNumber"]: item for item in items}
        for place, line in enumerate(receipt["Lines"]):
            item = by_number.get(line["LineNumber"])
            if item is None:
                message = "the order has no such line"
                raise invalid([Problem(f"Lines[{place}].LineNumber", "UnknownReference", message)])
            received = number(item["QuantityReceived"]) + number(line["QuantityReceived"])
            item["QuantityReceived"] = fixed(received, 4)
        receipt["ReceiptID"] = receipt["ReceiptID"] or sandbox.store.new_id()
        receipt["ReceivedAt"] = receipt["ReceivedAt"] or stamp_text(sandbox.store.stamp())
        complete = all(number(item["QuantityReceived"]) >= number(item["QuantityOrdered"]) for item in items)
        status = old["Status"]
        if status in ("Draft", "Submitted", "Approved", "PartiallyReceived"):
            status = "Received" if complete else "PartiallyReceived"
        receipts = [*(old["Receipts"] or ()), receipt]
        sandbox.writer.rewrite(
            "purchase_order", old, {**old, "LineItems": items, "Receipts": receipts, "Status": status}
        )
        return sandbox.writer.current(orders, key)
