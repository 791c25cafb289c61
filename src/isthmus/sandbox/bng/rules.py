"""The business rules of every entity: references exist, totals add up, debits equal credits, dates are open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal

from .errors import ApiError, Problem
from .payments import check_not_overpaid
from .schema import Catalogue, Doc, Entity, Field
from .store import Store
from .values import number, parse_instant

CENT = Decimal("0.01")


class Rules:
    """Checks documents that are well-formed already."""

    def __init__(self, known: Catalogue, store: Store, closed_through: Callable[[], date | None]) -> None:
        self._known = known
        self._store = store
        self._closed_through = closed_through
        self._own: Mapping[str, Callable[[Doc, Doc | None, list[Problem]], None]] = {
            "sales_order": self._sales_order,
            "invoice": self._invoice,
            "purchase_order": self._purchase_order,
            "payment": self._payment,
            "inventory_item": self._inventory_item,
            "gl_entry": self._gl_entry,
        }

    def presence(self, entity: Entity, doc: Doc, problems: list[Problem]) -> None:
        """At least one of some fields, exactly one of others."""
        for group in entity.any_of:
            if not any(doc.get(name) for name in group):
                problems.append(Problem(group[0], "Required", f"one of {', '.join(group)} must be given"))
        for group in entity.one_of:
            if sum(doc.get(name) is not None for name in group) != 1:
                problems.append(Problem(group[0], "Required", f"exactly one of {' and '.join(group)} must be given"))

    def check(self, entity: Entity, doc: Doc, old: Doc | None, problems: list[Problem]) -> None:
        """Everything else; `old` is the record before, whose unchanged references are not looked at again."""
        self._references(entity, doc, old, problems)
        if own := self._own.get(entity.name):
            own(doc, old, problems)

    def _references(self, entity: Entity, doc: Doc, old: Doc | None, problems: list[Problem]) -> None:
        for field in entity.references:
            value = doc[field.name]
            if value is None or (old is not None and old[field.name] == value):
                continue
            if value == doc[entity.id]:
                problems.append(Problem(field.name, "SelfReference", "points to the record itself"))
            elif not self._store.exists(str(field.ref), value):
                problems.append(self._unknown(field.name, field, value))
        for list_field in entity.fields.values():
            if list_field.type != "list" or list_field.readonly or list_field.of == "string":
                continue
            inner = [f for f in self._known.fields_of(str(list_field.of)).values() if f.ref]
            known = {item[f.name] for f in inner for item in (old or {}).get(list_field.name) or () if item[f.name]}
            for place, item in enumerate(doc[list_field.name] or ()):
                for field in inner:
                    value = item[field.name]
                    if value is None or value in known:
                        continue
                    if self._store.exists(str(field.ref), value):
                        known.add(value)
                    else:
                        problems.append(self._unknown(f"{list_field.name}[{place}].{field.name}", field, value))

    def _unknown(self, path: str, field: Field, value: str) -> Problem:
        label = self._known.entities[str(field.ref)].label
        return Problem(path, "UnknownReference", f"there is no {label} {value}")

    def _sales_order(self, doc: Doc, old: Doc | None, problems: list[Problem]) -> None:
        for path, item in _items(doc, problems):
            _need_product(path, item, problems)
            _line_total(path, item, problems)
        _sums(doc, ("ShippingTotal", "TaxTotal"), ("DiscountTotal",), problems)

    def _invoice(self, doc: Doc, old: Doc | None, problems: list[Problem]) -> None:
        party = "CustomerID" if doc["InvoiceType"] in ("Invoice", "CreditMemo") else "VendorID"
        if doc[party] is None:
            problems.append(Problem(party, "Required", f"must be given on a document of type {doc['InvoiceType']}"))
        for path, item in _items(doc, problems):
            if item["ProductID"] is None and not item["Description"]:
                problems.append(Problem(f"{path}.Description", "Required", "must be given when there is no product"))
            _line_total(path, item, problems)
        _sums(doc, ("TaxTotal",), ("DiscountTotal",), problems)

    def _purchase_order(self, doc: Doc, old: Doc | None, problems: list[Problem]) -> None:
        for path, item in _items(doc, problems):
            _need_product(path, item, problems)
            _line_total(path, item, problems, quantity="QuantityOrdered")
        _sums(doc, ("ShippingTotal", "TaxTotal"), (), problems)

    def _payment(self, doc: Doc, old: Doc | None, problems: list[Problem]) -> None:
        if doc["PaymentType"] == "Refund" and doc["OriginalPaymentID"] is None:
            problems.append(Problem("OriginalPaymentID", "Required", "must be given on a refund"))
        applied = sum((number(item["AmountApplied"]) for item in doc["Applications"] or ()), Decimal(0))
        if applied > number(doc["Amount"]):
            message = f"{applied} is applied to invoices, but the payment is {doc['Amount']}"
            problems.append(Problem("Applications", "OverApplied", message))
        check_not_overpaid(self._store, doc, problems)

    def _inventory_item(self, doc: Doc, old: Doc | None, problems: list[Problem]) -> None:
        _need_product("", doc, problems)
        if old is None:
            return
        was, now = parse_instant(old["AsOf"]), parse_instant(doc["AsOf"])
        if was is not None and now is not None and now < was:
            message = f"the stock is known as of {old['AsOf']}, this message is from {doc['AsOf']}"
            raise ApiError(409, "StaleAsOf", f"AsOf: {message}.", [Problem("AsOf", "Stale", message)])

    def _gl_entry(self, doc: Doc, old: Doc | None, problems: list[Problem]) -> None:
        if old is not None and old["Status"] != "Draft":
            self._posted_unchanged(doc, old, problems)
            return
        if doc["Status"] == "Reversed":
            problems.append(Problem("Status", "NotInList", "only a posted entry can become Reversed"))
        closed = self._closed_through()
        if closed is not None and date.fromisoformat(doc["PostingDate"]) <= closed:
            problems.append(Problem("PostingDate", "ClosedPeriod", f"the books are closed through {closed}"))
        if doc["Period"] is not None and doc["Period"] != doc["PostingDate"][:7]:
            problems.append(Problem("Period", "Mismatch", f"{doc['PostingDate']} is not in {doc['Period']}"))
        _balanced(doc, problems)
        if doc["ReversesEntryID"] is not None:
            reversed_entry = self._store.get("gl_entry", doc["ReversesEntryID"])
            if reversed_entry is not None and reversed_entry["Status"] == "Draft":
                problems.append(Problem("ReversesEntryID", "NotPosted", "only a posted entry can be reversed"))

    @staticmethod
    def _posted_unchanged(doc: Doc, old: Doc, problems: list[Problem]) -> None:
        free = {"ExternalID", "CustomFields", "Version", "UpdatedAt"}
        for name, value in doc.items():
            if name in free or value == old[name]:
                continue
            if name == "Status" and old["Status"] == "Posted" and value == "Reversed":
                continue
            problems.append(Problem(name, "PostedEntry", "a posted entry is corrected by reversal, never edited"))


def _items(doc: Doc, problems: list[Problem]) -> Iterator[tuple[str, Doc]]:
    items = doc["LineItems"]
    if not items:
        problems.append(Problem("LineItems", "Required", "must hold at least one line"))
    for place, item in enumerate(items or ()):
        yield f"LineItems[{place}]", item


def _need_product(path: str, item: Doc, problems: list[Problem]) -> None:
    if item["ProductID"] is None and item["SKU"] is None:
        problems.append(Problem(f"{path}.ProductID".lstrip("."), "Required", "ProductID or SKU must be given"))


def _line_total(path: str, item: Doc, problems: list[Problem], quantity: str = "Quantity") -> None:
    """LineTotal follows from quantity, price and discount, give or take the rounding of the price's fourth place."""
    percent, discount = item.get("DiscountPercent"), item.get("DiscountAmount")
    if number(percent) and number(discount):
        message = "DiscountPercent and DiscountAmount exclude each other"
        problems.append(Problem(f"{path}.DiscountPercent", "Exclusive", message))
        return
    if number(percent) > 100:
        problems.append(Problem(f"{path}.DiscountPercent", "OutOfRange", f"must be at most 100, not {percent}"))
        return
    if item.get("TaxIncluded"):
        return  # what part of the price is tax only the sender knows
    count = number(item[quantity])
    expected = count * number(item["UnitPrice"]) * (100 - number(percent)) / 100 - number(discount)
    if abs(expected - number(item["LineTotal"])) > CENT + abs(count) * Decimal("0.00005"):
        message = f"is {item['LineTotal']}, but quantity, price and discount give {expected:.2f}"
        problems.append(Problem(f"{path}.LineTotal", "TotalMismatch", message))


