"""Stock between a real Odoo and BNG: summed per product and warehouse, one owner each, counted by adjustments."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import yaml
from jointly import Joint, joint, ok

from joined import Service, Systems, isthmus
from real_odoo import OdooDatabases, RealOdoo

pytestmark = pytest.mark.odoo

ENTITIES = ("product", "inventory_item")


async def stocked(odoo: RealOdoo, systems: Systems, folder: Any, **owners: list[str]) -> Joint:
    """The pair with products and stock only, and these owners of warehouses."""
    up = await joint(odoo, systems)
    await ok("pair", "export", "main", str(folder))
    told = yaml.safe_load((folder / "pair.yaml").read_text())
    told["entities"] = {name: told["entities"][name] for name in ("vendor", "product_template", *ENTITIES)}
    del told["entities"]["vendor"]["shares"]
    told["entities"]["inventory_item"]["owners"] = owners
    (folder / "pair.yaml").write_text(yaml.safe_dump(told, sort_keys=False))
    await ok("pair", "apply", str(folder))
    return up


def product(up: Joint, sku: str, **more: Any) -> int:
    """A storable product."""
    return up.new("product.product", name=f"Product {sku}", default_code=sku, is_storable=True, list_price=10, **more)


def count(up: Joint, key: int, quantity: float, place: str = "WH/Stock", **more: Any) -> None:
    """Stock of a product at a place, as somebody counts it in Odoo."""
    [at] = up.odoo.call("stock.location", "search", domain=[["complete_name", "=", place]])
    row = {"product_id": key, "location_id": at, "inventory_quantity_auto_apply": quantity, **more}
    up.odoo.call("stock.quant", "create", vals_list=[row], context={"inventory_mode": True})


def on_hand(up: Joint, key: int, warehouse: str = "WH") -> float:
    """What Odoo says lies in a warehouse."""
    [place] = up.odoo.call("stock.warehouse", "search", domain=[["code", "=", warehouse]])
    domain = [["product_id", "=", key], ["warehouse_id", "=", place], ["location_id.usage", "=", "internal"]]
    return sum(
        row["quantity"] for row in up.odoo.call("stock.quant", "search_read", domain=domain, fields=["quantity"])
    )


async def items(up: Joint) -> dict[tuple[str, str], dict[str, Any]]:
    """BNG's inventory items by SKU and warehouse."""
    found = await up.at_bng("inventory_item", "InventoryItemID")
    return {(row["SKU"], row["WarehouseCode"]): row for row in found.values()}


async def test_the_sum_of_all_places_is_shown_at_bng_with_every_field(
    home: Any, systems: Systems, odoo_db: OdooDatabases, tmp_path: Any
) -> None:
    odoo = odoo_db()
    up = await stocked(odoo, systems, tmp_path / "pair", left=["WH"])
    [stock] = odoo.call("stock.location", "search", domain=[["complete_name", "=", "WH/Stock"]])
    shelf = up.new("stock.location", name="Shelf A", location_id=stock)
    assert shelf
    [dozens] = odoo.call("uom.uom", "search", domain=[["name", "=", "Dozens"]],
                          context={"active_test": False})  # fmt: skip
    box, eggs = product(up, "BOX", standard_price=2.5), product(up, "EGG", uom_id=dozens, standard_price=3)
    count(up, box, 7)
    count(up, box, 5.5, "WH/Stock/Shelf A")
    count(up, eggs, 4)
    done = await up.settle(*ENTITIES)
    assert (done["inventory_item"]["created"], done["inventory_item"]["held"]) == (2, 0)
    found = await items(up)
    products = await up.at_bng("product", "SKU")
    told = found["BOX", "WH"]
    assert {name: told[name] for name in (
        "ProductID", "QuantityOnHand", "QuantityReserved", "QuantityAvailable", "UnitOfMeasure", "UnitCost", "Status",
    )} == {
        "ProductID": products["BOX"]["ProductID"], "QuantityOnHand": "12.5000", "QuantityReserved": "0.0000",
        "QuantityAvailable": "12.5000", "UnitOfMeasure": "EA", "UnitCost": "2.5000", "Status": "Active",
    }  # fmt: skip
    assert (found["EGG", "WH"]["QuantityOnHand"], found["EGG", "WH"]["UnitOfMeasure"]) == ("4.0000", "DZ")
    assert found["EGG", "WH"]["UnitCost"] == "3.0000"

    count(up, box, 0, "WH/Stock/Shelf A")
    count(up, eggs, 6)
    await up.settle(*ENTITIES)
    after = await items(up)
    assert (after["BOX", "WH"]["QuantityOnHand"], after["EGG", "WH"]["QuantityOnHand"]) == ("7.0000", "6.0000")
    assert after["BOX", "WH"]["AsOf"] > told["AsOf"]

    await up.edit_bng("inventory_item", told["InventoryItemID"], QuantityOnHand="99")
    await up.settle(*ENTITIES)
    assert (await items(up))["BOX", "WH"]["QuantityOnHand"] == "7.0000"
    swept = (await ok("sweep", "main", "--json")).json
    assert swept["entities"]["inventory_item"]["records"] == 2
    assert [one for one in swept["differences"] if one["entity"] == "inventory_item"] == []

    up.edit("product.product", box, active=False)
    await up.settle(*ENTITIES)
    assert (await items(up))["BOX", "WH"]["Status"] == "Inactive"


