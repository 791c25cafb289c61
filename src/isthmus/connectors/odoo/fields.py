"""What Odoo says of its models' fields: asked once per model, for the codec, for `describe` and for writing."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from isthmus.connectors.odoo.private import PRIVATE, is_private
from isthmus.connectors.odoo.wire import Wire
from isthmus.sdk import EntitySchema, Field, FieldType, Misconfigured, SchemaDrift
from isthmus.sdk.together import together

ATTRIBUTES = (
    "type", "string", "help", "required", "readonly", "relation", "relation_field", "selection", "digits", "size",
    "store", "searchable", "translate", "company_dependent", "domain", "depends",
)  # fmt: skip
ACTIVE = ("active", "x_active")
"""What Odoo itself takes for the mark of archived records; models made by hand have the second one."""
X2MANY = ("one2many", "many2many")
NUMBERS = ("float", "monetary")
_TYPES: Mapping[str, FieldType] = {
    "char": FieldType.STRING,
    "text": FieldType.TEXT,
    "html": FieldType.HTML,
    "integer": FieldType.INTEGER,
    "float": FieldType.DECIMAL,
    "monetary": FieldType.DECIMAL,
    "boolean": FieldType.BOOLEAN,
    "date": FieldType.DATE,
    "datetime": FieldType.DATETIME,
    "selection": FieldType.ENUM,
    "many2one": FieldType.REFERENCE,
    "many2one_reference": FieldType.INTEGER,
    "reference": FieldType.STRING,
    "one2many": FieldType.LIST,
    "many2many": FieldType.LIST,
    "binary": FieldType.BINARY,
    "image": FieldType.BINARY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OdooField:
    """One field as `fields_get` tells of it. `scale` is None where Odoo does not say how many decimal places."""

    name: str
    type: str
    label: str = ""
    help: str = ""
    required: bool = False
    readonly: bool = False
    relation: str = ""
    inverse: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    scale: int | None = None
    size: int | None = None
    stored: bool = True
    searchable: bool = True
    translated: bool = False
    per_company: bool = False
    computed: bool = False
    domain: tuple[Any, ...] = ()

    @property
    def many(self) -> bool:
        """Whether it holds several records."""
        return self.type in X2MANY

    @property
    def refers(self) -> bool:
        """Whether it leads to records of another model."""
        return self.many or self.type == "many2one"

    def described(self) -> Field:
        """The field as the product's schema has it."""
        return Field(
            name=self.name,
            type=_TYPES.get(self.type, FieldType.OBJECT),
            label=self.label,
            help=self.help,
            required=self.required,
            readonly=self.readonly,
            max_length=self.size or None,
            scale=self.scale,
            choices=self.choices,
            target=self.relation or None,
            custom=self.name.startswith("x_"),
            translated=self.translated,
            per_company=self.per_company,
            searchable=self.searchable,
        )


@dataclass(frozen=True, slots=True)
class OdooModel:
    """A model and its fields by name; `private` are those that are never read."""

    name: str
    fields: Mapping[str, OdooField] = field(default_factory=dict)
    private: frozenset[str] = frozenset()

    def get(self, name: str) -> OdooField:
        """A field; raises SchemaDrift when the model has none of that name."""
        found = self.fields.get(name)
        if found is None and is_private(self.name, name):
            raise SchemaDrift(
                f"looking for the field {name} of {self.name}: it is {PRIVATE}",
                hint="Take it out of the mapping; only work data of employees travels.",
                facts={"model": self.name, "field": name},
            )
        if found is None:
            raise SchemaDrift(
                f"looking for the field {name} of {self.name}: there is none (any more)",
                facts={"model": self.name, "field": name},
            )
        return found

    @property
    def active(self) -> str | None:
        """The field that is false for archived records, where the model has one."""
        return next((name for name in ACTIVE if name in self.fields), None)

    def has(self, name: str) -> bool:
        """Whether the model has this field."""
        return name in self.fields


