"""A thin purchase order: numbered, totalled, confirmed with a receipt to come, cancelled; no bills behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import crud, raw, stock
from .database import Row
from .environment import Behaviour, Env, Values
from .errors import UserError
from .records import Records
from .values import round_half_up

ORDER, LINE = "purchase.order", "purchase.order.line"
_CONFIRMED = ("purchase", "done")


def _lines(env: Env, order: int) -> list[Row]:
    table = env.database.table(LINE)
    return [table.rows[i] for i in table.having("order_id", (order,)) or ()]


def _subtotal(env: Env, line: Row) -> float:
    gross = (line.get("product_qty") or 0.0) * (line.get("price_unit") or 0.0)
    return round_half_up(gross * (1 - (line.get("discount") or 0.0) / 100), 2)


def _tax(env: Env, line: Row) -> float:
    rows = env.database.table("account.tax").rows
    percent = sum((rows.get(i) or {}).get("amount") or 0.0 for i in line.get("tax_ids") or ())
    return round_half_up(_subtotal(env, line) * percent / 100, 2)


def _total(env: Env, row: Row, *parts: Any) -> float:
    return round_half_up(sum(part(env, line) for line in _lines(env, row["id"]) for part in parts), 2)


def _received(env: Env, line: Row) -> float:
    if stock.goods(env, line.get("product_id")):
        return stock.moved(env, "purchase_line_id", line["id"])
    return float(line.get("qty_received") or 0.0)


def _to_invoice(env: Env, line: Row) -> float:
    if (env.row(ORDER, line.get("order_id")) or {}).get("state") not in _CONFIRMED:
        return 0.0
    return _received(env, line) if stock.goods(env, line.get("product_id")) else float(line.get("product_qty") or 0.0)


def _receipts(env: Env, row: Row) -> list[Row]:
    return stock.transfers(env, "_purchase", row["id"])


def _of_order(name: str) -> Any:
    return lambda env, line: (env.row(ORDER, line.get("order_id")) or {}).get(name)


class Order(Behaviour):
    """purchase.order: the company's currency and the first kind of receipt unless told."""

    def defaults(self, env: Env) -> Values:
        company = env.row("res.company", env.company) or {}
        kinds = env.database.table(stock.KIND).rows.values()
        return {
            "name": "New",
            "state": "draft",
            "company_id": env.company,
            "currency_id": company.get("currency_id"),
            "currency_rate": 1.0,
            "date_order": env.now[:19],
            "user_id": env.uid,
            "locked": False,
            "priority": "0",
            "picking_type_id": next((row["id"] for row in kinds if row["code"] == "incoming"), False),
        }

    def before_create(self, env: Env, values: Values) -> Values:
        vendor = env.row("res.partner", values.get("partner_id"))
        if vendor is not None:
            terms = env.model("res.partner").fields["property_supplier_payment_term_id"]
            values.setdefault("payment_term_id", raw.getter(env, terms)(vendor) or False)
        return values

    def after_create(self, env: Env, ids: Sequence[int], given: Sequence[Values]) -> None:
        for i, told in zip(ids, given, strict=True):
            if not told.get("name") or told["name"] == "New":
                crud.patch(env, ORDER, i, {"name": f"P{i:05d}"})

    def before_unlink(self, env: Env, ids: Sequence[int]) -> None:
        for i in ids:
            row = env.row(ORDER, i) or {}
            if row.get("state") != "cancel":
                raise UserError("In order to delete a purchase order, you must cancel it first.")

    computed = {
        "amount_untaxed": lambda env, row: _total(env, row, _subtotal),
        "amount_tax": lambda env, row: _total(env, row, _tax),
        "amount_total": lambda env, row: _total(env, row, _subtotal, _tax),
        "date_planned": lambda env, row: (
            row.get("date_planned")
            or min((line["date_planned"] for line in _lines(env, row["id"]) if line.get("date_planned")), default=None)
        ),
        "picking_ids": lambda env, row: tuple(one["id"] for one in _receipts(env, row)),
        "incoming_picking_count": lambda env, row: len(_receipts(env, row)),
        "receipt_status": lambda env, row: stock.status_of(env, _receipts(env, row)),
        "invoice_status": lambda env, row: (
            "no"
            if row.get("state") not in _CONFIRMED
            else "to invoice"
            if any(_to_invoice(env, line) for line in _lines(env, row["id"]))
            else "no"
        ),
    }


class OrderLine(Behaviour):
    """purchase.order.line: name, unit and taxes come from the product unless told."""

    def defaults(self, env: Env) -> Values:
        return {
            "product_qty": 1.0,
            "price_unit": 0.0,
            "discount": 0.0,
            "sequence": 10,
            "date_planned": env.now[:19],
            "is_downpayment": False,
        }

    def before_create(self, env: Env, values: Values) -> Values:
        product = env.row("product.product", values.get("product_id"))
        if product is not None:
            fields = env.model("product.product").fields
            values.setdefault("name", raw.display_name(env, "product.product", product))
            values.setdefault("product_uom_id", raw.getter(env, fields["uom_id"])(product))
            taxes = raw.getter(env, fields["supplier_taxes_id"])(product) or ()
            values.setdefault("tax_ids", [(6, 0, list(taxes))])
        return values

    computed = {
        "price_subtotal": _subtotal,
        "price_tax": _tax,
        "price_total": lambda env, line: round_half_up(_subtotal(env, line) + _tax(env, line), 2),
        "product_uom_qty": lambda env, line: line.get("product_qty") or 0.0,
        "qty_received": _received,
        "qty_received_method": lambda env, line: (
            "stock_moves" if stock.goods(env, line.get("product_id")) else "manual"
        ),
        "qty_to_invoice": _to_invoice,
        "partner_id": _of_order("partner_id"),
        "company_id": _of_order("company_id"),
    }


def button_confirm(records: Records) -> bool:
    """Confirm requests for quotation and make their receipts; one that is confirmed already stays as it is."""
    env = records.env
    for i in records.ids:
        row = env.row(ORDER, i) or {}
        if row.get("state") not in ("draft", "sent"):
            continue
        crud.write(env, ORDER, [i], {"state": "purchase", "date_approve": env.now[:19]})
        demands = [
            stock.Demand(
                line=line["id"],
                product=line["product_id"],
                quantity=line.get("product_qty") or 0.0,
                unit=line["product_uom_id"],
                sequence=line.get("sequence") or 10,
            )
            for line in _lines(env, i)
            if line.get("product_id") and stock.goods(env, line["product_id"])
        ]
        stock.launch(env, "incoming", row, "_purchase", row["partner_id"], demands)
    return True


def button_cancel(records: Records) -> None:
    """Cancel orders with their open receipts."""
    for i in records.ids:
        for receipt in stock.transfers(records.env, "_purchase", i):
            if receipt["state"] not in stock.ENDED:
                stock.give_up(records.env.sudo(), receipt["id"])
    crud.write(records.env, ORDER, list(records.ids), {"state": "cancel"})


def button_draft(records: Records) -> dict[str, Any]:
    """Make cancelled orders requests for quotation again."""
    crud.write(records.env, ORDER, list(records.ids), {"state": "draft"})
    return {}


Order.methods = {"button_confirm": button_confirm, "button_cancel": button_cancel, "button_draft": button_draft}
