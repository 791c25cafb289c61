"""Validation rules: CEL conditions over canonical values, with a message, a severity and a place."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from isthmus.errors import Misconfigured
from isthmus.mapping.cel import Expression, expression
from isthmus.mapping.model import validated
from isthmus.mapping.problem import Problem, Severity, TransformProblem, show
from isthmus.model.canonical import CanonicalEntity, Value
from isthmus.model.policy import Side


class RuleFile(BaseModel):
    """One rule as written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Name of the rule.")
    field: str = Field(description="The field people have to look at.")
    check: str = Field(description="CEL over the canonical fields; true is good.")
    message: str = Field(description="What is wrong, for people; `{value}` is the field's value.")
    severity: Severity = Field("block", description="block holds the record, warn lets it pass with a remark.")
    place: Literal["left", "right", "both"] = Field("both", description="Before posting to which side.")


class RulesFile(BaseModel):
    """A file of rules for one Entity."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Name of the file.")
    version: int = Field(1, ge=1, description="Counts up with every published change.")
    entity: str = Field(description="The canonical Entity.")
    items: list[RuleFile] = Field(min_length=1, description="The rules, in the order they are reported.")


SETTINGS = "settings"
"""What rules call the settings of the pair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule, compiled."""

    name: str
    field: str
    message: str
    severity: Severity
    place: Literal["left", "right", "both"]
    check: Expression
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def load_rules(
    text_or_path: str | Path, entity: CanonicalEntity, settings: Mapping[str, Any] | None = None
) -> list[Rule]:
    """The rules of a file for an Entity; Misconfigured lists every error with its path and line."""
    where = text_or_path.name if isinstance(text_or_path, Path) else "the rules"
    text = text_or_path.read_text(encoding="utf-8") if isinstance(text_or_path, Path) else text_or_path
    return compile_rules(validated(RulesFile, text, where), entity, settings)


def compile_rules(file: RulesFile, entity: CanonicalEntity, settings: Mapping[str, Any] | None = None) -> list[Rule]:
    """The rules of a file, compiled for an Entity; `settings` of the pair are what `settings.name` tells them."""
    if not entity.is_kind_of(file.entity):
        raise Misconfigured(f"compiling the rules {file.rules}: they are for {file.entity}, not {entity.name}")
    variables = (*entity.fields, SETTINGS)
    out = []
    for told in file.items:
        if told.field not in entity.fields:
            raise Misconfigured(
                f"compiling the rule {file.rules}.{told.name}: {entity.name} has no field {told.field}",
                hint=f"Its fields are {', '.join(entity.fields)}.",
            )
        try:
            check = expression(told.check, variables)
        except ValueError as error:
            raise Misconfigured(f"compiling the rule {file.rules}.{told.name}: {error}") from error
        out.append(
            Rule(
                name=told.name,
                field=told.field,
                message=told.message,
                severity=told.severity,
                place=told.place,
                check=check,
                settings=settings or {},
            )
        )
    return out


def check_rules(rules: Iterable[Rule], values: Mapping[str, Value], place: Side) -> list[Problem]:
    """What is wrong with canonical values before they are posted to `place`; a rule that cannot be decided blocks."""
    found: list[Problem] = []
    for rule in rules:
        if rule.place not in ("both", place):
            continue
        value: Any = values.get(rule.field)
        try:
            good = rule.check({**values, SETTINGS: rule.settings})
        except TransformProblem as problem:
            found.append(
                Problem(rule.field, f"the rule {rule.name} cannot be decided: {problem.message}", "block", show(value))
            )
            continue
        if good is not True:
            found.append(Problem(rule.field, rule.message.replace("{value}", show(value)), rule.severity, show(value)))
    return found
