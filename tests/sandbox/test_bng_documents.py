"""Proves orders, invoices, payments, stock and ledger entries: sums, lines, shipping, receiving, paying, reversing."""

from __future__ import annotations

from typing import Any

import pytest
from bng_records import World
from bng_visitor import Visitor, bng

__all__ = ["bng"]


@pytest.fixture
def world(bng: Visitor) -> World:
    return World(bng)


ORDERS = ("sales_order", "invoice", "purchase_order")
PATH = {"sales_order": "sales_orders", "invoice": "invoices", "purchase_order": "purchase_orders"}


@pytest.mark.parametrize("entity", ORDERS)
async def test_sums_that_do_not_add_up_are_refused(bng: Visitor, world: World, entity: str) -> None:
    plain = await world.plain(entity)
    line = plain["LineItems"][0]
    total = float(plain["TotalAmount"])
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"TotalAmount": f"{total + 0.02:.2f}"}, "TotalAmount"),
        ({"TaxTotal": 99}, "TotalAmount"),
        ({"LineItems": [line | {"LineTotal": 29}]}, "LineItems[0].LineTotal"),
        ({"Subtotal": 31}, "Subtotal"),
    ]
    for change, field in wrong:
        answer = await bng.refused("POST", PATH[entity], plain | change)
        assert (field, "TotalMismatch") in answer.complaints, change
    await bng.new(PATH[entity], plain | {"TotalAmount": f"{total + 0.01:.2f}"})  # a cent is rounding


@pytest.mark.parametrize("entity", ORDERS)
async def test_lines_are_needed_and_each_has_a_number_of_its_own(bng: Visitor, world: World, entity: str) -> None:
    plain = await world.plain(entity)
    line = plain["LineItems"][0]
    assert ("LineItems", "Required") in (await bng.refused("POST", PATH[entity], plain | {"LineItems": []})).complaints
    twice = await bng.refused("POST", PATH[entity], plain | {"LineItems": [line, line]})
    assert ("LineItems[1].LineNumber", "Duplicate") in twice.complaints
    zero = await bng.refused("POST", PATH[entity], plain | {"LineItems": [line | {"LineNumber": 0}]})
    assert ("LineItems[0].LineNumber", "OutOfRange") in zero.complaints
    foreign = await bng.refused("POST", PATH[entity], plain | {"LineItems": [line | {"LineItemID": "none"}]})
    assert ("LineItems[0].LineItemID", "UnknownReference") in foreign.complaints


async def test_a_line_names_its_product_by_id_or_by_sku(bng: Visitor, world: World) -> None:
    product = await world.known("product")
    plain = await world.plain("sales_order")
    line = {name: value for name, value in plain["LineItems"][0].items() if name != "ProductID"}
    made = await bng.new("sales_orders", plain | {"LineItems": [line | {"SKU": product["SKU"]}]})
    stored = made["LineItems"][0]
    assert (stored["ProductID"], stored["SKU"], stored["UnitOfMeasure"]) == (product["ProductID"], product["SKU"], "EA")
    other = await world.plain("sales_order")
    for change, complaint in (
        ({}, ("LineItems[0].ProductID", "Required")),
        ({"SKU": "nothing"}, ("LineItems[0].SKU", "UnknownReference")),
        ({"ProductID": "nothing"}, ("LineItems[0].ProductID", "UnknownReference")),
        ({"ProductID": product["ProductID"], "SKU": "nothing"}, ("LineItems[0].SKU", "Mismatch")),
        ({"SKU": product["SKU"], "Quantity": 0}, ("LineItems[0].Quantity", "OutOfRange")),
    ):
        answer = await bng.refused("POST", "sales_orders", other | {"LineItems": [line | change]})
        assert complaint in answer.complaints, change


async def test_a_discount_is_a_percentage_or_an_amount_but_not_both(bng: Visitor, world: World) -> None:
    plain = await world.plain("sales_order")
    line = plain["LineItems"][0]
    for change, complaint in (
        ({"DiscountPercent": 10, "DiscountAmount": 3, "LineTotal": 27}, "Exclusive"),
        ({"DiscountPercent": 101, "LineTotal": 0}, "OutOfRange"),
        ({"DiscountPercent": -1, "LineTotal": 0}, "OutOfRange"),
    ):
        answer = await bng.refused("POST", "sales_orders", plain | {"LineItems": [line | change]})
        assert ("LineItems[0].DiscountPercent", complaint) in answer.complaints
    good = plain | {
        "LineItems": [line | {"DiscountAmount": 3, "LineTotal": 27}],
        "Subtotal": 27,
        "TotalAmount": "38.60",
    }
    assert (await bng.new("sales_orders", good))["LineItems"][0]["DiscountAmount"] == "3.00"


