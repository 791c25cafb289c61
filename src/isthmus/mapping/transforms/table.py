"""The look-up transform: values that two systems call differently."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from isthmus.mapping.problem import TransformProblem, show
from isthmus.mapping.transform import Build, Example, Step, Transform
from isthmus.mapping.transforms.text import as_text


class Lookup(Transform):
    """Turns what this system calls something into the canonical word and back, by a table that people edit."""

    name = "lookup"
    label = "Look-up table"
    group = "tables"
    main = "table"
    examples = (
        Example(raw="30 Days", value="NET30", options={"table": "terms"}),
        Example(raw="Whenever", problem="is not in the look-up table", options={"table": "terms"}),
        Example(raw="Whenever", value="Whenever", options={"table": "terms", "missing": "pass"}),
    )

    table: str = Field(description="Name of the table.")
    missing: Literal["hold", "pass", "empty"] = Field(
        "hold", description="A value the table does not know: hold the record, pass it as it is, or read it as empty."
    )
    column: str | None = Field(None, description="Column of the table; default: the name of the system.")

    def build(self, at: Build) -> Step:
        table, missing, column, lookups = self.table, self.missing, self.column or at.system, at.lookups
        known = sorted(lookups.tables)

        def unknown(text: str, where: str) -> Any:
            if missing == "hold":
                there = (
                    f"look-up table {table!r}" if table in known else f"look-up table {table!r}, which does not exist"
                )
                raise TransformProblem(
                    f"{show(text)!r} is not in the {there} ({where}); add it with `isthmus lookup import`", text
                )
            return text if missing == "pass" else None

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            text = as_text(value).strip()
            if not text:
                return None
            found = lookups.to_canonical(table, column, text)
            return found if found is not None else unknown(text, f"column {column}")

        def write(value: Any, _record: Mapping[str, Any]) -> Any:
            text = as_text(value)
            found = lookups.from_canonical(table, column, text)
            return found if found is not None else unknown(text, f"canonical, for {column}")

        return self.step(read, write)
