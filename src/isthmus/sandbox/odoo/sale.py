"""A thin sales order: numbered, totalled, confirmed with a delivery to come, cancelled; no invoices behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import crud, raw, stock
from .database import Row
from .environment import Behaviour, Env, Values
from .errors import UserError
from .records import Records
from .values import round_half_up

ORDER, LINE = "sale.order", "sale.order.line"


def _lines(env: Env, order: int) -> list[Row]:
    table = env.database.table(LINE)
    return [table.rows[i] for i in table.having("order_id", (order,)) or ()]


def _subtotal(env: Env, line: Row) -> float:
    gross = (line.get("product_uom_qty") or 0.0) * (line.get("price_unit") or 0.0)
    return round_half_up(gross * (1 - (line.get("discount") or 0.0) / 100), 2)


def _tax(env: Env, line: Row) -> float:
    rows = env.database.table("account.tax").rows
    percent = sum((rows.get(i) or {}).get("amount") or 0.0 for i in line.get("tax_ids") or ())
    return round_half_up(_subtotal(env, line) * percent / 100, 2)


def _deliveries(env: Env, row: Row) -> list[Row]:
    return stock.transfers(env, "sale_id", row["id"])


def _delivered(env: Env, line: Row) -> float:
    if stock.goods(env, line.get("product_id")):
        return stock.moved(env, "sale_line_id", line["id"])
    return float(line.get("qty_delivered") or 0.0)


def _demand(line: Row, quantity: float) -> stock.Demand:
    return stock.Demand(
        line=line["id"],
        product=line["product_id"],
        quantity=quantity,
        unit=line["product_uom_id"],
        sequence=line.get("sequence") or 10,
    )


def _launch(env: Env, order: Row, lines: Sequence[tuple[Row, float]]) -> None:
    wanted = [_demand(line, n) for line, n in lines if line.get("product_id") and stock.goods(env, line["product_id"])]
    stock.launch(env, "outgoing", order, "sale_id", order.get("partner_shipping_id") or order["partner_id"], wanted)


def _of_order(name: str) -> Any:
    return lambda env, row: (env.row(ORDER, row.get("order_id")) or {}).get(name)


class Order(Behaviour):
    """sale.order: its partner's invoice and delivery contacts and terms unless told."""

    def defaults(self, env: Env) -> Values:
        company = env.row("res.company", env.company) or {}
        return {
            "name": "New",
            "state": "draft",
            "company_id": env.company,
            "currency_id": company.get("currency_id"),
            "date_order": env.now[:19],
            "user_id": env.uid,
            "locked": False,
            "warehouse_id": stock.WAREHOUSE,
            "picking_policy": "direct",
            "currency_rate": 1.0,
        }

    def before_create(self, env: Env, values: Values) -> Values:
        partner = values.get("partner_id")
        if partner:
            values = {"partner_invoice_id": partner, "partner_shipping_id": partner, **values}
            terms = env.model("res.partner").fields["property_payment_term_id"]
            values.setdefault("payment_term_id", raw.getter(env, terms)(env.row("res.partner", partner) or {}) or False)
        return values

    def after_create(self, env: Env, ids: Sequence[int], given: Sequence[Values]) -> None:
        for i, told in zip(ids, given, strict=True):
            if not told.get("name") or told["name"] == "New":
                crud.patch(env, ORDER, i, {"name": f"S{i:05d}"})

    def before_unlink(self, env: Env, ids: Sequence[int]) -> None:
        for i in ids:
            if (env.row(ORDER, i) or {}).get("state") not in ("draft", "cancel"):
                raise UserError(
                    "You can not delete a sent quotation or a confirmed sales order. You must first cancel it."
                )

    computed = {
        "amount_untaxed": lambda env, row: round_half_up(
            sum(_subtotal(env, line) for line in _lines(env, row["id"])), 2
        ),
        "amount_tax": lambda env, row: round_half_up(sum(_tax(env, line) for line in _lines(env, row["id"])), 2),
        "amount_total": lambda env, row: round_half_up(
            sum(_subtotal(env, line) + _tax(env, line) for line in _lines(env, row["id"])), 2
        ),
        "invoice_status": lambda env, row: (
            "to invoice" if row.get("state") == "sale" and _lines(env, row["id"]) else "no"
        ),
        "delivery_count": lambda env, row: len(_deliveries(env, row)),
        "delivery_status": lambda env, row: stock.status_of(env, _deliveries(env, row)),
        "country_code": lambda env, row: "US",
        "type_name": lambda env, row: "Sales Order" if row.get("state") == "sale" else "Quotation",
    }


