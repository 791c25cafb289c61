"""The judge: what became of every seeded record, read from both systems and from the product's own books."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from isthmus.demo.fields import ODOO_FIELDS, neutral, of_bng, of_odoo
from isthmus.demo.seed import Seed
from isthmus.demo.stage import Stage
from isthmus.operate import conflicts, deadletters

ENTITIES = ("customer", "vendor", "product")


@dataclass(slots=True, kw_only=True)
class Placed:
    """A seed with the keys its records got, and what edits made of its expected end.

    `disputed` are fields that both sides changed on purpose: they stay different until a person settles them.
    """

    seed: Seed
    left: list[str]
    right: list[str]
    end: str
    kind: str = ""
    settled: dict[str, Any] = field(default_factory=dict)
    disputed: set[str] = field(default_factory=set)


def placed(seed: Seed, left: Sequence[str], right: Sequence[str]) -> Placed:
    """A seed as it was stored."""
    return Placed(
        seed=seed, left=list(left), right=list(right), end=seed.end, kind=seed.kind, settled=dict(seed.settled)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unexpected:
    """One record whose end is another than the expected one."""

    tag: str
    entity: str
    story: str
    what: str


@dataclass(slots=True)
class Books:
    """What the product says: Links, open dead letters by record, open Conflicts by left key."""

    pair_id: int
    left: dict[str, dict[str, str]] = field(default_factory=dict)
    right: dict[str, dict[str, str]] = field(default_factory=dict)
    letters: dict[tuple[str, str, str], str] = field(default_factory=dict)
    conflicts: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    @property
    def links(self) -> int:
        """Live Links."""
        return sum(len(found) for found in self.left.values())


def books(conn: Connection, pair_id: int) -> Books:
    """The product's books about one pair."""
    out = Books(pair_id, {name: {} for name in ENTITIES}, {name: {} for name in ENTITIES})
    sql = "select entity, left_key, right_key from link where pair_id = :pair and state <> 'tombstone'"
    for row in conn.execute(text(sql), {"pair": pair_id}):
        out.left.setdefault(row.entity, {})[row.left_key] = row.right_key
        out.right.setdefault(row.entity, {})[row.right_key] = row.left_key
    for letter in deadletters.listing(conn, pair_id, limit=1_000_000):
        out.letters[letter["entity"], letter["side"], letter["key"]] = letter["kind"]
    for open_one in conflicts.listing(conn, pair_id, limit=1_000_000):
        out.conflicts.setdefault((open_one["entity"], open_one["left_key"]), set()).add(open_one["field"])
    return out


async def judge(stage: Stage, found: Books, things: Iterable[Placed]) -> list[Unexpected]:
    """Every record that did not come to its expected end, each with a sentence."""
    things = list(things)
    out: list[Unexpected] = []
    for entity in ENTITIES:
        mine = [thing for thing in things if thing.seed.entity == entity]
        lefts = {key for thing in mine for key in thing.left} | set(found.left[entity])
        odoo = await stage.odoo.read(entity, sorted(lefts, key=int), ODOO_FIELDS[entity])
        bng = await stage.bng.everything(entity)
        for thing in mine:
            what = _wrong(thing, found, odoo, bng, stage.odoo.countries)
            if what:
                out.append(Unexpected(tag=thing.seed.tag, entity=entity, story=thing.seed.story, what=what))
        known = {key for thing in mine for key in thing.right} | set(found.right[entity])
        out.extend(
            Unexpected(tag=key, entity=entity, story="nobody's", what=f"BNG has a {entity} that nobody asked for")
            for key in bng.keys() - known
        )
    owners = {(t.seed.entity, s, k) for t in things for s, keys in (("left", t.left), ("right", t.right)) for k in keys}
    for (entity, side, key), kind in found.letters.items():
        if entity not in ENTITIES:
            continue  # documents have a judge of their own
        partner = (found.left if side == "left" else found.right).get(entity, {}).get(key)
        if (entity, side, key) not in owners and partner is None:
            out.append(Unexpected(tag=f"{side}:{key}", entity=entity, story="nobody's", what=f"held: {kind}"))
    return out


def _wrong(
    thing: Placed,
    found: Books,
    odoo: Mapping[str, Mapping[str, Any]],
    bng: Mapping[str, Mapping[str, Any]],
    countries: Mapping[int, str],
) -> str:
    """What is otherwise than expected; empty when nothing is."""
    entity = thing.seed.entity
    lefts, rights = found.left[entity], found.right[entity]
    linked = [(k, lefts[k]) for k in thing.left if k in lefts] + [(rights[k], k) for k in thing.right if k in rights]
    kinds = _kinds(thing, found, linked)
    if thing.end == "left out":
        return f"linked to {linked[0]}" if linked else f"held: {', '.join(sorted(kinds))}" if kinds else ""
    if thing.end == "held":
        if thing.kind not in kinds:
            return f"not held with {thing.kind}" + (f" but {', '.join(sorted(kinds))}" if kinds else "")
        return "" if kinds == {thing.kind} else f"also held with {', '.join(sorted(kinds - {thing.kind}))}"
    if kinds:
        return f"held: {', '.join(sorted(kinds))}"
    if len(set(linked)) != 1:
        return f"linked {len(set(linked))} times" if linked else "not linked"
    left, right = linked[0]
    if (thing.left and thing.left != [left]) or (thing.right and thing.right != [right]):
        return f"linked to another record: {left} - {right}"
    disputed = found.conflicts.get((entity, left), set())
    if disputed != thing.disputed:
        return f"Conflicts in {', '.join(sorted(disputed)) or 'no field'}"
    if left not in odoo or right not in bng:
        return "one side's record is gone"
    return _differing(thing, of_odoo(entity, odoo[left], countries), of_bng(entity, bng[right]))


def _kinds(thing: Placed, found: Books, linked: Sequence[tuple[str, str]]) -> set[str]:
    entity = thing.seed.entity
    keys = [("left", k) for k in thing.left] + [("right", k) for k in thing.right]
    keys += [(side, key) for pair in linked for side, key in zip(("left", "right"), pair, strict=True)]
    return {kind for side, key in keys if (kind := found.letters.get((entity, side, key)))}


def _differing(thing: Placed, left: Mapping[str, Any], right: Mapping[str, Any]) -> str:
    for name in left.keys() - thing.disputed:
        if left[name] != right[name]:
            return f"{name} differs: {left[name]!r} in Odoo, {right[name]!r} in BNG"
    for name, value in thing.settled.items():
        if left[name] != neutral(name, value):
            return f"{name} is {left[name]!r} on both sides, {value!r} was expected"
    return ""