@pytest.mark.parametrize(("entity", "line"), [("sales_order", "SalesOrderID"), ("invoice", "InvoiceID")])
async def test_lines_are_records_of_their_own_inside_their_document(
    bng: Visitor, world: World, entity: str, line: str
) -> None:
    made = await bng.new(PATH[entity], await world.plain(entity))
    path = f"{PATH[entity]}/{made[line]}"
    first = made["LineItems"][0]
    assert (await bng.get(f"{path}/line_items"))["Data"] == [first]
    assert await bng.get(f"{path}/line_items/{first['LineItemID']}") == first
    added = await bng.new(
        f"{path}/line_items",
        {"LineNumber": 2, "Description": "More", "Quantity": 1, "UnitPrice": 7, "LineTotal": 7, "TaxAmount": "1.54"}
        | ({"ProductID": await world.id("product")} if entity == "sales_order" else {}),
    )
    assert (added["Version"], added[line]) == (1, made[line])
    now = await bng.get(path)
    assert now["Version"] == 2
    assert float(now["TotalAmount"]) == pytest.approx(float(made["TotalAmount"]) + 8.54)
    changed = await bng.put(
        f"{path}/line_items/{added['LineItemID']}", {"Quantity": 2, "LineTotal": 14}, If_Match='"1"'
    )
    assert (changed["Version"], changed["LineItemID"]) == (2, added["LineItemID"])
    now = await bng.get(path)
    assert float(now["Subtotal"]) == pytest.approx(float(made["Subtotal"]) + 14)
    assert now["LineItems"][0] == first, "a line that did not change keeps its version"
    stale = await bng.refused("PUT", f"{path}/line_items/{added['LineItemID']}", {"Quantity": 3}, If_Match='"1"')
    assert (stale.status, stale.error["CurrentVersion"]) == (412, 2)
    stale = await bng.refused("PUT", f"{path}/line_items/{added['LineItemID']}", {"Version": 1})
    assert stale.status == 409
    assert (await bng.refused("GET", f"{path}/line_items/none")).status == 404
    assert (await bng.refused("GET", f"{PATH[entity]}/none/line_items")).status == 404
    page = await bng.get(f"{path}/line_items", limit=1)
    rest = await bng.get(f"{path}/line_items", limit=1, cursor=page["Paging"]["NextCursor"])
    assert [page["Data"][0]["LineNumber"], rest["Data"][0]["LineNumber"]] == [1, 2]


async def test_lines_keep_their_ids_when_the_whole_document_is_written_again(bng: Visitor, world: World) -> None:
    made = await bng.new("sales_orders", await world.plain("sales_order"))
    line = made["LineItems"][0]
    second = {name: line[name] for name in ("ProductID", "Quantity", "UnitPrice", "LineTotal")} | {"LineNumber": 2}
    lines = [second, {"LineItemID": line["LineItemID"], **second, "LineNumber": 5}]
    path = f"sales_orders/{made['SalesOrderID']}"
    changed = await bng.put(path, {"LineItems": lines, "Subtotal": 60, "TotalAmount": "71.60"})
    assert [item["LineNumber"] for item in changed["LineItems"]] == [2, 5]
    assert changed["LineItems"][1]["LineItemID"] == line["LineItemID"]
    again = await bng.put(path, {"LineItems": [second], "Subtotal": 30, "TotalAmount": "41.60"})
    assert [item["LineItemID"] for item in again["LineItems"]] == [changed["LineItems"][0]["LineItemID"]]


