"""A shop floor in a real Odoo for tests of operations: documents in any state, made without any code of ours."""

from __future__ import annotations

import itertools
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from isthmus.connectors.odoo.connector import OdooConnector
from isthmus.sdk import Act, Done, Performed
from real_odoo import RealOdoo

QUIET = {"skip_sms": True, "skip_backorder": True}
_numbers = itertools.count(1)
_run = uuid.uuid4().hex[:6]


def fresh_key() -> str:
    """A key of an Act that no other test uses."""
    return f"act-{_run}-{next(_numbers)}"


class Floor:
    """A customer, a vendor, and two products of 10.00 and 20.00 with a tax of 10 %, a thousand of each in stock."""

    def __init__(self, odoo: RealOdoo) -> None:
        self.odoo = odoo
        self.customer, self.vendor = self.made("res.partner", {"name": "A customer"}, {"name": "A vendor"})
        [self.sale_tax] = self.made("account.tax", {"name": f"Sale {_run}", "amount": 10.0, "type_tax_use": "sale"})
        [self.buy_tax] = self.made("account.tax", {"name": f"Buy {_run}", "amount": 10.0, "type_tax_use": "purchase"})
        self.products = self.made("product.product", *(self.goods(price) for price in (10.0, 20.0)))
        [warehouse] = self.rows("stock.warehouse", [], "lot_stock_id", limit=1)
        self.location = warehouse["lot_stock_id"]
        self.count({one: 1000 for one in self.products})

    # -- plain calls -------------------------------------------------------------------------------------------

    def call(self, model: str, method: str, *ids: int, **arguments: Any) -> Any:
        """A method on records, or on the model."""
        return self.odoo.call(model, method, **({"ids": list(ids)} if ids else {}), **arguments)

    def made(self, model: str, *values: Mapping[str, Any]) -> list[int]:
        """Ids of new records."""
        return [int(one) for one in self.odoo.call(model, "create", vals_list=[dict(v) for v in values])]

    def rows(self, model: str, domain: Sequence[Any], *fields: str, **more: Any) -> list[dict[str, Any]]:
        """Records of a domain, oldest first."""
        asked = {"domain": list(domain), "fields": list(fields), "load": "", "order": "id", **more}
        return [dict(row) for row in self.odoo.call(model, "search_read", **asked)]

    def row(self, model: str, one: int | str, *fields: str) -> dict[str, Any]:
        """One record."""
        [found] = self.rows(model, [["id", "=", int(one)]], *fields, context={"active_test": False})
        return found

    # -- documents ---------------------------------------------------------------------------------------------

    def goods(self, price: float) -> dict[str, Any]:
        """Values of a product that is kept in stock and invoiced by what was delivered."""
        return {
            "name": f"Goods {next(_numbers)}",
            "is_storable": True,
            "lst_price": price,
            "standard_price": price / 2,
            "invoice_policy": "delivery",
            "purchase_method": "receive",
            "taxes_id": [[6, 0, [self.sale_tax]]],
            "supplier_taxes_id": [[6, 0, [self.buy_tax]]],
        }

    def count(self, quantities: Mapping[int, float]) -> None:
        """Set stock."""
        values = [
            {"product_id": one, "location_id": self.location, "inventory_quantity_auto_apply": quantity}
            for one, quantity in quantities.items()
        ]
        self.call("stock.quant", "create", vals_list=values, context={"inventory_mode": True})

    def stock(self, product: int) -> float:
        """How much of a product lies in the warehouse."""
        quants = self.rows(
            "stock.quant", [["product_id", "=", product], ["location_id", "=", self.location]], "quantity"
        )
        return float(sum(row["quantity"] for row in quants))

    def quotation(self, *quantities: float, products: Sequence[int] = ()) -> int:
        """A quotation; 5 of each product unless told."""
        pairs = zip(products or self.products, quantities or (5, 5), strict=False)
        lines = [[0, 0, {"product_id": one, "product_uom_qty": quantity}] for one, quantity in pairs]
        return self.made("sale.order", {"partner_id": self.customer, "order_line": lines})[0]

    def order(self, *quantities: float, products: Sequence[int] = ()) -> int:
        """A confirmed sales order."""
        order = self.quotation(*quantities, products=products)
        self.call("sale.order", "action_confirm", order)
        return order

    def shipped(self, *quantities: float) -> int:
        """A sales order with everything delivered."""
        order = self.order(*quantities)
        self.ship(self.row("sale.order", order, "picking_ids")["picking_ids"])
        return order

    def ship(self, pickings: Sequence[int]) -> None:
        """Validate transfers as they are demanded."""
        self.call("stock.picking", "button_validate", *pickings, context=QUIET)

    def lines(self, order: int, model: str = "sale.order") -> list[str]:
        """Keys of the lines of an order."""
        return [str(one) for one in sorted(self.row(model, order, "order_line")["order_line"])]

    def draft(self, kind: str = "out_invoice", *quantities: float) -> int:
        """A draft invoice over some of each product: 3 of each come to 99.00."""
        partner, tax = (self.customer, self.sale_tax) if kind.startswith("out") else (self.vendor, self.buy_tax)
        lines = [
            [0, 0, {"product_id": one, "quantity": quantity, "price_unit": price, "tax_ids": [[6, 0, [tax]]]}]
            for one, quantity, price in zip(self.products, quantities or (3, 3), (10.0, 20.0), strict=False)
        ]
        values = {
            "move_type": kind,
            "partner_id": partner,
            "invoice_date": "2026-11-20",
            "invoice_line_ids": lines,
            "ref": f"own {next(_numbers)}",
        }
        return self.made("account.move", values)[0]

    def invoice(self, kind: str = "out_invoice", *quantities: float) -> int:
        """A posted invoice."""
        one = self.draft(kind, *quantities)
        self.call("account.move", "action_post", one)
        return one

    def payment(self, amount: float) -> int:
        """A posted payment of the customer that belongs to no invoice yet, with its journal entry."""
        other = self.invoice("out_invoice", 1)
        values = {
            "payment_type": "inbound",
            "partner_type": "customer",
            "partner_id": self.customer,
            "amount": amount,
            "invoice_ids": [[6, 0, [other]]],
        }
        one = self.made("account.payment", values)[0]
        self.call("account.payment", "action_post", one)
        return one

    def request(self, *quantities: float, price: float = 4.0) -> int:
        """A request for quotation; 10 of each product unless told."""
        pairs = zip(self.products, quantities or (10, 10), strict=False)
        lines = [[0, 0, {"product_id": one, "product_qty": n, "price_unit": price}] for one, n in pairs]
        return self.made("purchase.order", {"partner_id": self.vendor, "order_line": lines})[0]

    def purchase(self, *quantities: float, price: float = 4.0) -> int:
        """A confirmed purchase order."""
        order = self.request(*quantities, price=price)
        self.call("purchase.order", "button_confirm", order)
        return order

    def received(self, *quantities: float, price: float = 4.0) -> int:
        """A purchase order of which everything arrived."""
        order = self.purchase(*quantities, price=price)
        self.ship(self.row("purchase.order", order, "picking_ids")["picking_ids"])
        return order

    # -- what there is -----------------------------------------------------------------------------------------

    def world(self) -> dict[str, Any]:
        """Everything that an operation could have done twice: documents by kind and state, totals, stock."""
        told: dict[str, Any] = {}
        for model, kinds, amount in (
            ("sale.order", ("state",), "amount_total"),
            ("purchase.order", ("state",), "amount_total"),
            ("stock.picking", ("picking_type_code", "state"), None),
            ("stock.move", ("state",), "quantity"),
            ("account.move", ("move_type", "state", "payment_state"), "amount_total"),
            ("account.payment", ("payment_type", "state"), "amount"),
            ("account.partial.reconcile", (), "amount"),
            ("account.bank.statement.line", (), "amount"),
            ("stock.quant", ("location_id",), "quantity"),
        ):
            rows = self.rows(model, [], *kinds, *([amount] if amount else []))
            counts: Counter[str] = Counter()
            sums: dict[str, Decimal] = {}
            for row in rows:
                kind = "/".join(str(row[name]) for name in kinds)
                counts[kind] += 1
                if amount:
                    sums[kind] = sums.get(kind, Decimal(0)) + Decimal(str(row[amount]))
            if model == "stock.quant":
                counts.clear()  # empty quants are swept away by themselves
            told[model] = (dict(counts), {kind: total for kind, total in sums.items() if total})
        return told


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What has come and gone between two worlds."""
    out = {}
    for model, now in after.items():
        for n, what in enumerate(("records", "total")):
            old, new = before[model][n], now[n]
            moved = {kind: new.get(kind, 0) - old.get(kind, 0) for kind in {*old, *new}}
            out[f"{model} {what}"] = {kind: change for kind, change in moved.items() if change}
    return {name: change for name, change in out.items() if change}


Case = Callable[[Floor], dict[str, Any]]
"""Makes documents ready for an operation and gives the input of one Act."""


def _order(make: Callable[[Floor], int], **more: Any) -> Case:
    return lambda floor: {"order": make(floor), **more}


def _paid(floor: Floor) -> dict[str, Any]:
    return {"invoice": floor.invoice(), "amount": "40.00", "reference": "PSP-1"}


def _part_shipped(floor: Floor) -> dict[str, Any]:
    order = floor.order()
    first, _ = floor.lines(order)
    return {"order": order, "lines": [{"line": first, "quantity": 2}]}


def _part_received(floor: Floor) -> dict[str, Any]:
    order = floor.purchase()
    first, second = floor.lines(order, "purchase.order")
    return {"order": order, "lines": [{"line": first, "quantity": 12}, {"line": second, "quantity": 4}]}


def _half_shipped(floor: Floor) -> int:
    order = floor.order(5, 5)
    [picking] = floor.row("sale.order", order, "picking_ids")["picking_ids"]
    [move, _] = sorted(floor.row("stock.picking", picking, "move_ids")["move_ids"])
    floor.call("stock.move", "write", move, vals={"quantity": 3, "picked": True})
    floor.ship([picking])
    return order


def _lowered(floor: Floor) -> int:
    order = floor.order(5, 5)
    # Odoo lowers the open delivery itself, unless something else of it differs as well, like the day
    floor.call("sale.order", "write", order, vals={"date_order": "2026-03-02 10:15:00"})
    floor.call("sale.order.line", "write", int(floor.lines(order)[0]), vals={"product_uom_qty": 2})
    return order


def _drafted(floor: Floor) -> dict[str, Any]:
    values = {
        "payment_type": "inbound",
        "partner_type": "customer",
        "partner_id": floor.customer,
        "amount": 99.0,
        "invoice_ids": [[6, 0, [floor.invoice()]]],
    }
    return {"payment": floor.made("account.payment", values)[0], "expected_amount": "99.00"}


def _half_received(floor: Floor) -> int:
    order = floor.purchase()
    [picking] = floor.row("purchase.order", order, "picking_ids")["picking_ids"]
    [move, _] = sorted(floor.row("stock.picking", picking, "move_ids")["move_ids"])
    floor.call("stock.move", "write", move, vals={"quantity": 3, "picked": True})
    floor.ship([picking])
    return order


def _credited_in_part(floor: Floor) -> dict[str, Any]:
    invoice = floor.invoice()
    line = sorted(floor.row("account.move", invoice, "invoice_line_ids")["invoice_line_ids"])[0]
    return {"invoice": invoice, "lines": [{"line": line, "quantity": 1}], "reason": "broken"}


def _taken_back(floor: Floor) -> dict[str, Any]:
    values = {
        "payment_type": "inbound",
        "partner_type": "customer",
        "partner_id": floor.customer,
        "amount": 99.0,
        "invoice_ids": [[6, 0, [floor.invoice()]]],
    }
    payment = floor.made("account.payment", values)[0]
    floor.call("account.payment", "action_post", payment)
    row = floor.row("account.payment", payment, "move_id", "invoice_ids")
    receivable = [["move_id", "=", row["move_id"]], ["account_type", "=", "asset_receivable"]]
    [line] = floor.rows("account.move.line", receivable, "id")
    floor.call("account.move", "js_assign_outstanding_line", row["invoice_ids"][0], line_id=line["id"])
    return {"payment": payment, "amount": "40.00", "reference": "CB-1"}


def _settlement(floor: Floor) -> dict[str, Any]:
    lines = [{"label": "PSP-1", "amount": "40.00"}, {"label": "PSP-2", "amount": "-10.00"}]
    return {"reference": f"B{next(_numbers)}", "date": "2026-11-23", "lines": lines, "fee": "0.90", "total": "29.10"}


def _counted(floor: Floor) -> dict[str, Any]:
    product = floor.made("product.product", floor.goods(1.0))[0]
    at = "2026-11-23T10:00:00Z"
    return {"location": floor.location, "counts": [{"product": product, "quantity": 7}], "as_of": at}


def _lacking(floor: Floor) -> dict[str, Any]:
    product = floor.made("product.product", floor.goods(1.0))[0]
    order = floor.order(5, products=[product])
    floor.count({product: 5})
    [picking] = floor.row("sale.order", order, "picking_ids")["picking_ids"]
    floor.call("stock.picking", "do_unreserve", picking)
    return {"order": order}


CASES: dict[str, Case] = {
    "confirm_sales_order": _order(Floor.quotation),
    "amend_sales_order": _order(_lowered),
    "reserve_sales_order": _lacking,
    "validate_delivery": _part_shipped,
    "return_delivery": _order(Floor.shipped),
    "close_sales_order": _order(_half_shipped),
    "cancel_sales_order": _order(Floor.order),
    "invoice_sales_order": _order(Floor.shipped),
    "post_invoice": lambda floor: {"invoice": floor.draft(), "date": "2026-11-21", "expected_total": "99.00"},
    "credit_invoice": _credited_in_part,
    "void_invoice": lambda floor: {"invoice": floor.invoice()},
    "register_payment": _paid,
    "post_payment": _drafted,
    "refund_payment": lambda floor: {"credit_note": floor.invoice("out_refund"), "amount": "33.00"},
    "reverse_payment": _taken_back,
    "reconcile": lambda floor: {"invoice": floor.invoice(), "payment": floor.payment(40.0)},
    "book_settlement": _settlement,
    "confirm_purchase_order": _order(Floor.request),
    "receive_purchase_order": _part_received,
    "bill_purchase_order": lambda floor: {"order": floor.received(), "reference": f"VB-{next(_numbers)}"},
    "close_purchase_order": _order(_half_received),
    "cancel_purchase_order": _order(Floor.purchase),
    "apply_inventory": _counted,
}
"""For each operation: documents on which it can be done, once."""

READS: dict[str, Case] = {"check_credit": _order(Floor.quotation)}
"""Operations that only read."""


async def done(side: OdooConnector, operation: str, given: Mapping[str, Any], key: str = "") -> dict[str, Any]:
    """The result of one Act that must be done."""
    [outcome] = await side.perform(operation, [Act(key=key or fresh_key(), input=given)])
    return result(outcome)


def result(outcome: Performed) -> dict[str, Any]:
    """The result of an outcome that must be Done."""
    assert isinstance(outcome, Done), f"{outcome.error} ({outcome.error.hint})"
    return dict(outcome.result)
