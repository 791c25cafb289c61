"""Sales and purchase orders through their operations: quantities, totals and stock by value, in few calls."""

from __future__ import annotations

from decimal import Decimal

import pytest
from operating import Floor, done, fresh_key, result
from speaking import speaking

from isthmus.sdk import Act, Conflicted, Failed, InvalidRecord, RefusedByTarget
from real_odoo import OdooDatabases

pytestmark = pytest.mark.odoo


@pytest.fixture(scope="module")
def floor(odoo_databases: OdooDatabases) -> Floor:
    return Floor(odoo_databases())


async def refused(side: object, operation: str, given: dict[str, object]) -> Failed:
    """The refusal of one Act."""
    [outcome] = await side.perform(operation, [Act(key=fresh_key(), input=given)])  # type: ignore[attr-defined]  # a connector
    assert isinstance(outcome, Failed), outcome
    return outcome


async def test_twenty_orders_are_confirmed_in_three_calls(floor: Floor) -> None:
    acts = [Act(key=fresh_key(), input={"order": floor.quotation(1, 1)}) for _ in range(20)]
    async with speaking(floor.odoo) as side:
        await done(side, "confirm_sales_order", {"order": floor.quotation()})
        calls: list[str] = []
        side.wire.http._observe = lambda call: calls.append(call.path)
        outcomes = await side.perform("confirm_sales_order", acts)
        assert [result(one)["order"]["state"] for one in outcomes] == ["sale"] * 20
        assert len(calls) == 3, calls


async def test_twenty_full_deliveries_and_invoices_take_few_calls(floor: Floor) -> None:
    orders = [floor.order(1, 1) for _ in range(20)]
    async with speaking(floor.odoo) as side:
        warm = floor.order()
        for operation in ("validate_delivery", "invoice_sales_order"):
            await done(side, operation, {"order": warm})
        calls: list[str] = []
        side.wire.http._observe = lambda call: calls.append(call.path)
        for operation, most in (("validate_delivery", 8), ("invoice_sales_order", 10)):
            calls.clear()
            outcomes = await side.perform(operation, [Act(key=fresh_key(), input={"order": one}) for one in orders])
            for one in outcomes:
                result(one)
            assert len(calls) <= most, calls
        totals = {result(one)["total"] for one in outcomes}
        assert totals == {Decimal("33.0")}


async def test_an_order_is_not_confirmed_when_its_total_differs(floor: Floor) -> None:
    order = floor.quotation()
    async with speaking(floor.odoo) as side:
        outcome = await refused(side, "confirm_sales_order", {"order": order, "expected_total": "164.99"})
        assert isinstance(outcome.error, Conflicted)
        assert outcome.error.answered == "its total is 165, not 164.99"
        number = floor.row("sale.order", order, "name")["name"]
        assert str(outcome.error).startswith(f"confirming sales order {number}: ")
        told = await done(side, "confirm_sales_order", {"order": order, "expected_total": "165.00"})
        assert told["total"] == Decimal("165")


async def test_what_odoo_refuses_names_the_order_and_odoos_words(floor: Floor) -> None:
    good, bad, other = floor.quotation(), floor.quotation(), floor.quotation()
    line = {"order_id": bad, "product_id": False, "name": "no product", "product_uom_qty": 1}
    floor.made("sale.order.line", line)
    async with speaking(floor.odoo) as side:
        acts = [Act(key=fresh_key(), input={"order": one}) for one in (good, bad, other)]
        first, middle, last = await side.perform("confirm_sales_order", acts)
        assert [result(one)["order"]["state"] for one in (first, last)] == ["sale", "sale"]
        assert isinstance(middle, Failed)
        assert isinstance(middle.error, RefusedByTarget)
        assert "missing a product" in str(middle.error.answered)
        assert floor.row("sale.order", bad, "name")["name"] in str(middle.error)


