"""The canonical Entities that ship: customer, vendor, product and product template, each field described once."""

from __future__ import annotations

from types import MappingProxyType

from isthmus.errors import Misconfigured
from isthmus.model.canonical import CanonicalEntity, CanonicalField, MatchKey
from isthmus.model.describing import ASK, LEFT, LEFT_ONLY, NEWEST, RIGHT, RIGHT_ONLY
from isthmus.model.describing import described as _field
from isthmus.model.describing import entity_of as _entity
from isthmus.model.documents import DOCUMENTS
from isthmus.model.operations import OPERATIONS
from isthmus.model.schema import FieldType


def _right_id() -> CanonicalField:
    return _field(
        "right_id", FieldType.STRING, "Id on the right side",
        "Shown to people on the left where it has a field for it; Links work without. Right only: that side gives it.",
        RIGHT_ONLY, max_length=64,
    )  # fmt: skip


def _party(entity: str) -> list[CanonicalField]:
    """What customers and vendors have in common: one contact each."""
    return [
        _field(
            "is_company", FieldType.BOOLEAN, "Is a company",
            "A company, not a person. Newest: whoever learned it last is right.", NEWEST,
        ),
        _field(
            "name", FieldType.STRING, "Name",
            "The company's name, or the person's full name. One value on purpose: where a system keeps first and last "
            "name apart, its mapping splits and joins, and its own split is kept as long as the full name is the same. "
            "Newest: a corrected name should win wherever it was corrected.",
            NEWEST, required=True, max_length=200,
        ),
        _field(
            "email", FieldType.STRING, "E-mail",
            "Lower case. Newest: contact data is kept by whoever spoke to them last.", NEWEST, max_length=254,
        ),
        _field(
            "phone", FieldType.STRING, "Phone",
            "E.164 where it is a number. Newest: contact data is kept by whoever spoke to them last.", NEWEST,
            max_length=32,
        ),
        _field("website", FieldType.STRING, "Website", "Web address. Newest: contact data.", NEWEST),
        _field(
            "tax_id", FieldType.STRING, "Tax id",
            "VAT or tax number without separators. Ask: it identifies the party before the law, so two different "
            "edits are a mistake that a person has to see.",
            ASK, max_length=32,
        ),
        _field(
            "billing", FieldType.ADDRESS, "Billing address",
            "Where invoices go; country alpha-2, state ISO 3166-2. Newest: contact data.", NEWEST,
        ),
        _field(
            "active", FieldType.BOOLEAN, "Active",
            "Takes part in business; false is archived. A record on hold is active: holding is a matter of its own "
            f"(`on_hold`), so an active {entity} in a system without holds never lifts one elsewhere. Newest: "
            "archiving and restoring are edits like any other.",
            NEWEST,
        ),
        _field(
            "on_hold", FieldType.BOOLEAN, "On hold",
            "Blocked for new business though active. Only systems that know holds read it; a hold is set and lifted "
            "there. Right only: the right side is where holds are kept, the left side only shows them.",
            RIGHT_ONLY,
        ),
        _field("notes", FieldType.TEXT, "Notes", "Free text. Newest: either side may add to it.", NEWEST),
        _right_id(),
    ]  # fmt: skip


