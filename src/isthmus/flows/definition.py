"""The flow file: read with the line of every mistake, written in one canonical form, described as a JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from functools import cache, reduce
from operator import or_
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError, create_model

from isthmus.errors import Misconfigured
from isthmus.flows.node import SLUG, Config, Node, Path, Retry, node_types
from isthmus.mapping.model import line_of, read_yaml

NAME = r"^[a-z][a-z0-9_-]*$"
SCHEMA_ID = "https://isthmus.example/schema/flow-1.json"


class ConnectionUse(Config):
    """A Connection that the flow works with, by its role; which one it is, the installation says."""

    kind: str | None = Field(None, description="The kind of system the flow was written for, as a connector's key.")
    help: str = Field("", description="What the role is, for whoever binds it.")


class PairUse(Config):
    """A pair that the flow works with, by its role."""

    entities: list[str] = Field(default_factory=list, description="Entities that the pair must keep in agreement.")
    help: str = Field("", description="What the role is, for whoever binds it.")


class StandIn(Config):
    """What an effect, a read or a wait answers in a test, in place of the real thing."""

    port: str = Field("out", description="The port the item leaves by; `error` with a message for a refusal.")
    data: dict[str, Any] | None = Field(None, description="The item's data afterwards; unchanged without it.")
    put: dict[str, Any] | None = Field(None, description="Values added to the item's data, by path.")
    error: str | None = Field(None, description="The message of the error, with `port: error`.")


class FlowTest(Config):
    """A case that the flow carries: items in, stand-in answers, and what is expected where."""

    name: str = Field(min_length=3, description="What the case shows, as a sentence.")
    start: str | None = Field(None, description="The node the items begin at; the only trigger without it.")
    key: str = Field("T1", description="The business key of the Run.")
    given: list[dict[str, Any]] = Field(min_length=1, description="The data of the items that come in.")
    answers: dict[str, StandIn | list[StandIn]] = Field(
        default_factory=dict, description="Per node what it answers; a list answers item after item."
    )
    expect: dict[str, list[dict[str, Any]]] = Field(
        description="Per node the items that reach it, each with the values that matter; [] for none."
    )


class _FlowParts(Config):
    """Everything of a flow file but its nodes, whose form depends on what is installed."""

    flow: str = Field(pattern=NAME, description="The flow's name: small letters, digits, dashes.")
    title: str = Field("", description="What people call it.")
    summary: str = Field("", description="What it is for, in a sentence.")
    connections: dict[Annotated[str, Field(pattern=SLUG)], ConnectionUse] = Field(
        default_factory=dict, description="Roles of Connections: a name to what it is."
    )
    pairs: dict[Annotated[str, Field(pattern=SLUG)], PairUse] = Field(
        default_factory=dict, description="Roles of pairs: a name to what it is."
    )
    retry: Retry | None = Field(None, description="How errors that may pass are tried again, unless a node says.")
    keep_days: int = Field(90, ge=1, le=3650, description="How long Runs and their steps are kept.")


class FlowFile(_FlowParts):
    """A flow as written. Node ids are stable: renaming or moving a box changes no logic."""

    nodes: dict[Annotated[str, Field(pattern=SLUG)], Node] = Field(
        min_length=1, description="The nodes by their ids, each with its type."
    )
    tests: list[FlowTest] = Field(default_factory=list, description="Cases that `isthmus test` runs.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One thing that is wrong with a flow file: where, what, and the fix."""

    line: int
    node: str
    message: str
    fix: str
    severity: str = "error"


