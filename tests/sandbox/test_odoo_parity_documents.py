"""Proves that orders, transfers and stock of the sandbox go through their states as those of a real Odoo 19 do."""

from typing import Any

import pytest
from odoo_sides import QUIET, USER_ERROR, odoo, one, partner, refused

from real_odoo import OdooRefused, RealOdoo

__all__ = ["odoo"]

SILENT = {"skip_sms": True, "skip_backorder": True}
ORDER = ("state", "locked", "delivery_status", "invoice_status", "delivery_count", "amount_total")
PURCHASE = ("state", "receipt_status", "invoice_status", "incoming_picking_count", "amount_total")
MOVE = ("product_uom_qty", "quantity", "picked", "state", "picking_code")


@pytest.fixture(scope="module")
def goods(odoo: RealOdoo) -> dict[str, int]:
    """A storable chair (20 in stock), nails that are not counted, and work."""
    common: dict[str, Any] = {"list_price": 10, "taxes_id": [[6, 0, []]], "supplier_taxes_id": [[6, 0, []]]}
    rows = [
        {"name": "Chair", "default_code": "CH", "type": "consu", "is_storable": True},
        {"name": "Nail", "default_code": "NA", "type": "consu"},
        {"name": "Work", "default_code": "WO", "type": "service"},
    ]
    made = odoo.call("product.product", "create", vals_list=[{**common, **row} for row in rows], context=QUIET)
    return dict(zip(("chair", "nail", "work"), made, strict=True))


def stocked(odoo: RealOdoo, product: int, quantity: float) -> None:
    [house] = odoo.call("stock.warehouse", "search_read", domain=[], fields=["lot_stock_id"], load="", limit=1)
    place = house["lot_stock_id"]
    found = odoo.call("stock.quant", "search", domain=[["product_id", "=", product], ["location_id", "=", place]])
    if found:
        told = {"inventory_quantity_auto_apply": quantity}
        odoo.call("stock.quant", "write", ids=found, vals=told, context={"inventory_mode": True})
        return
    row = {"product_id": product, "location_id": place, "inventory_quantity_auto_apply": quantity}
    odoo.call("stock.quant", "create", vals_list=[row], context={"inventory_mode": True})


def in_stock(odoo: RealOdoo, product: int) -> tuple[float, float]:
    domain = [["product_id", "=", product], ["location_id.usage", "=", "internal"]]
    [row] = odoo.call("stock.quant", "search_read", domain=domain, fields=["quantity", "reserved_quantity"])
    return row["quantity"], row["reserved_quantity"]


def sold(odoo: RealOdoo, *lines: tuple[int, float], confirmed: bool = True) -> int:
    rows = [
        [0, 0, {"product_id": product, "product_uom_qty": quantity, "sequence": n}]
        for n, (product, quantity) in enumerate(lines, 1)
    ]
    [made] = odoo.call(
        "sale.order", "create", vals_list=[{"partner_id": partner(odoo), "order_line": rows}], context=QUIET
    )
    if confirmed:
        assert odoo.call("sale.order", "action_confirm", ids=[made]) is True
    return int(made)


def bought(odoo: RealOdoo, *lines: tuple[int, float]) -> int:
    rows = [
        [0, 0, {"product_id": product, "product_qty": quantity, "price_unit": 7.5, "sequence": n}]
        for n, (product, quantity) in enumerate(lines, 1)
    ]
    vendor = partner(odoo, name="Vendor", supplier_rank=1)
    [made] = odoo.call("purchase.order", "create", vals_list=[{"partner_id": vendor, "order_line": rows}])
    return int(made)


def told(odoo: RealOdoo, model: str, order: int, *fields: str) -> dict[str, Any]:
    row = one(odoo, model, order, *fields, load="")
    return {name: row[name] for name in fields}


def moves(odoo: RealOdoo, link: str, order: int) -> list[tuple[Any, ...]]:
    rows = odoo.call(
        "stock.move", "search_read", domain=[[f"{link}.order_id", "=", order]], fields=[*MOVE, "picking_id"],
        order="id", load="",
    )  # fmt: skip
    return [tuple(row[name] for name in MOVE) for row in rows]


def pickings(odoo: RealOdoo, link: str, order: int) -> list[dict[str, Any]]:
    fields = ["state", "origin", "picking_type_code", "backorder_id", "partner_id"]
    return list(
        odoo.call("stock.picking", "search_read", domain=[[link, "=", order]], fields=fields, order="id", load="")
    )