CUSTOMER = _entity(
    "customer",
    "Customer",
    [
        *_party("customer"),
        _field(
            "shipping", FieldType.ADDRESS, "Shipping address", "Where goods go, if elsewhere. Newest: contact data.",
            NEWEST,
        ),
        _field(
            "credit_limit", FieldType.DECIMAL, "Credit limit",
            "Most that may be open, in the books' currency. Left: the books decide, and limits that drift apart are a "
            "known trouble.",
            LEFT, scale=2,
        ),
        _field(
            "tax_exempt", FieldType.BOOLEAN, "Tax exempt",
            "Pays no sales tax. Left: the fiscal position is kept in the books.", LEFT,
        ),
        _field(
            "parent", FieldType.REFERENCE, "Parent", "The company a contact is in. Newest: either side may move it.",
            NEWEST, target="customer",
        ),
        _field("currency", FieldType.STRING, "Currency", "ISO 4217. Left: the books decide.", LEFT, max_length=3),
        _field(
            "payment_terms", FieldType.STRING, "Payment terms",
            "By the look-up table `payment_terms`. Left: the books decide.", LEFT, max_length=64,
        ),
        _field(
            "price_level", FieldType.STRING, "Price level",
            "Which prices apply. Left: prices are kept where products are.", LEFT,
        ),
        _field(
            "customer_type", FieldType.STRING, "Customer type",
            "The right side's own grouping. Right: nobody else works with it.", RIGHT, max_length=40,
        ),
        _field(
            "vault_id", FieldType.STRING, "Vault id",
            "Customer in the gateway's vault, never card data. Right only: that side alone issues it.", RIGHT_ONLY,
            max_length=64,
        ),
    ],
    match=(MatchKey(field="tax_id", normalise="vat"), MatchKey(field="email", strong=False, normalise="email")),
    depends_on=("customer",),
)  # fmt: skip
"""A company or person that buys."""

VENDOR = _entity(
    "vendor",
    "Vendor",
    [
        *_party("vendor"),
        _field(
            "remit_to", FieldType.ADDRESS, "Remit-to address", "Where payments go. Ask: changing it is a known fraud.",
            ASK,
        ),
        _field(
            "ship_from", FieldType.ADDRESS, "Ship-from address", "Where goods come from. Newest: contact data.", NEWEST
        ),
        _field("number", FieldType.STRING, "Vendor number", "Left: given in the books.", LEFT, max_length=32),
        _field("currency", FieldType.STRING, "Currency", "ISO 4217. Left: the books decide.", LEFT, max_length=3),
        _field(
            "payment_terms", FieldType.STRING, "Payment terms",
            "By the look-up table `payment_terms`. Left: the books decide.", LEFT, max_length=64,
        ),
        _field(
            "payment_method", FieldType.STRING, "Payment method", "How we pay. Right: payments are made there.", RIGHT
        ),
        _field(
            "lead_time_days", FieldType.INTEGER, "Lead time (days)", "Right: only the right side keeps it per vendor.",
            RIGHT,
        ),
        _field(
            "is_1099", FieldType.BOOLEAN, "1099 vendor", "Reported to the US tax office. Right: kept there.", RIGHT
        ),
        _field(
            "expense_account", FieldType.STRING, "Default expense account", "Right: kept there.", RIGHT, max_length=32
        ),
        _field(
            "bank_account_token", FieldType.STRING, "Bank account token",
            "Stands for a bank account, never its number; off unless mapped. Ask: a change needs approval.", ASK,
            max_length=64,
        ),
    ],
    match=(MatchKey(field="tax_id", normalise="vat"), MatchKey(field="email", strong=False, normalise="email")),
)  # fmt: skip
"""A company or person that sells to us."""


def _product_fields() -> list[CanonicalField]:
    """What products and product templates have in common."""
    return [
        _field("name", FieldType.STRING, "Name", "Newest: texts are edited on both sides.", NEWEST, required=True,
               max_length=200),
        _field("description", FieldType.TEXT, "Description", "For customers, plain text. Newest: texts are edited on "
               "both sides.", NEWEST, max_length=4000),
        _field("category", FieldType.STRING, "Category", "Complete name, by the look-up table `category`. Left: "
               "accounts hang on it.", LEFT, max_length=100),
        _field("product_type", FieldType.ENUM, "Product type", "Left: it decides how stock is kept.", LEFT,
               choices=(("stocked", "Kept in stock"), ("non_stocked", "Goods without stock"), ("service", "Service"))),
        _field("unit", FieldType.STRING, "Unit of measure", "Code, by the look-up table `unit`. Left: stock is counted "
               "in it.", LEFT, max_length=16),
        _field("list_price", FieldType.OBJECT, "List price", "`{amount, currency}` as exact text; converted on the "
               "day's rate only when written in another currency. Left only: prices are kept with the products; what "
               "was converted never comes back as a price of its own.", LEFT_ONLY),
        _field("active", FieldType.BOOLEAN, "Active", "False is archived. Newest: archiving and restoring are edits "
               "like any other.", NEWEST),
        _field("saleable", FieldType.BOOLEAN, "Can be sold", "False with active true is discontinued. An archived "
               "product does not tell it where one status holds both. Left: the assortment is kept there.", LEFT),
        _field("tax_code", FieldType.STRING, "Tax code", "By the look-up table `tax`. Left: taxes are kept in the "
               "books.", LEFT, max_length=32),
        _right_id(),
    ]  # fmt: skip


