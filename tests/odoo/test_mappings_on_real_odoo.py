"""The shipped Mappings on a real Odoo: what is written from the middle stands in Odoo, and reads back the same."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from importlib import resources
from typing import Any

import pytest
from speaking import OdooConnector, change, made, one, speaking, written

from isthmus.mapping.compiled import CompiledMapping, compile_mapping, load_mapping
from isthmus.mapping.lookups import Lookups, LookupTable
from isthmus.mapping.rates import Rates
from isthmus.mapping.tablefile import read_table
from isthmus.model.canonical import Ref, Value
from isthmus.model.entities import ENTITIES
from real_odoo import OdooDatabases, RealOdoo

pytestmark = pytest.mark.odoo

TEMPLATES = resources.files("isthmus") / "templates"
SETTINGS = {
    "region": "US",
    "currency": "USD",
    "exempt_fiscal_position": "Tax Exempt",
    "visible_fields": True,
    "sync_price_levels": True,
    "sync_accounts": True,
    "sync_preferred_vendor": True,
    "sync_bank_tokens": True,
}
KINDS = {"string": "char", "text": "text", "integer": "integer", "decimal": "float", "boolean": "boolean"}


@pytest.fixture(scope="module")
def odoo(odoo_databases: OdooDatabases) -> RealOdoo:
    """A clean database with the fields that the Mappings offer, and what their look-ups name."""
    made = odoo_databases()
    for name in ("odoo-customer", "odoo-vendor", "odoo-product", "odoo-product-template"):
        mapping = load_mapping((TEMPLATES / "mappings" / f"{name}.yaml").read_text())
        [model] = made.call(
            "ir.model", "search", made.admin_key, domain=[["model", "=", mapping.system_entity]], limit=1
        )
        rows = [
            {"name": n, "model_id": model, "ttype": KINDS[o.type], "field_description": o.label, "state": "manual"}
            for n, o in mapping.offers.items()
        ]
        made.call("ir.model.fields", "create", made.admin_key, vals_list=rows)
    made.call("account.fiscal.position", "create", made.admin_key, vals_list=[{"name": "Tax Exempt"}])
    made.call("product.pricelist", "create", made.admin_key, vals_list=[{"name": "Wholesale"}, {"name": "Retail"}])
    made.call("product.category", "create", made.admin_key, vals_list=[{"name": "Furniture"}])
    return made


async def mapping_of(side: OdooConnector, name: str, rates: Rates | None = None) -> CompiledMapping:
    """A shipped Mapping against the fields this very database has."""
    file = load_mapping((TEMPLATES / "mappings" / f"{name}.yaml").read_text())
    [schema] = await side.describe([file.system_entity])
    tables = []
    for table in ("payment_terms", "unit"):
        content = (TEMPLATES / "lookups" / f"{table}.csv").read_bytes()
        tables.append(LookupTable(name=table, rows=tuple(read_table(table, content, "t.csv", ["odoo", "bng"]))))
    return compile_mapping(
        file,
        entity=ENTITIES[file.canonical],
        schema=schema,
        lookups=Lookups(tables),
        rates=rates,
        settings=SETTINGS,
    )


async def read(side: OdooConnector, mapping: CompiledMapping, key: str) -> tuple[dict[str, Value], Mapping[str, Any]]:
    """The record in canonical values, and raw."""
    record = await one(side, mapping.system_entity, key, *mapping.paths)
    result = mapping.read(record.values)
    assert [p for p in result.problems if p.severity == "block"] == []
    return result.values, record.values


async def create(side: OdooConnector, mapping: CompiledMapping, values: Mapping[str, Value]) -> str:
    """The record made from canonical values."""
    result = mapping.write(values, list(values), None)
    assert result.problems == []
    [key] = await made(side, mapping.system_entity, result.values)
    return key


async def update(side: OdooConnector, mapping: CompiledMapping, key: str, values: Mapping[str, Value]) -> None:
    """Canonical values written over the record as it is now."""
    now, raw = await read(side, mapping, key)
    result = mapping.write({**now, **values}, list(values), raw)
    assert result.problems == []
    payload = {path: value for path, value in result.values.items() if raw.get(path) != value}
    [outcome] = await side.update(
        mapping.system_entity, [change(key, payload, {path: raw.get(path) for path in payload})]
    )
    written(outcome)


def differences(expected: Mapping[str, Value], found: Mapping[str, Value]) -> dict[str, tuple[Value, Value]]:
    """Field → (expected, found) where they differ; empty is empty, whatever its form."""
    return {
        name: (value, found.get(name))
        for name, value in expected.items()
        if (value or None) != (found.get(name) or None) and value != found.get(name)
    }


def stands(odoo: RealOdoo, model: str, key: str, *names: str) -> dict[str, Any]:
    """What Odoo itself says of a record."""
    [row] = odoo.call(model, "read", ids=[int(key)], fields=list(names))
    return {name: row[name][1] if isinstance(row[name], list) and row[name] else row[name] for name in names}


CUSTOMER: dict[str, Value] = {
    "name": "Azure Interior", "is_company": True, "email": "info@azure.example.com", "phone": "+16502530000",
    "website": "http://azure.example.com", "tax_id": "123456789",
    "billing": {"line1": "4557 De Silva St", "line2": "Suite 5", "city": "Fremont", "state": "US-CA",
                "postal_code": "94538", "country": "US"},
    "shipping": {"name": "Dock 2", "line1": "Kaai 7", "city": "Gent", "postal_code": "9000", "country": "BE",
                 "phone": "+3292112233"},
    "active": True, "notes": "Pays late\nAsk for Mary & Bob", "credit_limit": Decimal("2500.50"), "tax_exempt": True,
    "payment_terms": "NET30", "price_level": "Wholesale", "right_id": "C-1", "on_hold": True, "currency": "EUR",
    "customer_type": "Hotel", "vault_id": "v-1",
}  # fmt: skip
CUSTOMER_EDITED: dict[str, Value] = {
    "name": "Azure Exterior", "is_company": False, "email": "mary@azure.example.com", "phone": "+3292112244",
    "website": "https://azure.example.org/shop", "tax_id": "987654321",
    "billing": {"line1": "Kaai 9", "city": "Gent", "postal_code": "9000", "country": "BE"},
    "shipping": {"name": "Dock 3", "line1": "1 Main St", "city": "Erie", "state": "US-PA", "postal_code": "16501",
                 "country": "US"},
    "active": False, "notes": "Pays in time", "credit_limit": Decimal("10.00"), "tax_exempt": False,
    "payment_terms": "NET15", "price_level": "Retail", "right_id": "C-2", "on_hold": False, "currency": "USD",
    "customer_type": "Bar", "vault_id": "v-2",
}  # fmt: skip


async def test_every_field_of_a_customer_that_can_be_empty_can_be_emptied(odoo: RealOdoo) -> None:
    may_be_empty = [n for n in CUSTOMER if n not in ("name", "is_company", "active", "tax_exempt", "on_hold")]
    async with speaking(odoo) as side:
        mapping = await mapping_of(side, "odoo-customer")
        key = await create(side, mapping, {**CUSTOMER, "tax_id": "444555666"})
        await update(side, mapping, key, dict.fromkeys(may_be_empty))
        found, _ = await read(side, mapping, key)
    assert {n: found[n] for n in may_be_empty if found[n]} == {}
    assert found["name"] == "Azure Interior"


async def test_an_invoice_address_of_its_own_is_the_billing_address_and_takes_its_edits(odoo: RealOdoo) -> None:
    async with speaking(odoo) as side:
        mapping = await mapping_of(side, "odoo-customer")
        key = await create(side, mapping, {"name": "Has Invoicing", "is_company": True, "billing": CUSTOMER["billing"]})
        odoo.call(
            "res.partner",
            "create",
            vals_list=[{"name": "Books", "parent_id": int(key), "type": "invoice", "street": "Kaai 1", "city": "Gent"}],
        )
        found, _ = await read(side, mapping, key)
        assert found["billing"] == {"line1": "Kaai 1", "city": "Gent"}
        await update(side, mapping, key, {"billing": {"line1": "Kaai 2", "city": "Gent", "country": "BE"}})
        found, _ = await read(side, mapping, key)
    assert found["billing"] == {"line1": "Kaai 2", "city": "Gent", "country": "BE"}
    assert stands(odoo, "res.partner", key, "street") == {"street": "4557 De Silva St"}


async def test_a_person_in_a_company_points_to_it(odoo: RealOdoo) -> None:
    async with speaking(odoo) as side:
        mapping = await mapping_of(side, "odoo-customer")
        firm = await create(side, mapping, {"name": "The Firm", "is_company": True})
        person = await create(side, mapping, {"name": "Mary Ann Smith", "is_company": False})
        await update(side, mapping, person, {"parent": Ref("customer", firm)})
        found, _ = await read(side, mapping, person)
    assert found["parent"] == Ref("customer", firm)
    assert stands(odoo, "res.partner", person, "parent_id") == {"parent_id": "The Firm"}


OF_A_PARTY = ("name", "is_company", "email", "phone", "website", "billing", "active", "notes")
VENDOR: dict[str, Value] = {
    **{n: CUSTOMER[n] for n in OF_A_PARTY},
    "tax_id": "777888999", "on_hold": True, "number": "V-7", "currency": "USD", "payment_terms": "NET30",
    "remit_to": {"name": "Bank", "line1": "1 Main St", "city": "Erie", "state": "US-PA", "postal_code": "16501",
                 "country": "US", "phone": "+16502530001"},
    "ship_from": {"name": "Dock", "line1": "Kaai 7", "city": "Gent", "postal_code": "9000", "country": "BE"},
    "right_id": "V-1", "payment_method": "wire", "lead_time_days": 5, "is_1099": True, "expense_account": "6000",
    "bank_account_token": "tok_1",
}  # fmt: skip
VENDOR_EDITED: dict[str, Value] = {
    **{n: CUSTOMER_EDITED[n] for n in OF_A_PARTY},
    "tax_id": "777888000", "on_hold": False, "number": "V-8", "currency": None, "payment_terms": "NET15",
    "remit_to": {"name": "Other bank", "line1": "Kaai 8", "city": "Gent", "postal_code": "9000", "country": "BE"},
    "ship_from": None, "right_id": "V-2", "payment_method": "check", "lead_time_days": None, "is_1099": False,
    "expense_account": None, "bank_account_token": "tok_2",
}  # fmt: skip


async def test_every_field_of_a_vendor_arrives_reads_back_and_can_be_edited(odoo: RealOdoo) -> None:
    async with speaking(odoo) as side:
        mapping = await mapping_of(side, "odoo-vendor")
        assert mapping.writable == ENTITIES["vendor"].fields.keys()
        key = await create(side, mapping, VENDOR)
        found, _ = await read(side, mapping, key)
        assert differences(VENDOR, found) == {}
        assert stands(
            odoo, "res.partner", key, "name", "vat", "ref", "supplier_rank", "property_purchase_currency_id",
            "property_supplier_payment_term_id", "street", "x_bng_vendor_id", "x_bng_vendor_on_hold",
            "x_bng_payment_method", "x_bng_lead_time_days", "x_bng_is_1099", "x_bng_expense_account",
            "x_bng_bank_account_token",
        ) == {
            "name": "Azure Interior", "vat": "777888999", "ref": "V-7", "supplier_rank": 1,
            "property_purchase_currency_id": "USD", "property_supplier_payment_term_id": "30 Days",
            "street": "4557 De Silva St", "x_bng_vendor_id": "V-1", "x_bng_vendor_on_hold": True,
            "x_bng_payment_method": "wire", "x_bng_lead_time_days": 5, "x_bng_is_1099": True,
            "x_bng_expense_account": "6000", "x_bng_bank_account_token": "tok_1",
        }  # fmt: skip
        await update(side, mapping, key, VENDOR_EDITED)
        found, _ = await read(side, mapping, key)
    kept = {**VENDOR_EDITED, "remit_to": {**VENDOR_EDITED["remit_to"], "phone": "+16502530001"}}  # type: ignore[dict-item]
    assert differences(kept, found) == {}


PRODUCT: dict[str, Value] = {
    "sku": "T-1", "name": "Table", "description": "Oak & steel\nTwo sizes", "category": "Furniture",
    "product_type": "stocked", "unit": "DZ", "list_price": {"amount": "99.5", "currency": "USD"},
    "cost": {"amount": "45.25", "currency": "USD"}, "active": True, "saleable": True, "barcode": "5901234123457",
    "weight": Decimal("12.5"), "right_id": "P-1", "length": Decimal("120"), "width": Decimal("80.5"),
    "height": Decimal("74"), "dimension_unit": "CM", "inventory_account": "1300", "reorder_point": Decimal(5),
    "reorder_quantity": Decimal(10),
}  # fmt: skip
PRODUCT_EDITED: dict[str, Value] = {
    "sku": "T-2", "name": "Desk", "description": None, "category": "All", "product_type": "non_stocked",
    "unit": "EA", "list_price": {"amount": "0.99", "currency": "USD"}, "cost": {"amount": "0.1", "currency": "USD"},
    "active": False, "saleable": False, "barcode": None, "weight": None, "right_id": "P-2", "length": None,
    "width": Decimal("1"), "height": Decimal("2"), "dimension_unit": "IN", "inventory_account": None,
    "reorder_point": None, "reorder_quantity": Decimal("2.5"),
}  # fmt: skip


async def test_every_field_of_a_product_arrives_reads_back_and_can_be_edited(odoo: RealOdoo) -> None:
    taxes, accounts = sale_taxes(odoo), income_and_expense(odoo)
    values = {**PRODUCT, "tax_code": taxes[0], "income_account": accounts[0], "expense_account": accounts[1]}
    odoo.call("product.category", "create", odoo.admin_key, vals_list=[{"name": "All"}])
    async with speaking(odoo) as side:
        mapping = await mapping_of(side, "odoo-product")
        read_only = {"template", "attributes", "preferred_vendor"}
        assert mapping.writable == ENTITIES["product"].fields.keys() - read_only
        key = await create(side, mapping, values)
        found, _ = await read(side, mapping, key)
        assert differences(values, found) == {}
        assert stands(
            odoo, "product.product", key, "default_code", "name", "description_sale", "categ_id", "type",
            "is_storable", "uom_id", "lst_price", "list_price", "standard_price", "sale_ok", "barcode", "weight",
            "x_bng_product_id", "x_bng_width",
        ) == {
            "default_code": "T-1", "name": "Table", "description_sale": "Oak & steel\nTwo sizes",
            "categ_id": "Furniture", "type": "consu", "is_storable": True, "uom_id": "Dozens", "lst_price": 99.5,
            "list_price": 99.5, "standard_price": 45.25, "sale_ok": True, "barcode": "5901234123457", "weight": 12.5,
            "x_bng_product_id": "P-1", "x_bng_width": 80.5,
        }  # fmt: skip
        edited = {**PRODUCT_EDITED, "tax_code": "+".join(sorted(taxes[:2])), "income_account": None}
        await update(side, mapping, key, edited)
        found, _ = await read(side, mapping, key)
    assert differences(edited, found) == {}


def sale_taxes(odoo: RealOdoo) -> list[str]:
    """Names of two taxes on sales."""
    found = odoo.call("account.tax", "search_read", domain=[["type_tax_use", "=", "sale"]], fields=["name"])
    names = [row["name"] for row in found]
    if len(names) < 2:
        odoo.call("account.tax", "create", odoo.admin_key, vals_list=[{"name": "7% extra", "amount": 7}])
        names.append("7% extra")
    return names


def income_and_expense(odoo: RealOdoo) -> list[str]:
    """Codes of an income and an expense account."""
    return [
        odoo.call("account.account", "search_read", domain=[["account_type", "=", kind]], fields=["code"], limit=1)[0][
            "code"
        ]
        for kind in ("income", "expense")
    ]


async def test_a_price_in_another_currency_is_written_in_odoos_own(odoo: RealOdoo) -> None:
    from datetime import date

    rates = Rates([(date(2026, 1, 1), "EUR", "USD", Decimal("1.10"))], on=date(2026, 6, 1))
    euros: dict[str, Value] = {"sku": "E-1", "name": "Euro", "list_price": {"amount": "90", "currency": "EUR"}}
    async with speaking(odoo) as side:
        mapping = await mapping_of(side, "odoo-product", rates)
        key = await create(side, mapping, euros)
        found, _ = await read(side, mapping, key)
    assert found["list_price"] == {"amount": "99", "currency": "USD"}


def with_variants(odoo: RealOdoo) -> tuple[str, dict[str, str]]:
    """A template with two variants: its key, and colour → the variant's key."""
    [colour] = odoo.call("product.attribute", "create", vals_list=[{"name": "Colour", "create_variant": "always"}])
    values = odoo.call(
        "product.attribute.value",
        "create",
        vals_list=[{"name": name, "attribute_id": colour} for name in ("Red", "Blue")],
    )
    line = {"attribute_id": colour, "value_ids": [[6, 0, values]]}
    [template] = odoo.call(
        "product.template",
        "create",
        vals_list=[{"name": "Chair", "is_storable": True, "list_price": 40.0, "attribute_line_ids": [[0, 0, line]]}],
    )
    rows = odoo.call(
        "product.product",
        "search_read",
        domain=[["product_tmpl_id", "=", template]],
        fields=["product_template_variant_value_ids"],
        order="id",
    )
    keys = dict(zip(("Red", "Blue"), (str(row["id"]) for row in rows), strict=True))
    for name, key in keys.items():
        odoo.call("product.product", "write", ids=[int(key)], vals={"default_code": f"CH-{name}"})
    return str(template), keys