def lines(odoo: RealOdoo, model: str, order: int, *fields: str) -> list[tuple[Any, ...]]:
    rows = odoo.call(model, "search_read", domain=[["order_id", "=", order]], fields=list(fields), order="id", load="")
    return [tuple(row[name] for name in fields) for row in rows]


def pick(odoo: RealOdoo, link: str, order: int, product: int, quantity: float) -> None:
    domain = [[f"{link}.order_id", "=", order], ["product_id", "=", product], ["state", "not in", ["done", "cancel"]]]
    found = odoo.call("stock.move", "search", domain=domain)
    odoo.call("stock.move", "write", ids=found, vals={"quantity": quantity, "picked": True})


def test_an_order_is_confirmed_reserved_and_shipped_in_parts(odoo: RealOdoo, goods: dict[str, int]) -> None:
    stocked(odoo, goods["chair"], 20)
    order = sold(odoo, (goods["chair"], 3), (goods["nail"], 4), (goods["work"], 1), confirmed=False)
    assert told(odoo, "sale.order", order, *ORDER[:5]) == {
        "state": "draft", "locked": False, "delivery_status": False, "invoice_status": "no", "delivery_count": 0,
    }  # fmt: skip
    odoo.call("sale.order", "action_confirm", ids=[order])
    assert told(odoo, "sale.order", order, *ORDER) == {
        "state": "sale", "locked": False, "delivery_status": "pending", "invoice_status": "to invoice",
        "delivery_count": 1, "amount_total": 80.0,
    }  # fmt: skip
    assert moves(odoo, "sale_line_id", order) == [
        (3.0, 3.0, False, "assigned", "outgoing"),
        (4.0, 4.0, False, "assigned", "outgoing"),
    ]
    assert in_stock(odoo, goods["chair"]) == (20.0, 3.0)
    [first] = pickings(odoo, "sale_id", order)
    name = one(odoo, "sale.order", order, "name")["name"]
    assert (first["state"], first["origin"], first["picking_type_code"]) == ("assigned", name, "outgoing")
    pick(odoo, "sale_line_id", order, goods["chair"], 2)
    assert odoo.call("stock.picking", "button_validate", ids=[first["id"]], context=SILENT) is True
    assert told(odoo, "sale.order", order, "delivery_status", "delivery_count") == {
        "delivery_status": "partial", "delivery_count": 2,
    }  # fmt: skip
    done, rest = pickings(odoo, "sale_id", order)
    assert (done["state"], rest["state"], rest["backorder_id"], rest["origin"]) == (
        "done",
        "assigned",
        done["id"],
        name,
    )
    assert sorted(moves(odoo, "sale_line_id", order)) == [
        (1.0, 1.0, False, "assigned", "outgoing"),
        (2.0, 2.0, True, "done", "outgoing"),
        (4.0, 4.0, False, "assigned", "outgoing"),
    ]
    wanted = ("qty_delivered", "qty_delivered_method", "qty_to_deliver")
    assert lines(odoo, "sale.order.line", order, *wanted) == [
        (2.0, "stock_move", 1.0),
        (0.0, "stock_move", 4.0),
        (0.0, "manual", 1.0),
    ]
    assert in_stock(odoo, goods["chair"]) == (18.0, 1.0)
    assert odoo.call("stock.picking", "button_validate", ids=[done["id"]], context=SILENT) is True
    assert odoo.call("stock.picking", "button_validate", ids=[rest["id"]], context=SILENT) is True
    assert told(odoo, "sale.order", order, "delivery_status") == {"delivery_status": "full"}
    assert in_stock(odoo, goods["chair"]) == (17.0, 0.0)


