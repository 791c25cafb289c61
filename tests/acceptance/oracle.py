"""The oracle: reads both systems and the product's books by itself and says what is wrong. Imports nothing of it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import yaml
from tests.acceptance.bng import Bng
from tests.acceptance.normal import Places, from_bng, from_odoo
from tests.acceptance.odoo import Odoo

TABLE: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("fields.yaml").read_text())
MARK = re.compile(r"\bX[a-z]{9}z\b")
"""The driver puts such a word into the name or SKU of every record it makes; no two records have the same."""

Key = tuple[str, str]
"""(entity, mark)."""


@dataclass(frozen=True)
class Seen:
    """One record as read: its key, the driver's mark, and its comparable values."""

    key: str
    mark: str
    values: Mapping[str, str]


@dataclass
class Snapshot:
    """All marked records of both systems at one moment, by entity and mark; duplicates show as several."""

    left: dict[Key, list[Seen]] = field(default_factory=lambda: defaultdict(list))
    right: dict[Key, list[Seen]] = field(default_factory=lambda: defaultdict(list))
    left_marks: dict[Key, str] = field(default_factory=dict)
    right_marks: dict[Key, str] = field(default_factory=dict)

    def side(self, side: str) -> dict[Key, list[Seen]]:
        return self.left if side == "left" else self.right


@dataclass
class Expected:
    """How one record must end.

    `where`: both, left or right (no counterpart may exist), or gone (it was deleted or merged away on one side).
    `values` must stand on every side where the record is; `sides` gives values that must differ by side.
    """

    where: str = "both"
    values: dict[str, str] = field(default_factory=dict)
    sides: dict[str, dict[str, str]] = field(default_factory=dict)
    loose: set[str] = field(default_factory=set)


@dataclass
class Verdict:
    """What the oracle found; all lists empty means agreement."""

    compared: int = 0
    differences: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    unexpected_holds: list[str] = field(default_factory=list)
    missing_holds: list[str] = field(default_factory=list)
    wrong_links: list[str] = field(default_factory=list)
    books: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, int]:
        """Counts of everything that may be wrong."""
        names = ("differences", "duplicates", "missing", "lost", "unexpected_holds", "missing_holds", "wrong_links")
        return {name: len(getattr(self, name)) for name in (*names, "books")}

    @property
    def good(self) -> bool:
        return not any(self.figures().values())

    def told(self, most: int = 12) -> str:
        """The findings in words, at most so many of a kind."""
        lines = []
        for name in self.figures():
            found = getattr(self, name)
            lines += [f"  {name}: {text}" for text in found[:most]]
            if len(found) > most:
                lines.append(f"  {name}: and {len(found) - most} more")
        return "\n".join(lines)