async def test_a_template_is_read_and_edited_and_its_variants_tell_what_sets_them_apart(odoo: RealOdoo) -> None:
    template, variants = with_variants(odoo)
    async with speaking(odoo) as side:
        of_template, of_variant = [await mapping_of(side, f"odoo-{name}") for name in ("product-template", "product")]
        found, _ = await read(side, of_template, template)
        assert (found["sku"], found["name"], found["product_type"]) == (f"TMPL-{template}", "Chair", "stocked")
        assert found["list_price"] == {"amount": "40", "currency": "USD"}
        edited: dict[str, Value] = {
            "name": "Armchair", "description": "Soft", "list_price": {"amount": "45.5", "currency": "USD"},
            "unit": "EA", "saleable": False, "category": "Furniture", "right_id": "PP-1",
        }  # fmt: skip
        await update(side, of_template, template, edited)
        found, _ = await read(side, of_template, template)
        assert differences(edited, found) == {}
        for colour, key in variants.items():
            variant, _ = await read(side, of_variant, key)
            assert variant["attributes"] == {"Colour": colour}
            assert variant["template"] == Ref("product_template", template)
            assert (variant["name"], variant["sku"]) == ("Armchair", f"CH-{colour}")
    assert stands(odoo, "product.template", template, "name", "list_price", "sale_ok", "x_bng_parent_product_id") == {
        "name": "Armchair", "list_price": 45.5, "sale_ok": False, "x_bng_parent_product_id": "PP-1",
    }  # fmt: skip