async def test_two_shipments_of_one_order_are_two_acts_with_one_backorder_each(floor: Floor) -> None:
    order = floor.order(5, 5)
    first, second = floor.lines(order)
    before = [floor.stock(one) for one in floor.products]
    key = fresh_key()
    async with speaking(floor.odoo) as side:
        given = {"order": order, "lines": [{"line": first, "quantity": "3"}], "tracking": "1Z999", "carrier": "UPS"}
        told = await done(side, "validate_delivery", given, key)
        assert told["lines"] == ({"line": first, "quantity": Decimal(3)},)
        assert [one["state"] for one in told["transfers"]] == ["done"]
        [backorder] = told["backorders"]
        shipped = floor.row("stock.picking", told["transfers"][0]["key"], "note", "origin")
        assert "UPS 1Z999" in shipped["note"]
        both = [{"line": first, "quantity": 2}, {"line": second, "quantity": 4}]
        told = await done(side, "validate_delivery", {"order": order, "lines": both, "reference": "SHIP-2"})
        assert [one["key"] for one in told["transfers"]] == [backorder["key"]]
        assert told["lines"] == ({"line": first, "quantity": Decimal(2)}, {"line": second, "quantity": Decimal(4)})
        again = await done(side, "validate_delivery", given, key)
        assert again["lines"] == ({"line": first, "quantity": Decimal(3)},)
        # The same shipment told by somebody else, under another key: it is known by its own number.
        again = await done(side, "validate_delivery", {"order": order, "lines": both, "reference": "SHIP-2"})
        assert [one["key"] for one in again["transfers"]] == [backorder["key"]]
        outcome = await refused(side, "validate_delivery", {"order": order, "lines": [{"line": second, "quantity": 2}]})
        assert isinstance(outcome.error, InvalidRecord)
        assert "has 1 open, 2 were to be moved" in str(outcome.error)
        await done(side, "validate_delivery", {"order": order, "backorder": False})
    delivered = floor.rows("sale.order.line", [["order_id", "=", order]], "qty_delivered")
    assert [row["qty_delivered"] for row in delivered] == [5, 5]
    assert [floor.stock(one) for one in floor.products] == [before[0] - 5, before[1] - 5]
    states = [row["state"] for row in floor.rows("stock.picking", [["sale_id", "=", order]], "state")]
    assert states == ["done", "done", "done"]


async def test_what_is_not_shipped_can_be_given_up(floor: Floor) -> None:
    order = floor.order(5, 5)
    first, _ = floor.lines(order)
    async with speaking(floor.odoo) as side:
        given = {"order": order, "lines": [{"line": first, "quantity": 1}], "backorder": False}
        told = await done(side, "validate_delivery", given)
        assert told["backorders"] == ()
        outcome = await refused(side, "validate_delivery", {"order": order, "lines": [{"line": first, "quantity": 1}]})
        assert "no transfer of it is open" in str(outcome.error)


async def test_the_last_unit_goes_to_one_order_and_the_other_is_told(floor: Floor) -> None:
    [product] = floor.made("product.product", floor.goods(1.0))
    floor.count({product: 1})
    one, other = floor.order(1, products=[product]), floor.order(1, products=[product])
    async with speaking(floor.odoo) as side:
        acts = [Act(key=fresh_key(), input={"order": order}) for order in (one, other)]
        told = [result(outcome) for outcome in await side.perform("reserve_sales_order", acts)]
        assert sorted(one["complete"] for one in told) == [False, True]
        lacking = next(one for one in told if not one["complete"])
        assert [(line["open"], line["reserved"]) for line in lacking["lines"]] == [(Decimal(1), Decimal(0))]


