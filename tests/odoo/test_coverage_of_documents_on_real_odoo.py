"""Every field of every document, in every direction that is allowed, by value at both ends: for the coverage page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from covering import Subject, Table, everything, visible_fields
from jointly import Joint

from covered import Covers
from joined import Systems
from real_odoo import OdooDatabases, RealOdoo

pytestmark = [pytest.mark.odoo, pytest.mark.timeout(900)]

HERE = Path(__file__).parent
MASTERS = ("customer", "vendor", "product_template", "product", "employee")
TABLES = {
    "tax_included": "system,value,canonical\nodoo,21% in the price,V21\nbng,V21,V21\n",
    "pricelist": "system,value,canonical\nodoo,Euro,EUR\nodoo,Dollar,USD\n",
}


def named_by_the_table(odoo: RealOdoo) -> dict[str, str]:
    """What the documents of the table point to in Odoo; returns the words that the table uses."""

    def new(model: str, *rows: dict[str, Any]) -> list[int]:
        return list(odoo.call(model, "create", odoo.admin_key, vals_list=list(rows)))

    [euros] = odoo.call("res.currency", "search", domain=[["name", "=", "EUR"]], context={"active_test": False})
    odoo.call("res.currency", "write", odoo.admin_key, ids=[euros], vals={"active": True})
    new("res.currency.rate", {"currency_id": euros, "name": "2026-01-01", "rate": 0.8})
    new("product.pricelist", {"name": "Euro", "currency_id": euros}, {"name": "Dollar"})
    taxes = [{"name": f"{rate}% {word}", "amount": rate, "type_tax_use": use}
             for rate, word, use in ((5, "north", "sale"), (6, "south", "sale"), (5, "bought", "purchase"),
                                     (6, "bought", "purchase"))]  # fmt: skip
    included = {"amount": 21, "type_tax_use": "sale", "price_include_override": "tax_included"}
    new("account.tax", *taxes, {"name": "21% in the price", **included})
    [belgium] = odoo.call("res.country", "search", domain=[["code", "=", "BE"]])
    at = {"city": "Gent", "country_id": belgium}
    firms = [{"name": name, "is_company": True, "customer_rank": int(name in ("Azure", "Blanc")),
              "supplier_rank": int(name.startswith("Supply")), "email": f"{name.replace(' ', '')}@firm.example.com"}
             for name in ("Azure", "Blanc", "Supply A", "Supply B")]  # fmt: skip
    azure, blanc, _, _ = new("res.partner", *firms)
    new("res.partner", *(
        {"name": f"{what} {'AB'[i]}", "street": f"Kaai {n + i}", "type": kind, "parent_id": (azure, blanc)[i], **at}
        for what, kind, n in (("Books", "invoice", 1), ("Dock", "delivery", 3)) for i in (0, 1)
    ))  # fmt: skip
    houses = new("res.partner", *({"name": f"{name} house", "street": f"Kaai {n}", "type": "other", **at}
                                  for name, n in (("Second", 11), ("Third", 12))))  # fmt: skip
    second, third = houses
    new(
        "stock.warehouse",
        {"name": "Second", "code": "2ND", "partner_id": second},
        {"name": "Third", "code": "3RD", "partner_id": third},
    )
    new("product.product", *(
        {"name": sku.title(), "default_code": sku, "list_price": 10, "taxes_id": [[6, 0, []]],
         "type": "service" if sku in ("SHIP", "DISC") else "consu", "is_storable": sku not in ("SHIP", "DISC"),
         "supplier_taxes_id": [[6, 0, []]], "invoice_policy": "order", "purchase_method": "purchase"}
        for sku in ("CHAIR", "TABLE", "LAMP", "SHIP", "DISC")
    ))  # fmt: skip
    rights = [[4, group, 0] for group in sellers(odoo)]
    people = (
        {"name": f"{n} User", "login": f"{n.lower()}@example.com", "group_ids": rights} for n in ("First", "Second")
    )
    users = new("res.users", *people)
    new("hr.employee", *({"name": name, "work_email": f"{name[:3].lower()}@work.example.com", "user_id": user}
                         for name, user in zip(("Ann Able", "Bob Baker"), users, strict=True)))  # fmt: skip
    [warehouse] = odoo.call("stock.warehouse", "search_read", domain=[["code", "=", "WH"]], fields=["display_name"])
    return {"warehouse": warehouse["display_name"]}


def sellers(odoo: RealOdoo) -> list[int]:
    """The groups of people who sell and buy."""
    domain = [["full_name", "in", ["Sales / Administrator", "Purchase / Administrator"]]]
    return list(odoo.call("res.groups", "search", odoo.admin_key, domain=domain))


async def traded(
    odoo: RealOdoo, systems: Systems, folder: Path, covers: Covers, *documents: str
) -> tuple[Joint, Table]:
    """A pair of master data and these documents, its master data on both sides."""
    visible_fields(odoo)
    words = named_by_the_table(odoo)
    up = await everything(odoo, systems, folder, (*MASTERS, *documents), TABLES)
    table = Table(up, covers, words=words)
    await up.settle()
    for entity, key, names in (
        ("customer", "CustomerID", ("CompanyName",)), ("vendor", "VendorID", ("CompanyName",)),
        ("product", "ProductID", ("SKU",)), ("employee", "EmployeeID", ("FirstName", "LastName")),
    ):  # fmt: skip
        table.names |= {" ".join(str(row[n]) for n in names): row[key] for row in await table.rows_of(entity)}
    return up, table


def of(table: Table, entity: str, field: str) -> Subject:
    """The record that Odoo's own methods bring further, by the field that follows them."""
    return next(one for one in table.subjects if one.entity == entity and one.rows.get(field, {}).get("by_hand"))


