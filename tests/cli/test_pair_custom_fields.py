"""`isthmus pair custom-fields`, as a consultant would use it."""

from __future__ import annotations

from joined import Systems, isthmus


async def test_nothing_to_map_is_said_in_a_sentence_and_a_field_nobody_offers_is_refused(joined: Systems) -> None:
    none = await isthmus("pair", "custom-fields", "main", "customer")
    assert "No custom field" in none.out
    refused = await isthmus("pair", "custom-fields", "main", "customer", "--map", "x_shoe_size")
    assert refused.code == 1
    assert "not offered: x_shoe_size" in refused.err
