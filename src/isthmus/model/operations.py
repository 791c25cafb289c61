"""Canonical Entities of daily operations: employees by their work data, stock, and entries of the ledger."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from isthmus.model.canonical import CanonicalField, MatchKey
from isthmus.model.describing import LEFT_ONLY
from isthmus.model.describing import described as _field
from isthmus.model.describing import entity_of as _entity
from isthmus.model.policy import FieldPolicy, Rule
from isthmus.model.schema import FieldType

TOLD = FieldPolicy(rule=Rule.LEFT, strict=True, direction="to_right")
"""The left side tells the right one and takes nothing back; a pair may allow the other direction field by field."""


SHOWN = FieldPolicy(rule=Rule.LEFT, direction="none")
"""Each side works it out: it is compared and shown, never written."""


def _told(name: str, kind: FieldType, label: str, help: str, **more: Any) -> CanonicalField:
    return _field(name, kind, label, f"{help} Left only: personnel is kept there.", TOLD, **more)


def _kept(name: str, kind: FieldType, label: str, help: str, **more: Any) -> CanonicalField:
    told = f"{help} Owner only: the side that owns the warehouse tells it."
    return _field(name, kind, label, told, LEFT_ONLY, **more)


EMPLOYEE = _entity(
    "employee",
    "Employee",
    [
        _told("number", FieldType.STRING, "Number", "What the employee is known by on lists.", max_length=32),
        _told("name", FieldType.STRING, "Name", "The full name; where a system keeps first and last name apart, its "
              "mapping splits and joins.", required=True, max_length=200),
        _told("work_email", FieldType.STRING, "Work e-mail", "Lower case.", max_length=254),
        _told("work_phone", FieldType.STRING, "Work phone", "E.164 where it is a number.", max_length=32),
        _told("mobile_phone", FieldType.STRING, "Work mobile", "E.164 where it is a number.", max_length=32),
        _told("job_title", FieldType.STRING, "Job title", "As people are introduced.", max_length=100),
        _told("department", FieldType.STRING, "Department", "By the look-up table `department`.", max_length=100),
        _told("manager", FieldType.REFERENCE, "Manager", "Follows in a second pass where the manager is not there yet.",
              target="employee", later=True),
        _told("location", FieldType.STRING, "Work location", "The name of the place.", max_length=100),
        _told("employment_type", FieldType.ENUM, "Employment", "How somebody is employed.",
              choices=(("employee", "Employee"), ("contractor", "Contractor"), ("intern", "Intern"))),
        _told("hire_date", FieldType.DATE, "Hired", "The first day of work."),
        _told("termination_date", FieldType.DATE, "Left", "The last day of work."),
        _told("user_name", FieldType.STRING, "User name", "The login to the left side, never a password.",
              max_length=100),
        _told("active", FieldType.BOOLEAN, "Active", "False is archived."),
        _told("terminated", FieldType.BOOLEAN, "Terminated", "Archived because the employment ended, not for a time."),
    ],
    match=(MatchKey(field="work_email", normalise="email"), MatchKey(field="number")),
    depends_on=("employee",),
)  # fmt: skip
"""Somebody who works here: work data only. Address, bank, birth and pay have no place in it."""

INVENTORY_ITEM = _entity(
    "inventory_item",
    "Inventory item",
    [
        _kept("sku", FieldType.STRING, "SKU", "Of the product; with the warehouse it is what stock is known by.",
              required=True, max_length=64),
        _kept("product", FieldType.REFERENCE, "Product", "Its product, which comes first.", target="product"),
        _kept("warehouse", FieldType.STRING, "Warehouse", "By the look-up table `warehouse`. Its value says which side "
              "owns the record.", required=True, max_length=32),
        _kept("on_hand", FieldType.DECIMAL, "On hand", "What lies there, in base units of its kind: a dozen is "
              "twelve.", scale=4),
        _kept("reserved", FieldType.DECIMAL, "Reserved", "Promised to orders, in base units. What is available is on "
              "hand less this.", scale=4),
        _kept("unit", FieldType.STRING, "Unit of measure", "The unit a side counts in, by the look-up table `unit`.",
              max_length=16),
        _kept("unit_cost", FieldType.DECIMAL, "Unit cost", "Per base unit.", scale=4),
        _kept("as_of", FieldType.DATETIME, "As of", "When it was true; an older state never overwrites a newer one.",
              required=True),
        _kept("active", FieldType.BOOLEAN, "Active", "False where the product is archived."),
    ],
    match=(MatchKey(field="sku", also=("warehouse",)),),
    depends_on=("product",),
    owned_by="warehouse",
    as_of="as_of",
)  # fmt: skip
"""How much of a product lies in a warehouse. Each warehouse has one owner, which the pair has to name."""


def _part(name: str, kind: FieldType, label: str, help: str, **more: Any) -> CanonicalField:
    return _field(name, kind, label, help, TOLD, **more)


def _booked(name: str, kind: FieldType, label: str, help: str, **more: Any) -> CanonicalField:
    return _field(name, kind, label, f"{help} Left only: the books are kept there.", TOLD, **more)


_LINE = (
    _part("number", FieldType.INTEGER, "Line", "Counts the lines of the entry."),
    _part("account", FieldType.STRING, "Account", "By the look-up table `account`.", max_length=32),
    _part("debit", FieldType.DECIMAL, "Debit", "In the company's currency; one of debit and credit is zero.", scale=2),
    _part("credit", FieldType.DECIMAL, "Credit", "In the company's currency.", scale=2),
    _part("amount_currency", FieldType.DECIMAL, "Amount in currency", "Where it was booked in another one.", scale=2),
    _part("currency", FieldType.STRING, "Currency", "ISO 4217, where it is another one.", max_length=3),
    _part("customer", FieldType.REFERENCE, "Customer", "Of what customers owe.", target="customer"),
    _part("vendor", FieldType.REFERENCE, "Vendor", "Of what is owed to vendors.", target="vendor"),
    _part("cost_center", FieldType.STRING, "Cost centre", "The analytic account that bears it alone.", max_length=32),
    _part("dimensions", FieldType.OBJECT, "Dimensions", "Analytic accounts and the per cent each bears."),
    _part("tax_code", FieldType.STRING, "Tax code", "By the look-up table `tax`.", max_length=32),
    _part("description", FieldType.STRING, "Description", "What is written on the line.", max_length=500),
)

GL_ENTRY = _entity(
    "gl_entry",
    "General ledger entry",
    [
        _booked("number", FieldType.STRING, "Number", "Given when it is posted.", required=True, max_length=32),
        _booked("journal", FieldType.STRING, "Journal", "Its code, by the look-up table `journal`.", max_length=16),
        _booked("posted_on", FieldType.DATE, "Posting date", "Has to lie in an open period.", required=True),
        _booked("period", FieldType.STRING, "Period", "Year and month of the posting date.", max_length=7),
        _booked("description", FieldType.STRING, "Description", "What is written on the entry.", max_length=500),
        _booked("source", FieldType.ENUM, "Source", "What it was made by.",
                choices=(("payment", "Payment"), ("settlement", "Settlement"), ("inventory", "Inventory"),
                         ("manual", "Manual"), ("invoice", "Invoice"), ("refund", "Refund"))),
        _booked("currency", FieldType.STRING, "Currency", "The company's, ISO 4217.", max_length=3),
        _booked("status", FieldType.ENUM, "Status", "Only posted entries leave the books.",
                choices=(("draft", "Draft"), ("posted", "Posted"))),
        _booked("reversed", FieldType.BOOLEAN, "Reversed", "Taken back by another entry; a posted one never changes."),
        _booked("reverses", FieldType.REFERENCE, "Reverses", "The entry that it takes back.", target="gl_entry"),
        _field("total_debit", FieldType.DECIMAL, "Total debit", "Each side adds it up.", SHOWN, scale=2),
        _field("total_credit", FieldType.DECIMAL, "Total credit", "Each side adds it up.", SHOWN, scale=2),
        _field("lines", FieldType.LIST, "Lines", "Two or more; debits equal credits. Left only: a posted entry does "
               "not change.", TOLD, required=True, items=MappingProxyType({part.name: part for part in _LINE})),
    ],
    match=(MatchKey(field="number", strong=False),),
    depends_on=("customer", "vendor"),
    status_field=None,
)  # fmt: skip
"""One booking in the books: balanced, in an open period, corrected by reversal only."""

OPERATIONS = (EMPLOYEE, INVENTORY_ITEM, GL_ENTRY)
"""Those of this module, each after those it refers to."""