async def test_every_field_of_orders_is_the_same_at_both_ends(
    home: Any, systems: Systems, odoo_db: OdooDatabases, tmp_path: Path, covers: Covers
) -> None:
    odoo = odoo_db()
    orders = ("sales_order", "purchase_order")
    up, table = await traded(odoo, systems, tmp_path / "pair", covers, *orders, "invoice")
    table.add(HERE / "coverage_orders.yaml", *orders)
    await table.make(*orders)
    [bought] = [one.odoo for one in table.subjects if one.entity == "purchase_order"]
    told, paid = of(table, "sales_order", "status"), of(table, "sales_order", "payment_status")
    odoo.call("purchase.order", "button_confirm", ids=[bought])
    odoo.call("purchase.order", "write", ids=[bought], vals={"date_order": "2026-03-01 08:00:00"})
    invoice = billed(up, paid.odoo)
    other, bill = bought_and_billed(up)
    await up.settle(*orders, "invoice")
    await up.settle(*orders, "invoice")
    await table.look("create", *orders)
    found = await up.at_bng("invoice", "InvoiceNumber")
    ordered = await up.at_bng("purchase_order", "PONumber")
    assert found[shown_as(up, invoice)["name"]]["SalesOrderID"] == paid.bng
    assert found[shown_as(up, bill)["name"]]["PurchaseOrderID"] == ordered[other]["PurchaseOrderID"]
    covers("invoice", "to_bng", "create", "sales_order", "purchase_order")

    odoo.call("sale.order", "action_confirm", ids=[told.odoo])
    pay(up, invoice)
    changed = await table.change(1, *orders)
    await up.settle(*orders)
    await table.look("update", *orders, changed=changed)

    odoo.call("sale.order", "action_cancel", ids=[told.odoo])
    odoo.call("purchase.order", "button_cancel", ids=[bought])
    changed = await table.change(2, *orders)
    await up.settle(*orders)
    await table.look("deactivate", *orders, changed=changed)


def bought_and_billed(up: Joint) -> tuple[str, int]:
    """A confirmed purchase order and its posted bill: the order's name and the bill."""
    [supply] = up.odoo.call("res.partner", "search", domain=[["name", "=", "Supply A"]])
    [chair] = up.odoo.call("product.product", "search", domain=[["default_code", "=", "CHAIR"]])
    line = {"product_id": chair, "product_qty": 1, "price_unit": 9}
    order = up.new("purchase.order", partner_id=supply, order_line=[[0, 0, line]])
    up.odoo.call("purchase.order", "button_confirm", ids=[order])
    up.odoo.call("purchase.order", "action_create_invoice", ids=[order])
    [row] = up.odoo.call("purchase.order", "read", ids=[order], fields=["name", "invoice_ids"])
    up.odoo.call("account.move", "write", ids=row["invoice_ids"], vals={"invoice_date": "2026-03-04", "ref": "B-9"})
    up.odoo.call("account.move", "action_post", ids=row["invoice_ids"])
    return str(row["name"]), int(row["invoice_ids"][0])


def billed(up: Joint, order: int) -> int:
    """A posted invoice of the whole order."""
    up.odoo.call("sale.order", "action_confirm", ids=[order])
    context = {"active_model": "sale.order", "active_ids": [order]}
    told = {"advance_payment_method": "delivered", "sale_order_ids": [[6, 0, [order]]]}
    [wizard] = up.odoo.call("sale.advance.payment.inv", "create", context=context, vals_list=[told])
    up.odoo.call("sale.advance.payment.inv", "create_invoices", ids=[wizard], context=context)
    [move] = up.odoo.call("sale.order", "read", ids=[order], fields=["invoice_ids"])[0]["invoice_ids"]
    up.odoo.call("account.move", "action_post", ids=[move])
    return int(move)


def pay(up: Joint, move: int) -> None:
    """The whole invoice paid, by the wizard that people use."""
    context = {"active_model": "account.move", "active_ids": [move]}
    [wizard] = up.odoo.call("account.payment.register", "create", context=context, vals_list=[{}])
    up.odoo.call("account.payment.register", "action_create_payments", ids=[wizard], context=context)