async def test_shipping_moves_quantities_statuses_and_tracking(bng: Visitor, world: World) -> None:
    made = await bng.new("sales_orders", await world.plain("sales_order"))
    path = f"sales_orders/{made['SalesOrderID']}"
    assert (made["FulfillmentStatus"], made["LineItems"][0]["Status"]) == ("Unfulfilled", "Open")
    part = {
        "Lines": [{"LineNumber": 1, "Quantity": 1}],
        "TrackingNumbers": ["T1"],
        "Carrier": "UPS",
        "ExternalID": "S1",
    }
    first = await bng.new(f"{path}/fulfillments", part, Idempotency_Key="ship")
    assert await bng.new(f"{path}/fulfillments", part, Idempotency_Key="ship") == first
    now = await bng.get(path)
    assert (now["FulfillmentStatus"], now["Status"], now["Carrier"]) == ("Partial", "Fulfilling", "UPS")
    assert (now["LineItems"][0]["QuantityShipped"], now["LineItems"][0]["Status"]) == ("1.0000", "Partial")
    over = await bng.refused("POST", f"{path}/fulfillments", {"Lines": [{"LineNumber": 1, "Quantity": 3}]})
    assert ("Lines[0].Quantity", "OverShipped") in over.complaints
    none = await bng.refused("POST", f"{path}/fulfillments", {"Lines": [{"LineNumber": 9, "Quantity": 1}]})
    assert ("Lines[0]", "UnknownReference") in none.complaints
    rest = await bng.new(f"{path}/fulfillments", {"TrackingNumbers": ["T2"]})
    assert rest["Lines"] == [{"LineNumber": 1, "LineItemID": made["LineItems"][0]["LineItemID"], "Quantity": "2.0000"}]
    now = await bng.get(path)
    assert (now["FulfillmentStatus"], now["Status"]) == ("Fulfilled", "Shipped")
    assert (now["TrackingNumbers"], now["ShippedDate"]) == (["T1", "T2"], rest["ShippedDate"])
    assert (await bng.get(f"{path}/fulfillments"))["Data"] == [first, rest]
    assert (await bng.refused("POST", f"{path}/fulfillments", {})).complaints == {("Lines", "OverShipped")}


async def test_a_cancelled_order_cannot_ship_and_counts_what_was_cancelled(bng: Visitor, world: World) -> None:
    made = await bng.new("sales_orders", await world.plain("sales_order"))
    path = f"sales_orders/{made['SalesOrderID']}"
    await bng.new(f"{path}/fulfillments", {"Lines": [{"LineNumber": 1, "Quantity": 1}]})
    now = await bng.put(path, {"Status": "Cancelled"})
    assert (now["LineItems"][0]["QuantityCancelled"], now["LineItems"][0]["Status"]) == ("2.0000", "Cancelled")
    answer = await bng.refused("POST", f"{path}/fulfillments", {})
    assert answer.complaints == {("SalesOrderID", "WrongStatus")}


async def test_receiving_moves_a_purchase_order(bng: Visitor, world: World) -> None:
    made = await bng.new("purchase_orders", await world.plain("purchase_order"))
    key = made["PurchaseOrderID"]
    receipt = {"WarehouseCode": "A", "Lines": [{"LineNumber": 1, "QuantityReceived": 3, "LotNumber": "L1"}]}
    now = await bng.switch("POST", "receive", id=key, receipt=receipt)
    assert (now["Status"], now["LineItems"][0]["QuantityReceived"]) == ("PartiallyReceived", "3.0000")
    assert now["Receipts"][0]["Lines"] == [{"LineNumber": 1, "QuantityReceived": "3.0000", "LotNumber": "L1"}]
    now = await bng.switch("POST", "receive", id=key, receipt={"Lines": [{"LineNumber": 1, "QuantityReceived": 1}]})
    assert (now["Status"], len(now["Receipts"])) == ("Received", 2)
    given = await bng.put(f"purchase_orders/{key}", {"Receipts": [], "Notes": "x"})
    assert len(given["Receipts"]) == 2, "receipts are read-only"


