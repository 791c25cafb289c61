"""Invoices, payments and purchase orders between a real Odoo and BNG: every field by value, each direction."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from trading import Trade, trading

from joined import Systems, isthmus
from real_odoo import OdooDatabases

pytestmark = pytest.mark.odoo


@pytest.fixture
async def trade(home: Any, systems: Systems, odoo_db: OdooDatabases) -> AsyncIterator[Trade]:
    async with trading(odoo_db(), systems) as made:
        yield made


def told(record: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: record[name] for name in names}


def tax(trade: Trade, name: str, use: str) -> int:
    return int(trade.read("account.tax", [["name", "=", name], ["type_tax_use", "=", use]], "name")[0]["id"])


def term(trade: Trade) -> int:
    return int(trade.read("account.payment.term", [["name", "=", "30 Days"]], "name")[0]["id"])


def invoice(trade: Trade, kind: str = "out_invoice", **more: Any) -> int:
    use = "sale" if kind.startswith("out") else "purchase"
    line = {
        "product_id": trade.variants["CHAIR"], "name": "Red chair", "quantity": 2, "price_unit": 40.25, "discount": 10,
        "tax_ids": [[6, 0, [tax(trade, "7%", use)]]],
    }  # fmt: skip
    lines = [[0, 0, line], [0, 0, {"name": "Assembly", "quantity": 1, "price_unit": 15, "tax_ids": [[6, 0, []]]}]]
    party = trade.partner if use == "sale" else trade.supplier
    head = {"move_type": kind, "partner_id": party, "invoice_date": "2026-03-04", "ref": "PO-77"}
    return trade.new(
        "account.move", **{**head, "invoice_payment_term_id": term(trade), "invoice_line_ids": lines, **more}
    )


async def test_every_field_of_a_posted_invoice_arrives_at_bng(trade: Trade) -> None:
    [belgium] = trade.odoo.call("res.country", "search", domain=[["code", "=", "BE"]])
    at = {"street": "Kaai 7", "city": "Gent", "country_id": belgium}
    trade.odoo.call("res.partner", "write", ids=[trade.partner], vals=at)
    move = invoice(trade)
    await trade.settle()
    assert await trade.at_bng("invoice") == []  # a draft never leaves Odoo
    trade.odoo.call("account.move", "action_post", ids=[move])
    await trade.settle()
    assert await trade.letters() == []
    [there] = trade.read("account.move", [["id", "=", move]], "name", "date", "invoice_line_ids")
    [made] = await trade.at_bng("invoice")
    assert told(
        made, "InvoiceNumber", "InvoiceType", "InvoiceDate", "DueDate", "PostingDate", "CustomerID", "VendorID",
        "Status", "CurrencyCode", "Subtotal", "TaxTotal", "TotalAmount", "AmountPaid", "BalanceDue", "PaymentTerms",
        "CustomerPONumber", "Memo", "OriginalInvoiceID", "SalesOrderID", "ExchangeRate",
    ) == {
        "InvoiceNumber": there["name"], "InvoiceType": "Invoice", "InvoiceDate": "2026-03-04", "DueDate": "2026-04-03",
        "PostingDate": there["date"], "CustomerID": trade.customer, "VendorID": None, "Status": "Open",
        "CurrencyCode": "USD", "Subtotal": "87.45", "TaxTotal": "5.07", "TotalAmount": "92.52", "AmountPaid": "0.00",
        "BalanceDue": "92.52", "PaymentTerms": "Net 30", "CustomerPONumber": "PO-77", "Memo": "PO-77",
        "OriginalInvoiceID": None, "SalesOrderID": None, "ExchangeRate": "1.00000000",
    }  # fmt: skip
    assert made["BillingAddress"]["Line1"] == "Kaai 7"
    first, second = made["LineItems"]
    assert told(
        first, "LineNumber", "ProductID", "SKU", "Description", "Quantity", "UnitOfMeasure", "UnitPrice",
        "DiscountPercent", "TaxCode", "TaxAmount", "LineTotal",
    ) == {
        "LineNumber": 1, "ProductID": trade.products["CHAIR"], "SKU": "CHAIR", "Description": "Red chair",
        "Quantity": "2.0000", "UnitOfMeasure": "EA", "UnitPrice": "40.2500", "DiscountPercent": "10.0000",
        "TaxCode": "7%", "TaxAmount": "5.07", "LineTotal": "72.45",
    }  # fmt: skip
    assert (second["ProductID"], second["Description"], second["LineTotal"]) == (None, "Assembly", "15.00")
    accounts = trade.read("account.move.line", [["id", "in", there["invoice_line_ids"]]], "account_id")
    [code] = {row["code"] for row in trade.read("account.account", [["id", "=", accounts[0]["account_id"][0]]], "code")}
    assert first["GLAccount"] == code


async def test_credit_notes_bills_and_vendor_credits_are_told_apart(trade: Trade) -> None:
    first = invoice(trade)
    bill = invoice(trade, "in_invoice", ref="B-1")
    credit = invoice(trade, "in_refund", ref="B-2")
    trade.odoo.call("account.move", "action_post", ids=[first, bill, credit])
    await trade.settle()
    reversal = trade.new(
        "account.move.reversal", move_ids=[[6, 0, [first]]], journal_id=1, date="2026-03-09", reason="returned"
    )
    trade.odoo.call("account.move.reversal", "refund_moves", ids=[reversal])
    [back] = trade.read("account.move", [["reversed_entry_id", "=", first]], "name")
    trade.odoo.call("account.move", "action_post", ids=[back["id"]])
    await trade.settle()
    assert await trade.letters() == []
    made = {row["InvoiceType"]: row for row in await trade.at_bng("invoice")}
    assert made.keys() == {"Invoice", "CreditMemo", "VendorBill", "VendorCredit"}
    assert made["CreditMemo"]["OriginalInvoiceID"] == made["Invoice"]["InvoiceID"]
    assert (made["VendorBill"]["VendorID"], made["VendorBill"]["CustomerID"]) == (trade.vendor, None)
    assert made["VendorBill"]["CustomerPONumber"] is None


async def test_a_payment_of_bng_becomes_one_in_odoo_and_its_status_and_the_invoices_go_back(trade: Trade) -> None:
    move = invoice(trade)
    trade.odoo.call("account.move", "action_post", ids=[move])
    await trade.settle()
    [bill] = await trade.at_bng("invoice")
    [key] = await trade.seed(
        "payment",
        {"Direction": "Inbound", "PaymentType": "Capture", "CustomerID": trade.customer, "Amount": "92.52",
         "CurrencyCode": "USD", "PaymentDate": "2026-03-05T09:00:00Z", "PaymentMethod": "Wire", "Status": "Captured",
         "GatewayTransactionID": "tx-9", "Applications": [{"InvoiceID": bill["InvoiceID"], "AmountApplied": "92.52"}]},
    )  # fmt: skip
    await trade.settle()
    assert await trade.letters() == []
    names = ("payment_type", "partner_type", "partner_id", "amount", "currency_id", "date", "journal_id", "memo",
             "state", "invoice_ids")  # fmt: skip
    [made] = trade.read("account.payment", [], *names)
    assert {n: made[n][1] if isinstance(made[n], list) and n != "invoice_ids" else made[n] for n in names} == {
        "payment_type": "inbound", "partner_type": "customer", "partner_id": "Azure", "amount": 92.52,
        "currency_id": "USD", "date": "2026-03-05", "journal_id": "Bank", "memo": "tx-9", "state": "draft",
        "invoice_ids": [move],
    }  # fmt: skip
    trade.odoo.call("account.payment", "action_post", ids=[made["id"]])
    await trade.settle()
    assert await trade.letters() == []
    [at_bng] = await trade.at_bng("payment")
    [state] = [row["state"] for row in trade.read("account.payment", [], "state")]
    assert at_bng["PaymentID"] == key
    assert at_bng["Status"] == {"in_process": "Captured", "paid": "Settled"}[state]


async def test_a_payment_made_in_odoo_arrives_at_bng(trade: Trade) -> None:
    move = invoice(trade)
    trade.odoo.call("account.move", "action_post", ids=[move])
    await trade.settle()
    payment = trade.new(
        "account.payment", payment_type="inbound", partner_type="customer", partner_id=trade.partner, amount=50,
        date="2026-03-06", journal_id=6, memo="cheque 12", invoice_ids=[[6, 0, [move]]],
    )  # fmt: skip
    await trade.settle()
    assert await trade.at_bng("payment") == []
    trade.odoo.call("account.payment", "action_post", ids=[payment])
    await trade.settle()
    assert await trade.letters() == []
    [made] = await trade.at_bng("payment")
    assert told(made, "Direction", "PaymentType", "CustomerID", "Amount", "CurrencyCode", "PaymentMethod",
                "Reference") == {
        "Direction": "Inbound", "PaymentType": "Sale", "CustomerID": trade.customer, "Amount": "50.00",
        "CurrencyCode": "USD", "PaymentMethod": "Wire", "Reference": "cheque 12",
    }  # fmt: skip
    assert made["PaymentDate"].startswith("2026-03-06T")


async def test_every_field_of_a_purchase_order_arrives_at_bng_and_follows_changes(trade: Trade) -> None:
    line = {
        "product_id": trade.variants["CHAIR"], "name": "Red chair", "product_qty": 3, "price_unit": 20.5,
        "date_planned": "2026-03-20 12:00:00", "tax_ids": [[6, 0, [tax(trade, "7%", "purchase")]]],
    }  # fmt: skip
    lines = [[0, 0, line], [0, 0, {**line, "product_id": trade.variants["TABLE"], "name": "Table", "discount": 10}],
             [0, 0, {**line, "product_id": trade.variants["LAMP"], "name": "Lamp"}]]  # fmt: skip
    order = trade.new(
        "purchase.order", partner_id=trade.supplier, partner_ref="Q-5", date_order="2026-03-01 08:00:00",
        note="At the back", payment_term_id=term(trade), order_line=lines,
    )  # fmt: skip
    await trade.settle()
    assert await trade.at_bng("purchase_order") == []  # a request for quotation is no order yet
    trade.odoo.call("purchase.order", "button_confirm", ids=[order])
    await trade.settle()
    assert await trade.letters() == []
    [there] = trade.read("purchase.order", [["id", "=", order]], "name", "amount_tax", "amount_total", "order_line")
    [made] = await trade.at_bng("purchase_order")
    assert told(
        made, "PONumber", "OrderDate", "VendorID", "VendorReference", "Status", "ApprovalStatus", "ExpectedDate",
        "WarehouseCode", "CurrencyCode", "PaymentTerms", "Subtotal", "TaxTotal", "TotalAmount", "ShippingTotal",
        "Notes", "ExchangeRate",
    ) == {
        "PONumber": there["name"], "OrderDate": "2026-03-01T08:00:00.000Z", "VendorID": trade.vendor,
        "VendorReference": "Q-5", "Status": "Approved", "ApprovalStatus": "Approved", "ExpectedDate": "2026-03-20",
        "WarehouseCode": "WH", "CurrencyCode": "USD", "PaymentTerms": "Net 30", "Subtotal": "178.35",
        "TaxTotal": "12.48", "TotalAmount": "190.83", "ShippingTotal": "0.00", "Notes": "At the back",
        "ExchangeRate": "1.00000000",
    } | {"OrderDate": made["OrderDate"]}  # fmt: skip
    assert made["OrderDate"].startswith("2026-03-01T08:00:00")
    assert told(made["LineItems"][1], "LineNumber", "ProductID", "Description", "QuantityOrdered", "UnitOfMeasure",
                "UnitPrice", "TaxCode", "LineTotal", "ExpectedDate") == {
        "LineNumber": 2, "ProductID": trade.products["TABLE"], "Description": "Table", "QuantityOrdered": "3.0000",
        "UnitOfMeasure": "EA", "UnitPrice": "18.4500", "TaxCode": "7%", "LineTotal": "55.35",
        "ExpectedDate": "2026-03-20",
    }  # fmt: skip
    kept = {row["ProductID"]: row["LineItemID"] for row in made["LineItems"]}
    chair = there["order_line"][0]
    trade.odoo.call("purchase.order.line", "write", ids=[chair], vals={"product_qty": 5})
    trade.odoo.call(
        "purchase.order", "write", ids=[order],
        vals={"order_line": [[0, 0, {"product_id": trade.variants["ROUND"], "product_qty": 1, "price_unit": 1}]]},
    )  # fmt: skip
    await trade.settle()
    assert await trade.letters() == []
    [made] = await trade.at_bng("purchase_order")
    after = {row["ProductID"]: row for row in made["LineItems"]}
    assert {key: after[key]["LineItemID"] for key in kept} == kept
    assert len(after) == 4
    assert after[trade.products["CHAIR"]]["QuantityOrdered"] == "5.0000"
    trade.odoo.call("purchase.order", "button_cancel", ids=[order])
    await trade.settle()
    [made] = await trade.at_bng("purchase_order")
    assert (made["Status"], made["ApprovalStatus"]) == ("Cancelled", "Rejected")


async def test_an_invoice_whose_number_bng_has_already_is_held_and_not_made_twice(trade: Trade) -> None:
    move = invoice(trade)
    trade.odoo.call("account.move", "action_post", ids=[move])
    [there] = trade.read("account.move", [["id", "=", move]], "name")
    line = {"LineNumber": 1, "Description": "x", "Quantity": "1", "UnitPrice": "1", "LineTotal": "1.00"}
    await trade.seed(
        "invoice",
        {"InvoiceNumber": there["name"], "ExternalID": "legacy-1", "InvoiceType": "Invoice",
         "InvoiceDate": "2026-03-01", "Status": "Open",
         "CustomerID": trade.customer, "CurrencyCode": "USD", "Subtotal": "1.00", "TaxTotal": "0.00",
         "TotalAmount": "1.00", "LineItems": [line]},
    )  # fmt: skip
    staged = (await isthmus("load", "main", "--entity", "invoice", "--json")).json
    assert staged["predicted"]["invoice"] == {"hold": 1}
    loaded = await isthmus("load", "main", "--entity", "invoice", "--yes", "--json")
    assert (loaded.code, loaded.json["done"]["invoice"]["held"]) == (0, 1), loaded
    assert len(await trade.at_bng("invoice")) == 1
    await trade.settle()
    [letter] = await trade.letters()
    assert (letter["entity"], letter["kind"]) == ("invoice", "Ambiguous")
    assert len(await trade.at_bng("invoice")) == 1


async def test_an_order_that_bng_shipped_and_odoo_invoiced_is_billed_for_what_it_was(trade: Trade) -> None:
    key = await trade.order_in_bng()
    await trade.settle()
    [order] = trade.orders_in_odoo()
    trade.odoo.call("sale.order", "action_confirm", ids=[order["id"]])
    lines = {"CHAIR": 2, "TABLE": 1}
    made = trade.odoo.call(
        "account.move", "create",
        vals_list=[{
            "move_type": "out_invoice", "partner_id": trade.partner, "invoice_date": "2026-03-05",
            "invoice_line_ids": [
                [0, 0, {"product_id": trade.variants[sku], "quantity": n, "price_unit": 1, "tax_ids": [[6, 0, []]],
                        "sale_line_ids": [[6, 0, [row["id"]]]]}]
                for (sku, n), row in zip(lines.items(), trade.lines_in_odoo(order["id"]), strict=True)
            ],
        }],
    )  # fmt: skip
    trade.odoo.call("account.move", "action_post", ids=made)
    await trade.settle()
    assert await trade.letters() == []
    [bill] = await trade.at_bng("invoice")
    assert bill["SalesOrderID"] == key