def test_what_is_short_is_reserved_in_part_and_shipped_over_when_told(odoo: RealOdoo, goods: dict[str, int]) -> None:
    stocked(odoo, goods["chair"], 3)
    order = sold(odoo, (goods["chair"], 10))
    assert moves(odoo, "sale_line_id", order) == [(10.0, 3.0, False, "partially_available", "outgoing")]
    [first] = pickings(odoo, "sale_id", order)
    assert first["state"] == "assigned"
    other = sold(odoo, (goods["chair"], 1))
    assert moves(odoo, "sale_line_id", other) == [(1.0, 0.0, False, "confirmed", "outgoing")]
    [waiting] = pickings(odoo, "sale_id", other)
    assert waiting["state"] == "confirmed"
    status, name, message = refused(odoo, "stock.picking", "button_validate", ids=[waiting["id"]], context=SILENT)
    assert (status, name) == (422, USER_ERROR)
    assert message.startswith("Transfer trouble alert!")
    pick(odoo, "sale_line_id", order, goods["chair"], 11)
    assert odoo.call("stock.picking", "button_validate", ids=[first["id"]], context=SILENT) is True
    assert moves(odoo, "sale_line_id", order) == [(10.0, 11.0, True, "done", "outgoing")]
    assert told(odoo, "sale.order", order, "delivery_status") == {"delivery_status": "full"}
    stocked(odoo, goods["chair"], 20)
    assert odoo.call("stock.picking", "action_assign", ids=[waiting["id"]]) is True
    assert moves(odoo, "sale_line_id", other) == [(1.0, 1.0, False, "assigned", "outgoing")]


def test_a_part_asks_about_the_rest_unless_told(odoo: RealOdoo, goods: dict[str, int]) -> None:
    order = sold(odoo, (goods["nail"], 5))
    pick(odoo, "sale_line_id", order, goods["nail"], 2)
    [first] = pickings(odoo, "sale_id", order)
    asked = odoo.call("stock.picking", "button_validate", ids=[first["id"]])
    assert (asked["type"], asked["res_model"]) == ("ir.actions.act_window", "stock.backorder.confirmation")
    assert [row["state"] for row in pickings(odoo, "sale_id", order)] == ["assigned"]
    context = {**SILENT, "picking_ids_not_to_backorder": [first["id"]]}
    assert odoo.call("stock.picking", "button_validate", ids=[first["id"]], context=context) is True
    assert [row["state"] for row in pickings(odoo, "sale_id", order)] == ["done"]
    assert [line[0] for line in lines(odoo, "sale.order.line", order, "qty_delivered")] == [2.0]
    assert told(odoo, "sale.order", order, "delivery_status") == {"delivery_status": "full"}


def test_a_cancelled_order_frees_its_goods_and_keeps_what_was_shipped(odoo: RealOdoo, goods: dict[str, int]) -> None:
    stocked(odoo, goods["chair"], 20)
    held = in_stock(odoo, goods["chair"])[1]
    whole, part = sold(odoo, (goods["chair"], 2)), sold(odoo, (goods["chair"], 2))
    assert in_stock(odoo, goods["chair"])[1] == held + 4
    pick(odoo, "sale_line_id", part, goods["chair"], 1)
    [first] = pickings(odoo, "sale_id", part)
    odoo.call("stock.picking", "button_validate", ids=[first["id"]], context=SILENT)
    for order in (whole, part):
        context = {"disable_cancel_warning": True}
        assert odoo.call("sale.order", "action_cancel", ids=[order], context=context) is True
    assert told(odoo, "sale.order", whole, "state", "delivery_status", "invoice_status") == {
        "state": "cancel", "delivery_status": False, "invoice_status": "no",
    }  # fmt: skip
    assert told(odoo, "sale.order", part, "state", "delivery_status") == {"state": "cancel", "delivery_status": "full"}
    assert [row["state"] for row in pickings(odoo, "sale_id", part)] == ["done", "cancel"]
    assert in_stock(odoo, goods["chair"])[1] == held
    status, name, message = refused(odoo, "stock.picking", "action_cancel", ids=[first["id"]])
    assert (status, name) == (422, USER_ERROR)
    assert "'Done'" in message


def test_more_of_a_confirmed_line_is_delivered_as_well(odoo: RealOdoo, goods: dict[str, int]) -> None:
    order = sold(odoo, (goods["nail"], 4))
    [line] = one(odoo, "sale.order", order, "order_line")["order_line"]
    odoo.call("sale.order.line", "write", ids=[line], vals={"product_uom_qty": 6})
    assert sum(move[0] for move in moves(odoo, "sale_line_id", order)) == 6.0
    assert [row["state"] for row in pickings(odoo, "sale_id", order)] == ["assigned"]