async def test_payments_move_the_invoices_they_are_applied_to(bng: Visitor, world: World) -> None:
    invoice = await bng.new("invoices", await world.plain("invoice"))
    path = f"invoices/{invoice['InvoiceID']}"
    assert (invoice["AmountPaid"], invoice["BalanceDue"]) == ("0.00", "122.00")
    applied = {"Applications": [{"InvoiceID": invoice["InvoiceID"], "AmountApplied": 22}]}
    payment = await bng.new("payments", await world.plain("payment") | applied)
    assert payment["UnappliedAmount"] == "28.00"
    now = await bng.get(path)
    assert (now["Status"], now["AmountPaid"], now["BalanceDue"]) == ("PartiallyPaid", "22.00", "100.00")
    rest = await world.plain("payment") | {"Amount": 100}
    rest |= {"Applications": [{"InvoiceID": invoice["InvoiceID"], "AmountApplied": 100}]}
    await bng.new("payments", rest)
    now = await bng.get(path)
    assert (now["Status"], now["BalanceDue"]) == ("Paid", "0.00")
    answer = await bng.refused("POST", "payments", await world.plain("payment") | applied)
    assert ("Applications", "OverApplied") in answer.complaints
    await bng.put(f"payments/{payment['PaymentID']}", {"Status": "Voided"})
    now = await bng.get(path)
    assert (now["Status"], now["AmountPaid"]) == ("PartiallyPaid", "100.00")
    assert (await bng.put(path, {"Status": "Void"}))["BalanceDue"] == "0.00"


async def test_a_payment_is_of_one_party_and_applies_no_more_than_it_has(bng: Visitor, world: World) -> None:
    plain = await world.plain("payment")
    both = await bng.refused("POST", "payments", plain | {"VendorID": await world.id("vendor")})
    assert ("CustomerID", "Required") in both.complaints
    none = await bng.refused("POST", "payments", plain | {"CustomerID": None})
    assert ("CustomerID", "Required") in none.complaints
    too_much = [{"InvoiceID": await world.id("invoice"), "AmountApplied": 51}]
    answer = await bng.refused("POST", "payments", plain | {"Applications": too_much})
    assert ("Applications", "OverApplied") in answer.complaints


async def test_a_refund_names_its_payment_and_moves_its_status(bng: Visitor, world: World) -> None:
    payment = await bng.new("payments", await world.plain("payment"))
    refund = await world.plain("payment") | {"PaymentType": "Refund", "Amount": 20}
    assert ("OriginalPaymentID", "Required") in (await bng.refused("POST", "payments", refund)).complaints
    refund |= {"OriginalPaymentID": payment["PaymentID"]}
    await bng.new("payments", refund)
    assert (await bng.get(f"payments/{payment['PaymentID']}"))["Status"] == "PartiallyRefunded"
    await bng.new("payments", refund | {"ExternalID": "second", "Amount": 30})
    assert (await bng.get(f"payments/{payment['PaymentID']}"))["Status"] == "Refunded"


async def test_an_invoice_is_of_the_party_that_its_type_asks_for(bng: Visitor, world: World) -> None:
    plain = await world.plain("invoice")
    bill = await bng.refused("POST", "invoices", plain | {"InvoiceType": "VendorBill"})
    assert ("VendorID", "Required") in bill.complaints
    sale = await bng.refused("POST", "invoices", plain | {"CustomerID": None, "VendorID": await world.id("vendor")})
    assert ("CustomerID", "Required") in sale.complaints
    line = {name: value for name, value in plain["LineItems"][0].items() if name != "Description"}
    bare = await bng.refused("POST", "invoices", plain | {"LineItems": [line]})
    assert ("LineItems[0].Description", "Required") in bare.complaints


@pytest.mark.parametrize("named", [True, False])
async def test_invoicing_a_line_counts_on_the_order_it_came_from(bng: Visitor, world: World, named: bool) -> None:
    order = await bng.new("sales_orders", await world.plain("sales_order"))
    purchase = await bng.new("purchase_orders", await world.plain("purchase_order"))
    invoice = await world.plain("invoice")
    invoice["LineItems"][0] |= {
        "SalesOrderLineItemID": order["LineItems"][0]["LineItemID"],
        "PurchaseOrderLineItemID": purchase["LineItems"][0]["LineItemID"],
    }
    if named:
        invoice |= {"SalesOrderID": order["SalesOrderID"], "PurchaseOrderID": purchase["PurchaseOrderID"]}
    made = await bng.new("invoices", invoice)
    sold = f"sales_orders/{order['SalesOrderID']}"
    bought = f"purchase_orders/{purchase['PurchaseOrderID']}"
    assert (await bng.get(sold))["LineItems"][0]["QuantityInvoiced"] == "2.0000"
    assert (await bng.get(bought))["LineItems"][0]["QuantityBilled"] == "2.0000"
    await bng.put(f"invoices/{made['InvoiceID']}", {"Status": "Void"})
    assert (await bng.get(sold))["LineItems"][0]["QuantityInvoiced"] == "0.0000"