@cache
def _form() -> Any:
    """The file's model over every node type there is now."""
    kinds: tuple[Any, ...] = tuple(dict.fromkeys(node_types().values()))
    union: Any = Annotated[reduce(or_, kinds), Field(discriminator="type")]
    nodes: Any = (
        dict[Annotated[str, Field(pattern=SLUG)], union],
        Field(min_length=1, description="The nodes by their ids, each with its type."),
    )
    tests: Any = (list[FlowTest], Field(default_factory=list, description="Cases that `isthmus test` runs."))
    return create_model("Flow", __base__=_FlowParts, nodes=nodes, tests=tests)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of flow files, over every node type that is installed."""
    schema: dict[str, Any] = _form().model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **schema,
        "title": "Isthmus flow",
        "description": "A process as nodes and what leads where; positions are kept apart.",
    }


def read(text: str, where: str) -> tuple[FlowFile | None, list[Mistake], dict[tuple[Any, ...], int]]:
    """The flow of a file, or what is wrong with its form; and the line of every path. Never raises."""
    try:
        data, lines = read_yaml(text, where)
    except Misconfigured as error:
        fix = "Correct the file at that line."
        return None, [Mistake(line=_line_in(error.doing), node="", message=error.doing, fix=fix)], {}
    try:
        found = _form().model_validate(data)
    except ValidationError as error:
        return None, [_mistake(e, data, lines) for e in error.errors(include_url=False)], lines
    return FlowFile.model_construct(_fields_set=found.model_fields_set, **dict(found)), [], lines


def parse(text: str, where: str = "the flow") -> FlowFile:
    """The flow of a file; Misconfigured lists every mistake of form with its line."""
    found, mistakes, _ = read(text, where)
    if found is None:
        told = "; ".join(f"line {m.line}{', ' + m.node if m.node else ''}: {m.message}" for m in mistakes)
        raise Misconfigured(
            f"reading {where}",
            answered=told,
            hint=mistakes[0].fix or "Correct the lines named; `isthmus lint FILE` lists them.",
            facts={"mistakes": [asdict(m) for m in mistakes]},
        )
    return found


def dump(flow: FlowFile) -> str:
    """The canonical form: only what was said, in the order of the schema; reading it back changes nothing."""
    plain = {name: _plain(getattr(flow, name)) for name in type(flow).model_fields if name in flow.model_fields_set}
    return yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def dump_layout(layout: Mapping[str, Any]) -> str:
    """Positions and remarks of the canvas in one canonical form."""
    return json.dumps(layout, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


class _Dumper(yaml.SafeDumper):
    """Lists are indented, as people write them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _plain(value: Any) -> Any:
    if isinstance(value, Node):
        told = value.model_dump(exclude_unset=True, by_alias=True, mode="json")
        last = {name: told.pop(name) for name in ("retry", "to") if name in told}
        return {"type": getattr(value, "type", value.kind()), **{k: v for k, v in told.items() if k != "type"}, **last}
    if isinstance(value, Config):
        return value.model_dump(exclude_unset=True, by_alias=True, mode="json")
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list) else value


def _line_in(text: str) -> int:
    _, found, rest = text.partition(", line ")
    digits = "".join(c for c in rest.split(":")[0] if c.isdigit()) if found else ""
    return int(digits) if digits else 1


def _mistake(error: Mapping[str, Any], data: Any, lines: Mapping[tuple[Any, ...], int]) -> Mistake:
    """An error of the form, with its line, its node and the fix as far as it can be told."""
    path = tuple(error["loc"])
    node = str(path[1]) if len(path) > 1 and path[0] == "nodes" else ""
    kind = str(path[2]) if node and len(path) > 2 else ""
    if kind in node_types():
        path = (*path[:2], *path[3:])
    path = tuple(p for p in path if p != "[key]")
    said = str(error["msg"]).removeprefix("Value error, ")
    name = str(path[-1]) if len(path) > 2 else ""
    fix = "Correct it as the schema says: `isthmus flow schema`."
    if error["type"] == "union_tag_invalid":
        told = str(error["ctx"]["tag"])
        said, fix = f"there is no node type {told!r}", nearest(told, node_types(), "node types")
    elif error["type"] == "union_tag_not_found":
        said, fix = "the node has no type", "Give it a `type`; `isthmus flow schema` lists them."
    elif error["type"] == "extra_forbidden":
        known = list(node_types()[kind].model_fields) if kind in node_types() else list(FlowFile.model_fields)
        said, fix = f"{name or path[-1]} is not known here", nearest(name or str(path[-1]), known, "fields")
    elif error["type"] == "missing":
        said, fix = f"{path[-1]} is missing", f"Give {path[-1]}."
    elif not node and path:
        said = f"{'.'.join(str(p) for p in path)}: {said}"
    elif name:
        said = f"{'.'.join(str(p) for p in path[2:])}: {said}" if node else f"{name}: {said}"
    return Mistake(line=line_of(lines, path), node=node, message=said, fix=fix)


def nearest(word: str, known: Any, what: str) -> str:
    """A fix for a misspelt word: the nearest one there is, else all of them."""
    names = sorted(str(k) for k in known)
    near = get_close_matches(word, names, 1)
    return f"Write {near[0]!r}." if near else f"The {what} are: {', '.join(names) or 'none'}."


__all__ = ["ConnectionUse", "FlowFile", "FlowTest", "Mistake", "PairUse", "Path", "StandIn", "dump", "json_schema",
           "nearest", "parse", "read"]  # fmt: skip
