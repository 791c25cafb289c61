"""The contract's field tables, and complete records made from them: every writable field has a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bng_visitor import Visitor

PATHS = {
    "customer": "customers", "product": "products", "sales_order": "sales_orders", "invoice": "invoices",
    "payment": "payments", "inventory_item": "inventory_items", "vendor": "vendors",
    "purchase_order": "purchase_orders", "gl_entry": "gl_entries", "employee": "employees",
}  # fmt: skip
"""The entities that have a list of their own."""

LINES = {"sales_order": "sales_order_line_item", "invoice": "invoice_line_item"}


@dataclass(frozen=True)
class ContractField:
    """One row of the contract: `need` is Y, N, * (conditional) or RO (set by BNG)."""

    name: str
    type: str
    need: str

    @property
    def longest(self) -> int | None:
        return int(self.type[7:-1]) if self.type.startswith("string(") else None

    @property
    def choices(self) -> list[str]:
        return self.type.removeprefix("enum:").split("/") if self.type.startswith("enum:") else []


def _table() -> dict[str, dict[str, ContractField]]:
    out: dict[str, dict[str, ContractField]] = {}
    block: dict[str, ContractField] = {}
    for line in (Path(__file__).parent / "bng_contract.txt").read_text().splitlines():
        words = line.split()
        if len(words) == 1:
            block = out.setdefault(words[0], {})
        elif words and not line.startswith("#"):
            block[words[0]] = ContractField(*words)
    return out


CONTRACT: Mapping[str, Mapping[str, ContractField]] = _table()
"""Entity (or entity.list) -> field name -> row."""

SHARED = (
    ContractField("ExternalID", "string(64)", "N"),
    ContractField("CustomFields", "object", "N"),
    ContractField("Version", "integer", "RO"),
    ContractField("CreatedAt", "datetime", "RO"),
    ContractField("UpdatedAt", "datetime", "RO"),
)
"""What every entity has beside its own table."""


def fields_of(entity: str) -> dict[str, ContractField]:
    """All fields of an entity, the shared ones included."""
    out = dict(CONTRACT[entity])
    if "." not in entity:
        for field in SHARED:
            out.setdefault(field.name, field)
    return out


ADDRESS = {
    "Line1": "Via Roma 1", "Line2": "Scala B", "City": "Roma", "State": "RM", "PostalCode": "00184",
    "CountryCode": "IT", "Name": "Ufficio", "Phone": "+390612345",
}  # fmt: skip


def value_of(field: ContractField, mark: str) -> Any:
    """A good value for a field: texts as long as they may be, beginning with the field's name and `mark`."""
    if field.longest is not None:
        return f"{mark}{field.name}".ljust(field.longest, "x")[: field.longest]
    if field.choices:
        return field.choices[0]
    plain: dict[str, Any] = {
        "integer": 7,
        "boolean": True,
        "date": "2026-03-31",
        "datetime": "2026-03-31T22:15:00Z",
        "Address": ADDRESS,
        "object": {"Shade": "blue", "Nested": {"deep": [1, 2.5, None]}},
        "decimal": "1.25",
        "decimal>=0": "0.50",
        "decimal>0": "2.0000",
    }
    return plain[field.type]


def generated(entity: str, mark: str) -> dict[str, Any]:
    """A value for every writable field of an entity, lists left out."""
    fields = fields_of(entity).values()
    return {f.name: value_of(f, mark) for f in fields if f.need != "RO" and f.type != "array"}


