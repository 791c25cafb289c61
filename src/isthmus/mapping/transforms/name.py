"""Transforms of names: first and last name against one full name, and company against person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from isthmus.mapping.transform import Build, Example, Step, Transform
from isthmus.mapping.transforms.text import as_text


def full_name(first: str | None, last: str | None) -> str | None:
    """First and last name as one text with single spaces."""
    return " ".join(f"{first or ''} {last or ''}".split()) or None


def default_split(full: str) -> tuple[str | None, str | None]:
    """The last word is the last name."""
    words = full.split()
    return (" ".join(words[:-1]) or None, words[-1] if words else None)


def split_name(full: str | None, first: str | None, last: str | None) -> tuple[str | None, str | None]:
    """Split a full name, keeping the split that `first` and `last` have now.

    The same name keeps its split. Where that split is not the plain one (somebody chose it), an edit that leaves the
    first name or the last name alone keeps that part whole. Otherwise the last word is the last name.
    """
    text = full_name(full, None)
    if text is None:
        return None, None
    now = full_name(first, last)
    first, last = full_name(first, None), full_name(last, None)
    if now == text:
        return first, last
    if now is not None and (first, last) != default_split(now):
        if first and text.startswith(first + " "):
            return first, text[len(first) + 1 :]
        if last and text.endswith(" " + last):
            return text[: -len(last) - 1], last
    return default_split(text)


class FullName(Transform):
    """Joins first and last name to one text and splits it again, keeping the split the record has."""

    name = "full_name"
    label = "First and last name"
    group = "names"
    takes = "parts"
    examples = (
        Example(raw={"first": "Mary", "last": "Smith"}, value="Mary Smith"),
        Example(
            raw={"first": "Ludwig", "last": "van der Berg"},
            value="Ludwig van der Berg",
            record={"first": "Ludwig", "last": "van der Berg"},
        ),
        Example(raw={"first": None, "last": "Cher"}, value="Cher"),
    )

    first: str = Field("first", description="Part that holds the first name.")
    last: str = Field("last", description="Part that holds the last name.")

    def build(self, at: Build) -> Step:
        first, last = self.first, self.last
        first_path, last_path = at.paths.get(first, first), at.paths.get(last, last)

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            return full_name(_text(value.get(first)), _text(value.get(last)))

        def write(value: Any, record: Mapping[str, Any]) -> Any:
            name = None if value is None else as_text(value)
            one, two = split_name(name, _text(record.get(first_path)), _text(record.get(last_path)))
            return {first: one, last: two}

        return self.step(read, write, sees_empty=True)


class Party(Transform):
    """A company or a person: a company name makes it a company, else first and last name form the name.

    Gives the fields `is_company` and `name`. A company keeps the contact person it has in first and last name.
    """

    name = "party"
    label = "Company or person"
    group = "names"
    takes = "parts"
    examples = (
        Example(raw={"company": "Azure", "first": None, "last": None}, value={"is_company": True, "name": "Azure"}),
        Example(
            raw={"company": None, "first": "Mary Ann", "last": "Smith"},
            value={"is_company": False, "name": "Mary Ann Smith"},
        ),
        Example(
            raw={"company": "Azure", "first": "Bob", "last": "Ray"},
            value={"is_company": True, "name": "Azure"},
            record={"company": "Azure", "first": "Bob", "last": "Ray"},
        ),
    )

    company: str = Field("company", description="Part that holds the company name.")
    first: str = Field("first", description="Part that holds the first name.")
    last: str = Field("last", description="Part that holds the last name.")

    def build(self, at: Build) -> Step:
        company, first, last = self.company, self.first, self.last
        paths = tuple(at.paths.get(part, part) for part in (company, first, last))

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            firm = full_name(_text(value.get(company)), None)
            if firm:
                return {"is_company": True, "name": firm}
            return {"is_company": False, "name": full_name(_text(value.get(first)), _text(value.get(last)))}

        def write(value: Any, record: Mapping[str, Any]) -> Any:
            name = None if value.get("name") is None else full_name(as_text(value["name"]), None)
            firm_now, first_now, last_now = (_text(record.get(path)) for path in paths)
            if value.get("is_company"):
                if firm_now and firm_now.strip():
                    return {company: name}
                return {company: name, first: None, last: None}
            one, two = split_name(name, first_now, last_now)
            return {company: None, first: one, last: two}

        return self.step(read, write, sees_empty=True)


def _text(value: Any) -> str | None:
    return None if value is None else as_text(value)
