"""Records owned by a value, true as of a moment, and references that follow: the shipped Mappings over memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from mapped_world import MappedWorld
from sqlalchemy import text

from isthmus.errors import Misconfigured
from isthmus.model.entities import ENTITIES
from isthmus.model.pairfile import EntityFile
from isthmus.operate.assemble import owners_of, policy_of
from isthmus.store.database import Database

QUANT = "stock.quant/product_id+warehouse_id"
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def stock(database: Database, **owners: list[str]) -> MappedWorld:
    return MappedWorld(database, "inventory_item", template="odoo-bng-operations", owners=owners)


def lying(sku: str, warehouse: str, quantity: int, at: datetime = NOON) -> dict[str, Any]:
    return {
        "product_id.default_code": sku, "warehouse_id.key": warehouse, "quantity": Decimal(quantity),
        "reserved_quantity": Decimal(0), "product_id.uom_id.key": "Units", "product_id.active": True, "@read_at": at,
    }  # fmt: skip


def told(sku: str, warehouse: str, quantity: str, at: datetime = NOON, **more: Any) -> dict[str, Any]:
    return {"SKU": sku, "WarehouseCode": warehouse, "QuantityOnHand": quantity, "AsOf": at.isoformat(),
            "UnitOfMeasure": "EA", "Status": "Active", **more}  # fmt: skip


def held(pair: MappedWorld) -> list[str]:
    with pair.db.engine.connect() as conn:
        return [str(e) for e in conn.execute(text("select error from dead_letter where state = 'open'")).scalars()]


async def test_stock_of_one_product_in_two_places_is_told_apart(database: Database) -> None:
    pair = stock(database, left=["WH", "EAST"])
    pair.right.put("inventory_item", told("A", "WH", "1"), key="1")
    pair.right.put("inventory_item", told("A", "EAST", "2"), key="2")
    pair.left.put(QUANT, lying("A", "EAST", 20))
    pair.left.put(QUANT, lying("A", "WH", 10))
    await pair.settle()
    rows = {k: row.values["QuantityOnHand"] for k, row in pair.right.rows["inventory_item"].items()}
    assert {k: Decimal(v) for k, v in rows.items()} == {"1": 10, "2": 20}


async def test_the_moment_travels_with_a_change_and_is_never_one_itself(database: Database) -> None:
    pair = stock(database, left=["WH"])
    key = pair.left.put(QUANT, lying("A", "WH", 10))
    await pair.settle()
    assert held(pair) == []
    (item,) = pair.right.rows["inventory_item"].values()
    writes = pair.right.writes
    later = NOON + timedelta(hours=1)
    pair.left.put(QUANT, {"@read_at": later}, key=key)
    await pair.settle()
    assert pair.right.writes == writes
    pair.left.put(QUANT, {"quantity": Decimal(9)}, key=key)
    await pair.settle()
    assert Decimal(item.values["QuantityOnHand"]) == 9
    assert datetime.fromisoformat(item.values["AsOf"]) == later


async def test_an_edit_by_the_one_who_does_not_own_it_is_put_back(database: Database) -> None:
    pair = stock(database, left=["WH"], right=["3PL"])
    key = pair.left.put(QUANT, lying("A", "WH", 10))
    await pair.settle()
    (item,) = pair.right.rows["inventory_item"]
    pair.right.put("inventory_item", {"QuantityOnHand": "99"}, key=item)
    await pair.settle()
    assert Decimal(pair.right.rows["inventory_item"][item].values["QuantityOnHand"]) == 10
    assert pair.left.rows[QUANT][key].values["quantity"] == 10


async def test_only_the_owner_makes_records_on_the_other_side(database: Database) -> None:
    pair = stock(database, left=["WH"], right=["3PL"])
    pair.right.put("inventory_item", told("A", "WH", "5"))
    pair.left.put(QUANT, lying("B", "3PL", 5))
    await pair.settle()
    assert (len(pair.left.rows[QUANT]), len(pair.right.rows["inventory_item"])) == (1, 1)
    assert held(pair) == []


async def test_what_is_older_than_what_was_agreed_is_held_until_a_newer_state_comes(database: Database) -> None:
    pair = stock(database, right=["WH"])
    key = pair.left.put(QUANT, lying("A", "WH", 8))
    item = pair.right.put("inventory_item", told("A", "WH", "8"))
    await pair.settle()
    pair.right.put("inventory_item", told("A", "WH", "50", NOON - timedelta(hours=4)), key=item)
    await pair.settle()
    assert pair.left.rows[QUANT][key].values["quantity"] == 8
    (error,) = held(pair)
    assert "older than the 2026-05-04 12:00:00 UTC agreed last" in error
    pair.right.put("inventory_item", told("A", "WH", "7", NOON + timedelta(hours=1)), key=item)
    await pair.settle()
    assert pair.left.rows[QUANT][key].values["quantity"] == 7
    assert held(pair) == []


async def test_a_value_that_nobody_owns_holds_the_record(database: Database) -> None:
    pair = stock(database, left=["WH"])
    pair.left.put(QUANT, lying("A", "MARS", 8))
    await pair.settle()
    (error,) = held(pair)
    assert "its warehouse is MARS, for which the pair names no one owner" in error


@pytest.mark.parametrize(
    ("entity", "owners", "said"),
    [
        ("inventory_item", None, "nobody owns any warehouse"),
        ("inventory_item", {"left": ["WH "], "right": ["wh"]}, "wh has two owners"),
        ("employee", {"left": ["WH"]}, "employee is not owned by a value"),
    ],
)
def test_owners_are_named_once_and_only_where_they_count(entity: str, owners: Any, said: str) -> None:
    sides = {"left": {"mapping": "a"}, "right": {"mapping": "b"}}
    file = EntityFile.model_validate({**sides, "owners": owners})
    canonical = ENTITIES[entity]
    with pytest.raises(Misconfigured, match=said):
        owners_of(canonical, policy_of(canonical, file), file)


async def test_a_ring_of_managers_comes_over_and_each_has_the_right_one(database: Database) -> None:
    pair = MappedWorld(database, "employee", template="odoo-bng-operations")
    one, two, three = ("1", "2", "3")
    for key, above in ((one, 2), (two, 3), (three, 1)):
        values = {"name": f"Person {key}", "work_email": f"{key}@example.com", "active": True, "parent_id": above}
        pair.left.put("hr.employee", values, key=key)
    await pair.settle()
    rows = {row.values["WorkEmail"][0]: row for row in pair.right.rows["employee"].values()}
    assert len(pair.right.rows["employee"]) == 3
    assert {mail: row.values["ManagerID"] for mail, row in rows.items()} == {
        one: rows[two].key, two: rows[three].key, three: rows[one].key,
    }  # fmt: skip
    assert held(pair) == []


async def test_a_record_is_written_without_a_reference_that_leads_nowhere_and_then_waits_for_it(
    database: Database,
) -> None:
    pair = MappedWorld(database, "employee", template="odoo-bng-operations")
    values = {"name": "Ann Lee", "work_email": "a@example.com", "active": True, "parent_id": 99}
    pair.left.put("hr.employee", values, key="1")
    await pair.settle()
    (row,) = pair.right.rows["employee"].values()
    assert row.values["WorkEmail"] == "a@example.com"
    assert row.values.get("ManagerID") is None
    (error,) = held(pair)
    assert "it refers to employee 99" in error
