"""Checks a whole body against the described fields and brings it to stored form, telling every problem at once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from isthmus.model.card import holds_card_number

from .errors import Problem
from .schema import Doc, Field, catalogue
from .values import LONGEST_ADDRESS, Check, card_number, scalar_check

MOST_ITEMS = 5000


class Checker:
    """Checks bodies with one set of fields."""

    def __init__(self, fields: Mapping[str, Field], *, id_field: str | None = None) -> None:
        self._all = tuple(fields.values())
        self._writable = {f.name: (_check(f), f) for f in self._all if not f.readonly}
        self._known = frozenset(fields)
        self._id = id_field

    def whole(self, body: Any, path: str, problems: list[Problem], *, waived: frozenset[str] = frozenset()) -> Doc:
        """The complete document: defaults filled in, read-only fields at theirs, required ones (but `waived`) there.

        Read-only members of the body are ignored, but the id of an item inside a list is kept for matching.
        """
        if not self._is_object(body, path, problems):
            return {}
        doc: Doc = {}
        before = f"{path}." if path else ""
        for field in self._all:
            name = field.name
            if field.readonly:
                doc[name] = body.get(name) if name == self._id else field.default
                continue
            value = body.get(name)
            if value is None or (value == "" and field.required):
                doc[name] = field.default
                if field.required and field.default is None and name not in waived:
                    problems.append(Problem(before + name, "Required", "must be given"))
            else:
                doc[name] = self._writable[name][0](value, before + name, problems)
        return doc

    def part(self, body: Any, path: str, problems: list[Problem]) -> Doc:
        """The named writable fields only; null clears a field, which a required one does not allow."""
        if not self._is_object(body, path, problems):
            return {}
        doc: Doc = {}
        before = f"{path}." if path else ""
        for name, value in body.items():
            found = self._writable.get(name)
            if found is None:
                continue
            check, field = found
            if value is None or (value == "" and field.required):
                doc[name] = field.default
                if field.required and field.default is None:
                    problems.append(Problem(before + name, "Required", "must not be emptied"))
            else:
                doc[name] = check(value, before + name, problems)
        return doc

    def _is_object(self, body: Any, path: str, problems: list[Problem]) -> bool:
        if type(body) is not dict:
            problems.append(Problem(path or "body", "WrongType", "must be an object"))
            return False
        before = f"{path}." if path else ""
        if not body.keys() <= self._known:
            for name in (n for n in body if n not in self._known):
                problems.append(Problem(before + name, "UnknownField", "is not a field of this entity"))
        return True


@cache
def checker(name: str) -> Checker:
    """The checker of an entity or shape, compiled once."""
    known = catalogue()
    entity = known.entities.get(name)
    if entity is None:
        fields = known.shapes[name]
        return Checker(fields, id_field="LineItemID" if "LineItemID" in fields else None)
    return Checker(entity.fields, id_field=entity.id if entity.parent else None)


def _check(field: Field) -> Check:
    if field.type == "address":
        return _address
    if field.type == "list":
        return _texts(field) if field.of == "string" else _items(field)
    return scalar_check(field)


def _address(value: Any, path: str, problems: list[Problem]) -> Any:
    """An address as an object or as one text; either is kept as it was sent."""
    if type(value) is str:
        if len(value) > LONGEST_ADDRESS:
            problems.append(Problem(path, "TooLong", f"has {len(value)} characters, at most {LONGEST_ADDRESS} fit"))
        elif holds_card_number(value):
            problems.append(card_number(path))
            return None
        return value
    return checker("Address").part(value, path, problems)


def _list(value: Any, path: str, problems: list[Problem]) -> list[Any]:
    if type(value) is not list:
        problems.append(Problem(path, "WrongType", "must be a list"))
        return []
    if len(value) > MOST_ITEMS:
        problems.append(Problem(path, "TooMany", f"holds {len(value)} items, at most {MOST_ITEMS} fit"))
        return []
    return value


def _texts(field: Field) -> Check:
    check = scalar_check(Field(type="string", max=field.max))

    def checked(value: Any, path: str, problems: list[Problem]) -> Any:
        items = _list(value, path, problems)
        return [check(item, f"{path}[{place}]", problems) for place, item in enumerate(items)]

    return checked


def _items(field: Field) -> Check:
    shape = str(field.of)

    def checked(value: Any, path: str, problems: list[Problem]) -> Any:
        items = _list(value, path, problems)
        inner = checker(shape)  # looked up here because shapes may hold shapes
        return [inner.whole(item, f"{path}[{place}]", problems) for place, item in enumerate(items)]

    return checked
