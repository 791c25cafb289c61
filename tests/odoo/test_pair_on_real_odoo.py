"""The pair that ships, between a real Odoo and BNG: all four Entities loaded, edited on both sides, agreed."""

from __future__ import annotations

from typing import Any

import pytest

from isthmus.operate.customfields import map_fields, offered
from isthmus.operate.opening import opened
from joined import Systems, connect_bng, isthmus
from real_odoo import OdooDatabases, RealOdoo

pytestmark = pytest.mark.odoo


SUPPLY = {
    "CompanyName": "Gent Supply", "VendorNumber": "V-9", "BillingAddress": "Kaai 9, 9000 Gent, BE",
    "PaymentTerms": "Net 30",
}  # fmt: skip
LAMP = {
    "SKU": "L-1", "Name": "Lamp", "ProductType": "Stocked", "UnitOfMeasure": "DZ", "ListPrice": "12.50",
    "CostPrice": "7.25", "CurrencyCode": "USD", "Weight": "5", "WeightUnit": "LB", "Barcode": "5901234123457",
    "Status": "Active",
}  # fmt: skip


def new(odoo: RealOdoo, model: str, **values: Any) -> int:
    [made] = odoo.call(model, "create", vals_list=[values])
    return int(made)


def chair(odoo: RealOdoo) -> tuple[int, list[int]]:
    """A template with two variants."""
    colour = new(odoo, "product.attribute", name="Colour", create_variant="always")
    values = [new(odoo, "product.attribute.value", name=name, attribute_id=colour) for name in ("Red", "Blue")]
    line = {"attribute_id": colour, "value_ids": [[6, 0, values]]}
    template = new(odoo, "product.template", name="Chair", list_price=40.0, attribute_line_ids=[[0, 0, line]])
    variants = odoo.call("product.product", "search", domain=[["product_tmpl_id", "=", template]], order="id")
    for name, key in zip(("RED", "BLUE"), variants, strict=True):
        odoo.call("product.product", "write", ids=[key], vals={"default_code": f"CH-{name}"})
    return template, variants


async def connect(odoo: RealOdoo, systems: Systems) -> None:
    made = ["connection", "add", "odoo", "--kind", "odoo", "--url", odoo.url, "--no-check", "--set"]
    made += [f"database={odoo.database}", "--set", f"login={odoo.login}", "--set", "allow_loopback=true"]
    for command in (
        [*made, "--secret", f"api_key={odoo.api_key}"],
        connect_bng(systems),
        ["pair", "add", "main", "--left", "odoo", "--right", "bng"],
    ):
        said = await isthmus(*command)
        assert said.code == 0, said


