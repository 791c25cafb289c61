"""Canonical Entities of daily operations: employees by their work data, stock by product and warehouse."""

from __future__ import annotations

from typing import Any

from isthmus.model.canonical import CanonicalField, MatchKey
from isthmus.model.describing import LEFT_ONLY
from isthmus.model.describing import described as _field
from isthmus.model.describing import entity_of as _entity
from isthmus.model.policy import FieldPolicy, Rule
from isthmus.model.schema import FieldType

TOLD = FieldPolicy(rule=Rule.LEFT, strict=True, direction="to_right")
"""The left side tells the right one and takes nothing back; a pair may allow the other direction field by field."""


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

OPERATIONS = (EMPLOYEE, INVENTORY_ITEM)
"""Those of this module, each after those it refers to."""
