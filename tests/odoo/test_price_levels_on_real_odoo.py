"""Price lists of a real Odoo and price levels of BNG: which prices a customer has, by look-up, in both directions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jointly import Joint, joint, ok

from joined import Systems
from real_odoo import OdooDatabases, RealOdoo

pytestmark = pytest.mark.odoo


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
