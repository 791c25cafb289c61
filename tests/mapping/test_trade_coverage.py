"""Every field of the contract's trade documents and their lines is mapped at both ends, or named with the reason."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from shipped import compiled, text_of

from isthmus.mapping.compiling import root
from isthmus.model.entities import ENTITIES

SETTINGS = {
    "visible_fields": True, "sync_salespeople": True, "shipping_product": "SHIP", "discount_product": "DISC",
    "rounding_product": "ROUND", "currency": "USD",
}  # fmt: skip
PAIRS = {
    name.replace("-", "_"): (f"odoo-{name}", f"bng-{name}")
    for name in ("sales-order", "purchase-order", "invoice", "payment")
}
COMMON = {"ExternalID", "CreatedAt", "UpdatedAt", "Version", "CustomFields"}
"""Read and written by the connector; each custom field is mapped on its own."""
HEADS = {
    "sales_order": """SalesOrderID OrderNumber OrderDate CustomerID CustomerPONumber SalesChannel OrderSource Status
        FulfillmentStatus PaymentStatus BillingAddress ShippingAddress ShippingMethod Carrier TrackingNumbers
        RequestedShipDate PromisedDate ShippedDate CurrencyCode ExchangeRate Subtotal DiscountTotal ShippingTotal
        TaxTotal TotalAmount PaymentTerms WarehouseCode SalespersonID Notes LineItems""",
    "purchase_order": """PurchaseOrderID PONumber OrderDate VendorID VendorReference Status ApprovalStatus BuyerID
        ExpectedDate ShipToAddress WarehouseCode CurrencyCode ExchangeRate PaymentTerms Subtotal TaxTotal ShippingTotal
        TotalAmount Notes LineItems Receipts""",
    "invoice": """InvoiceID InvoiceNumber InvoiceType InvoiceDate DueDate PostingDate CustomerID VendorID SalesOrderID
        PurchaseOrderID OriginalInvoiceID Status CurrencyCode ExchangeRate Subtotal DiscountTotal TaxTotal TotalAmount
        AmountPaid BalanceDue PaymentTerms BillingAddress CustomerPONumber Memo LineItems""",
    "payment": """PaymentID PaymentNumber Direction PaymentType CustomerID VendorID Amount CurrencyCode FeeAmount
        SurchargeAmount NetAmount PaymentDate SettledDate PaymentMethod Status Applications UnappliedAmount SalesOrderID
        GatewayName GatewayTransactionID AuthCode ResponseCode ResponseText BatchID VaultID PaymentToken CardBrand Last4
        OriginalPaymentID Reference Memo""",
}
LINES = {
    "sales_order": """LineItemID LineNumber ProductID SKU Description Quantity UnitOfMeasure UnitPrice TaxIncluded
        DiscountPercent DiscountAmount TaxCode TaxAmount LineTotal QuantityShipped QuantityInvoiced QuantityCancelled
        WarehouseCode RequestedDate Status""",
    "purchase_order": """LineItemID LineNumber ProductID SKU Description QuantityOrdered QuantityReceived QuantityBilled
        UnitOfMeasure UnitPrice TaxCode TaxAmount LineTotal ExpectedDate GLAccount""",
    "invoice": """LineItemID LineNumber ProductID SKU Description Quantity UnitOfMeasure UnitPrice DiscountPercent
        DiscountAmount TaxCode TaxAmount LineTotal GLAccount CostCenter Dimensions SalesOrderLineItemID
        PurchaseOrderLineItemID""",
    "payment": "InvoiceID AmountApplied",
}
ELSEWHERE = {
    "SKU": "follows from the product; BNG fills it",
    "SalesOrderLineItemID": "lines have no Links of their own; the invoice names its order",
    "PurchaseOrderLineItemID": "lines have no Links of their own; the invoice names its order",
}
NOT_IN_ODOO = {
    "sales_order": set(),
    "purchase_order": {"receipts"},
    "invoice": {"discount"},
    "payment": {"sales_order", "unapplied"},
}
"""Canonical fields that stock Odoo has no place for: receipts are transfers, and a whole document has no discount."""


def said(rows: dict[str, Any]) -> set[str]:
    """The raw names that rows of a list are mapped from."""
    found: set[str] = {rows["id"]} if rows.get("id") else set()
    for told in [*rows.get("fields", {}).values(), *rows.get("together", [])]:
        names = told["from"].values() if isinstance(told["from"], dict) else [told["from"]]
        found |= {root(name) for name in names}
    return found


@pytest.mark.parametrize("entity", PAIRS)
def test_every_field_of_a_document_is_mapped_on_the_bng_side(entity: str) -> None:
    mapped = {root(path) for path in compiled(PAIRS[entity][1], settings=SETTINGS).paths}
    assert set(HEADS[entity].split()) - mapped == set()


@pytest.mark.parametrize("entity", PAIRS)
def test_every_field_of_a_line_is_mapped_on_the_bng_side(entity: str) -> None:
    file = yaml.safe_load(text_of("mappings", PAIRS[entity][1]))
    mapped = set().union(*(said(told["each"]) for told in file["fields"].values() if "each" in told))
    assert set(LINES[entity].split()) - mapped - ELSEWHERE.keys() == set()


@pytest.mark.parametrize("entity", PAIRS)
def test_every_canonical_field_of_a_document_is_read_on_both_sides(entity: str) -> None:
    left, right = (compiled(name, settings=SETTINGS) for name in PAIRS[entity])
    fields = ENTITIES[entity].fields.keys()
    assert fields - left.readable == NOT_IN_ODOO[entity]
    assert fields - right.readable <= {"rounding"}