class OrderLine(Behaviour):
    """sale.order.line: name, unit, price and taxes come from the product unless told."""

    def defaults(self, env: Env) -> Values:
        return {"product_uom_qty": 1.0, "discount": 0.0, "sequence": 10, "customer_lead": 0.0, "is_downpayment": False}

    def before_create(self, env: Env, values: Values) -> Values:
        product = env.row("product.product", values.get("product_id"))
        if product is not None:
            fields = env.model("product.product").fields
            values.setdefault("name", raw.display_name(env, "product.product", product))
            values.setdefault("product_uom_id", raw.getter(env, fields["uom_id"])(product))
            values.setdefault("price_unit", raw.getter(env, fields["lst_price"])(product))
            values.setdefault("tax_ids", [(6, 0, list(raw.getter(env, fields["taxes_id"])(product) or ()))])
        return values

    def before_unlink(self, env: Env, ids: Sequence[int]) -> None:
        for i in ids:
            if _of_order("state")(env, env.row(LINE, i) or {}) == "sale":
                raise UserError("Once a sales order is confirmed, you can't remove one of its lines.")

    def after_create(self, env: Env, ids: Sequence[int], given: Sequence[Values]) -> None:
        """Goods that a confirmed order is given more of are to be delivered as well."""
        for i in ids:
            line = env.row(LINE, i) or {}
            order = env.row(ORDER, line.get("order_id")) or {}
            if order.get("state") == "sale":
                _launch(env, order, [(line, line.get("product_uom_qty") or 0.0)])

    def after_write(self, env: Env, ids: Sequence[int], values: Values, before: Sequence[Row]) -> None:
        """More goods of a confirmed order are to be delivered; fewer than before are not taken back here."""
        for old in before if "product_uom_qty" in values else ():
            line = env.row(LINE, old["id"]) or {}
            order = env.row(ORDER, line.get("order_id")) or {}
            more = (line.get("product_uom_qty") or 0.0) - (old.get("product_uom_qty") or 0.0)
            if order.get("state") == "sale" and more > 0:
                _launch(env, order, [(line, more)])

    computed = {
        "qty_delivered": _delivered,
        "qty_delivered_method": lambda env, line: (
            "stock_move" if stock.goods(env, line.get("product_id")) else "manual"
        ),
        "qty_to_deliver": lambda env, line: (line.get("product_uom_qty") or 0.0) - _delivered(env, line),
        "warehouse_id": _of_order("warehouse_id"),
        "price_subtotal": _subtotal,
        "price_tax": _tax,
        "price_total": lambda env, line: round_half_up(_subtotal(env, line) + _tax(env, line), 2),
        "price_reduce_taxexcl": lambda env, line: _subtotal(env, line) / ((line.get("product_uom_qty") or 0.0) or 1.0),
        "price_reduce_taxinc": lambda env, line: (
            (_subtotal(env, line) + _tax(env, line)) / ((line.get("product_uom_qty") or 0.0) or 1.0)
        ),
        "qty_to_invoice": lambda env, line: (
            line.get("product_uom_qty") if _of_order("state")(env, line) == "sale" else 0.0
        ),
        "product_template_id": lambda env, line: (env.row("product.product", line.get("product_id")) or {}).get(
            "product_tmpl_id"
        ),
        "company_id": _of_order("company_id"),
        "currency_id": _of_order("currency_id"),
        "order_partner_id": _of_order("partner_id"),
        "state": _of_order("state"),
        "invoice_status": lambda env, line: "to invoice" if _of_order("state")(env, line) == "sale" else "no",
    }


def action_confirm(records: Records) -> bool:
    """Confirm quotations; a second time is refused."""
    for i in records.ids:
        row = records.env.row(ORDER, i) or {}
        if row.get("state") not in ("draft", "sent"):
            raise UserError(f"Some orders are not in a state requiring confirmation: {row.get('name')}")
    crud.write(records.env, ORDER, records.ids, {"state": "sale"})
    for i in records.ids:
        lines = _lines(records.env, i)
        _launch(
            records.env, records.env.row(ORDER, i) or {}, [(line, line.get("product_uom_qty") or 0.0) for line in lines]
        )
    return True


def action_cancel(records: Records) -> bool:
    """Cancel orders with their open deliveries."""
    for i in records.ids:
        for delivery in stock.transfers(records.env, "sale_id", i):
            if delivery["state"] not in stock.ENDED:
                stock.give_up(records.env.sudo(), delivery["id"])
    return crud.write(records.env, ORDER, records.ids, {"state": "cancel"})


def action_draft(records: Records) -> bool:
    """Make cancelled orders quotations again."""
    cancelled = [i for i in records.ids if (records.env.row(ORDER, i) or {}).get("state") in ("cancel", "sent")]
    return crud.write(records.env, ORDER, cancelled, {"state": "draft"})


Order.methods = {"action_confirm": action_confirm, "action_cancel": action_cancel, "action_draft": action_draft}