class World:
    """Complete records of every entity, with what they refer to stored before."""

    def __init__(self, bng: Visitor) -> None:
        self.bng = bng
        self._known: dict[str, dict[str, Any]] = {}
        self._count = 0

    async def known(self, entity: str) -> dict[str, Any]:
        """A stored record of this entity to refer to; the same one every time."""
        if entity not in self._known:
            self._known[entity] = await self.bng.new(PATHS[entity], await self.plain(entity))
        return self._known[entity]

    async def id(self, entity: str) -> str:
        """The id of `known`."""
        return str((await self.known(entity))[ID_FIELDS[entity]])

    async def plain(self, entity: str) -> dict[str, Any]:
        """A record with what is required and no more, unlike every other one."""
        self._count += 1
        mark = f"r{self._count}"
        make = getattr(self, f"_plain_{entity}")
        return {"ExternalID": f"ext:{mark}", **(await make(mark))}

    async def _plain_customer(self, mark: str) -> dict[str, Any]:
        return {"CompanyName": f"Company {mark}", "Email": f"{mark}@example.com"}

    async def _plain_vendor(self, mark: str) -> dict[str, Any]:
        return {"CompanyName": f"Supplier {mark}"}

    async def _plain_employee(self, mark: str) -> dict[str, Any]:
        return {"FirstName": "Ada", "LastName": mark}

    async def _plain_product(self, mark: str) -> dict[str, Any]:
        price = {"ListPrice": "10.0000", "CurrencyCode": "EUR"}
        return {"SKU": f"SKU-{mark}", "Name": f"Thing {mark}", "ProductType": "Stocked", **price}

    async def _plain_sales_order(self, mark: str) -> dict[str, Any]:
        line = {"LineNumber": 1, "ProductID": await self.id("product"), "Quantity": 3, "UnitPrice": 10, "LineTotal": 30}
        sums = {"Subtotal": 30, "DiscountTotal": 0, "ShippingTotal": 5, "TaxTotal": "6.60", "TotalAmount": "41.60"}
        head = {"OrderDate": "2026-03-01T10:00:00Z", "CustomerID": await self.id("customer"), "CurrencyCode": "EUR"}
        return {**head, **sums, "Status": "Open", "LineItems": [line]}

    async def _plain_invoice(self, mark: str) -> dict[str, Any]:
        line = {"LineNumber": 1, "Description": "Work", "Quantity": 2, "UnitPrice": 50, "LineTotal": 100}
        sums = {"Subtotal": 100, "TaxTotal": 22, "TotalAmount": 122}
        head = {"InvoiceNumber": f"INV-{mark}", "InvoiceType": "Invoice", "InvoiceDate": "2026-03-02", "Status": "Open"}
        return {**head, **sums, "CurrencyCode": "EUR", "CustomerID": await self.id("customer"), "LineItems": [line]}

    async def _plain_payment(self, mark: str) -> dict[str, Any]:
        how = {"Direction": "Inbound", "PaymentType": "Sale", "PaymentMethod": "Card", "Status": "Captured"}
        what = {"Amount": "50.00", "CurrencyCode": "EUR", "PaymentDate": "2026-03-03T09:00:00Z"}
        return {**how, **what, "CustomerID": await self.id("customer")}

    async def _plain_inventory_item(self, mark: str) -> dict[str, Any]:
        where = {"ProductID": await self.id("product"), "WarehouseCode": f"WH-{mark}"}
        return {**where, "QuantityOnHand": 10, "AsOf": "2026-03-04T00:00:00Z"}

    async def _plain_purchase_order(self, mark: str) -> dict[str, Any]:
        line = {"LineNumber": 1, "ProductID": await self.id("product"), "QuantityOrdered": 4, "UnitPrice": 5}
        head = {"PONumber": f"PO-{mark}", "OrderDate": "2026-03-01T10:00:00Z", "VendorID": await self.id("vendor")}
        money = {"CurrencyCode": "EUR", "TotalAmount": 20}
        return {**head, **money, "Status": "Approved", "LineItems": [{**line, "LineTotal": 20}]}

    async def _plain_gl_entry(self, mark: str) -> dict[str, Any]:
        lines = [
            {"LineNumber": 1, "AccountCode": "1000", "Debit": 10, "Credit": 0},
            {"LineNumber": 2, "AccountCode": "4000", "Debit": 0, "Credit": 10},
        ]
        head = {"JournalCode": "MISC", "PostingDate": "2026-03-05", "CurrencyCode": "EUR"}
        return {**head, "Status": "Posted", "Lines": lines}

    async def full(self, entity: str) -> dict[str, Any]:
        """A record with every writable field filled in."""
        self._count += 1
        mark = f"f{self._count}-"
        record = generated(entity, mark)
        if "CurrencyCode" in record:
            record["CurrencyCode"] = "EUR"
        make = getattr(self, f"_full_{entity}", None)
        return {**record, **(await make(mark) if make else {})}

    async def _full_customer(self, mark: str) -> dict[str, Any]:
        email = f"{mark}{'e' * 200}@example.com"
        return {"Email": email, "ParentCustomerID": await self.id("customer"), "ShippingAddress": "One line, Roma"}

    async def _full_vendor(self, mark: str) -> dict[str, Any]:
        return {"Email": f"{mark}v@example.com"}

    async def _full_employee(self, mark: str) -> dict[str, Any]:
        return {"WorkEmail": f"{mark}e@example.com", "ManagerID": await self.id("employee")}

    async def _full_product(self, mark: str) -> dict[str, Any]:
        return {"ParentProductID": await self.id("product"), "PreferredVendorID": await self.id("vendor")}

    async def _full_sales_order(self, mark: str) -> dict[str, Any]:
        line = {**generated("sales_order_line_item", mark), **(await self._product_line())}
        line |= {"Quantity": "4", "UnitPrice": "2.5000", "DiscountPercent": "10", "LineTotal": "9.00"}
        del line["DiscountAmount"]  # one of the two
        line["TaxIncluded"] = False
        sums = {"Subtotal": "9.00", "DiscountTotal": "1", "ShippingTotal": "2", "TaxTotal": "1.98"}
        who = {"CustomerID": await self.id("customer"), "SalespersonID": await self.id("employee")}
        lists = {"TrackingNumbers": ["T1", "T2"], "LineItems": [line]}
        return {**who, **sums, "TotalAmount": "11.98", **lists}

    async def _full_invoice(self, mark: str) -> dict[str, Any]:
        order = await self.known("sales_order")
        line = {**generated("invoice_line_item", mark), **(await self._product_line())}
        line |= {"Quantity": "2", "UnitPrice": "5", "DiscountAmount": "1", "LineTotal": "9.00"}
        line |= {"SalesOrderLineItemID": order["LineItems"][0]["LineItemID"], "PurchaseOrderLineItemID": None}
        del line["DiscountPercent"]  # one of the two
        refers = {"SalesOrderID": order["SalesOrderID"], "PurchaseOrderID": await self.id("purchase_order")}
        refers |= {"CustomerID": await self.id("customer"), "VendorID": await self.id("vendor")}
        sums = {"Subtotal": "9", "DiscountTotal": "0.50", "TaxTotal": "2", "TotalAmount": "10.50"}
        return {**refers, "OriginalInvoiceID": await self.id("invoice"), **sums, "LineItems": [line]}

    async def _full_payment(self, mark: str) -> dict[str, Any]:
        refers = {"CustomerID": await self.id("customer"), "SalesOrderID": await self.id("sales_order")}
        refers |= {"VendorID": None, "OriginalPaymentID": await self.id("payment"), "Last4": "4242"}
        applied = [{"InvoiceID": await self.id("invoice"), "AmountApplied": "1.00"}]
        return {**refers, "Status": "Captured", "Amount": "1.25", "Applications": applied}

    async def _full_inventory_item(self, mark: str) -> dict[str, Any]:
        return await self._product_line()

    async def _full_purchase_order(self, mark: str) -> dict[str, Any]:
        line = {**generated("purchase_order.LineItems", mark), **(await self._product_line())}
        line |= {"QuantityOrdered": "2", "UnitPrice": "5", "LineTotal": "10"}
        refers = {"VendorID": await self.id("vendor"), "BuyerID": await self.id("employee")}
        sums = {"Subtotal": "10", "TaxTotal": "2.20", "ShippingTotal": "1", "TotalAmount": "13.20"}
        return {**refers, **sums, "LineItems": [line]}

    async def _full_gl_entry(self, mark: str) -> dict[str, Any]:
        line = {**generated("gl_entry.Lines", mark), "CurrencyCode": "EUR"}
        line |= {"CustomerID": await self.id("customer"), "VendorID": await self.id("vendor")}
        lines = [
            {**line, "LineNumber": 1, "Debit": "5.00", "Credit": "0"},
            {**line, "LineNumber": 2, "Debit": "0", "Credit": "5"},
        ]
        refers = {"ReversesEntryID": await self.id("gl_entry"), "Period": "2026-03"}
        return {**refers, "Lines": lines, "PostingDate": "2026-03-31"}

    async def _product_line(self) -> dict[str, Any]:
        product = await self.known("product")
        return {"ProductID": product["ProductID"], "SKU": product["SKU"]}


ID_FIELDS = {
    entity: next(f.name for f in rows.values() if f.need == "RO")
    for entity, rows in CONTRACT.items()
    if "." not in entity
}
"""Entity -> the field that identifies its records: the first one of its table."""
