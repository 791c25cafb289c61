"""The mapping file: which canonical field is which raw path, through which steps; every error with path and line."""

from __future__ import annotations

import re
from collections.abc import Mapping as MappingOf
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from isthmus.errors import Misconfigured
from isthmus.model.policy import Rule
from isthmus.model.schema import FieldType

StepSpec = str | dict[str, Any]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Instead(_Part):
    """Other raw paths for the same parts, used while the record has something at `when`."""

    when: str = Field(description="Raw path that must hold something for these paths to be used.")
    from_: str | dict[str, str] = Field(alias="from", description="The paths used then.")


class Clear(_Part):
    """How emptying is written where the parts themselves cannot be emptied (a child record is archived)."""

    when: str = Field(description="Raw path that says there is something to clear.")
    write: dict[str, Any] = Field(min_length=1, description="Raw paths and the values that clear it.")


class Charge(_Part):
    """An amount of the whole document that is a row of its own over there: shipping on a product made for it."""

    row: str = Field(description="Raw path of a row that tells such a row.")
    is_: str | None = Field(None, alias="is", description="What stands there, or `$setting`; unset: there are none.")
    amount: str = Field(description="Raw path of a row that holds the amount.")
    write: str = Field(description="Raw path of a row that the amount is written to.")
    negative: bool = Field(False, description="The row takes the amount off.")
    on_create: dict[str, Any] = Field(default_factory=dict, description="Raw values of a new row, or `$setting`.")


class Rows(_Part):
    """How the rows of a list meet the raw record's own: each row is a small record with fields of its own."""

    id: str | None = Field(None, description="Raw path that identifies a row over there.")
    when: str | None = Field(None, description="CEL over the raw row: only such rows take part, others are left alone.")
    match: list[str] = Field(default_factory=list, description="Parts that say which rows of both sides are one.")
    number: str | None = Field(
        None, description="The part that numbers rows; where numbers are missing or double, rows are numbered by place."
    )
    on_create: dict[str, Any] = Field(default_factory=dict, description="Raw values every new row gets.")
    follows: dict[str, str] = Field(
        default_factory=dict,
        description="Raw path of a row → the one it follows from over there: emptied where that one is changed.",
    )
    fields: dict[str, FieldMap] = Field(default_factory=dict, description="Part of a row → how it is mapped.")
    together: list[FieldMap] = Field(default_factory=list, description="Parts that share raw paths.")
    sums: dict[str, str] = Field(
        default_factory=dict, description="Canonical field → raw path of a row: read as the sum over the rows."
    )
    charges: dict[str, Charge] = Field(
        default_factory=dict, description="Canonical field → the row that holds this amount of the whole document."
    )


class FieldMap(_Part):
    """How one canonical field, or several that belong together, meet the raw record."""

    from_: str | dict[str, str] | None = Field(
        None, alias="from", description="Raw path, or part → raw path where several paths make up the value."
    )
    fields: list[str] = Field(default_factory=list, description="In `together`: the canonical fields written as one.")
    steps: list[StepSpec] | None = Field(
        None, description="Steps from raw to canonical; default: those of the canonical field's type."
    )
    write_steps: list[StepSpec] | None = Field(
        None, description="Steps from canonical to raw, in order, where the reverse of `steps` is not wanted."
    )
    direction: Literal["both", "read", "write"] = Field("both", description="Whether it is read, written or both.")
    default: Any = Field(None, description="Canonical value of new records where the other side has none.")
    empties: Literal["write", "skip"] = Field("write", description="Whether emptying is written or left out.")
    write_when: str | None = Field(None, description="CEL over the raw record: written only where it holds.")
    at_creation: bool = Field(True, description="Whether new records get it; otherwise it follows with a later look.")
    normalise: list[StepSpec] = Field(
        default_factory=list, description="What the system itself does to a value when it is stored."
    )
    required: bool = Field(False, description="The system refuses a record without it.")
    optional: bool = Field(False, description="Left out where the system has no such field.")
    needs: list[str] = Field(default_factory=list, description="Settings without which it is left out.")
    max_length: int | None = Field(None, ge=1, description="Longest text; default: the system's own limit.")
    too_long: Literal["hold", "cut"] = Field("hold", description="What happens to longer text.")
    instead: Instead | None = Field(None, description="Other paths used while the record has them.")
    clear: Clear | None = Field(None, description="How emptying is written.")
    each: Rows | None = Field(None, description="The value is a list of rows: how each of them is mapped.")
    help: str = Field("", description="Why it is mapped like this.")

    @model_validator(mode="after")
    def _whole(self) -> FieldMap:
        if self.from_ is None and self.steps is None:
            raise ValueError("say where the value comes from: `from: path`")
        if isinstance(self.from_, dict) and not self.from_:
            raise ValueError("`from` names no path")
        if self.instead is not None and isinstance(self.instead.from_, str) != isinstance(self.from_, str):
            raise ValueError("`instead.from` has the same form as `from`")
        if self.each is not None and not isinstance(self.from_, str):
            raise ValueError("rows come from one path: `from: path`")
        return self


Rows.model_rebuild()


class Offer(_Part):
    """A field that can be made in the system for this mapping; nothing needs it."""

    type: Literal["string", "text", "integer", "decimal", "boolean", "date"] = Field(description="Its type.")
    label: str = Field(description="What people see.")


