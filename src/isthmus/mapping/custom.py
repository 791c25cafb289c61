"""Custom fields: canonical fields of a pair's own, and which custom fields of two systems belong together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from rapidfuzz import fuzz

from isthmus.errors import Misconfigured
from isthmus.mapping.model import Mapping as MappingFile
from isthmus.model.canonical import CanonicalEntity, CanonicalField
from isthmus.model.policy import FieldPolicy
from isthmus.model.schema import EntitySchema, Field, FieldType

_NAME = re.compile(r"^[a-z][a-z0-9_]{0,62}$")
_LIKE = 88
"""How alike two names have to be, of 100, to be taken for the same field."""

_MIDDLE = MappingProxyType(
    {
        FieldType.STRING: FieldType.STRING,
        FieldType.ENUM: FieldType.STRING,
        FieldType.TEXT: FieldType.TEXT,
        FieldType.INTEGER: FieldType.INTEGER,
        FieldType.DECIMAL: FieldType.DECIMAL,
        FieldType.BOOLEAN: FieldType.BOOLEAN,
        FieldType.DATE: FieldType.DATE,
        FieldType.DATETIME: FieldType.DATETIME,
    }
)
"""Types that can be mapped at once, with the type they have in the middle."""
_TEXTS = frozenset((FieldType.STRING, FieldType.TEXT))


def extended(entity: CanonicalEntity, mappings: Iterable[MappingFile]) -> CanonicalEntity:
    """The Entity with the fields that a pair's Mappings declare as their own."""
    fields = dict(entity.fields)
    for mapping in mappings:
        for name, told in mapping.extra.items():
            if name in entity.fields:
                raise Misconfigured(
                    f"reading {mapping.mapping}, extra.{name}: {entity.name} has a field of this name already",
                    hint="Give the field another name.",
                )
            if not _NAME.match(name):
                raise Misconfigured(
                    f"reading {mapping.mapping}, extra.{name}: it is no name of a field",
                    hint="Small letters, digits and underscores, beginning with a letter.",
                )
            made = CanonicalField(
                name=name,
                type=told.type,
                label=told.label or name.replace("_", " ").capitalize(),
                help=told.help,
                scale=told.scale,
                custom=True,
                policy=FieldPolicy(rule=told.rule),
            )
            if fields.setdefault(name, made) != made:
                raise Misconfigured(
                    f"reading {mapping.mapping}, extra.{name}: the other mapping declares it differently",
                    hint="Declare it in one of the two mappings only.",
                )
    return replace(entity, fields=MappingProxyType(fields)) if len(fields) > len(entity.fields) else entity


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A custom field of both systems that can be mapped as it is.

    `likeness` of their names is out of 100; 0 says that the right one comes into being when it is first written.
    """

    name: str
    type: FieldType
    label: str
    left: str
    right: str
    likeness: int


def custom_fields(schema: EntitySchema) -> list[Field]:
    """The custom fields of a system's Entity that hold single values, by name: marked so, or inside an open object."""
    return sorted(
        (f for f in schema.fields.values() if f.type in _MIDDLE and (f.custom or _inside(schema, f))),
        key=lambda f: f.name,
    )


def _inside(schema: EntitySchema, field: Field) -> bool:
    parent = schema.fields.get(field.name.rpartition(".")[0])
    return parent is not None and parent.type is FieldType.OBJECT


def _open_object(schema: EntitySchema) -> str | None:
    """The object of an Entity that takes custom fields of any name, if it has one."""
    return next(
        (f.name for f in schema.fields.values() if f.type is FieldType.OBJECT and "custom" in f.name.casefold()), None
    )


def proposals(left: EntitySchema, right: EntitySchema, taken: Iterable[str] = ()) -> list[Proposal]:
    """Custom fields of both systems whose names and types say that they are the same; each is used once.

    Where the right system takes custom fields of any name, those of the left that found none are offered such a one.
    `taken` are canonical names that are in use and raw paths that are mapped already.
    """
    used = set(taken)
    pairs = sorted(
        (
            (-_likeness(a, b), a.name, b.name, a, b)
            for a in custom_fields(left)
            for b in custom_fields(right)
            if _fits(a, b) and _likeness(a, b) >= _LIKE
        ),
        key=lambda found: found[:3],
    )
    out: list[Proposal] = []
    for unlike, _, _, a, b in pairs:
        if a.name in used or b.name in used:
            continue
        used |= {a.name, b.name}
        name = _free(_plain(a.name).replace(" ", "_"), used)
        used.add(name)
        out.append(
            Proposal(
                name=name, type=_middle(a, b), label=a.label or b.label, left=a.name, right=b.name, likeness=-unlike
            )
        )
    home = _open_object(right)
    for field in custom_fields(left) if home else ():
        path = f"{home}.{_plain(field.name).title().replace(' ', '')}"
        if path not in right.fields and not {field.name, path} & used:
            used |= {field.name, path}
            name = _free(_plain(field.name).replace(" ", "_"), used)
            used.add(name)
            out.append(
                Proposal(
                    name=name, type=_MIDDLE[field.type], label=field.label, left=field.name, right=path, likeness=0
                )
            )
    return sorted(out, key=lambda p: p.name)


def _fits(a: Field, b: Field) -> bool:
    one, two = _MIDDLE[a.type], _MIDDLE[b.type]
    return one == two or (one in _TEXTS and two in _TEXTS)


def _middle(a: Field, b: Field) -> FieldType:
    one, two = _MIDDLE[a.type], _MIDDLE[b.type]
    return one if one == two else FieldType.TEXT


def _likeness(a: Field, b: Field) -> int:
    names = round(fuzz.ratio(_plain(a.name), _plain(b.name)))
    labels = round(fuzz.ratio(_plain(a.label), _plain(b.label))) if a.label and b.label else 0
    return max(names, labels)


def _plain(name: str) -> str:
    """What a field is called without the marks that make it a custom one: `x_studio_segment` is `segment`."""
    bare = name.rpartition(".")[2]
    bare = re.sub(r"^x_(studio_)?", "", bare)
    bare = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", bare)
    return " ".join(re.sub(r"[^0-9a-z]+", " ", bare.casefold()).split())


def _free(name: str, used: set[str]) -> str:
    name = re.sub(r"^[^a-z]+", "", name)[:60] or "field"
    return next(n for n in (name, *(f"{name}_{i}" for i in range(2, 1_000))) if n not in used)


def with_fields(text: str, chosen: Iterable[Proposal], paths: Mapping[str, str], *, declares: bool) -> str:
    """The text of a mapping with these fields added: `paths` gives the raw path of each, `declares` the types too."""
    lines = text.rstrip("\n").split("\n")
    listed = list(chosen)
    at = next((n for n, line in enumerate(lines) if line.split("#")[0].rstrip() == "fields:"), None)
    if at is None:
        raise Misconfigured(
            "adding custom fields to a mapping: it has no line `fields:`", hint="Write its fields below `fields:`."
        )
    lines[at + 1 : at + 1] = [f"  {p.name}: {{from: {_quoted(paths[p.name])}}}" for p in listed]
    if declares:
        made = [f"  {p.name}: {{type: {p.type.value}, label: {_quoted(p.label or p.name)}}}" for p in listed]
        there = next((n for n, line in enumerate(lines) if line.rstrip() == "extra:"), None)
        if there is None:
            lines[at:at] = ["extra:", *made]
        else:
            lines[there + 1 : there + 1] = made
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