async def test_a_variant_takes_its_own_edits_and_leaves_its_template_alone(odoo: RealOdoo) -> None:
    template, variants = with_variants(odoo)
    async with speaking(odoo) as side:
        mapping = await mapping_of(side, "odoo-product")
        mine: dict[str, Value] = {
            "sku": "CH-RED-2",
            "weight": Decimal("3.5"),
            "cost": {"amount": "7.5", "currency": "USD"},
        }
        await update(side, mapping, variants["Red"], {**mine, "name": "Not mine", "saleable": False})
        found, _ = await read(side, mapping, variants["Red"])
    assert differences(mine, found) == {}
    assert stands(odoo, "product.template", template, "name", "sale_ok") == {"name": "Chair", "sale_ok": True}


async def test_the_first_vendor_of_a_product_is_its_preferred_one(odoo: RealOdoo) -> None:
    async with speaking(odoo) as side:
        vendor = await create(side, await mapping_of(side, "odoo-vendor"), {"name": "Supplier", "is_company": True})
        mapping = await mapping_of(side, "odoo-product")
        key = await create(side, mapping, {"sku": "S-1", "name": "Sold on"})
        [row] = odoo.call("product.product", "read", ids=[int(key)], fields=["product_tmpl_id"])
        told = {"partner_id": int(vendor), "product_tmpl_id": row["product_tmpl_id"][0]}
        odoo.call("product.supplierinfo", "create", vals_list=[told])
        found, _ = await read(side, mapping, key)
    assert found["preferred_vendor"] == Ref("vendor", vendor)


async def test_every_unit_that_odoo_has_is_in_the_table_that_ships(odoo: RealOdoo) -> None:
    content = (TEMPLATES / "lookups" / "unit.csv").read_bytes()
    known = {row.values.get("odoo") for row in read_table("unit", content, "unit.csv", ["odoo", "bng"])}
    units = {row["name"] for row in odoo.call("uom.uom", "search_read", domain=[], fields=["name"])}
    assert units - known == set()


async def test_every_payment_term_that_odoo_has_is_in_the_table_that_ships(odoo: RealOdoo) -> None:
    content = (TEMPLATES / "lookups" / "payment_terms.csv").read_bytes()
    known = {row.values.get("odoo") for row in read_table("terms", content, "terms.csv", ["odoo", "bng"])}
    terms = {row["name"] for row in odoo.call("account.payment.term", "search_read", domain=[], fields=["name"])}
    assert terms - known == set()