async def test_stock_is_one_record_per_product_warehouse_and_lot(bng: Visitor, world: World) -> None:
    plain = await world.plain("inventory_item")
    made = await bng.new("inventory_items", plain)
    product = await world.known("product")
    assert (made["SKU"], made["QuantityAvailable"]) == (product["SKU"], "10.0000")
    twin = plain | {"ExternalID": "twin"}
    answer = await bng.refused("POST", "inventory_items", twin)
    assert (answer.status, answer.error["ExistingID"]) == (409, made["InventoryItemID"])
    await bng.new("inventory_items", twin | {"LotNumber": "L1"})
    now = await bng.put(f"inventory_items/{made['InventoryItemID']}", {"QuantityReserved": 4})
    assert now["QuantityAvailable"] == "6.0000"


async def test_an_older_stock_message_never_overwrites_a_newer_one(bng: Visitor, world: World) -> None:
    made = await bng.new("inventory_items", await world.plain("inventory_item"))
    path = f"inventory_items/{made['InventoryItemID']}"
    answer = await bng.refused("PUT", path, {"QuantityOnHand": 1, "AsOf": "2026-03-03T23:59:59Z"})
    assert (answer.status, answer.error["Code"]) == (409, "StaleAsOf")
    now = await bng.put(path, {"QuantityOnHand": 2, "AsOf": "2026-03-04T01:00:00+01:00"})
    assert (now["QuantityOnHand"], now["AsOf"]) == ("2.0000", "2026-03-04T00:00:00Z")


async def test_a_ledger_entry_must_balance(bng: Visitor, world: World) -> None:
    plain = await world.plain("gl_entry")
    first, second = plain["Lines"]
    for lines, complaint in (
        ([first], ("Lines", "Required")),
        ([first, second | {"Credit": 9}], ("Lines", "Unbalanced")),
        ([first | {"Credit": 10}, second], ("Lines[0].Credit", "Exclusive")),
        ([first | {"Debit": -10}, second], ("Lines[0].Debit", "OutOfRange")),
    ):
        assert complaint in (await bng.refused("POST", "gl_entries", plain | {"Lines": lines})).complaints
    made = await bng.new("gl_entries", plain)
    assert (made["TotalDebit"], made["TotalCredit"], made["Period"]) == ("10.00", "10.00", "2026-03")


async def test_a_posted_entry_is_reversed_and_never_edited(bng: Visitor, world: World) -> None:
    made = await bng.new("gl_entries", await world.plain("gl_entry"))
    path = f"gl_entries/{made['GLEntryID']}"
    for change in (
        {"Description": "x"},
        {"PostingDate": "2026-03-06"},
        {"Status": "Draft"},
        {"Lines": made["Lines"][:1]},
    ):
        assert "PostedEntry" in {code for _, code in (await bng.refused("PUT", path, change)).complaints}
    reversal = await world.plain("gl_entry") | {"ReversesEntryID": made["GLEntryID"]}
    await bng.new("gl_entries", reversal)
    assert (await bng.get(path))["Status"] == "Reversed"
    draft = await bng.new("gl_entries", await world.plain("gl_entry") | {"Status": "Draft"})
    await bng.put(f"gl_entries/{draft['GLEntryID']}", {"Description": "still free"})
    answer = await bng.refused(
        "POST", "gl_entries", await world.plain("gl_entry") | {"ReversesEntryID": draft["GLEntryID"]}
    )
    assert ("ReversesEntryID", "NotPosted") in answer.complaints


async def test_closed_periods_take_no_entry(bng: Visitor, world: World) -> None:
    await bng.switch("PUT", "settings", closed_through="2026-03-31")
    plain = await world.plain("gl_entry")
    assert ("PostingDate", "ClosedPeriod") in (await bng.refused("POST", "gl_entries", plain)).complaints
    await bng.new("gl_entries", plain | {"PostingDate": "2026-04-01"})
    wrong = await bng.refused("POST", "gl_entries", plain | {"PostingDate": "2026-04-01", "Period": "2026-03"})
    assert ("Period", "Mismatch") in wrong.complaints