PRODUCT = _entity(
    "product",
    "Product",
    [
        _field("sku", FieldType.STRING, "SKU", "The natural key; never empty. Ask: it identifies the product.", ASK,
               required=True, max_length=64),
        *_product_fields(),
        _field("cost", FieldType.OBJECT, "Cost", "`{amount, currency}` as exact text. Left only: valuation is kept in "
               "the books.", LEFT_ONLY),
        _field("barcode", FieldType.STRING, "Barcode", "Ask: it identifies the product.", ASK, max_length=64),
        _field("weight", FieldType.DECIMAL, "Weight", "In kilograms. Newest: whoever weighed last.", NEWEST, scale=4),
        _field("length", FieldType.DECIMAL, "Length", "In `dimension_unit`. Right: kept there.", RIGHT, scale=4),
        _field("width", FieldType.DECIMAL, "Width", "In `dimension_unit`. Right: kept there.", RIGHT, scale=4),
        _field("height", FieldType.DECIMAL, "Height", "In `dimension_unit`. Right: kept there.", RIGHT, scale=4),
        _field("dimension_unit", FieldType.STRING, "Unit of the dimensions", "Right: kept there.", RIGHT),
        _field("template", FieldType.REFERENCE, "Parent product", "The template, where it has more than one variant. "
               "Left: variants are made there.", LEFT, target="product_template"),
        _field("attributes", FieldType.OBJECT, "Variant attributes", "Attribute → value. Left: variants are there.",
               LEFT),
        _field("preferred_vendor", FieldType.REFERENCE, "Preferred vendor", "Left: purchasing is done there.", LEFT,
               target="vendor"),
        _field("income_account", FieldType.STRING, "Income account", "Right: the left side finds accounts by itself.",
               RIGHT, max_length=32),
        _field("expense_account", FieldType.STRING, "Expense account", "Right: the left side finds accounts by itself.",
               RIGHT, max_length=32),
        _field("inventory_account", FieldType.STRING, "Inventory account", "Right: the left side finds accounts by "
               "itself.", RIGHT, max_length=32),
        _field("reorder_point", FieldType.DECIMAL, "Reorder point", "Right: kept there.", RIGHT, scale=4),
        _field("reorder_quantity", FieldType.DECIMAL, "Reorder quantity", "Right: kept there.", RIGHT, scale=4),
    ],
    match=(MatchKey(field="sku"), MatchKey(field="barcode", normalise="alphanumeric")),
    depends_on=("product_template", "vendor"),
)  # fmt: skip
"""What is sold: in Odoo the variant."""

PRODUCT_TEMPLATE = _entity(
    "product_template",
    "Product template",
    [
        _field("sku", FieldType.STRING, "SKU", "Made from the template's id, since templates with variants have no "
               "code. Left: it is made there.", LEFT, required=True, max_length=64),
        *_product_fields(),
    ],
)  # fmt: skip
"""What several variants have in common: in Odoo a template with more than one variant, in BNG the parent product."""

ENTITIES = MappingProxyType({e.name: e for e in (CUSTOMER, VENDOR, PRODUCT_TEMPLATE, PRODUCT, *OPERATIONS, *DOCUMENTS)})
"""Every Entity that ships, each after those it refers to."""


def entity(name: str) -> CanonicalEntity:
    """The canonical Entity of that name; Misconfigured lists those there are."""
    found = ENTITIES.get(name)
    if found is None:
        raise Misconfigured(f"looking up the Entity {name!r}: there are {', '.join(ENTITIES)}")
    return found
