"""Canonical Entities of daily operations: employees by their work data."""

from __future__ import annotations

from typing import Any

from isthmus.model.canonical import CanonicalField, MatchKey
from isthmus.model.describing import described as _field
from isthmus.model.describing import entity_of as _entity
from isthmus.model.policy import FieldPolicy, Rule
from isthmus.model.schema import FieldType

TOLD = FieldPolicy(rule=Rule.LEFT, strict=True, direction="to_right")
"""The left side tells the right one and takes nothing back; a pair may allow the other direction field by field."""


def _told(name: str, kind: FieldType, label: str, help: str, **more: Any) -> CanonicalField:
    return _field(name, kind, label, f"{help} Left only: personnel is kept there.", TOLD, **more)


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

OPERATIONS = (EMPLOYEE,)
"""Those of this module, each after those it refers to."""
