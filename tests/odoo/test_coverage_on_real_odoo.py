"""Every field of master data, in every direction that is allowed, by value at both ends: for the coverage page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from covering import Table, everything, visible_fields

from covered import Covers
from joined import Systems
from real_odoo import OdooDatabases, RealOdoo

pytestmark = [pytest.mark.odoo, pytest.mark.timeout(900)]

HERE = Path(__file__).parent
LEVELS = "system,value,canonical\nodoo,Wholesale,WHOLESALE\nbng,WHL,WHOLESALE\nodoo,Retail,RETAIL\nbng,RTL,RETAIL\n"


def named_by_the_table(odoo: RealOdoo) -> None:
    """What the records of the table point to in Odoo."""
    odoo.call("account.fiscal.position", "create", odoo.admin_key, vals_list=[{"name": "Tax Exempt"}])
    odoo.call("product.pricelist", "create", odoo.admin_key, vals_list=[{"name": "Wholesale"}, {"name": "Retail"}])
    odoo.call("product.category", "create", odoo.admin_key, vals_list=[{"name": "Furniture"}, {"name": "Outdoor"}])
    taxes = [
        {"name": "5% north", "amount": 5, "type_tax_use": "sale"},
        {"name": "6% south", "amount": 6, "type_tax_use": "sale"},
    ]
    odoo.call("account.tax", "create", odoo.admin_key, vals_list=taxes)
    [euros] = odoo.call("res.currency", "search", domain=[["name", "=", "EUR"]], context={"active_test": False})
    odoo.call("res.currency", "write", odoo.admin_key, ids=[euros], vals={"active": True})


async def test_every_field_of_customers_and_vendors_is_the_same_at_both_ends(
    home: Any, systems: Systems, odoo_db: OdooDatabases, tmp_path: Path, covers: Covers
) -> None:
    odoo = odoo_db()
    visible_fields(odoo)
    named_by_the_table(odoo)
    chosen = ("customer", "vendor")
    up = await everything(odoo, systems, tmp_path / "pair", chosen, {"price_level": LEVELS})
    table = Table(up, covers)
    for name in ("Group A", "Group B"):
        up.new("res.partner", name=name, is_company=True, customer_rank=1, email=f"{name[-1]}@group.example.com")
    await up.settle()
    table.names = {row["CompanyName"]: row["CustomerID"] for row in await table.rows_of("customer")}
    table.add(HERE / "coverage_masters.yaml", *chosen)
    await table.make(*chosen)
    await up.settle()
    await up.settle()
    await table.look("create", *chosen)
    for stage, kind in ((1, "update"), (2, "deactivate")):
        changed = await table.change(stage, *chosen)
        await up.settle()
        await table.look(kind, *chosen, changed=changed)


def accounts(odoo: RealOdoo) -> dict[str, str]:
    """Two accounts of each kind by the words that tables use: what Odoo shows, and the code."""
    words = {}
    for kind in ("income", "expense"):
        domain = [["account_type", "=", kind]]
        made = [{"name": f"Coverage {kind} {n}", "code": f"9{len(kind)}000{n}", "account_type": kind} for n in (1, 2)]
        odoo.call("account.account", "create", odoo.admin_key, vals_list=made)
        domain = [["name", "like", f"Coverage {kind}"]]
        for n, row in enumerate(odoo.call("account.account", "search_read", domain=domain, order="code",
                                          fields=["display_name", "code"]), 1):  # fmt: skip
            words |= {f"{kind}{n}": row["display_name"], f"{kind}{n}_code": row["code"]}
    return words


def chairs(odoo: RealOdoo, name: str, prefix: str, **more: Any) -> tuple[int, dict[str, int], dict[str, int]]:
    """A template with two variants: its key, the variants by colour, and the colours."""
    [colour] = odoo.call("product.attribute", "create", vals_list=[{"name": "Colour", "create_variant": "always"}])
    told = [{"name": one, "attribute_id": colour} for one in ("Red", "Blue")]
    values = odoo.call("product.attribute.value", "create", vals_list=told)
    line = {"attribute_id": colour, "value_ids": [[6, 0, values]]}
    row = {"name": name, "is_storable": True, "attribute_line_ids": [[0, 0, line]], **more}
    [template] = odoo.call("product.template", "create", vals_list=[row])
    domain = [["product_tmpl_id", "=", template]]
    found = odoo.call("product.product", "search", domain=domain, order="id")
    variants = dict(zip(("RED", "BLUE"), found, strict=True))
    for word, key in variants.items():
        odoo.call("product.product", "write", ids=[key], vals={"default_code": f"{prefix}-{word}"})
    return int(template), variants, dict(zip(("RED", "BLUE"), values, strict=True))


async def test_every_field_of_products_and_their_templates_is_the_same_at_both_ends(
    home: Any, systems: Systems, odoo_db: OdooDatabases, tmp_path: Path, covers: Covers
) -> None:
    odoo = odoo_db()
    visible_fields(odoo)
    named_by_the_table(odoo)
    chosen = ("vendor", "product_template", "product")
    up = await everything(odoo, systems, tmp_path / "pair", chosen, {})
    table = Table(up, covers, words=accounts(odoo))
    suppliers = [up.new("res.partner", name=f"Supplier {n}", is_company=True, supplier_rank=1) for n in "AB"]
    named = {name: table.named("product.category", name) for name in ("Furniture",)}
    more = {"description_sale": "Soft", "categ_id": named["Furniture"], "list_price": 40.0,
            "taxes_id": [[6, 0, [table.named("account.tax", "5% north")]]]}  # fmt: skip
    template, variants, colours = chairs(odoo, "Chair", "CH", **more)
    couch, _, _ = chairs(odoo, "Couch", "CO")
    seller = up.new("product.supplierinfo", partner_id=suppliers[0], product_tmpl_id=template)
    table.words["template"] = str(template)
    table.add(HERE / "coverage_masters.yaml", "product_template", "product")
    by_hand = [one for one in table.subjects if one.odoo == -1]
    for one, key in zip(by_hand, (template, couch, variants["RED"]), strict=True):
        one.odoo = key
    await table.make("product")
    await up.settle()
    table.names = {row["CompanyName"]: row["VendorID"] for row in await table.rows_of("vendor")}
    table.names |= {row["SKU"]: row["ProductID"] for row in await table.rows_of("product")}
    await up.settle()
    both = ("product_template", "product")
    await table.look("create", *both)
    changed = await table.change(1, *both)
    odoo.call("product.attribute.value", "write", ids=[colours["RED"]], vals={"name": "Crimson"})
    odoo.call("product.supplierinfo", "write", ids=[seller], vals={"partner_id": suppliers[1]})
    await up.settle()
    await table.look("update", *both, changed=changed)
    changed = await table.change(2, *both)
    await up.settle()
    await table.look("deactivate", *both, changed=changed)
    for stage in (3, 4):
        changed = await table.change(stage, "product_template", way="to_odoo")
        await up.settle()
        await table.look("deactivate", "product_template", changed=changed, way="to_odoo")


def people(odoo: RealOdoo) -> None:
    """What the employees of the table point to."""

    def new(model: str, *rows: dict[str, Any]) -> list[int]:
        return list(odoo.call(model, "create", odoo.admin_key, vals_list=list(rows)))

    new("hr.department", {"name": "Sales"}, {"name": "Support"})
    [home] = new("res.partner", {"name": "Premises", "type": "other"})
    places = ({"name": f"{n} office", "location_type": "office", "address_id": home} for n in ("Ghent", "Erie"))
    new("hr.work.location", *places)
    new("res.users", *({"name": f"{n} User", "login": f"{n.lower()}@example.com"} for n in ("First", "Second")))
    new(
        "hr.employee",
        *({"name": f"Boss {n}", "work_email": f"{n.lower()}@boss.example.com"} for n in ("Able", "Baker")),
    )


async def test_every_field_of_employees_and_won_leads_is_at_bng(
    home: Any, systems: Systems, odoo_db: OdooDatabases, tmp_path: Path, covers: Covers
) -> None:
    odoo = odoo_db()
    visible_fields(odoo)
    people(odoo)
    chosen = ("customer", "employee", "won_lead")
    up = await everything(odoo, systems, tmp_path / "pair", chosen, {})
    table = Table(up, covers)
    table.add(HERE / "coverage_masters.yaml", "employee", "won_lead")
    await table.make("employee", "won_lead")
    await up.settle()
    await up.settle()
    table.names = {
        f"{row['FirstName']} {row['LastName']}": row["EmployeeID"] for row in await table.rows_of("employee")
    }
    await table.look("create", "employee", "won_lead")
    for stage, kind in ((1, "update"), (2, "deactivate")):
        changed = await table.change(stage, "employee")
        await up.settle()
        await table.look(kind, "employee", changed=changed)
    [lead] = [one for one in table.subjects if one.entity == "won_lead"]
    [told] = odoo.call("crm.lead", "read", ids=[lead.odoo], fields=["partner_id"])
    [contact] = odoo.call("res.partner", "read", ids=told["partner_id"][:1], fields=["name", "x_bng_customer_id"])
    assert (contact["name"], contact["x_bng_customer_id"]) == ("Zeppelin Works", lead.bng)
    covers("won_lead", "to_odoo", "update", "partner")


async def test_every_field_of_stock_is_the_same_at_both_ends(
    home: Any, systems: Systems, odoo_db: OdooDatabases, tmp_path: Path, covers: Covers
) -> None:
    odoo = odoo_db()
    odoo.call("stock.warehouse", "create", odoo.admin_key, vals_list=[{"name": "Third party", "code": "3PL"}])
    chosen = ("vendor", "product_template", "product", "inventory_item")
    up = await everything(odoo, systems, tmp_path / "pair", chosen, {})
    [stock] = odoo.call("stock.location", "search", domain=[["complete_name", "=", "WH/Stock"]])
    product = {"is_storable": True, "standard_price": 2.5, "list_price": 4}
    [dozens] = odoo.call("uom.uom", "search", domain=[["name", "=", "Dozens"]], context={"active_test": False})
    box = up.new("product.product", name="Box", default_code="BOX", uom_id=dozens, **product)
    tin = up.new("product.product", name="Tin", default_code="TIN", **product)
    buyer = up.new("res.partner", name="Buyer")

    def counted(quantity: float) -> None:
        row = {"product_id": box, "location_id": stock, "inventory_quantity_auto_apply": quantity}
        odoo.call("stock.quant", "create", vals_list=[row], context={"inventory_mode": True})

    def ordered(quantity: float) -> None:
        line = {"product_id": box, "product_uom_qty": quantity}
        odoo.call(
            "sale.order", "action_confirm", ids=[up.new("sale.order", partner_id=buyer, order_line=[[0, 0, line]])]
        )

    def in_odoo(key: int, warehouse: str) -> dict[str, Any]:
        domain = [
            ["product_id", "=", key],
            ["warehouse_id.code", "=", warehouse],
            ["location_id.usage", "=", "internal"],
        ]
        rows = odoo.call("stock.quant", "search_read", domain=domain, fields=["quantity", "reserved_quantity"])
        told = up.in_odoo("product.product", key, "default_code", "standard_price", "uom_id", "active")
        return {**told, **{n: sum(row[n] for row in rows) for n in ("quantity", "reserved_quantity")}}

    async def at_bng(warehouse: str) -> dict[str, Any]:
        [row] = [r for r in await systems_items() if r["WarehouseCode"] == warehouse]
        names = ("SKU", "ProductID", "QuantityOnHand", "QuantityReserved", "UnitOfMeasure", "UnitCost", "Status")
        return {name: row[name] for name in names} | {"AsOf": row["AsOf"], "InventoryItemID": row["InventoryItemID"]}

    async def systems_items() -> list[dict[str, Any]]:
        return list((await systems.in_bng("GET", "snapshot", entities="inventory_item"))["inventory_item"])

    counted(7)
    ordered(4)
    await up.settle("product")
    ids = {row["SKU"]: row["ProductID"] for row in (await up.at_bng("product", "SKU")).values()}
    seed = {"ProductID": ids["TIN"], "SKU": "TIN", "WarehouseCode": "3PL", "UnitOfMeasure": "EA",
            "QuantityOnHand": "36", "AsOf": "2026-11-24T10:00:00Z"}  # fmt: skip
    await systems.in_bng("POST", "seed", entity="inventory_item", records=[seed])
    await up.settle("product", "inventory_item")
    first = await at_bng("WH")
    assert in_odoo(box, "WH") == {"default_code": "BOX", "standard_price": 2.5, "uom_id": "Dozens", "active": True,
                                  "quantity": 7, "reserved_quantity": 4}  # fmt: skip
    assert {k: first[k] for k in first if k not in ("AsOf", "InventoryItemID")} == {
        "SKU": "BOX", "ProductID": ids["BOX"], "QuantityOnHand": "7.0000", "QuantityReserved": "4.0000",
        "UnitOfMeasure": "DZ", "UnitCost": "2.5000", "Status": "Active",
    }  # fmt: skip
    covers("inventory_item", "to_bng", "create", "sku", "product", "warehouse", "on_hand", "reserved", "unit",
           "unit_cost", "active")  # fmt: skip
    theirs = await at_bng("3PL")
    assert (theirs["ProductID"], theirs["QuantityOnHand"], theirs["UnitOfMeasure"]) == (ids["TIN"], "36.0000", "EA")
    assert (in_odoo(tin, "3PL")["quantity"], in_odoo(tin, "3PL")["uom_id"]) == (36, "Units")
    covers("inventory_item", "to_odoo", "create", "product", "warehouse", "on_hand", "unit")

    counted(9)
    ordered(2)
    up.edit("product.product", box, default_code="CRATE", standard_price=3)
    await up.edit_bng("inventory_item", theirs["InventoryItemID"], QuantityOnHand="25", AsOf="2026-11-24T11:00:00Z")
    await up.settle("product", "inventory_item")
    second = await at_bng("WH")
    assert in_odoo(box, "WH") == {"default_code": "CRATE", "standard_price": 3.0, "uom_id": "Dozens", "active": True,
                                  "quantity": 9, "reserved_quantity": 6}  # fmt: skip
    assert (second["SKU"], second["QuantityOnHand"], second["QuantityReserved"], second["UnitCost"]) == (
        "CRATE", "9.0000", "6.0000", "3.0000",
    )  # fmt: skip
    assert second["AsOf"] > first["AsOf"]
    covers("inventory_item", "to_bng", "update", "sku", "on_hand", "reserved", "unit_cost")
    covers("inventory_item", "both", "compared", "as_of")
    assert (in_odoo(tin, "3PL")["quantity"], (await at_bng("3PL"))["QuantityOnHand"]) == (25, "25.0000")
    covers("inventory_item", "to_odoo", "update", "on_hand")

    up.edit("product.product", box, active=False)
    await up.settle("product", "inventory_item")
    assert (in_odoo(box, "WH")["active"], (await at_bng("WH"))["Status"]) == (False, "Inactive")
    for kind in ("update", "status", "deactivate"):
        covers("inventory_item", "to_bng", kind, "active")
