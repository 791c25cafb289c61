"""Edits on both sides with what has to come of each: plain ones that are timed, true conflicts, and errors."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from isthmus.demo.fields import ODOO_FIELDS, neutral, of_bng, of_odoo
from isthmus.demo.outcome import Books, Placed, placed
from isthmus.demo.seed import Seed, Values
from isthmus.demo.stage import Stage
from isthmus.errors import Unavailable
from isthmus.model.clock import Clock

System = Literal["odoo", "bng"]
SYSTEMS: tuple[System, System] = ("odoo", "bng")
PATIENCE_SECONDS = 30.0
"""How long an edit may take to become visible on the other side."""
LOOK_SECONDS = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One edit of a person: what is written on one side, and what the other side must then say."""

    thing: Placed
    system: System
    values: Values
    seen_as: dict[str, Any]


@dataclass(slots=True)
class Editor:
    """Makes edits and waits until the other side shows them; keeps how long each took, in milliseconds.

    The time runs from the moment the edit is sent, so it holds the edited system's own work as well.
    """

    stage: Stage
    clock: Clock
    took: list[float] = field(default_factory=list)

    async def make(self, edit: Edit, found: Books) -> None:
        """Make an edit and wait for it on the other side. The books tell which record is the counterpart."""
        thing = edit.thing
        left, right = counterparts(thing, found)
        began = self.clock.monotonic()
        await self.send(edit, left, right)
        await self._visible(edit, left, right, began)
        thing.settled.update(edit.seen_as)

    async def send(self, edit: Edit, left: str, right: str) -> None:
        """Only make the edit."""
        if edit.system == "odoo":
            await self.stage.odoo.edit(edit.thing.seed.entity, left, edit.values)
        else:
            await self.stage.bng.edit(edit.thing.seed.entity, right, edit.values)

    async def create(self, system: System, seed: Seed) -> Placed:
        """Make a new record and wait until the other side has it."""
        entity, began = seed.entity, self.clock.monotonic()
        if system == "odoo":
            made = str((await self.stage.odoo.make(entity, seed.odoo))[0])
            thing, mail = placed(seed, [made], []), seed.odoo[0]["email"]
        else:
            row = await self.stage.bng.edit(entity, None, seed.bng[0])
            thing, mail = placed(seed, [], [str(row[f"{entity.title()}ID"])]), row["Email"]
        while not await self._has(system, entity, mail):
            await self._look_again(began, f"a new {entity} of {system}")
        self.took.append((self.clock.monotonic() - began) * 1000)
        return thing

    async def _has(self, system: System, entity: str, mail: str) -> bool:
        if system == "odoo":
            return bool(await self.stage.bng.with_email(entity, mail))
        return bool(await self.stage.odoo.with_email(entity, mail))

    async def _visible(self, edit: Edit, left: str, right: str, began: float) -> None:
        wanted = {name: neutral(name, value) for name, value in edit.seen_as.items()}
        while True:
            seen = await self._seen(edit, left, right)
            if all(seen[name] == value for name, value in wanted.items()):
                self.took.append((self.clock.monotonic() - began) * 1000)
                return
            await self._look_again(began, f"an edit of {edit.thing.seed.tag} in {edit.system} ({edit.values})")

    async def _seen(self, edit: Edit, left: str, right: str) -> dict[str, Any]:
        entity = edit.thing.seed.entity
        if edit.system == "odoo":
            return of_bng(entity, await self.stage.bng.read(entity, right))
        rows = await self.stage.odoo.read(entity, [left], ODOO_FIELDS[entity])
        return of_odoo(entity, rows[left], self.stage.odoo.countries)

    async def _look_again(self, began: float, what: str) -> None:
        if self.clock.monotonic() - began > PATIENCE_SECONDS:
            raise Unavailable(
                f"waiting for {what}",
                answered=f"the other side does not show it after {PATIENCE_SECONDS:.0f} s",
                hint="`isthmus status` and `isthmus trace` say where it is.",
            )
        await asyncio.sleep(LOOK_SECONDS)


def counterparts(thing: Placed, found: Books) -> tuple[str, str]:
    """The keys of a linked thing on both sides."""
    entity = thing.seed.entity
    if thing.left:
        return thing.left[0], found.left[entity][thing.left[0]]
    return found.right[entity][thing.right[0]], thing.right[0]


