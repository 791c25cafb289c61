"""The path language of Odoo: `name`, `country_id.key`, `child_ids[type=delivery].street`, `order_line{id,name}`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from isthmus.sdk import SchemaDrift

KEY = "key"
"""As the last step it means the natural key of the record referred to: a country's code, a tax's name."""

ID = "id"
_STEP = re.compile(r"(?P<field>\w+)(?:\[(?P<name>\w+)=(?P<value>[^\]]*)\]|\{(?P<rows>[^{}]*)\})?")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path: a field, and for child records which of them (`type` = `delivery`)."""

    field: str
    where: tuple[str, str] | None = None

    def __str__(self) -> str:
        return f"{self.field}[{self.where[0]}={self.where[1]}]" if self.where else self.field


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path: its first step, and what follows on the records it leads to.

    `rows` are the paths of each child record, where the value is the list of all of them as small records.
    """

    text: str
    step: Step
    rest: str = ""
    rows: tuple[str, ...] = ()


@lru_cache(maxsize=4096)
def parse(text: str) -> Path:
    """The parsed form; raises SchemaDrift for what is no path."""
    found = _STEP.match(text)
    after = text[found.end() :] if found else text
    if found is None or (after and not after.startswith(".")) or after == ".":
        raise SchemaDrift(
            f"reading the path {text!r} of a mapping: it is no path of Odoo",
            hint="Write `field`, `field.key`, `field.other`, `child_ids[type=delivery].field` or `lines{field,other}`.",
        )
    where = (found["name"], found["value"]) if found["name"] else None
    rows = tuple(one for one in (found["rows"] or "").split(",") if one)
    return Path(text, Step(found["field"], where), after[1:], rows)


def real(paths: Iterable[str]) -> list[str]:
    """The paths that name fields; `@…` ask for something about the record itself."""
    return [path for path in paths if not path.startswith("@")]


def plain(paths: Iterable[str]) -> list[str]:
    """The paths with each list of rows as one path per field of a row."""
    out: list[str] = []
    for text in real(paths):
        path = parse(text)
        out.extend([f"{path.step.field}.{row}" for row in path.rows] if path.rows else [text])
    return out


def by_step(paths: Iterable[str]) -> Mapping[Step, list[Path]]:
    """Paths grouped by their first step, in the order given."""
    out: dict[Step, list[Path]] = {}
    for text in paths:
        path = parse(text)
        out.setdefault(path.step, []).append(path)
    return out
