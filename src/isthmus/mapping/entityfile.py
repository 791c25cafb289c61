"""The entity file: a canonical Entity of a pair's own, described as data; every error with path and line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from isthmus.errors import Misconfigured
from isthmus.mapping.model import validated
from isthmus.model.canonical import CanonicalEntity, CanonicalField, MatchKey
from isthmus.model.entities import ENTITIES
from isthmus.model.policy import Direction, Empties, FieldPolicy, Rule
from isthmus.model.schema import FieldType

_NAME = r"^[a-z][a-z0-9_]{0,62}$"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FieldFile(_Part):
    """One field of the Entity."""

    type: FieldType = Field(FieldType.STRING, description="Its type in the middle.")
    label: str = Field("", description="What people see; default: its name.")
    help: str = Field("", description="What it is for.")
    required: bool = Field(False, description="A record without it cannot travel.")
    max_length: int | None = Field(None, ge=1, description="Longest text.")
    scale: int | None = Field(None, ge=0, le=12, description="Decimal places.")
    choices: dict[str, str] = Field(default_factory=dict, description="For an enum: word → what people see.")
    target: str | None = Field(None, description="For a reference: the Entity of this pair that it points to.")
    later: bool = Field(False, description="A reference that may follow once the record it points to is linked.")
    rule: Rule = Field(Rule.NEWEST, description="Who wins when both sides changed it.")
    otherwise: Rule = Field(Rule.LEFT, description="Who wins when `newest` cannot be told.")
    empties: Empties = Field(Empties.TRAVEL, description="Whether emptying it travels or a filled value is kept.")
    strict: bool = Field(False, description="The owner's value also replaces an edit made only on the other side.")
    direction: Direction = Field("both", description="Where values of this field may be written at all.")

    @model_validator(mode="after")
    def _whole(self) -> FieldFile:
        if (self.type is FieldType.REFERENCE) != (self.target is not None):
            raise ValueError("a reference names its target, and nothing else does: `{type: reference, target: ENTITY}`")
        if (self.type is FieldType.ENUM) != bool(self.choices):
            raise ValueError("an enum lists its choices, and nothing else does: `choices: {word: What people see}`")
        if self.later and self.type is not FieldType.REFERENCE:
            raise ValueError("only a reference can follow later")
        return self


class KeyFile(_Part):
    """One way to recognise a counterpart."""

    field: str = Field(description="The field that is compared.")
    also: list[str] = Field(default_factory=list, description="Further fields without which it is no key.")
    strong: bool = Field(True, description="Links by itself; otherwise it only proposes and a person decides.")
    normalise: Literal["casefold", "alphanumeric", "vat", "email", "phone"] = Field(
        "casefold", description="What does not count when values are compared."
    )


class EntityDescription(_Part):
    """A canonical Entity: its fields, how a counterpart is recognised, and who owns what."""

    entity: str = Field(pattern=_NAME, description="Its name, which the pair file and the Mappings use.")
    label: str = Field("", description="What people see; default: its name.")
    extends: str | None = Field(None, description="A shipped Entity whose fields and match keys it has as well.")
    fields: dict[str, FieldFile] = Field(default_factory=dict, description="Field → what it is.")
    match: list[str | KeyFile] | None = Field(None, description="Match keys; of a plain name, a strong key.")
    depends_on: list[str] = Field(default_factory=list, description="Entities whose records come first.")
    status_field: str | None = Field(None, description="The yes-or-no field that is false for archived records.")
    owned_by: str | None = Field(None, description="The field whose value says which side owns a record.")
    as_of: str | None = Field(None, description="The field that says when the record was true.")

    @model_validator(mode="after")
    def _fits(self) -> EntityDescription:
        if self.entity in ENTITIES:
            raise ValueError(f"an Entity called {self.entity} ships already; give it another name, or `extends` it")
        if self.extends is not None and self.extends not in ENTITIES:
            raise ValueError(f"extends: there is no Entity {self.extends}; there are {', '.join(ENTITIES)}")
        base = ENTITIES[self.extends].fields if self.extends else {}
        if not base and not self.fields:
            raise ValueError("it has no fields")
        bad = [name for name in self.fields if not name.isidentifier() or name != name.lower() or len(name) > 63]
        if bad:
            raise ValueError(f"fields: {', '.join(bad)} is no name of a field: small letters, digits and _ only")
        known = base.keys() | self.fields.keys()
        for place, names in self._named().items():
            lost = [name for name in names if name not in known]
            if lost:
                raise ValueError(f"{place}: there is no field {', '.join(lost)}; there are {', '.join(sorted(known))}")
        status = self.fields.get(self.status_field or "")
        if status is not None and status.type is not FieldType.BOOLEAN:
            raise ValueError(f"status_field: {self.status_field} is {status.type.value}, not boolean")
        return self

    def _named(self) -> Mapping[str, list[str]]:
        out = {name: [value] for name in ("status_field", "owned_by", "as_of") if (value := getattr(self, name))}
        for n, key in enumerate(self.match or []):
            out[f"match.{n}"] = [key] if isinstance(key, str) else [key.field, *key.also]
        return out


def load_entity(path: str, text: str) -> CanonicalEntity:
    """The canonical Entity of a file `entities/NAME.yaml`; Misconfigured lists every error with its line."""
    told = validated(EntityDescription, text, path)
    if PurePosixPath(path).stem != told.entity:
        raise Misconfigured(
            f"reading {path}: it describes {told.entity}",
            hint=f"Call the file entities/{told.entity}.yaml.",
        )
    return canonical(told)


def canonical(told: EntityDescription) -> CanonicalEntity:
    """The Entity as the rest of the product knows it."""
    base = ENTITIES[told.extends] if told.extends else None
    fields = {**(base.fields if base else {}), **{name: _field(name, one) for name, one in told.fields.items()}}
    keys = [KeyFile.model_validate({"field": key}) if isinstance(key, str) else key for key in told.match or []]
    match = tuple(MatchKey(field=k.field, also=tuple(k.also), strong=k.strong, normalise=k.normalise) for k in keys)
    targets = {f.target for f in fields.values() if f.target} | set(base.depends_on if base else ())
    return CanonicalEntity(
        name=told.entity,
        label=told.label or told.entity.replace("_", " ").capitalize(),
        fields=MappingProxyType(fields),
        match=base.match if base and told.match is None else match,
        depends_on=tuple(sorted({*told.depends_on, *targets})),
        status_field=told.status_field or (base.status_field if base else "active" if "active" in fields else None),
        owned_by=told.owned_by or (base.owned_by if base else None),
        as_of=told.as_of or (base.as_of if base else None),
        extends=told.extends,
    )


def _field(name: str, told: FieldFile) -> CanonicalField:
    return CanonicalField(
        name=name,
        type=told.type,
        label=told.label or name.replace("_", " ").capitalize(),
        help=told.help,
        required=told.required,
        max_length=told.max_length,
        scale=told.scale,
        choices=tuple(told.choices.items()),
        target=told.target,
        custom=True,
        later=told.later,
        policy=FieldPolicy(
            rule=told.rule,
            otherwise=told.otherwise,
            empties=told.empties,
            strict=told.strict,
            direction=told.direction,
        ),
    )


def entities_of(files: Mapping[str, str]) -> Mapping[str, CanonicalEntity]:
    """Every Entity a pair can use by name: those that ship and those its own files describe."""
    own = {
        one.name: one
        for path, text in sorted(files.items())
        if path.startswith("entities/")
        for one in (load_entity(path, text),)
    }
    known = {**ENTITIES, **own}
    for one in own.values():
        for name, target in one.references().items():
            if target not in known:
                raise Misconfigured(
                    f"reading entities/{one.name}.yaml, fields.{name}: there is no Entity {target}",
                    hint=f"There are {', '.join(known)}.",
                )
    return known
