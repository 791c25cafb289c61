"""Between a record and the form of its screen: the inputs, and what a person changed in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from .errors import ApiError, Problem, invalid
from .http import decoded
from .schema import DECIMAL_PLACES, Catalogue, Doc, Entity, Field
from .values import encode

_LONG = 400


def shown(known: Catalogue, entity: Entity, doc: Doc | None, told: Mapping[str, str] | None = None) -> str:
    """The inputs of a form, filled with the record, or with what a refused form `told`; read-only fields as text."""
    out = []
    for field in entity.fields.values():
        if field.name in (entity.id, "Version", "UpdatedAt"):
            continue
        mark = " *" if field.required and field.default is None else ""
        note = f"<br><small>{escape(field.note)}</small>" if field.note else ""
        label = f'<label for="{field.name}">{field.name}{mark}{note}</label>'
        if field.readonly:
            if doc is not None:
                out.append(f"{label}<span>{escape(_text(field, doc[field.name]))}</span>")
        elif field.type == "address":
            out.append(label + _address(known, field, doc, told))
        else:
            value = _text(field, doc[field.name] if doc is not None else field.default)
            out.append(label + _input(field, field.name, told.get(field.name, value) if told else value))
    return "".join(out)


def _text(field: Field, value: Any) -> str:
    if value is None:
        return ""
    return encode(value).decode() if field.type in ("object", "list", "boolean") else str(value)


def _input(field: Field, name: str, text: str) -> str:
    shown_text = escape(text, quote=True)
    if field.type in ("enum", "boolean"):
        options = field.values or ("true", "false")
        chosen = "".join(f"<option{' selected' if text == one else ''}>{one}</option>" for one in options)
        empty = "" if field.required else "<option></option>"
        return f'<select id="{name}" name="{name}">{empty}{chosen}</select>'
    if field.type in ("object", "list") or (field.max or 0) > _LONG:
        return f'<textarea id="{name}" name="{name}" rows=4>{shown_text}</textarea>'
    return f'<input id="{name}" name="{name}" value="{shown_text}">'


def _address(known: Catalogue, field: Field, doc: Doc | None, told: Mapping[str, str] | None) -> str:
    """An address has one box per part; one that is a single text has one box."""
    value = doc[field.name] if doc is not None else None
    if isinstance(value, str):
        text = escape(told.get(field.name, value) if told else value)
        return f'<textarea id="{field.name}" name="{field.name}" rows=3>{text}</textarea>'
    parts = []
    for name, part in _parts(known, field):
        now = (value or {}).get(part.name) or ""
        text = escape(told.get(name, now) if told else now, quote=True)
        parts.append(f'<input name="{name}" value="{text}" placeholder="{part.name}">')
    return f'<fieldset id="{field.name}">{"".join(parts)}</fieldset>'


def _parts(known: Catalogue, field: Field) -> Iterator[tuple[str, Field]]:
    return ((f"{field.name}.{part.name}", part) for part in known.shapes["Address"].values())


def read(known: Catalogue, entity: Entity, doc: Doc | None, told: Mapping[str, str]) -> Doc:
    """What the person changed; raises ApiError where a text is no value of its field."""
    out: Doc = {}
    problems: list[Problem] = []
    for field in entity.fields.values():
        if field.readonly:
            continue
        old = doc[field.name] if doc is not None else None
        if field.type == "address" and not isinstance(old, str):
            new: Any = _address_of(known, field, old, told)
        elif field.name in told:
            new = _value(field, told[field.name], problems)
        else:
            continue
        if new != old and not (field.type in DECIMAL_PLACES and _text(field, old) == new):
            out[field.name] = new
    if problems:
        raise invalid(problems)
    return out


def _address_of(known: Catalogue, field: Field, old: Doc | None, told: Mapping[str, str]) -> Doc | None:
    parts = {part.name: told.get(name, "").strip() for name, part in _parts(known, field)}
    new = {name: text for name, text in parts.items() if text}
    was = {name: text for name, text in (old or {}).items() if text}
    return old if new == was else new or None


def _value(field: Field, text: str, problems: list[Problem]) -> Any:
    """The value in an input; browsers send line ends as CR LF."""
    text = text.replace("\r\n", "\n")
    if not text.strip():
        return None
    if field.type in ("object", "list", "boolean", "integer"):
        try:
            return decoded(text.encode())
        except ApiError:
            problems.append(Problem(field.name, "BadFormat", "is no JSON"))
            return None
    return text if field.type == "string" else text.strip()