def test_a_purchase_is_confirmed_received_in_parts_and_the_rest_given_up(odoo: RealOdoo, goods: dict[str, int]) -> None:
    stocked(odoo, goods["chair"], 20)
    order = bought(odoo, (goods["chair"], 3), (goods["nail"], 4), (goods["work"], 1))
    assert told(odoo, "purchase.order", order, *PURCHASE) == {
        "state": "draft", "receipt_status": False, "invoice_status": "no", "incoming_picking_count": 0,
        "amount_total": 60.0,
    }  # fmt: skip
    assert odoo.call("purchase.order", "button_confirm", ids=[order]) is True
    assert odoo.call("purchase.order", "button_confirm", ids=[order]) is True, "a second time changes nothing"
    assert told(odoo, "purchase.order", order, *PURCHASE[:4]) == {
        "state": "purchase", "receipt_status": "pending", "invoice_status": "to invoice", "incoming_picking_count": 1,
    }  # fmt: skip
    [first] = pickings(odoo, "purchase_id", order)
    assert (first["state"], first["picking_type_code"]) == ("assigned", "incoming")
    before = in_stock(odoo, goods["chair"])
    pick(odoo, "purchase_line_id", order, goods["chair"], 2)
    odoo.call("stock.picking", "button_validate", ids=[first["id"]], context=SILENT)
    assert in_stock(odoo, goods["chair"]) == (before[0] + 2, before[1])
    assert told(odoo, "purchase.order", order, "receipt_status") == {"receipt_status": "partial"}
    wanted = ("product_uom_qty", "qty_received", "qty_received_method", "qty_to_invoice")
    assert lines(odoo, "purchase.order.line", order, *wanted) == [
        (3.0, 2.0, "stock_moves", 2.0),
        (4.0, 0.0, "stock_moves", 0.0),
        (1.0, 0.0, "manual", 1.0),
    ]
    rest = pickings(odoo, "purchase_id", order)[1]
    pick(odoo, "purchase_line_id", order, goods["chair"], 1)
    context = {**SILENT, "picking_ids_not_to_backorder": [rest["id"]]}
    odoo.call("stock.picking", "button_validate", ids=[rest["id"]], context=context)
    assert told(odoo, "purchase.order", order, "receipt_status") == {"receipt_status": "full"}
    assert sorted(moves(odoo, "purchase_line_id", order)) == [
        (1.0, 1.0, True, "done", "incoming"),
        (2.0, 2.0, True, "done", "incoming"),
        (4.0, 0.0, False, "cancel", "incoming"),
    ]


def test_a_purchase_is_cancelled_with_its_receipt(odoo: RealOdoo, goods: dict[str, int]) -> None:
    order = bought(odoo, (goods["nail"], 4))
    odoo.call("purchase.order", "button_confirm", ids=[order])
    odoo.call("purchase.order", "button_cancel", ids=[order])
    assert told(odoo, "purchase.order", order, *PURCHASE[:3]) == {
        "state": "cancel", "receipt_status": False, "invoice_status": "no",
    }  # fmt: skip
    assert [row["state"] for row in pickings(odoo, "purchase_id", order)] == ["cancel"]
    odoo.call("purchase.order", "button_draft", ids=[order])
    assert told(odoo, "purchase.order", order, "state") == {"state": "draft"}


@pytest.mark.parametrize("odoo", ["sandbox"], indirect=True)
@pytest.mark.parametrize("model", ["account.payment", "sale.advance.payment.inv"])
def test_the_sandbox_says_that_it_keeps_no_accounting(odoo: RealOdoo, model: str) -> None:
    for model_asked, method, arguments in (
        (model, "search", {"domain": []}),
        ("account.move", "create", {"vals_list": [{"move_type": "out_invoice"}]}),
    ):
        with pytest.raises(OdooRefused, match="keeps no accounting"):
            odoo.call(model_asked, method, **arguments)
    assert odoo.call("account.move", "search_count", domain=[]) == 0


def test_documents_are_listed_and_marked_without_an_order_being_named(odoo: RealOdoo, goods: dict[str, int]) -> None:
    order = sold(odoo, (goods["nail"], 1))
    [first] = pickings(odoo, "sale_id", order)
    for model in ("stock.picking", "stock.move", "stock.picking.type", "stock.location", "purchase.order"):
        assert odoo.call(model, "search", domain=[], limit=1), model
    rows = [[first["id"], "S1, #mark", "UPS"]]
    told_back = odoo.call("stock.picking", "load", fields=[".id", "origin", "note"], data=rows)
    assert told_back["ids"] == [first["id"]], told_back["messages"]
    assert one(odoo, "stock.picking", first["id"], "origin")["origin"] == "S1, #mark"