def booked_by_the_table(odoo: RealOdoo) -> dict[str, str]:
    """Accounts, analytic accounts and taxes of books, as Odoo shows them, and their codes."""
    words: dict[str, str] = {}
    for kind, many in (("income", 2), ("expense", 2), ("asset_receivable", 1), ("liability_payable", 1)):
        word = {"asset_receivable": "owed", "liability_payable": "owing"}.get(kind, kind)
        made = [{"name": f"Coverage {word} {n}", "code": f"9{len(kind)}00{n}", "account_type": kind} for n in (1, 2)][
            :many
        ]
        keys = odoo.call("account.account", "create", odoo.admin_key, vals_list=made)
        for n, row in enumerate(odoo.call("account.account", "read", ids=keys, fields=["display_name", "code"]), 1):
            name = word if many == 1 else f"{word}{n}"
            words |= {name: row["display_name"], f"{name}_code": row["code"]}
    told = odoo.run_on_server(
        "group = env.ref('analytic.group_analytic_accounting')\n"
        "env['res.users'].search([]).write({'group_ids': [(4, group.id)]})\n"
        "plan = env['account.analytic.plan'].create({'name': 'Places'})\n"
        "rows = [{'name': n, 'plan_id': plan.id} for n in ('Berlin', 'Rome')]\n"
        "made = env['account.analytic.account'].create(rows).ids\n"
        "env['account.tax'].create({'name': '0% booked', 'amount': 0, 'type_tax_use': 'none'})\n"
        "env.cr.commit()\nprint('made', *made)\n"
    )
    words["berlin"], words["rome"] = told.rpartition("made")[2].split()[:2]
    cash = {"name": "Cash", "code": "CSH1", "type": "cash"}
    till = odoo.call("account.journal", "create", odoo.admin_key, vals_list=[cash])
    waiting = {"name": "Coverage waiting", "code": "988800", "account_type": "asset_current", "reconcile": True}
    [account] = odoo.call("account.account", "create", odoo.admin_key, vals_list=[waiting])
    ways = odoo.call("account.payment.method.line", "search", odoo.admin_key, domain=[["journal_id", "in", till]])
    odoo.call("account.payment.method.line", "write", odoo.admin_key, ids=ways, vals={"payment_account_id": account})
    [journal] = odoo.call("account.journal", "search_read", domain=[["code", "=", "MISC"]], fields=["display_name"])
    return {**words, "journal": journal["display_name"]}


def posted(up: Joint, **more: Any) -> int:
    """A small invoice to Azure, posted."""
    [azure] = up.odoo.call("res.partner", "search", domain=[["name", "=", "Azure"]])
    line = {"name": "Small", "price_unit": 200, "tax_ids": [[6, 0, []]]}
    move = up.new("account.move", move_type="out_invoice", partner_id=azure, invoice_date="2026-03-01",
                  invoice_line_ids=[[0, 0, line]], **more)  # fmt: skip
    up.odoo.call("account.move", "action_post", ids=[move])
    return move


def shown_as(up: Joint, move: int) -> dict[str, Any]:
    """The name of a journal entry, and how Odoo shows it."""
    [row] = up.odoo.call("account.move", "read", ids=[move], fields=["name", "display_name"])
    return dict(row)


async def test_every_new_invoice_payment_and_entry_is_the_same_at_both_ends(
    home: Any, systems: Systems, odoo_db: OdooDatabases, tmp_path: Path, covers: Covers
) -> None:
    odoo = odoo_db()
    documents = ("invoice", "gl_entry", "payment")
    words = booked_by_the_table(odoo)
    up, table = await traded(odoo, systems, tmp_path / "pair", covers, *documents)
    table.words |= words
    at = {"city": "Gent", "country_id": odoo.call("res.country", "search", domain=[["code", "=", "BE"]])[0]}
    for name, street in (("Azure", "Kaai 21"), ("Blanc", "Kaai 22")):
        for key in odoo.call("res.partner", "search", domain=[["name", "=", name]]):
            odoo.call("res.partner", "write", ids=[key], vals={"street": street, **at})
    small = {word: posted(up) for word in ("open", "other", "paid")}
    await up.settle()
    numbers = await up.at_bng("invoice", "InvoiceNumber")
    for word, move in small.items():
        table.words[word] = shown_as(up, move)["display_name"]
        table.names[word] = numbers[shown_as(up, move)["name"]]["InvoiceID"]
    table.add(HERE / "coverage_books.yaml", *documents)
    await table.make(*documents)
    mine = {entity: [one.odoo for one in table.subjects if one.entity == entity and one.odoo] for entity in documents}
    for entity, model in (("invoice", "account.move"), ("gl_entry", "account.move"), ("payment", "account.payment")):
        odoo.call(model, "action_post", ids=mine[entity])
    await up.settle(*documents)
    await up.settle(*documents)
    await table.look("create", *documents)
    await payment_numbers(up, table)
    covers("payment", "to_bng", "create", "number")


async def payment_numbers(up: Joint, table: Table) -> list[str]:
    """The numbers that Odoo gave the payments made in it, which BNG has as well."""
    mine = [one for one in table.subjects if (one.entity, one.way) == ("payment", "to_bng")]
    told = [str(up.in_odoo("account.payment", one.odoo, "name")["name"]) for one in mine]
    found = await up.at_bng("payment", "PaymentID")
    assert [found[one.bng]["PaymentNumber"] for one in mine] == told
    return told
