"""The demo's troubles: true conflicts and errors on purpose, each with its expected end, and some of them mended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from isthmus.demo.edits import Cast, Edit, Editor, System, counterparts
from isthmus.demo.outcome import Books, Placed, placed
from isthmus.demo.seed import Seed, Values
from isthmus.operate import conflicts
from isthmus.operate.runtime import Runtime

SAME = "the same on both sides"


@dataclass(slots=True)
class Troubles:
    """What was caused, by what has to come of it."""

    asked: Sequence[Placed]
    newest: Sequence[Placed]
    owned: Sequence[Placed]
    bad_mails: Sequence[Placed]
    no_country: Sequence[Placed]
    bad_prices: Sequence[Placed]
    twin: Placed

    @property
    def held(self) -> list[Placed]:
        """What has to end with a dead letter."""
        return [*self.bad_mails, *self.no_country, *self.bad_prices, self.twin]


async def cause_troubles(things: list[Placed], editor: Editor, found: Books) -> Troubles:
    """Edit both sides while the pair is paused, so that neither edit can travel before the other is made."""
    cast = Cast(things)
    out = Troubles(
        asked=cast.take("customer", SAME, 3),
        newest=cast.take("customer", SAME, 2),
        owned=cast.take("product", SAME, 2),
        bad_mails=cast.take("customer", SAME, 2),
        no_country=cast.take("vendor", SAME, 1),
        bad_prices=cast.take("product", SAME, 1),
        twin=await _twin(cast.take("customer", SAME, 1)[0].seed, editor),
    )
    things.append(out.twin)
    sender = _Sender(editor, found)
    for n, thing in enumerate(out.newest):
        await sender.send(thing, "odoo", {"email": f"left{n}@newest.example"})
    for n, thing in enumerate(out.asked):
        await sender.send(thing, "odoo", {"vat": f"77-10000{n:02}"})
        await sender.send(thing, "bng", {"TaxID": f"7720000{n:02}"})
        thing.disputed = {"tax_id"}
    for thing in out.owned:
        await sender.send(thing, "bng", {"ListPrice": "999.9900"})
        await sender.send(thing, "odoo", {"list_price": 111.11})
        thing.settled["price"] = "111.11"
    for thing in out.bad_mails:
        await sender.send(thing, "odoo", {"email": "ask at reception"})
    for thing in out.no_country:
        await sender.send(thing, "odoo", {"country_id": False, "state_id": False})
    for thing in out.bad_prices:
        await sender.send(thing, "odoo", {"list_price": -1.0})
    for n, thing in enumerate(out.newest):
        # Both came after the last look, so nobody can tell which is newer; the left side decides then.
        await sender.send(thing, "bng", {"Email": f"right{n}@newest.example"})
        thing.settled["email"] = f"left{n}@newest.example"
    for thing in out.held:
        thing.end, thing.kind = "held", thing.kind or "InvalidRecord"
    return out


async def _twin(seed: Seed, editor: Editor) -> Placed:
    """A second customer at BNG with the tax id of one that is linked already."""
    record = {**seed.bng[0], "ExternalID": f"{seed.tag}-twin", "Email": f"twin@{seed.tag.lower()}.example"}
    row = await editor.stage.bng.edit("customer", None, record)
    twin = replace(seed, tag=f"{seed.tag}-twin", story="a twin of a linked customer", odoo=[], bng=[record],
                   end="held", kind="Ambiguous", settled={})  # fmt: skip
    return placed(twin, [], [str(row["CustomerID"])])


async def mend(troubles: Troubles, things: Sequence[Placed], editor: Editor, found: Books, runtime: Runtime) -> None:
    """Do what the dead letters and Conflicts ask a person to do, for one of each kind."""
    mail = "mended@reception.example"
    thing = troubles.bad_mails[0]
    thing.end, thing.kind = "agreed", ""
    await editor.make(Edit(thing=thing, system="odoo", values={"email": mail}, seen_as={"email": mail}), found)
    lonely = next(t for t in things if t.seed.story == "no e-mail, only in Odoo")
    lonely.end, lonely.kind, lonely.settled["email"] = "agreed", "", "found@reception.example"
    await editor.stage.odoo.edit("customer", lonely.left[0], {"email": "found@reception.example"})
    asked = troubles.asked[0]
    left, _ = counterparts(asked, found)

    def settle(conn: Connection, pair_id: int) -> None:
        rows = [row["id"] for row in conflicts.listing(conn, pair_id) if row["left_key"] == left]
        conflicts.settle(conn, rows, "left", runtime.wake, "demo")

    pair_id = found.pair_id
    await runtime.db.run(settle, pair_id)
    asked.disputed = set()
    asked.settled["tax_id"] = "771000000"


@dataclass(slots=True)
class _Sender:
    """Makes edits without waiting for them."""

    editor: Editor
    found: Books

    async def send(self, thing: Placed, system: System, values: Values) -> None:
        left, right = counterparts(thing, self.found)
        await self.editor.send(Edit(thing=thing, system=system, values=values, seen_as={}), left, right)