def _sums(doc: Doc, plus: tuple[str, ...], minus: tuple[str, ...], problems: list[Problem]) -> None:
    lines = sum((number(item["LineTotal"]) for item in doc["LineItems"] or ()), Decimal(0))
    if doc["Subtotal"] is not None and abs(number(doc["Subtotal"]) - lines) > CENT:
        problems.append(Problem("Subtotal", "TotalMismatch", f"is {doc['Subtotal']}, but the lines add up to {lines}"))
    total = number(doc["Subtotal"]) if doc["Subtotal"] is not None else lines
    total += sum((number(doc[name]) for name in plus), Decimal(0))
    total -= sum((number(doc[name]) for name in minus), Decimal(0))
    if abs(number(doc["TotalAmount"]) - total) > CENT:
        message = f"is {doc['TotalAmount']}, but the parts add up to {total}"
        problems.append(Problem("TotalAmount", "TotalMismatch", message))


def _balanced(doc: Doc, problems: list[Problem]) -> None:
    entries = doc["Lines"] or []
    if len(entries) < 2:
        problems.append(Problem("Lines", "Required", "an entry has two lines or more"))
    for place, line in enumerate(entries):
        if number(line["Debit"]) and number(line["Credit"]):
            problems.append(Problem(f"Lines[{place}].Credit", "Exclusive", "one of Debit and Credit is zero"))
    debit = sum((number(line["Debit"]) for line in entries), Decimal(0))
    credit = sum((number(line["Credit"]) for line in entries), Decimal(0))
    if debit != credit:
        problems.append(Problem("Lines", "Unbalanced", f"debits are {debit}, credits are {credit}"))