class Fields:
    """The models as they are now; a field that is not known is asked for again once per minute."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._models: dict[str, OdooModel] = {}
        self._read_at: dict[str, float] = {}
        self._defaults: dict[str, Mapping[str, Any]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def model(self, name: str, *wanted: str, fresh: bool = False) -> OdooModel:
        """The model; asked for again when it lacks one of `wanted`. Raises SchemaDrift when there is none."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            known = self._models.get(name)
            age = self._wire.clock.monotonic() - self._read_at.get(name, 0.0)
            lacking = known is not None and any(one not in known.fields for one in wanted) and age > 60
            if known is None or fresh or lacking:
                known = self._models[name] = await self._ask(name)
                self._read_at[name] = self._wire.clock.monotonic()
                self._defaults.pop(name, None)
            return known

    async def defaults(self, name: str) -> Mapping[str, Any]:
        """Values that Odoo puts into a new record by itself, by field; computed ones are not among them."""
        if name not in self._defaults:
            model = await self.model(name)
            asked = [one.name for one in model.fields.values() if one.stored and not one.many]
            told = await self._wire.call(
                name, "default_get", doing=f"asking for the defaults of {name}", reads=True, fields=asked
            )
            self._defaults[name] = {field: value for field, value in told.items() if value not in (False, None, "")}
        return self._defaults[name]

    async def schema(self, name: str) -> EntitySchema:
        """The Entity as it is now, custom fields included, with the rights of this user."""
        model = await self.model(name, fresh=True)
        create, write, unlink = await together(*(self.may(name, right) for right in ("create", "write", "unlink")))
        return EntitySchema(
            name=name,
            label=await self._label(name),
            fields={one.name: one.described() for one in model.fields.values()},
            can_create=create,
            can_update=write,
            can_delete=unlink,
            withheld=dict.fromkeys(sorted(model.private), PRIVATE),
        )

    async def _label(self, name: str) -> str:
        if not await self.may("ir.model", "read"):
            return name
        rows = await self._wire.call(
            "ir.model", "search_read", doing=f"asking for the name of {name}", reads=True,
            domain=[["model", "=", name]], fields=["name"], limit=1,
        )  # fmt: skip
        return str(rows[0]["name"]) if rows else name

    async def may(self, name: str, right: str) -> bool:
        """Whether this user has a right (read, create, write, unlink) on a model as a whole."""
        major = int((await self._wire.version()).get("server_version_info", [19])[0])
        doing = f"asking for the right to {right} {name}"
        if major >= 18:
            return bool(await self._wire.call(name, "has_access", doing=doing, ids=[], reads=True, operation=right))
        return bool(
            await self._wire.call(
                name, "check_access_rights", doing=doing, reads=True, operation=right, raise_exception=False
            )
        )

    async def _ask(self, name: str) -> OdooModel:
        try:
            told = await self._wire.call(
                name, "fields_get", doing=f"asking Odoo for the fields of {name}", reads=True, attributes=[*ATTRIBUTES]
            )
        except Misconfigured as error:
            if error.facts.get("access"):
                raise
            raise SchemaDrift(
                f"looking for the model {name}: this Odoo has none",
                answered=error.answered,
                hint=f"Install the app that brings {name}, or correct the mapping.",
                facts={"model": name},
            ) from error
        private = frozenset(field for field in told if is_private(name, field))
        return OdooModel(name, {f: _field(f, spec) for f, spec in told.items() if f not in private}, private)


def _field(name: str, spec: Mapping[str, Any]) -> OdooField:
    digits = spec.get("digits")
    choices = spec.get("selection") if isinstance(spec.get("selection"), list) else ()
    return OdooField(
        name=name,
        type=str(spec["type"]),
        label=str(spec.get("string") or name),
        help=str(spec.get("help") or ""),
        required=bool(spec.get("required")),
        readonly=bool(spec.get("readonly")),
        relation=str(spec.get("relation") or ""),
        inverse=str(spec.get("relation_field") or ""),
        choices=tuple((str(value), str(label)) for value, label in choices or ()),
        scale=int(digits[1]) if digits else None,
        size=spec.get("size") or None,
        stored=bool(spec.get("store", True)),
        searchable=bool(spec.get("searchable", True)),
        translated=bool(spec.get("translate")),
        per_company=bool(spec.get("company_dependent")),
        computed=bool(spec.get("depends")),
        domain=_literal_domain(spec.get("domain")),
    )


def _literal_domain(told: Any) -> tuple[Any, ...]:
    """A field's domain where it is plain data; of one that depends on the record, the conditions that do not."""
    if isinstance(told, list):
        return tuple(told)
    if not isinstance(told, str):
        return ()
    try:
        return _conditions(ast.parse(told.strip(), mode="eval").body)
    except (ValueError, SyntaxError):
        return ()


def _conditions(node: ast.expr) -> tuple[Any, ...]:
    """The plain conditions of a domain's source: added lists are all of them meant, choices between lists are not."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return (*_conditions(node.left), *_conditions(node.right))
    if not isinstance(node, ast.List):
        return ()
    try:
        return tuple(ast.literal_eval(node))
    except ValueError:
        if any(isinstance(one, ast.Constant) for one in node.elts):
            return ()  # with an `or` between the conditions none of them can be left out
    out: list[Any] = []
    for one in node.elts:
        try:
            out.append(ast.literal_eval(one))
        except ValueError:
            continue
    return tuple(out)
