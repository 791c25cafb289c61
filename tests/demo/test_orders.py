"""The demo's orders are the same every time, realistic, and each says where it has to end; a wrong end is noticed."""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal

import pytest

from isthmus.demo.orders import PURCHASES, SALES, Order, Shelf, Ware, purchases, sales
from isthmus.demo.outcome import Books
from isthmus.demo.trade import Trade, _end_of_purchase, _end_of_sale, flow_file, pair_files
from isthmus.flows.definition import parse
from isthmus.flows.lint import lint

WARES = [Ware(left=n, right=f"p{n}", price=Decimal(n) + Decimal("0.95"), stored=n % 2 == 0) for n in range(1, 30)]
SHELF = Shelf(customers=["c1", "c2"], vendors=[7, 8], plain=WARES[5:], scarce=WARES[:5], unknown=["u1"], nameless=[99])


def sold() -> list[Order]:
    return sales(SHELF, random.Random(1))


def test_there_are_two_hundred_sales_and_fifty_purchases_the_same_every_time() -> None:
    assert [order.record for order in sold()] == [order.record for order in sold()]
    assert len(sold()) == sum(story.count for story in SALES) == 200
    assert len(purchases(SHELF, random.Random(1))) == sum(story.count for story in PURCHASES) == 50
    assert len({order.tag for order in sold()}) == 200


def test_every_order_has_an_end_and_a_held_one_its_class() -> None:
    ends = Counter(story.end for story in (*SALES, *PURCHASES))
    assert {"shipped", "shipped in part", "reserved", "confirmed", "draft", "cancelled", "held", "ordered"} <= set(ends)
    assert all(bool(story.kind) == (story.end == "held") for story in (*SALES, *PURCHASES))


def test_lines_discounts_and_charges_add_up_to_the_total() -> None:
    for order in sold():
        lines = order.record["LineItems"]
        assert order.record["Subtotal"] == f"{sum(Decimal(line['LineTotal']) for line in lines):.2f}"
        charged = Decimal(order.record["Subtotal"]) + Decimal(order.record["ShippingTotal"])
        assert Decimal(order.record["TotalAmount"]) == charged
    assert max(len(order.record["LineItems"]) for order in sold()) == 4
    assert any("DiscountPercent" in line for order in sold() for line in order.record["LineItems"])


def test_what_the_demo_publishes_ends_with_the_shipping_and_is_sound() -> None:
    file = flow_file("order-to-cash")
    nodes = parse(file).nodes
    assert {"confirm", "reserve", "deliver", "cancel", "release"} <= set(nodes)
    assert not {"invoice", "post", "pay", "capture"} & set(nodes)
    assert [mistake for mistake in lint(file, "order-to-cash") if mistake.severity == "error"] == []
    bought = flow_file("procure-to-pay")
    assert "receive" in parse(bought).nodes
    assert not {"bill", "post", "pay"} & set(parse(bought).nodes)
    assert [mistake for mistake in lint(bought, "procure-to-pay") if mistake.severity == "error"] == []
    assert "invoice" not in pair_files("demo", "odoo", "bng")["pair.yaml"].split("entities:")[1].split("rules")[0]


BNG = {
    "TotalAmount": "20.00",
    "FulfillmentStatus": "Fulfilled",
    "LineItems": [{"LineNumber": 1, "QuantityShipped": "2.0000"}],
}
ROW = {
    "state": "sale",
    "amount_total": 20.0,
    "delivery_status": "full",
    "goods": {1},
    "delivered": 2.0,
    "reserved": True,
}


@pytest.mark.parametrize(
    ("rows", "end", "complaint"),
    [
        ([ROW], "shipped", ""),
        ([{**ROW, "amount_total": 20.01}], "shipped", "its total is"),
        ([{**ROW, "delivered": 1.0}], "shipped", "are delivered in Odoo"),
        ([{**ROW, "delivery_status": "partial"}], "shipped in part", ""),
        ([{**ROW, "delivery_status": "pending"}], "reserved", ""),
        ([{**ROW, "delivery_status": "pending", "reserved": False}], "confirmed", ""),
        ([{**ROW, "state": "cancel"}], "cancelled", ""),
        ([ROW, ROW], "doubled", "Odoo has it 2 times"),
        ([], "left out", ""),
    ],
)
def test_the_judge_tells_ends_apart_and_a_wrong_figure_from_a_right_one(
    rows: list[dict[str, object]], end: str, complaint: str
) -> None:
    found, why = _end_of_sale(sold()[0], Books(1), BNG, rows, "")
    assert found == end
    assert complaint in why if complaint else why == ""


def test_an_order_held_with_another_class_is_unexpected_and_one_that_a_flow_holds_is_held() -> None:
    order = next(one for one in sold() if one.story.end == "held")
    order.key = "k1"
    right = Books(1, letters={("sales_order", "right", "k1"): order.story.kind})
    assert _end_of_sale(order, right, BNG, (), "") == ("held", "")
    assert _end_of_sale(order, Books(1), BNG, [ROW], "RefusedByTarget") == ("held", "held: RefusedByTarget")


def test_a_purchase_that_only_one_side_calls_off_has_no_good_end() -> None:
    order = purchases(SHELF, random.Random(1))[0]
    row = {"state": "cancel", "amount_total": 20.0, "receipt_status": False, "received": 0.0}
    lines = [{"QuantityReceived": "0.0000"}]
    there = {"Status": "Approved", "TotalAmount": "20.00", "LineItems": lines}
    assert _end_of_purchase(order, Books(1), row, there) == ("cancel /  / Approved", "")
    came = {**there, "Status": "Received", "LineItems": [{"QuantityReceived": "3.0000"}]}
    stands = {**row, "state": "purchase", "receipt_status": "full"}
    assert _end_of_purchase(order, Books(1), {**stands, "received": 3.0}, came) == ("received", "")
    assert "are received in Odoo" in _end_of_purchase(order, Books(1), {**stands, "received": 2.0}, came)[1]
    assert _end_of_purchase(order, Books(1), row, {**there, "Status": "Cancelled"}) == ("cancelled", "")


def test_the_report_counts_every_order_once() -> None:
    trade = Trade(orders=sold())
    trade.ends = {order.tag: order.story.end for order in trade.orders}
    counts = trade.counts(trade.orders)
    assert counts.pop("placed") == sum(counts.values()) == 200
    assert counts["shipped_in_part"] == 14