async def test_what_is_reserved_for_an_order_is_told(
    home: Any, systems: Systems, odoo_db: OdooDatabases, tmp_path: Any
) -> None:
    odoo = odoo_db()
    up = await stocked(odoo, systems, tmp_path / "pair", left=["WH"])
    box = product(up, "BOX")
    count(up, box, 10)
    buyer = up.new("res.partner", name="Buyer")
    order = up.new("sale.order", partner_id=buyer, order_line=[[0, 0, {"product_id": box, "product_uom_qty": 4}]])
    odoo.call("sale.order", "action_confirm", ids=[order])
    await up.settle(*ENTITIES)
    told = (await items(up))["BOX", "WH"]
    assert [told[f"Quantity{what}"] for what in ("OnHand", "Reserved", "Available")] == ["10.0000", "4.0000", "6.0000"]


async def test_a_warehouse_that_bng_owns_is_counted_in_odoo(
    home: Any, systems: Systems, odoo_db: OdooDatabases, tmp_path: Any
) -> None:
    odoo = odoo_db()
    up = await stocked(odoo, systems, tmp_path / "pair", left=["WH"], right=["3PL"])
    odoo.call("stock.warehouse", "create", odoo.admin_key, vals_list=[{"name": "Third party", "code": "3PL"}])
    [dozens] = odoo.call("uom.uom", "search", domain=[["name", "=", "Dozens"]],
                          context={"active_test": False})  # fmt: skip
    box, eggs = product(up, "BOX"), product(up, "EGG", uom_id=dozens)
    await up.settle("product")
    rows = [
        {"SKU": "BOX", "WarehouseCode": "3PL", "QuantityOnHand": "30", "AsOf": "2026-11-24T10:00:00Z"},
        {"SKU": "EGG", "WarehouseCode": "3PL", "QuantityOnHand": "24", "UnitOfMeasure": "EA",
         "AsOf": "2026-11-24T10:00:00Z"},
    ]  # fmt: skip
    ids = {sku: row["ProductID"] for sku, row in (await up.at_bng("product", "SKU")).items()}
    for row in rows:
        row["ProductID"] = ids[row["SKU"]]
    await systems.in_bng("POST", "seed", entity="inventory_item", records=rows)
    done = await up.settle(*ENTITIES)
    assert done["inventory_item"]["created"] == 2, await up.held()
    assert (on_hand(up, box, "3PL"), on_hand(up, eggs, "3PL")) == (30, 2)
    moved = odoo.call(
        "stock.move",
        "search_count",
        domain=[["product_id", "=", box], ["is_inventory", "=", True], ["state", "=", "done"]],
    )
    assert moved == 1

    told = (await items(up))["BOX", "3PL"]
    await up.edit_bng("inventory_item", told["InventoryItemID"], QuantityOnHand="25", AsOf="2026-11-24T11:00:00Z")
    await up.settle(*ENTITIES)
    assert on_hand(up, box, "3PL") == 25

    count(up, box, 3, "3PL/Stock")
    await up.settle(*ENTITIES)
    assert on_hand(up, box, "3PL") == 25
    assert (await items(up))["BOX", "3PL"]["QuantityOnHand"] == "25.0000"


