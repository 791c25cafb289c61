"""Card numbers never enter: a record that holds one is held itself, and nothing that rests shows it."""

from __future__ import annotations

import asyncio
import io
import logging

from test_planted_secrets import everything_in

from isthmus.security.redaction import mask_logs
from isthmus.store.database import Database
from joined import Systems, isthmus

CARD = "4111111111111111"


async def test_a_record_with_a_card_number_is_held_and_its_number_masked(joined: Systems, database: Database) -> None:
    await joined.in_odoo("res.partner", "write", ids=[joined.customers[0]], vals={"comment": f"card {CARD}"})
    said = await isthmus("load", "main", "--yes", "--json")
    assert said.json["done"]["customer"]["kinds"] == {"InvalidRecord": 1}
    (letter,) = (await isthmus("deadletters", "list", "main", "--json")).json
    assert "card number" in letter["error"]["answered"]
    assert "411111******1111" in str(letter["payload"])
    assert CARD not in str(await joined.bng_customers())
    assert CARD not in await asyncio.to_thread(everything_in, database)


async def test_the_record_follows_once_its_number_is_gone(joined: Systems) -> None:
    await joined.in_odoo("res.partner", "write", ids=[joined.customers[0]], vals={"comment": f"card {CARD}"})
    await isthmus("load", "main", "--yes")
    await joined.in_odoo("res.partner", "write", ids=[joined.customers[0]], vals={"comment": "pays by card"})
    await isthmus("load", "main", "--yes")
    assert (await isthmus("deadletters", "list", "main", "--json")).json == []


def test_a_log_line_is_masked_with_its_traceback() -> None:
    kept = io.StringIO()
    handler = logging.StreamHandler(kept)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        mask_logs()
        try:
            raise ValueError(f"declined: {CARD}")
        except ValueError:
            logging.getLogger("isthmus").exception("charging %s", CARD)
    finally:
        root.removeHandler(handler)
    assert CARD not in kept.getvalue()
    assert kept.getvalue().count("411111******1111") == 2
