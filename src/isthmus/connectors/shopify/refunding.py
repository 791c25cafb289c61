"""Refunds: of lines, of shipping, of money; each under an idempotency key, so that none is ever made twice."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from isthmus.connectors.shopify import inputs
from isthmus.connectors.shopify.batching import Call
from isthmus.connectors.shopify.catalogue import entity
from isthmus.connectors.shopify.keys import gid, key_of
from isthmus.connectors.shopify.ledger import fingerprint
from isthmus.connectors.shopify.selecting import Row
from isthmus.connectors.shopify.wire import Wire
from isthmus.sdk import Create, InvalidRecord, RefusedByTarget

_MONEY = "{ shopMoney { amount } presentmentMoney { amount } }"
_NEEDS = (
    "id name currencyCode presentmentCurrencyCode lineItems(first: 250) { nodes { id sku } pageInfo { hasNextPage } } "
    f"transactions(first: 100) {{ id kind status gateway amountSet {_MONEY} parentTransaction {{ id }} }} "
    f"refunds(first: 100) {{ id note totalRefundedSet {_MONEY} "
    "refundLineItems(first: 250) { nodes { quantity lineItem { id } } pageInfo { hasNextPage } } }"
)
_RESTOCK = ("NO_RESTOCK", "CANCEL", "RETURN")


class Refunds:
    """What is particular to refunds."""

    name = "refund"
    listed = "refunds"
    needs = _NEEDS

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def plan(self, order: Row, item: Create, doing: str) -> tuple[Call, str]:
        """Lines, shipping and the money, spread over the payments that it goes back to."""
        values = inputs.nested(item.values, entity(self.name), doing)
        lines = [self._line(order, one, doing) for one in values.get("lines") or ()]
        given: dict[str, Any] = {
            "orderId": order["id"],
            "notify": self._wire.settings.notify_customers,
            "refundLineItems": lines,
        }
        if values.get("note"):
            given["note"] = str(values["note"])
        shipping = sum((_amount(one, doing) for one in values.get("shipping") or ()), Decimal(0))
        if shipping:
            given["shipping"] = {"amount": format(shipping, "f")}
        amount, side = _money(order, values, doing)
        if side == "presentmentMoney":
            given["currency"] = order["presentmentCurrencyCode"]
        if amount:
            given["transactions"] = _transactions(order, amount, side, doing)
        call = Call(
            "refundCreate",
            {"input": ("RefundInput!", given)},
            "refund",
            idempotency_key=item.idempotency_key,
        )
        counts: dict[str, int] = {}
        for line in lines:
            key = key_of(line["lineItemId"]) or ""
            counts[key] = counts.get(key, 0) + line["quantity"]
        return call, _print(counts, given.get("note"))

    def print_of(self, row: Row) -> str:
        """Lines and note of a refund; its amount follows from them or is in the shop's hands."""
        counts: dict[str, int] = {}
        for one in row["refundLineItems"]["nodes"]:
            key = key_of(one["lineItem"]["id"]) or ""
            counts[key] = counts.get(key, 0) + one["quantity"]
        return _print(counts, row["note"])

    def _line(self, order: Row, told: Any, doing: str) -> dict[str, Any]:
        if not isinstance(told, Mapping):
            raise InvalidRecord(f"{doing}: lines must be a list of lineItem or sku, and quantity")
        count, kind = told.get("quantity"), told.get("restockType") or "NO_RESTOCK"
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise InvalidRecord(f"{doing}: a line needs a whole quantity above nought, not {count!r}")
        if kind not in _RESTOCK:
            raise InvalidRecord(f"{doing}: restockType must be one of {', '.join(_RESTOCK)}, not {kind}")
        text = gid("LineItem", str(told["lineItem"])) if told.get("lineItem") else None
        if text is None:
            text = next((row["id"] for row in order["lineItems"]["nodes"] if row["sku"] == told.get("sku")), None)
        if text is None:
            raise RefusedByTarget(f"{doing}: order {order['name']} has no line with SKU {told.get('sku')}")
        out: dict[str, Any] = {"lineItemId": text, "quantity": count, "restockType": kind}
        place = told.get("location") or self._wire.settings.location
        if kind != "NO_RESTOCK" and place:
            out["locationId"] = gid("Location", str(place))
        return out


def _money(order: Row, values: Mapping[str, Any], doing: str) -> tuple[Decimal | None, str]:
    """How much goes back, and in whose currency it is told."""
    foreign = order["currencyCode"] != order["presentmentCurrencyCode"]
    if foreign and values.get("amount") is not None:
        hint = f"Map presentmentAmount: the shopper paid in {order['presentmentCurrencyCode']}."
        raise InvalidRecord(f"{doing}: this order is refunded in the shopper's currency", hint=hint)
    found = values.get("presentmentAmount") if values.get("amount") is None else values["amount"]
    side = "presentmentMoney" if foreign else "shopMoney"
    return (None, side) if found is None else (Decimal(inputs.decimal(found, doing, "amount")), side)


def _transactions(order: Row, amount: Decimal, side: str, doing: str) -> list[dict[str, Any]]:
    """The amount spread over the payments, each up to what is left of it."""
    good = [one for one in order["transactions"] if one["status"] == "SUCCESS"]
    out: list[dict[str, Any]] = []
    left = amount
    for paid in (one for one in good if one["kind"] in ("SALE", "CAPTURE")):
        back = sum(
            (
                Decimal(one["amountSet"][side]["amount"])
                for one in good
                if one["kind"] == "REFUND" and (one["parentTransaction"] or {}).get("id") == paid["id"]
            ),
            Decimal(0),
        )
        step = min(left, Decimal(paid["amountSet"][side]["amount"]) - back)
        if step > 0:
            left -= step
            out.append(
                {
                    "orderId": order["id"],
                    "parentId": paid["id"],
                    "gateway": paid["gateway"],
                    "kind": "REFUND",
                    "amount": format(step, "f"),
                }
            )
    if left > 0:
        raise RefusedByTarget(
            f"{doing}: order {order['name']} has only {amount - left} left to be refunded, not {amount}",
            hint="Look at the payments of the order in the shop; a part may be refunded already.",
        )
    return out


def _amount(told: Any, doing: str) -> Decimal:
    try:
        return Decimal(inputs.decimal(told["subtotalAmountSet"]["shopMoney"]["amount"], doing, "shipping"))
    except (KeyError, TypeError) as error:
        raise InvalidRecord(f"{doing}: shipping must hold subtotalAmountSet.shopMoney.amount") from error


def _print(counts: Mapping[str, int], note: Any) -> str:
    return fingerprint({"lines": dict(sorted(counts.items())), "note": note or ""})