async def test_all_four_entities_agree_after_a_load(home: Any, systems: Systems, odoo_db: OdooDatabases) -> None:
    odoo = odoo_db()
    await connect(odoo, systems)
    [belgium] = odoo.call("res.country", "search", domain=[["code", "=", "BE"]])
    address = {"street": "Kaai 7", "city": "Gent", "zip": "9000", "country_id": belgium}
    azure = {"name": "Azure", "is_company": True, "vat": "BE0477472701", "email": "a@azure.example.com", **address}
    both = new(odoo, "res.partner", customer_rank=1, supplier_rank=1, **azure)
    new(odoo, "res.partner", name="Mary Ann Smith", email="m@example.com", customer_rank=1, parent_id=both)
    template, variants = chair(odoo)
    table = new(odoo, "product.product", name="Table", default_code="T-1", list_price=99.5, is_storable=True)

    await systems.in_bng("POST", "seed", entity="vendor", records=[SUPPLY])
    [tax, *_] = odoo.call("account.tax", "search_read", domain=[["type_tax_use", "=", "sale"]], fields=["name"])
    await systems.in_bng("POST", "seed", entity="product", records=[{**LAMP, "TaxCode": tax["name"]}])

    said = await isthmus("load", "main", "--yes", "--json")
    assert said.code == 0, said
    assert (await isthmus("deadletters", "list", "--json")).json == []
    at_bng = await systems.in_bng("GET", "snapshot", entities="customer,vendor,product")
    products = {row["SKU"]: row for row in at_bng["product"]}
    customers = {row.get("CompanyName") or row["LastName"]: row for row in at_bng["customer"]}
    vendors = {row["CompanyName"]: row for row in at_bng["vendor"]}
    assert products.keys() >= {"T-1", f"TMPL-{template}", "CH-RED", "CH-BLUE"}
    assert products["CH-RED"]["ParentProductID"] == products[f"TMPL-{template}"]["ProductID"]
    assert products["CH-RED"]["VariantAttributes"] == {"Colour": "Red"}
    assert products["T-1"].get("ParentProductID") is None
    assert (products["T-1"]["ProductType"], products["T-1"]["UnitOfMeasure"]) == ("Stocked", "EA")
    assert float(products["T-1"]["ListPrice"]) == 99.5
    assert customers["Azure"]["BillingAddress"]["CountryCode"] == "BE"
    assert customers["Azure"]["TaxID"] == vendors["Azure"]["TaxID"] == "BE0477472701"
    assert customers["Smith"]["FirstName"] == "Mary Ann"
    assert customers["Smith"]["ParentCustomerID"] == customers["Azure"]["CustomerID"]

    [supply] = odoo.call(
        "res.partner",
        "search_read",
        domain=[["ref", "=", "V-9"]],
        fields=["name", "supplier_rank", "street", "city", "zip", "country_id", "property_supplier_payment_term_id"],
    )
    assert (supply["name"], supply["supplier_rank"], supply["street"]) == ("Gent Supply", 1, "Kaai 9")
    assert (supply["city"], supply["zip"], supply["country_id"][1]) == ("Gent", "9000", "Belgium")
    assert supply["property_supplier_payment_term_id"][1] == "30 Days"
    names = ["name", "type", "is_storable", "uom_id", "lst_price", "standard_price", "weight", "barcode", "sale_ok"]
    [lamp] = odoo.call("product.product", "search_read", domain=[["default_code", "=", "L-1"]], fields=names)
    assert {name: lamp[name] for name in names} | {"uom_id": lamp["uom_id"][1]} == {
        "name": "Lamp", "type": "consu", "is_storable": True, "uom_id": "Dozens", "lst_price": 12.5,
        "standard_price": 7.25, "weight": 2.27, "barcode": "5901234123457", "sale_ok": True,
    }  # fmt: skip

    swept = (await isthmus("sweep", "main", "--json")).json
    assert (swept["differences"], swept["figure"]) == ([], 1.0)
    assert {name: told["records"] for name, told in swept["entities"].items()}.keys() == {
        "customer", "vendor", "product_template", "product",
    }  # fmt: skip
    for key, entity in ((both, "customer"), (both, "vendor"), (template, "product_template"), (table, "product"),
                        (variants[0], "product")):  # fmt: skip
        told = (await isthmus("preview", "main", entity, str(key), "--json")).json
        assert (told["outcome"], told["payload"], told["counterpart"] is not None) == ("nothing", {}, True), told


async def test_a_custom_field_of_odoo_is_mapped_at_once_and_travels_both_ways(
    home: Any, systems: Systems, odoo_db: OdooDatabases
) -> None:
    odoo = odoo_db()
    [model] = odoo.call("ir.model", "search", odoo.admin_key, domain=[["model", "=", "res.partner"]])
    field = {"name": "x_loyalty_tier", "model_id": model, "ttype": "char", "field_description": "Loyalty tier"}
    odoo.call("ir.model.fields", "create", odoo.admin_key, vals_list=[{**field, "state": "manual"}])
    await connect(odoo, systems)
    gold = new(odoo, "res.partner", name="Gold", is_company=True, email="g@example.com", x_loyalty_tier="gold")
    silver = {"CompanyName": "Silver", "Email": "s@example.com", "CustomFields": {"LoyaltyTier": "silver"}}
    await systems.in_bng("POST", "seed", entity="customer", records=[silver])

    async with opened() as runtime:
        offer = next(o for o in await offered(runtime, "main", "customer") if o.left == "x_loyalty_tier")
        assert (offer.name, offer.right) == ("loyalty_tier", "CustomFields.LoyaltyTier")
        _, version = await map_fields(runtime, "main", "customer", [offer.name], actor="test")
        assert version == 2
        assert await offered(runtime, "main", "customer") == []
    units = (await isthmus("lookup", "show", "main", "unit", "--json")).json
    assert len(units) > 20
    said = await isthmus("load", "main", "--yes", "--json")
    assert said.code == 0, said

    at_bng = {row.get("CompanyName"): row for row in await systems.bng_customers()}
    assert at_bng["Gold"]["CustomFields"] == {"LoyaltyTier": "gold"}
    [found] = odoo.call("res.partner", "search_read", domain=[["name", "=", "Silver"]], fields=["x_loyalty_tier"])
    assert found["x_loyalty_tier"] == "silver"
    told = (await isthmus("preview", "main", "customer", str(gold), "--json")).json
    assert (told["outcome"], told["canonical"]["loyalty_tier"]) == ("nothing", "gold")