class Extra(_Part):
    """A canonical field of this pair's own, for custom fields of both systems."""

    type: FieldType = Field(FieldType.STRING, description="Its type in the middle.")
    label: str = Field("", description="What people see; default: its name.")
    help: str = Field("", description="What it is for.")
    rule: Rule = Field(Rule.NEWEST, description="Who wins when both sides changed it: left, right, newest or ask.")
    scale: int | None = Field(None, ge=0, le=12, description="Decimal places.")


class Mapping(_Part):
    """One system's form of one Entity."""

    mapping: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Name of the mapping.")
    version: int = Field(1, ge=1, description="Counts up with every published change.")
    summary: str = Field("", description="One sentence for the catalogue.")
    system: str = Field(description="Connector key, which is also the column of look-up tables.")
    system_entity: str = Field(description="The system's own name of the Entity.")
    canonical: str = Field(description="Name of the canonical Entity.")
    scope: Any = Field(None, description="Connector-native filter: which records take part.")
    on_create: dict[str, Any] = Field(default_factory=dict, description="Raw values every new record gets.")
    fields: dict[str, FieldMap] = Field(description="Canonical field → how it is mapped.")
    together: list[FieldMap] = Field(default_factory=list, description="Canonical fields that share raw paths.")
    offers: dict[str, Offer] = Field(
        default_factory=dict, description="Fields that can be made in the system for it, which work goes on without."
    )
    extra: dict[str, Extra] = Field(
        default_factory=dict, description="Canonical fields of this pair's own; one of the two mappings declares them."
    )
    settings: dict[str, str] = Field(default_factory=dict, description="Settings it uses, each with its sentence.")

    @model_validator(mode="after")
    def _once(self) -> Mapping:
        seen: set[str] = set()
        charges = [n for told in self.fields.values() if told.each for n in (*told.each.charges, *told.each.sums)]
        for name in [*self.fields, *charges, *(f for group in self.together for f in group.fields)]:
            if name in seen:
                raise ValueError(f"{name} is mapped twice")
            seen.add(name)
        used = {told.from_ for told in self.fields.values() if told.optional and isinstance(told.from_, str)}
        idle = sorted(self.offers.keys() - used)
        if idle:
            raise ValueError(f"offers: no optional field is mapped from {', '.join(idle)}")
        for i, group in enumerate(self.together):
            if not group.fields:
                raise ValueError(f"together.{i}: names no fields")
        return self


class _Loader(yaml.CSafeLoader):
    """YAML where only true and false are truth values, and numbers with decimals and dates stay text.

    The parser in C is ten times as fast, and a pair has some thirty files.
    """


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))

_MAX_FILE = 512_000


def read_yaml(text: str, where: str) -> tuple[Any, dict[tuple[Any, ...], int]]:
    """The document and the line of every path in it; Misconfigured with the line where it is not YAML."""
    if len(text) > _MAX_FILE:
        raise Misconfigured(f"reading {where}: it is longer than {_MAX_FILE} characters")
    lines: dict[tuple[Any, ...], int] = {}
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is not None:
                _note_lines(node, (), lines, where)
            return (loader.construct_document(node) if node is not None else None), lines
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise Misconfigured(
            f"reading {where}{line}: {getattr(error, 'problem', None) or 'it is not YAML'}",
            hint="Correct the file at that line.",
        ) from error
    except (RecursionError, ValueError) as error:
        raise Misconfigured(f"reading {where}: {error}", hint="Correct the file.") from error


def _note_lines(node: yaml.Node, path: tuple[Any, ...], lines: dict[tuple[Any, ...], int], where: str) -> None:
    lines[path] = node.start_mark.line + 1
    if len(path) > 40:
        raise Misconfigured(f"reading {where}, line {lines[path]}: it is nested too deeply")
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is None:
                continue
            if name in seen:
                raise Misconfigured(f"reading {where}, line {key.start_mark.line + 1}: {name} stands there twice")
            seen.add(name)
            _note_lines(value, (*path, name), lines, where)
            lines[(*path, name)] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            _note_lines(item, (*path, i), lines, where)


T = TypeVar("T", bound=BaseModel)


def validated(kind: type[T], text: str, where: str) -> T:
    """The file as a model; Misconfigured lists every error with its path and line."""
    data, lines = read_yaml(text, where)
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        found = [
            {"path": ".".join(map(str, e["loc"])) or "(file)", "line": line_of(lines, e["loc"]), "message": _said(e)}
            for e in error.errors()
        ]
        listed = "; ".join(f"line {f['line']}, {f['path']}: {f['message']}" for f in found)
        raise Misconfigured(
            f"reading {where}: {listed}",
            hint="Correct the lines named; `isthmus preview` shows a mapping at work.",
            facts={"errors": found},
        ) from error


def _said(error: MappingOf[str, Any]) -> str:
    return str(error["msg"]).removeprefix("Value error, ")


def line_of(lines: MappingOf[tuple[Any, ...], int], path: tuple[Any, ...]) -> int:
    """The line of the nearest part of `path` that stands in the file."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def load_mapping(text_or_path: str | Path) -> Mapping:
    """A mapping from its text or file."""
    if isinstance(text_or_path, Path):
        return validated(Mapping, text_or_path.read_text(encoding="utf-8"), str(text_or_path.name))
    return validated(Mapping, text_or_path, "the mapping")