async def test_an_older_state_never_overwrites_a_newer_one(
    home: Any, systems: Systems, odoo_db: OdooDatabases, tmp_path: Any
) -> None:
    odoo = odoo_db()
    up = await stocked(odoo, systems, tmp_path / "pair", left=[], right=["WH"])
    box = product(up, "BOX")
    await up.settle("product")
    product_id = (await up.at_bng("product", "SKU"))["BOX"]["ProductID"]
    row = {"ProductID": product_id, "SKU": "BOX", "WarehouseCode": "WH", "InventoryItemID": "inv-1"}
    now = {**row, "QuantityOnHand": "8", "AsOf": "2026-11-24T12:00:00Z"}
    await systems.in_bng("POST", "seed", entity="inventory_item", records=[now])
    await up.settle(*ENTITIES)
    assert on_hand(up, box) == 8
    # BNG is restored from a copy of the morning.
    await systems.in_bng("POST", "delete", entity="inventory_item", ids=["inv-1"])
    old = {**row, "QuantityOnHand": "50", "AsOf": "2026-11-24T08:00:00Z"}
    await systems.in_bng("POST", "seed", entity="inventory_item", records=[old])
    said = await isthmus("load", "main", "--yes", "--json", "--entity", "inventory_item")
    assert on_hand(up, box) == 8
    assert "older than" in said.err or any("older than" in str(one) for one in await up.held())


async def test_what_cannot_be_counted_is_held_with_the_reason(
    home: Any, systems: Systems, odoo_db: OdooDatabases, tmp_path: Any
) -> None:
    odoo = odoo_db()
    up = await stocked(odoo, systems, tmp_path / "pair", left=["WH"], right=["3PL"])
    odoo.call("stock.warehouse", "create", odoo.admin_key, vals_list=[{"name": "Third party", "code": "3PL"}])
    product(up, "LOT", tracking="lot")
    box = product(up, "BOX")
    await up.settle("product")
    ids = {sku: row["ProductID"] for sku, row in (await up.at_bng("product", "SKU")).items()}
    rows = [
        {"SKU": sku, "ProductID": ids[sku], "WarehouseCode": place, "QuantityOnHand": "3",
         "AsOf": "2026-11-24T10:00:00Z"}
        for sku, place in (("LOT", "3PL"), ("BOX", "MARS"), ("BOX", "WH"))
    ]  # fmt: skip
    await systems.in_bng("POST", "seed", entity="inventory_item", records=rows)
    await up.settle(*ENTITIES)
    told = " ".join(str(one) for one in await up.held())
    assert "tracked by lots" in told
    assert "its warehouse is MARS, for which the pair names no one owner" in told
    assert (on_hand(up, box), on_hand(up, box, "3PL")) == (0, 0)
    assert len(await up.held()) == 2


async def test_a_pair_that_names_no_owner_is_refused(
    home: Any, systems: Systems, odoo_db: OdooDatabases, tmp_path: Any
) -> None:
    up = await stocked(odoo_db(), systems, tmp_path / "pair", left=["WH"])
    assert up
    path = tmp_path / "pair" / "pair.yaml"
    told = yaml.safe_load(path.read_text())
    for owners, words in ((None, "nobody owns any warehouse"), ({"left": ["WH"], "right": ["wh"]}, "two owners")):
        told["entities"]["inventory_item"]["owners"] = owners
        path.write_text(yaml.safe_dump(told, sort_keys=False))
        said = await isthmus("pair", "apply", str(tmp_path / "pair"))
        assert said.code != 0
        assert words in said.err
        assert "owners: {left: [A, B], right: [C]}" in " ".join(said.err.split())


@pytest.mark.timeout(240)
async def test_a_change_of_stock_reaches_bng_by_polling_and_by_webhook(
    home: Any, systems: Systems, odoo_db: OdooDatabases, service: Service, tmp_path: Any
) -> None:
    odoo = odoo_db()
    up = await stocked(odoo, systems, tmp_path / "pair", left=["WH"])
    box = product(up, "BOX")
    count(up, box, 1)
    await up.settle(*ENTITIES)

    async def until(quantity: str) -> None:
        while (await items(up))["BOX", "WH"]["QuantityOnHand"] != quantity:
            await asyncio.sleep(0.05)

    count(up, box, 2)
    await until("2.0000")
    key = await asyncio.to_thread(lambda: odoo.admin_key)
    await ok("connection", "hooks", "odoo", "--base-url", service.url, "--admin", f"admin_key={key}")
    rules = odoo.call("base.automation", "search_read", odoo.admin_key, domain=[["model_name", "=", "stock.quant"]],
                      fields=["name", "trigger_field_ids"])  # fmt: skip
    assert len(rules) == 2
    odoo.call("stock.quant", "create", odoo.admin_key, context={"inventory_mode": True}, vals_list=[
        {"product_id": box, "location_id": odoo.call("stock.warehouse", "search_read", domain=[],
         fields=["lot_stock_id"])[0]["lot_stock_id"][0], "inventory_quantity_auto_apply": 3},
    ])  # fmt: skip
    await until("3.0000")
    with_hooks = (await service.call("GET", "/api/v1/connections"))[1]
    assert with_hooks