class Oracle:
    """Reads and judges."""

    def __init__(self, odoo: Odoo, bng: Bng, dsn: str, entities: Sequence[str]) -> None:
        self._odoo, self._bng, self._dsn = odoo, bng, dsn
        self.entities = tuple(entities)
        known = odoo.call("res.partner", "fields_get", attributes=["type"])
        known_product = odoo.call("product.product", "fields_get", attributes=["type"])
        self._known = {"res.partner": set(known), "product.product": set(known_product)}
        self._places = Places(
            countries={r["id"]: r["code"] for r in odoo.everything("res.country", [], ["code"])},
            states={r["id"]: r["code"] for r in odoo.everything("res.country.state", [], ["code"])},
        )

    def fields(self, entity: str) -> dict[str, tuple[str, list[str], list[str]]]:
        """Field → (kind, Odoo paths, BNG paths), those left out that this Odoo does not have."""
        out = {}
        for name, spec in TABLE[entity]["fields"].items():
            odoo, bng = (v if isinstance(v, list) else [v] for v in (spec["odoo"], spec["bng"]))
            model = TABLE[entity]["odoo"]["model"]
            if all(p.startswith("@") or p in self._known[model] for p in odoo):
                out[name] = (spec["as"], odoo, bng)
            elif not spec.get("optional"):
                raise AssertionError(f"{model} has no {odoo}; the field table is wrong")
        return out

    def look(self) -> Snapshot:
        """Read both systems whole."""
        out = Snapshot()
        self._places.deliveries = {
            r["parent_id"][0]: r
            for r in self._odoo.everything(
                "res.partner",
                [["type", "=", "delivery"], ["active", "=", True], ["parent_id", "!=", False]],
                ["parent_id", "street", "street2", "city", "state_id", "zip", "country_id"],
            )
        }
        for entity in self.entities:
            self._look_left(out, entity)
            self._look_right(out, entity)
        return out

    def _look_left(self, out: Snapshot, entity: str) -> None:
        spec, fields = TABLE[entity], self.fields(entity)
        paths = sorted({p for _, odoo, _ in fields.values() for p in odoo if not p.startswith("@")})
        rows = self._odoo.everything(spec["odoo"]["model"], spec["odoo"]["domain"], paths)
        marks = {r["id"]: _mark(r[spec["identity"]["odoo"]]) for r in rows}
        for row in rows:
            mark = marks[row["id"]]
            if mark:
                values = {n: from_odoo(k, p, row, self._places, marks) for n, (k, p, _) in fields.items()}
                out.left[entity, mark].append(Seen(str(row["id"]), mark, values))
                out.left_marks[entity, str(row["id"])] = mark

    def _look_right(self, out: Snapshot, entity: str) -> None:
        spec, fields = TABLE[entity], self.fields(entity)
        rows = self._bng.everything(spec["bng"]["plural"])
        key = spec["bng"]["id"]
        marks = {r[key]: _mark(" ".join(str(r.get(n) or "") for n in spec["identity"]["bng"])) for r in rows}
        for row in rows:
            mark = marks[row[key]]
            if mark:
                values = {n: from_bng(k, p, row, marks) for n, (k, _, p) in fields.items()}
                out.right[entity, mark].append(Seen(row[key], mark, values))
                out.right_marks[entity, row[key]] = mark

    # -- judging -----------------------------------------------------------------------------------------------

    def judge(
        self,
        seen: Snapshot,
        expected: Mapping[Key, Expected],
        holds: Counter[tuple[str, str, str]],
        known_keys: Mapping[tuple[str, str, str], str],
    ) -> Verdict:
        """Compare everything with everything expected.

        `holds` counts (entity, mark, what) with what a kind of dead letter or `conflict:FIELD`; `known_keys` gives
        the mark of (entity, side, key) for records that are gone by now.
        """
        out = Verdict()
        for key in sorted(expected.keys() | seen.left.keys() | seen.right.keys()):
            if key[0] in self.entities:
                self._judge_record(out, key, expected.get(key), seen)
        with psycopg.connect(self._dsn) as conn:
            self._judge_holds(out, conn, seen, holds, known_keys)
            self._judge_links(out, conn, seen, expected)
            self._judge_books(out, conn)
        return out

    def _judge_record(self, out: Verdict, key: Key, want: Expected | None, seen: Snapshot) -> None:
        left, right = seen.left.get(key, []), seen.right.get(key, [])
        name = f"{key[0]} {key[1]}"
        if want is None:
            out.duplicates.append(f"{name} is nothing the driver made")
            return
        for side, found in (("left", left), ("right", right)):
            if len(found) > 1:
                out.duplicates.append(f"{name}: {len(found)} records on the {side} side: {[s.key for s in found]}")
        if len(left) > 1 or len(right) > 1:
            return
        if want.where == "gone":
            return
        for side, found in (("left", left), ("right", right)):
            if not found and want.where in ("both", side):
                out.missing.append(f"{name} is missing on the {side} side")
            if found and want.where not in ("both", side):
                out.differences.append(f"{name} must not be on the {side} side")
        if left and right:
            out.compared += 1
            self._compare(out, key, want, left[0], right[0])
        for side, found in (("left", left), ("right", right)):
            for one in found:
                self._survivors(out, name, side, want, one)

    def _compare(self, out: Verdict, key: Key, want: Expected, left: Seen, right: Seen) -> None:
        apart = {field for values in want.sides.values() for field in values} | want.loose
        for name in self.fields(key[0]):
            a, b = left.values[name], right.values[name]
            if a != b and name not in apart:
                out.differences.append(f"{key[0]} {key[1]} ({left.key}/{right.key}) {name}: {a!r} / {b!r}")

    @staticmethod
    def _survivors(out: Verdict, name: str, side: str, want: Expected, one: Seen) -> None:
        for field_name, value in {**want.values, **want.sides.get(side, {})}.items():
            if field_name in one.values and one.values[field_name] != value:
                out.lost.append(
                    f"{name} ({side} {one.key}) {field_name}: is {one.values[field_name]!r}, the survivor is {value!r}"
                )

    def _judge_holds(
        self,
        out: Verdict,
        conn: psycopg.Connection[Any],
        seen: Snapshot,
        holds: Counter[tuple[str, str, str]],
        known_keys: Mapping[tuple[str, str, str], str],
    ) -> None:
        found: Counter[tuple[str, str, str]] = Counter()
        told: dict[tuple[str, str, str], str] = {}
        for entity, side, key, kind, error in conn.execute(
            "select entity, side, key, kind, error ->> 'answered' from dead_letter where state = 'open'"
        ):
            mark = known_keys.get((entity, side, key)) or (seen.left_marks if side == "left" else seen.right_marks).get(
                (entity, key), f"{side}:{key}"
            )
            found[entity, mark, kind] += 1
            told[entity, mark, kind] = f"{side} {key}: {error}"
        for entity, name, left_key in conn.execute(
            """select c.entity, c.field, l.left_key from conflict c join link l on l.id = c.link_id
               where c.state = 'open'"""
        ):
            found[entity, seen.left_marks.get((entity, left_key), left_key), f"conflict:{name}"] += 1
        for key in sorted(found.keys() | holds.keys()):
            if found[key] > holds[key]:
                out.unexpected_holds.append(
                    f"{' '.join(key)} ({found[key]}, expected {holds[key]}): {told.get(key, '')}"
                )
            elif found[key] < holds[key]:
                out.missing_holds.append(f"{' '.join(key)} ({found[key]}, expected {holds[key]})")

    def _judge_links(
        self, out: Verdict, conn: psycopg.Connection[Any], seen: Snapshot, expected: Mapping[Key, Expected]
    ) -> None:
        ties: Counter[Key] = Counter()
        for entity, left, right in conn.execute(
            "select entity, left_key, right_key from link where state <> 'tombstone'"
        ):
            a, b = seen.left_marks.get((entity, left)), seen.right_marks.get((entity, right))
            if a is None or b is None:
                continue
            ties[entity, a] += 1
            if a != b:
                out.wrong_links.append(f"{entity} {left} ({a}) is linked to {right} ({b})")
        for key, want in expected.items():
            if key[0] in self.entities and want.where == "both" and ties[key] != 1 and key in seen.left:
                out.wrong_links.append(f"{key[0]} {key[1]} has {ties[key]} Links")

    @staticmethod
    def _judge_books(out: Verdict, conn: psycopg.Connection[Any]) -> None:
        events, coalesced = (
            conn.execute("select count(*), count(*) filter (where coalesced) from event").fetchone() or ()
        )
        changes = (conn.execute("select count(*) from change").fetchone() or (0,))[0]
        if events != coalesced + changes:
            out.books.append(f"{events} events are not {coalesced} coalesced + {changes} changes")
        for table, states in (("change", "state <> 'closed'"), ("intent", "state in ('planned', 'sent', 'unknown')")):
            left = (conn.execute(f"select count(*) from {table} where {states}").fetchone() or (0,))[0]
            if left:
                out.books.append(f"{left} rows of {table} are still open")


def _mark(text: Any) -> str:
    found = MARK.search(str(text or ""))
    return found.group() if found else ""
