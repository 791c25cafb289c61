"""A preview: what every step makes of a record, which rules hold, what the other side would get; nothing is written."""

from __future__ import annotations

from typing import Any

from joined import Service, Systems, isthmus


async def preview(key: object, *more: str, entity: str = "customer") -> dict[str, Any]:
    said = await isthmus("preview", "main", entity, str(key), "--json", *more)
    assert said.code == 0, said
    return dict(said.json)


def trace(told: dict[str, Any], direction: str, name: str) -> dict[str, Any]:
    return dict(next(one for one in told[direction] if name in one["fields"]))


async def new_partner(systems: Systems, **values: Any) -> int:
    given = {"name": "Azure", "email": " Mary@Example.COM", "is_company": True, "customer_rank": 1, **values}
    (made,) = await systems.in_odoo("res.partner", "create", vals_list=[given])
    return int(made)


async def test_every_step_of_every_value_is_told_and_nothing_is_written(joined: Systems) -> None:
    before = await joined.bng_customers()
    key = await new_partner(joined, phone="(650) 253-0000", website="azure.example.com")
    told = await preview(key)
    assert (told["outcome"], told["in_scope"], told["counterpart"]) == ("create", True, None)
    phone = trace(told, "reading", "phone")
    assert (phone["paths"], phone["given"], phone["result"]) == (["phone"], "(650) 253-0000", "+16502530000")
    assert [(s["step"], s["after"]) for s in phone["steps"]] == [("text", "(650) 253-0000"), ("phone", "+16502530000")]
    assert told["canonical"]["email"] == "mary@example.com"
    assert trace(told, "writing", "name")["result"] == {"CompanyName": "Azure", "FirstName": None, "LastName": None}
    assert (told["payload"]["CompanyName"], told["payload"]["Phone"]) == ("Azure", "+16502530000")
    left_out = trace(told, "writing", "billing")
    assert (left_out["skipped"], left_out["problem"]) == (True, "empty, and a new record has nothing to empty")
    said = await isthmus("preview", "main", "customer", str(key))
    for words in ("read from odoo", "written to bng", "phone → +16502530000", "rules", "create"):
        assert words in said.out
    assert await joined.bng_customers() == before
    assert (await isthmus("deadletters", "list", "--json")).json == []


async def test_what_holds_a_record_is_shown_where_it_stands(joined: Systems) -> None:
    told = await preview(await new_partner(joined, email="no address", credit_limit=-5.0))
    assert (told["outcome"], told["payload"]) == ("held", {})
    broken = {rule["rule"]: rule for rule in told["rules"] if not rule["holds"]}
    assert broken["email-form"]["message"] == "no address is not an e-mail address"
    assert broken["email-form"]["severity"] == "block"
    assert "name-present" not in broken
    assert "no address is not an e-mail address" in told["reason"]

    text = {"CompanyName": "Nowhere", "Email": "n@example.com", "BillingAddress": "Behind the church, Erewhon"}
    await joined.in_bng("POST", "seed", entity="customer", records=[text])
    key = next(row["CustomerID"] for row in await joined.bng_customers() if row["CompanyName"] == "Nowhere")
    told = await preview(key, "--side", "right")
    billing = trace(told, "reading", "billing")
    assert [s["step"] for s in billing["steps"]] == ["address"]
    assert "cannot be split for certain" in billing["problem"]
    assert (told["outcome"], "billing" in told["canonical"]) == ("held", False)

    told = await preview(await new_partner(joined, is_company=False, parent_id=joined.customers[9]))
    assert "not linked yet" in trace(told, "writing", "parent")["problem"]
    assert told["outcome"] == "held"


async def test_a_linked_record_shows_only_the_difference_as_what_would_be_written(joined: Systems) -> None:
    assert (await isthmus("load", "main", "--yes")).code == 0
    key = joined.customers[8]
    assert (await preview(key))["outcome"] == "nothing"
    await joined.in_odoo("res.partner", "write", ids=[key], vals={"phone": "+16502530000"})
    told = await preview(key)
    assert (told["outcome"], told["payload"]) == ("update", {"Phone": "+16502530000"})
    back = await preview(told["counterpart"], "--side", "right")
    assert (back["side"], back["counterpart"], back["outcome"]) == ("right", str(key), "nothing")
    assert "would be written here" in back["reason"]


async def test_a_record_that_takes_no_part_can_be_looked_at_and_an_unknown_one_is_a_sentence(joined: Systems) -> None:
    dock = {"name": "Dock", "type": "delivery", "parent_id": joined.customers[0]}
    (child,) = await joined.in_odoo("res.partner", "create", vals_list=[dock])
    told = await preview(child)
    assert (told["in_scope"], told["outcome"], told["canonical"]["name"]) == (False, "nothing", "Dock")
    said = await isthmus("preview", "main", "customer", "999999")
    assert (said.code, "there is no res.partner with this key" in said.err) == (1, True)
    said = await isthmus("preview", "main", "dragon", "1")
    assert (said.code, "Its entities are" in said.err) == (1, True)
    assert (await isthmus("preview", "main", "customer", "1", "--side", "middle")).code == 2


async def test_the_api_tells_the_same_and_lists_the_catalogue(joined: Systems, service: Service) -> None:
    key = await new_partner(joined)
    asked = {"entity": "customer", "side": "left", "key": str(key)}
    status, told = await service.call("POST", "/api/v1/pairs/main/preview", asked)
    assert (status, told) == (200, await preview(key))
    status, answer = await service.call("POST", "/api/v1/pairs/main/preview", {**asked, "key": "999999"})
    assert (status, answer["error"]["kind"]) == (422, "InvalidRecord")
    status, listed = await service.call("GET", "/api/v1/mappings/transforms")
    phone = next(one for one in listed if one["name"] == "phone")
    assert phone["options"]["properties"]["region"]["description"]
    assert phone["examples"][0]["raw"] == "(650) 253-0000"
    status, functions = await service.call("GET", "/api/v1/mappings/functions")
    assert (status, {"add", "is_email", "days_between"} <= {f["name"] for f in functions}) == (200, True)