async def test_shipped_goods_come_back_and_can_be_credited(floor: Floor) -> None:
    order = floor.shipped(5, 5)
    first, second = floor.lines(order)
    before = floor.stock(floor.products[0])
    async with speaking(floor.odoo) as side:
        told = await done(side, "return_delivery", {"order": order, "lines": [{"line": first, "quantity": 2}]})
        assert (told["transfer"]["state"], told["lines"]) == ("done", ({"line": first, "quantity": Decimal(2)},))
        assert floor.stock(floor.products[0]) == before + 2
        delivered = floor.rows("sale.order.line", [["order_id", "=", order]], "qty_delivered", "qty_to_invoice")
        assert [(row["qty_delivered"], row["qty_to_invoice"]) for row in delivered] == [(3, 3), (5, 5)]
        outcome = await refused(side, "return_delivery", {"order": order, "lines": [{"line": first, "quantity": 4}]})
        assert f"of line {first} only 3 can come back" in str(outcome.error)
        told = await done(side, "return_delivery", {"order": order})
        assert told["lines"] == ({"line": first, "quantity": Decimal(3)}, {"line": second, "quantity": Decimal(5)})
        outcome = await refused(side, "return_delivery", {"order": order})
        assert "nothing of it was delivered that is not back yet" in str(outcome.error)


async def test_an_order_with_shipped_goods_is_closed_or_cancelled_only_when_told(floor: Floor) -> None:
    order = floor.order(5, 5)
    first, _ = floor.lines(order)
    async with speaking(floor.odoo) as side:
        outcome = await refused(side, "close_sales_order", {"order": order})
        assert "nothing of it was delivered" in str(outcome.error)
        await done(side, "validate_delivery", {"order": order, "lines": [{"line": first, "quantity": 3}]})
        outcome = await refused(side, "cancel_sales_order", {"order": order})
        assert "goods were delivered: WH/OUT/" in str(outcome.error)
        assert "close_sales_order" in outcome.error.hint
        told = await done(side, "close_sales_order", {"order": order})
        assert told["total"] == Decimal("33")
        pickings = floor.rows("stock.picking", [["sale_id", "=", order]], "state")
        assert sorted(row["state"] for row in pickings) == ["cancel", "done"]
        told = await done(side, "cancel_sales_order", {"order": order, "after_shipping": "cancel"})
        assert told["order"]["state"] == "cancel"
        outcome = await refused(side, "confirm_sales_order", {"order": order})
        assert "it is cancelled" in str(outcome.error)


async def test_a_purchase_order_arrives_in_parts_and_more_than_ordered(floor: Floor) -> None:
    order = floor.request(10, 10)
    before = [floor.stock(one) for one in floor.products]
    async with speaking(floor.odoo) as side:
        told = await done(side, "confirm_purchase_order", {"order": order, "expected_total": "88.00"})
        assert told["order"]["state"] == "purchase"
        first, second = floor.lines(order, "purchase.order")
        lines = [{"line": first, "quantity": 12}, {"line": second, "quantity": "4"}]
        told = await done(side, "receive_purchase_order", {"order": order, "lines": lines, "reference": "REC-1"})
        assert told["lines"] == ({"line": first, "quantity": Decimal(12)}, {"line": second, "quantity": Decimal(4)})
        assert len(told["backorders"]) == 1
        outcome = await refused(side, "cancel_purchase_order", {"order": order})
        assert "goods arrived: WH/IN/" in str(outcome.error)
        over = {"order": order, "lines": [{"line": second, "quantity": 7}], "allow_over": False}
        outcome = await refused(side, "receive_purchase_order", over)
        assert f"line {second} has 6 open, 7 were to be moved" in str(outcome.error)
        await done(side, "close_purchase_order", {"order": order})
    received = floor.rows("purchase.order.line", [["order_id", "=", order]], "qty_received")
    assert [row["qty_received"] for row in received] == [12, 4]
    assert [floor.stock(one) for one in floor.products] == [before[0] + 12, before[1] + 4]


