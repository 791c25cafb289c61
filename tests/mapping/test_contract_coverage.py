"""Every field of the contract's customer, vendor and product is mapped on both sides, or named here with the reason."""

from __future__ import annotations

import re

import pytest
import yaml
from shipped import EVERYTHING, PAIRS, compiled, text_of

from isthmus.mapping.compiling import root
from isthmus.mapping.model import load_mapping
from isthmus.model.entities import ENTITIES

COMMON = {
    "ExternalID": "written by the connector on create: the key by which the record is found again",
    "CreatedAt": "read by the connector",
    "UpdatedAt": "read by the connector",
    "Version": "read and sent by the connector",
    "CustomFields": "each custom field is mapped on its own",
}
CONTRACT = {
    "customer": """CustomerID ExternalID CompanyName FirstName LastName Email BillingAddress ShippingAddress Phone
        Status CreditLimit TaxExemptStatus TaxID ParentCustomerID CurrencyCode PaymentTerms PriceLevel Website Notes
        CustomerType VaultID CreatedAt UpdatedAt Version CustomFields""",
    "vendor": """VendorID ExternalID VendorNumber CompanyName FirstName LastName Email Phone BillingAddress
        RemitToAddress ShipFromAddress TaxID CurrencyCode PaymentTerms PaymentMethod LeadTimeDays Is1099
        DefaultExpenseAccount BankAccountToken Website Notes Status CreatedAt UpdatedAt Version CustomFields""",
    "product": """ProductID ExternalID SKU Name Description Category ProductType ParentProductID VariantAttributes
        Barcode UnitOfMeasure ListPrice CostPrice CurrencyCode TaxCode Weight WeightUnit Length Width Height
        DimensionUnit IncomeAccount ExpenseAccount InventoryAccount PreferredVendorID ReorderPoint ReorderQuantity
        Status CreatedAt UpdatedAt Version CustomFields""",
    "product_template": """ProductID ExternalID SKU Name Description Category ProductType UnitOfMeasure ListPrice
        CurrencyCode TaxCode Status CreatedAt UpdatedAt Version CustomFields""",
    "employee": """EmployeeID ExternalID EmployeeNumber FirstName LastName WorkEmail WorkPhone MobilePhone JobTitle
        Department ManagerID Location EmploymentType HireDate TerminationDate UserName Status CreatedAt UpdatedAt
        Version CustomFields""",
    "inventory_item": """InventoryItemID ExternalID ProductID SKU WarehouseCode LocationCode LotNumber SerialNumber
        QuantityOnHand QuantityReserved QuantityAvailable QuantityOnOrder QuantityInTransit ReorderPoint UnitOfMeasure
        UnitCost LastCountedAt AsOf Status CreatedAt UpdatedAt Version CustomFields""",
}
"""The fields of the BNG Business API (sections 2.2, 2.3 and 2.10 of its contract); a parent product has those that its
variants have in common."""
ON_THE_ODOO_SIDE = {
    "customer": """id name is_company email phone street street2 city zip state_id country_id
        child_ids[type=delivery] child_ids[type=invoice] parent_id vat active credit_limit
        property_account_position_id property_payment_term_id""",
    "vendor": """id name is_company email phone website street street2 city zip state_id country_id
        child_ids[type=invoice] vat property_purchase_currency_id property_supplier_payment_term_id bank_ids active""",
    "product": """id categ_id product_tmpl_id default_code name description_sale list_price standard_price type
        is_storable barcode uom_id weight taxes_id product_template_attribute_value_ids active sale_ok seller_ids""",
    "product_template": "id name categ_id description_sale list_price type is_storable uom_id taxes_id active sale_ok",
    "employee": """name work_email work_phone mobile_phone job_title department_id parent_id work_location_id
        employee_type active""",
    "inventory_item": "quantity reserved_quantity available_quantity location_id warehouse_id lot_id",
}
"""The Odoo column of the contract's mappings (3.1, 3.2 and 3.7)."""
ELSEWHERE = {
    ("customer", "id"): "the record's key, tied by the Link",
    ("vendor", "id"): "the record's key, tied by the Link",
    ("vendor", "bank_ids"): "raw account numbers never leave Odoo; the token goes to x_bng_bank_account_token",
    ("product", "id"): "the record's key, tied by the Link",
    ("inventory_item", "available_quantity"): "BNG works it out: on hand less reserved",
    ("inventory_item", "location_id"): "stock is the sum of all places of a warehouse",
    ("inventory_item", "lot_id"): "stock is the sum of all lots",
    ("product", "list_price"): "read as lst_price, the variant's own price, which writes list_price",
    ("product", "product_template_attribute_value_ids"): "read as product_template_variant_value_ids, without the "
    "attributes that every variant has alike",
}
WITH_ANOTHER = {("product", "WeightUnit"): "the unit of Weight, which is converted to kilograms in the middle"}
BY_KEY = {
    ("employee", "EmployeeID"): "the record's key, tied by the Link",
    ("inventory_item", "InventoryItemID"): "the record's key, tied by the Link",
    ("inventory_item", "QuantityAvailable"): "BNG works it out: on hand less reserved",
    ("inventory_item", "LocationCode"): "stock is the sum of all places of a warehouse",
    ("inventory_item", "LotNumber"): "stock is the sum of all lots",
    ("inventory_item", "SerialNumber"): "stock is the sum of all serial numbers",
    ("inventory_item", "QuantityOnOrder"): "purchase orders tell it, not stock",
    ("inventory_item", "QuantityInTransit"): "transfers tell it, not stock",
    ("inventory_item", "ReorderPoint"): "the product tells it",
    ("inventory_item", "LastCountedAt"): "each place and lot has one of its own in Odoo",
}
ONE_WAY = {
    "right_id": "BNG gives the id; Odoo shows it",
    "attributes": "variants are made in Odoo",
    "template": "variants are made in Odoo",
    "preferred_vendor": "purchasing is done in Odoo",
    "hire_date": "contracts are made in Odoo",
    "termination_date": "departures are recorded in Odoo",
    "terminated": "departures are recorded in Odoo",
    "user_name": "logins are given in Odoo",
    "reserved": "Odoo reserves for its own orders",
    "unit_cost": "the product's cost",
    "as_of": "the moment at which Odoo was read",
}
"""Canonical fields that one side only reads."""
ALSO_ONE_WAY = {"product_template": {"sku"}, "inventory_item": {"sku", "active"}}
"""Fields of the product that is told of, which are the product's own to write."""


