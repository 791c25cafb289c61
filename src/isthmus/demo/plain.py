"""The demo's plain work: timed edits and new records on both sides, one after another."""

from __future__ import annotations

from collections.abc import Sequence

from isthmus.demo.edits import SYSTEMS, Cast, Editor, new_seeds, plain_edits
from isthmus.demo.outcome import Books, Placed

EACH = 12
"""Edits of each kind."""
NEW = 3
"""New customers on each side."""


async def plain_work(things: list[Placed], editor: Editor, found: Books) -> None:
    """Make every plain edit and wait for it; new records join the things."""
    for edit in plain_edits(Cast(things), EACH):
        await editor.make(edit, found)
    template = next(thing.seed for thing in things if _company_on_both_sides(thing))
    made: Sequence[Placed] = [
        await editor.create(system, seed) for system in SYSTEMS for seed in new_seeds(template, system, NEW)
    ]
    things.extend(made)


def _company_on_both_sides(thing: Placed) -> bool:
    seed = thing.seed
    same = seed.entity == "customer" and seed.story == "the same on both sides"
    return same and seed.odoo[0]["is_company"] and seed.odoo[0]["active"] and "delivery" not in seed.odoo[0]
