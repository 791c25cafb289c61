"""Price lists of a real Odoo and price levels of BNG: which prices a customer has, by look-up, in both directions."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from jointly import Joint, joint, ok
from speaking import change, made, one, speaking, written

from covered import Covers
from isthmus.mapping.compiled import compile_mapping, load_mapping
from isthmus.mapping.entityfile import entities_of
from isthmus.model.canonical import Ref, Value
from joined import Systems
from real_odoo import OdooDatabases, RealOdoo

pytestmark = pytest.mark.odoo

TEMPLATES = resources.files("isthmus") / "templates"


async def priced(odoo: RealOdoo, systems: Systems, folder: Path, **settings: Any) -> Joint:
    """Customers only, with two price lists that BNG calls otherwise."""
    up = await joint(odoo, systems)
    await ok("pair", "export", "main", str(folder))
    told = yaml.safe_load((folder / "pair.yaml").read_text())
    told["entities"] = {"customer": told["entities"]["customer"]}
    told["settings"].update(settings)
    (folder / "pair.yaml").write_text(yaml.safe_dump(told, sort_keys=False))
    (folder / "lookups" / "price_level.csv").write_text(
        "system,value,canonical\nodoo,Wholesale,WHOLESALE\nbng,WHL,WHOLESALE\nodoo,Retail,RETAIL\nbng,RTL,RETAIL\n"
    )
    await ok("pair", "apply", str(folder))
    return up


def price_list(up: Joint, name: str, percent: float) -> int:
    """A price list with a discount from ten pieces on, for one year."""
    item = {
        "applied_on": "3_global", "compute_price": "percentage", "percent_price": percent, "min_quantity": 10,
        "date_start": "2026-01-01 00:00:00", "date_end": "2026-12-31 00:00:00",
    }  # fmt: skip
    return up.new("product.pricelist", name=name, item_ids=[[0, 0, item]])


async def test_the_price_list_of_a_customer_is_its_price_level_both_ways(
    home: Any, systems: Systems, odoo_db: OdooDatabases, tmp_path: Path
) -> None:
    odoo = odoo_db()
    up = await priced(odoo, systems, tmp_path / "pair")
    wholesale, retail = price_list(up, "Wholesale", 20), price_list(up, "Retail", 5)
    azure = {"name": "Azure", "is_company": True, "email": "a@example.com", "customer_rank": 1}
    key = up.new("res.partner", **azure, specific_property_product_pricelist=wholesale)
    await systems.in_bng("POST", "seed", entity="customer", records=[
        {"CompanyName": "Zebra", "Email": "z@example.com", "PriceLevel": "RTL"},
    ])  # fmt: skip
    await up.settle("customer")
    at_bng = await up.at_bng("customer", "CompanyName")
    assert at_bng["Azure"]["PriceLevel"] == "WHL"
    [zebra] = odoo.call("res.partner", "search", domain=[["name", "=", "Zebra"]])
    assert up.in_odoo("res.partner", zebra, "specific_property_product_pricelist")[
        "specific_property_product_pricelist"
    ].startswith("Retail")

    up.edit("res.partner", key, specific_property_product_pricelist=retail)
    await up.settle("customer")
    assert (await up.at_bng("customer", "CompanyName"))["Azure"]["PriceLevel"] == "RTL"
    await up.edit_bng("customer", at_bng["Zebra"]["CustomerID"], PriceLevel="WHL")
    await up.settle("customer")
    assert up.in_odoo("res.partner", zebra, "specific_property_product_pricelist")[
        "specific_property_product_pricelist"
    ].startswith("Wholesale")
    up.edit("res.partner", key, specific_property_product_pricelist=False)
    await up.settle("customer")
    assert (await up.at_bng("customer", "CompanyName"))["Azure"]["PriceLevel"] is None
    swept = (await ok("sweep", "main", "--json")).json
    assert swept["differences"] == []


async def test_a_price_level_that_the_table_does_not_know_is_held_where_the_pair_says_so(
    home: Any, systems: Systems, odoo_db: OdooDatabases, tmp_path: Path
) -> None:
    up = await priced(odoo_db(), systems, tmp_path / "pair", unmapped="hold")
    await systems.in_bng("POST", "seed", entity="customer", records=[
        {"CompanyName": "Zebra", "Email": "z@example.com", "PriceLevel": "VIP"},
    ])  # fmt: skip
    await up.settle("customer")
    [held] = await up.held()
    assert "'VIP' is not in the look-up table 'price_level'" in str(held).replace('"', "'").replace("\\'", "'")


async def test_rules_of_price_lists_are_read_and_written_whole_for_systems_that_have_a_place_for_them(
    odoo_db: OdooDatabases, covers: Covers
) -> None:
    odoo = odoo_db()
    files = {
        "entities/price_rule.yaml": (TEMPLATES / "entities" / "price_rule.yaml").read_text(),
    }
    entity = entities_of(files)["price_rule"]
    file = load_mapping((TEMPLATES / "mappings" / "odoo-price-rule.yaml").read_text())
    [euros] = odoo.call("res.currency", "search", domain=[["name", "=", "EUR"]], context={"active_test": False})
    odoo.call("res.currency", "write", odoo.admin_key, ids=[euros], vals={"active": True})
    [box] = odoo.call("product.product", "create", vals_list=[{"name": "Box", "default_code": "BOX"}])
    [made_list] = odoo.call("product.pricelist", "create", vals_list=[{"name": "Wholesale", "currency_id": euros}])
    told: dict[str, Value] = {
        "price_level": "Wholesale", "applies_to": "product", "product": Ref("product", str(box)), "kind": "fixed",
        "min_quantity": Decimal(12), "starts_at": datetime(2026, 1, 1, tzinfo=UTC),
        "ends_at": datetime(2026, 12, 31, 23, tzinfo=UTC), "price": Decimal("8.5"), "percent": Decimal(0),
    }  # fmt: skip
    async with speaking(odoo) as side:
        [schema] = await side.describe([file.system_entity])
        mapping = compile_mapping(file, entity=entity, schema=schema)
        result = mapping.write(told, list(told), None)
        assert result.problems == []
        [key] = await made(side, file.system_entity, result.values)
        assert stands(odoo, key) == {
            "pricelist_id": made_list, "product_id": box, "min_quantity": 12.0, "date_start": "2026-01-01 00:00:00",
            "date_end": "2026-12-31 23:00:00", "compute_price": "fixed", "fixed_price": 8.5, "percent_price": 0.0,
            "applied_on": "0_product_variant",
        }  # fmt: skip
        record = await one(side, file.system_entity, key, *mapping.paths)
        read = mapping.read(record.values)
        assert read.problems == []
        assert {name: read.values[name] for name in told} == told
        assert (read.values["currency"], read.values["template"], read.values["category"]) == ("EUR", None, None)
        changed: dict[str, Value] = {**read.values, "kind": "percentage", "percent": Decimal(15)}
        result = mapping.write(changed, ["kind", "percent"], record.values)
        expect = {path: record.values[path] for path in result.values}
        [outcome] = await side.update(file.system_entity, [change(key, result.values, expect)])
        written(outcome)
        after = stands(odoo, key)
        assert (after["compute_price"], after["percent_price"], after["min_quantity"]) == ("percentage", 15.0, 12.0)
        whole = {"price_level": "Wholesale", "kind": "percentage", "percent": Decimal(7)}
        template = odoo.call("product.product", "read", ids=[box], fields=["product_tmpl_id"])[0]["product_tmpl_id"]
        [sold] = odoo.call("product.category", "create", odoo.admin_key, vals_list=[{"name": "Sold"}])
        for place, at, value in (
            ("template", {"product_tmpl_id": template[0]}, Ref("product_template", str(template[0]))),
            ("category", {"categ_id": sold}, "Sold"),
        ):
            aimed: dict[str, Value] = {**whole, "applies_to": place, place: value}
            result = mapping.write(aimed, list(aimed), None)
            [key] = await made(side, file.system_entity, result.values)
            [row] = odoo.call("product.pricelist.item", "read", ids=[int(key)], fields=list(at), load="")
            assert {name: row[name] for name in at} == at
            record = await one(side, file.system_entity, key, *mapping.paths)
            assert mapping.read(record.values).values[place] == value
    covers("price_rule", "to_odoo", "create", *told, "template", "category")
    covers("price_rule", "both", "compared", *told, "template", "category", "currency")


def stands(odoo: RealOdoo, key: str) -> dict[str, Any]:
    """What Odoo itself says of a rule."""
    names = ("pricelist_id", "product_id", "min_quantity", "date_start", "date_end", "compute_price", "fixed_price",
             "percent_price", "applied_on")  # fmt: skip
    [row] = odoo.call("product.pricelist.item", "read", ids=[int(key)], fields=list(names))
    return {name: row[name][0] if isinstance(row[name], list) else row[name] for name in names}
