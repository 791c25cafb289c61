"""Campaigns of random edits under faults and deaths; `ISTHMUS_CAMPAIGN=200` plays as many seeds of each Policy."""

from __future__ import annotations

import os

import pytest
from driver import PHONES, Driver

from isthmus.model.policy import Empties, FieldPolicy, Rule
from isthmus.store.database import Database

SEEDS = int(os.environ.get("ISTHMUS_CAMPAIGN", "1"))
FIRST = int(os.environ.get("ISTHMUS_CAMPAIGN_FIRST", "1"))
KEEPING = {"empties keep": FieldPolicy(rule=Rule.LEFT, empties=Empties.KEEP)}


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
@pytest.mark.parametrize("policy", [*PHONES, *KEEPING])
async def test_at_every_rest_both_sides_say_what_the_edits_and_the_policy_make_of_them(
    database: Database, policy: str, seed: int
) -> None:
    driver = Driver(database, seed, (PHONES | KEEPING)[policy], empties=policy in KEEPING)
    try:
        for _ in range(4):
            await driver.round(12)
    except Exception:
        print("\n".join(driver.told))
        raise
