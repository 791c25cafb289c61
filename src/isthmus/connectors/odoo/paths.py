"""The path language of Odoo: `name`, `country_id.key`, `child_ids[type=delivery].street`, `seller_ids.partner_id`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from isthmus.sdk import SchemaDrift

KEY = "key"
"""As the last step it means the natural key of the record referred to: a country's code, a tax's name."""

ID = "id"
_STEP = re.compile(r"(?P<field>\w+)(?:\[(?P<name>\w+)=(?P<value>[^\]]*)\])?")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path: a field, and for child records which of them (`type` = `delivery`)."""

    field: str
    where: tuple[str, str] | None = None

    def __str__(self) -> str:
        return f"{self.field}[{self.where[0]}={self.where[1]}]" if self.where else self.field


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path: its first step, and what follows on the records it leads to."""

    text: str
    step: Step
    rest: str = ""


@lru_cache(maxsize=4096)
def parse(text: str) -> Path:
    """The parsed form; raises SchemaDrift for what is no path."""
    found = _STEP.match(text)
    after = text[found.end() :] if found else text
    if found is None or (after and not after.startswith(".")) or after == ".":
        raise SchemaDrift(
            f"reading the path {text!r} of a mapping: it is no path of Odoo",
            hint="Write `field`, `field.key`, `field.other` or `child_ids[type=delivery].field`.",
        )
    where = (found["name"], found["value"]) if found["name"] else None
    return Path(text, Step(found["field"], where), after[1:])


def real(paths: Iterable[str]) -> list[str]:
    """The paths that name fields; `@…` ask for something about the record itself."""
    return [path for path in paths if not path.startswith("@")]


def by_step(paths: Iterable[str]) -> Mapping[Step, list[Path]]:
    """Paths grouped by their first step, in the order given."""
    out: dict[Step, list[Path]] = {}
    for text in paths:
        path = parse(text)
        out.setdefault(path.step, []).append(path)
    return out