@dataclass(slots=True)
class Cast:
    """Which of the things are edited, each at most once."""

    things: Sequence[Placed]
    _used: set[str] = field(default_factory=set)

    def take(self, entity: str, story: str, count: int) -> list[Placed]:
        """The next `count` active companies (or goods) of a story."""
        out: list[Placed] = []
        for thing in self.things:
            seed = thing.seed
            if len(out) == count:
                break
            if seed.entity != entity or seed.story != story or seed.tag in self._used or not _plain(seed):
                continue
            self._used.add(seed.tag)
            out.append(thing)
        return out


def _plain(seed: Seed) -> bool:
    record = seed.odoo[0] if seed.odoo else {}
    return bool(record.get("active", True)) and "delivery" not in record


def plain_edits(cast: Cast, count: int) -> list[Edit]:
    """`count` edits of each kind; all of them must become visible on the other side."""
    same, out = "the same on both sides", []
    for n, thing in enumerate(cast.take("customer", same, count)):
        phone = f"+1 212-555-{3000 + n}"
        out.append(Edit(thing=thing, system="odoo", values={"phone": phone}, seen_as={"phone": phone}))
    for n, thing in enumerate(cast.take("customer", same, count)):
        phone = f"+1212555{4000 + n}"
        out.append(Edit(thing=thing, system="bng", values={"Phone": phone}, seen_as={"phone": phone}))
    for thing in cast.take("product", same, count):
        price = f"{float(thing.seed.odoo[0]['list_price']) + 1:.2f}"
        out.append(Edit(thing=thing, system="odoo", values={"list_price": float(price)}, seen_as={"price": price}))
    for thing in cast.take("product", same, count):
        name = f"{thing.seed.bng[0]['Name']} (new)"
        out.append(Edit(thing=thing, system="bng", values={"Name": name}, seen_as={"name": name}))
    for n, thing in enumerate(cast.take("vendor", same, max(1, count // 4))):
        street = f"{n + 1} New Street"
        out.append(Edit(thing=thing, system="odoo", values={"street": street}, seen_as={"street": street}))
    for n, thing in enumerate(cast.take("vendor", same, max(1, count // 4))):
        mail = f"new{n}@vendor.example"
        out.append(Edit(thing=thing, system="bng", values={"Email": mail}, seen_as={"email": mail}))
    for thing in cast.take("customer", "only in Odoo", max(1, count // 4)):
        mail = f"new.{thing.seed.odoo[0]['email']}"
        out.append(Edit(thing=thing, system="odoo", values={"email": mail}, seen_as={"email": mail}))
    for thing in cast.take("customer", "only in BNG", max(1, count // 4)):
        mail = f"new.{thing.seed.bng[0]['Email']}"
        out.append(Edit(thing=thing, system="bng", values={"Email": mail}, seen_as={"email": mail}))
    for thing in cast.take("customer", same, 2):
        out.append(Edit(thing=thing, system="odoo", values={"active": False}, seen_as={"active": False}))
    for thing in cast.take("customer", same, 2):
        out.append(Edit(thing=thing, system="bng", values={"Status": "Inactive"}, seen_as={"active": False}))
    return _in_turns(out)


def _in_turns(edits: Sequence[Edit]) -> list[Edit]:
    """Odoo and BNG by turns, so that neither side's edits come in one block."""
    sides = [[e for e in edits if e.system == name] for name in ("odoo", "bng")]
    longest = max(len(side) for side in sides)
    return [side[n] for n in range(longest) for side in sides if n < len(side)]


def new_seeds(template: Seed, system: System, count: int) -> list[Seed]:
    """New customers on one side, with names and tax ids that nobody else has."""
    out = []
    for n in range(count):
        tag = f"N-{system}-{n}"
        if system == "odoo":
            record = {**template.odoo[0], "name": f"{_NEW[n]} Newcomers Inc", "email": f"hello@{tag}.example".lower(),
                      "vat": f"88-77000{n:02}", "is_company": True}  # fmt: skip
            out.append(replace(template, tag=tag, story="new in Odoo", odoo=[record], bng=[]))
        else:
            record = {**template.bng[0], "CompanyName": f"{_NEW[-1 - n]} Newcomers LLC", "ExternalID": tag,
                      "Email": f"hello@{tag}.example".lower(), "TaxID": f"8866000{n:02}"}  # fmt: skip
            out.append(replace(template, tag=tag, story="new in BNG", odoo=[], bng=[record]))
    return out


_NEW = (
    "Aardvark",
    "Buttercup",
    "Cormorant",
    "Dandelion",
    "Edelweiss",
    "Flamingo",
    "Goldfinch",
    "Heather",
    "Ibis",
    "Jay",
)
