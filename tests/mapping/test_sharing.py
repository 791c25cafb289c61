"""One contact that is customer and vendor, and one list of products that holds parents too."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from mapped_world import MappedWorld
from shipped import EVERYTHING

from isthmus.store.database import Database
from isthmus.testing.memory import MemorySystem

AZURE: dict[str, Any] = {"name": "Azure", "is_company": True, "vat": "BE0477472701", "email": "a@azure.example.com",
                         "active": True, "phone": "+16502530000",
                         "customer_rank": 1, "supplier_rank": 1}  # fmt: skip
AS_CUSTOMER = {"CompanyName": "Azure", "TaxID": "BE0477472701", "Email": "a@azure.example.com", "Status": "Active"}


def both(database: Database) -> MappedWorld:
    settings = {**EVERYTHING, "visible_fields": None, "exempt_fiscal_position": None}
    return MappedWorld(database, "customer", "vendor", settings=settings)


async def linked(database: Database) -> tuple[MappedWorld, str, str, str]:
    pair = both(database)
    partner = pair.left.put("res.partner", AZURE)
    await pair.settle()
    (customer,), (vendor,) = pair.right.rows["customer"], pair.right.rows["vendor"]
    return pair, partner, customer, vendor


async def test_one_contact_becomes_a_customer_and_a_vendor(database: Database) -> None:
    pair, partner, customer, vendor = await linked(database)
    assert list(pair.left.rows["res.partner"]) == [partner]
    for entity, key in (("customer", customer), ("vendor", vendor)):
        assert pair.right.rows[entity][key].values["CompanyName"] == "Azure"
        assert pair.right.rows[entity][key].values["TaxID"] == "BE0477472701"


async def test_a_vendor_that_is_a_customer_already_joins_the_same_contact(database: Database) -> None:
    pair = both(database)
    pair.right.put("customer", AS_CUSTOMER)
    await pair.settle()
    pair.right.put("vendor", {**AS_CUSTOMER, "VendorNumber": "V7"})
    await pair.settle()
    (partner,) = pair.left.rows["res.partner"].values()
    assert partner.values["ref"] == "V7"


async def test_an_edit_of_the_customer_reaches_the_vendor_through_the_contact(database: Database) -> None:
    pair, partner, customer, vendor = await linked(database)
    pair.right.put("customer", {"Phone": "+32228001234"}, key=customer)
    await pair.settle()
    assert pair.left.rows["res.partner"][partner].values["phone"] == "+32228001234"
    assert pair.right.rows["vendor"][vendor].values["Phone"] == "+32228001234"


async def test_what_both_have_is_the_customers_so_the_vendors_own_edit_of_it_is_put_back(database: Database) -> None:
    pair, partner, customer, vendor = await linked(database)
    pair.right.put("vendor", {"Phone": "+32229990000", "VendorNumber": "V9"}, key=vendor)
    await pair.settle()
    contact = pair.left.rows["res.partner"][partner].values
    assert contact["phone"] == "+16502530000"
    assert contact["ref"] == "V9"
    assert pair.right.rows["vendor"][vendor].values["Phone"] == "+16502530000"
    assert pair.right.rows["customer"][customer].values["Phone"] == "+16502530000"


async def test_then_nothing_more_is_written(database: Database) -> None:
    pair, partner, customer, vendor = await linked(database)
    before = pair.left.writes, pair.right.writes
    for name, key in (("customer", customer), ("vendor", vendor)):
        await pair.look_again(name, "left", partner)
        await pair.look_again(name, "right", key)
    assert (pair.left.writes, pair.right.writes) == before


TEMPLATE: dict[str, Any] = {
    "id": 7, "name": "Chair", "type": "consu", "is_storable": True, "uom_id.key": "Units", "currency_id.key": "USD",
    "list_price": Decimal("40.00"), "active": True, "sale_ok": True,
}  # fmt: skip
VARIANT: dict[str, Any] = {
    "default_code": "CH-RED", "name": "Chair", "type": "consu", "is_storable": True, "uom_id.key": "Units",
    "lst_price": Decimal("42.00"), "currency_id.key": "USD", "active": True, "sale_ok": True,
    "product_variant_count": 2, "has_configurable_attributes": True, "product_tmpl_id": 7,
    "product_template_variant_value_ids.display_name": ["Colour: Red"],
}  # fmt: skip


async def test_a_template_with_variants_becomes_a_parent_product_and_its_variants_name_it(database: Database) -> None:
    pair = MappedWorld(database, "product_template", "product")
    pair.left.put("product.template", TEMPLATE, key="7")
    pair.left.put("product.product", VARIANT)
    await pair.settle()
    rows = {row.values["SKU"]: row for row in pair.right.rows["product"].values()}
    assert rows.keys() == {"TMPL-7", "CH-RED"}
    assert rows["CH-RED"].values["ParentProductID"] == rows["TMPL-7"].key
    assert rows["CH-RED"].values["VariantAttributes"] == {"Colour": "Red"}
    assert len(pair.left.rows["product.product"]) == 1


async def test_an_edit_of_the_parent_is_written_to_the_template_and_not_to_its_variants(database: Database) -> None:
    pair = MappedWorld(database, "product_template", "product")
    pair.left.put("product.template", TEMPLATE, key="7")
    variant = pair.left.put("product.product", VARIANT)
    await pair.settle()
    parent = next(row for row in pair.right.rows["product"].values() if row.values["SKU"] == "TMPL-7")
    pair.right.put("product", {"Name": "Armchair"}, key=parent.key)
    await pair.settle()
    assert pair.left.rows["product.template"]["7"].values["name"] == "Armchair"
    assert pair.left.rows["product.product"][variant].values["name"] == "Chair"


class GivesIds(MemorySystem):
    """A system that writes its own key into every record."""

    def put(self, entity: str, values: Mapping[str, Any], **more: Any) -> str:
        key = super().put(entity, values, **more)
        self.rows[entity][key].values["CustomerID"] = key
        return key


@pytest.mark.parametrize("asked", [True, False])
async def test_the_other_sides_id_is_shown_where_asked_for_and_links_work_without(
    database: Database, asked: bool
) -> None:
    settings = {**EVERYTHING, "visible_fields": asked or None, "exempt_fiscal_position": None}
    pair = MappedWorld(database, "customer", settings=settings, right=GivesIds(prefix="B", seed=2))
    made = pair.left.put("res.partner", AZURE)
    pair.right.put("customer", {"CompanyName": "Zebra", "Email": "z@example.com", "Status": "Active"})
    await pair.settle()
    shown = {row.values["name"]: row.values.get("x_bng_customer_id") for row in pair.left.rows["res.partner"].values()}
    ids = {row.values["CompanyName"]: row.key for row in pair.right.rows["customer"].values()}
    assert shown == (ids if asked else {"Azure": None, "Zebra": None})
    before = pair.left.writes, pair.right.writes
    await pair.look_again("customer", "left", made)
    assert (pair.left.writes, pair.right.writes) == before