async def test_an_order_that_waits_for_approval_is_no_failure_of_ours_and_says_so(floor: Floor) -> None:
    company = floor.rows("res.company", [], "id", limit=1)[0]["id"]
    limit = {"po_double_validation": "two_step", "po_double_validation_amount": 50.0}
    floor.odoo.call("res.company", "write", with_key=floor.odoo.admin_key, ids=[company], vals=limit)
    order = floor.request()
    script = f"""
order = env["purchase.order"].browse({order})
order.write({{"state": "to approve"}})
env.cr.commit()
"""
    floor.odoo.run_on_server(script)
    async with speaking(floor.odoo) as side:
        outcome = await refused(side, "confirm_purchase_order", {"order": order})
        assert "waits for approval" in str(outcome.error)
        floor.call("purchase.order", "button_approve", order)
        told = await done(side, "confirm_purchase_order", {"order": order})
        assert told["order"]["state"] == "purchase"


async def test_an_older_count_never_overwrites_a_newer_one(floor: Floor) -> None:
    one, other = floor.made("product.product", floor.goods(1.0), floor.goods(1.0))

    def counted(at: str, *counts: tuple[int, str]) -> dict[str, object]:
        told = [{"product": product, "quantity": quantity} for product, quantity in counts]
        return {"location": floor.location, "as_of": at, "counts": told}

    key = fresh_key()
    noon = counted("2026-11-23T12:00:00Z", (one, "7.5"), (other, "3"))
    async with speaking(floor.odoo) as side:
        told = await done(side, "apply_inventory", noon, key)
        assert [row["quantity"] for row in told["levels"]] == [Decimal("7.5"), Decimal(3)]
        told = await done(side, "apply_inventory", counted("2026-11-23T12:30:00+01:00", (one, "2")))
        assert told["superseded"] == (str(one),)
        assert floor.stock(one) == 7.5
        await done(side, "apply_inventory", counted("2026-11-23T12:01:00Z", (one, "6")))
        assert floor.stock(one) == 6
        again = await done(side, "apply_inventory", noon, key)
        assert floor.stock(one) == 6
        assert [row["quantity"] for row in again["levels"]] == [Decimal(6), Decimal(3)]
        [service] = floor.made("product.product", {"name": "A service", "type": "service"})
        outcome = await refused(side, "apply_inventory", counted("2026-11-23T12:02:00Z", (service, "1")))
        assert "its stock is not tracked" in str(outcome.error)


async def test_the_tracking_number_goes_to_its_own_field_where_the_app_for_carriers_is_installed(
    odoo_db: OdooDatabases,
) -> None:
    odoo = odoo_db()
    admin = odoo.admin_key
    [app] = odoo.call("ir.module.module", "search", with_key=admin, domain=[["name", "=", "stock_delivery"]])
    odoo.call("ir.module.module", "button_immediate_install", with_key=admin, ids=[app])
    floor = Floor(odoo)
    order = floor.order(5, 5)
    async with speaking(odoo) as side:
        given = {"order": order, "tracking": "1Z999", "carrier": "UPS"}
        told = await done(side, "validate_delivery", given)
        row = floor.row("stock.picking", told["transfers"][0]["key"], "carrier_tracking_ref", "note")
        assert row["carrier_tracking_ref"] == "1Z999"
        assert "UPS" in row["note"]


async def test_goods_that_go_through_several_transfers_wait_for_the_one_before(floor: Floor) -> None:
    [warehouse] = floor.rows("stock.warehouse", [], "delivery_steps", limit=1)
    floor.call("stock.warehouse", "write", warehouse["id"], vals={"delivery_steps": "pick_ship"})
    try:
        order = floor.order(5, 5)
        async with speaking(floor.odoo) as side:
            outcome = await refused(side, "validate_delivery", {"order": order})
            assert "its goods are still on their way through the warehouse: WH/PICK/" in str(outcome.error)
            waiting = [["sale_id", "=", order], ["picking_type_code", "=", "internal"]]
            floor.ship([row["id"] for row in floor.rows("stock.picking", waiting, "id")])
            told = await done(side, "validate_delivery", {"order": order})
            assert [line["quantity"] for line in told["lines"]] == [Decimal(5), Decimal(5)]
    finally:
        floor.call("stock.warehouse", "write", warehouse["id"], vals={"delivery_steps": "ship_only"})