@pytest.mark.parametrize("entity", PAIRS)
def test_every_field_of_the_bng_contract_is_mapped(entity: str) -> None:
    mapping = compiled(PAIRS[entity][1])
    mapped = {root(path) for path in mapping.paths}
    explained = COMMON.keys() | {name for where, name in WITH_ANOTHER if where == entity}
    explained |= {name for where, name in BY_KEY if where == entity}
    assert set(CONTRACT[entity].split()) - explained - mapped == set()


@pytest.mark.parametrize("entity", PAIRS)
def test_every_field_of_the_odoo_column_is_mapped(entity: str) -> None:
    mapping = compiled(PAIRS[entity][0])
    mapped = {re.split(r"[.](?![^\[]*\])", path)[0] for path in mapping.paths}
    explained = {name for where, name in ELSEWHERE if where == entity}
    assert set(ON_THE_ODOO_SIDE[entity].split()) - explained - mapped == set()


@pytest.mark.parametrize("entity", PAIRS)
def test_every_canonical_field_is_mapped_on_both_sides(entity: str) -> None:
    for name in PAIRS[entity]:
        assert ENTITIES[entity].fields.keys() - compiled(name).readable == set(), name


@pytest.mark.parametrize("entity", PAIRS)
def test_what_only_travels_one_way_is_known_and_has_a_reason(entity: str) -> None:
    left, right = (compiled(name) for name in PAIRS[entity])
    read_only = (left.readable - left.writable) | (right.readable - right.writable)
    assert read_only <= ONE_WAY.keys() | ALSO_ONE_WAY.get(entity, set())


@pytest.mark.parametrize("entity", PAIRS)
def test_the_contract_lists_no_field_that_the_manifest_lacks(entity: str) -> None:
    from importlib import resources

    manifest = yaml.safe_load((resources.files("isthmus.connectors.bng") / "manifest.yaml").read_text())
    known = manifest["entities"]["product" if entity == "product_template" else entity]["fields"].keys()
    assert set(CONTRACT[entity].split()) <= known
    assert {root(path) for path in compiled(PAIRS[entity][1]).paths} <= known


@pytest.mark.parametrize("name", [n for pair in PAIRS.values() for n in pair])
def test_every_setting_that_is_used_is_described(name: str) -> None:
    mapping = load_mapping(text_of("mappings", name))
    used = set(re.findall(r"\$(\w+)", text_of("mappings", name)))
    used |= {need for told in mapping.fields.values() for need in told.needs}
    assert used == mapping.settings.keys()


def test_without_settings_the_fields_that_need_one_are_left_out() -> None:
    bare = {k: EVERYTHING[k] for k in ("region", "country", "address_form", "currency")}
    gone = {
        entity: compiled(PAIRS[entity][0]).readable - compiled(PAIRS[entity][0], settings=bare).readable
        for entity in PAIRS
    }
    assert gone == {
        "customer": {"right_id", "on_hold", "currency", "customer_type", "vault_id", "price_level", "tax_exempt"},
        "vendor": {"right_id", "on_hold", "payment_method", "lead_time_days", "is_1099", "expense_account",
                   "bank_account_token"},
        "product": {"right_id", "length", "width", "height", "dimension_unit", "inventory_account", "reorder_point",
                    "reorder_quantity", "income_account", "expense_account", "preferred_vendor"},
        "product_template": {"right_id"},
        "employee": {"number"},
        "inventory_item": set(),
    }  # fmt: skip
