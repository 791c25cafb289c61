"""Proves the sandbox's guarded write, switches and faults."""

import asyncio
import hashlib
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from odoo_visitor import PARTNER, Visitor, visitor

__all__ = ["visitor"]


# --- guarded write ---------------------------------------------------------------------------------------------------


async def guarded(visitor: Visitor, *items: dict[str, Any], model: str = PARTNER) -> Any:
    admin = visitor.up.settings.odoo_admin_key
    (of,) = await visitor.call("ir.model", "search", key=admin, domain=[["model", "=", model]])
    action = {"name": "Guarded write", "model_id": of, "state": "code", "code": "# isthmus: guarded write\n..."}
    ids = await visitor.call("ir.actions.server", "create", key=admin, vals_list=[action])
    context = {"isthmus_guarded_write": {"model": model, "items": list(items)}}
    return await visitor.call("ir.actions.server", "run", ids=ids, context=context)


async def test_a_guarded_write_writes_only_what_still_holds_what_was_read(visitor: Visitor) -> None:
    held, moved, gone = [await visitor.partner(city="Old", country_id=233) for _ in range(3)]
    await visitor.call(PARTNER, "write", ids=[moved], vals={"city": "Moved"})
    await visitor.call(PARTNER, "unlink", ids=[gone])
    expect = {"city": "Old", "country_id": 233, "street": False}
    answer = await guarded(
        visitor, *({"id": i, "expect": expect, "values": {"city": "New"}} for i in (held, moved, gone))
    )
    assert answer["type"] == "ir.actions.act_window_close"
    assert [(item["id"], item["outcome"]) for item in answer["isthmus"]] == [
        (held, "ok"),
        (moved, "changed"),
        (gone, "gone"),
    ]
    assert answer["isthmus"][1]["current"] == {"city": "Moved", "country_id": 233, "street": False}
    assert (await visitor.one(held, "city"))["city"] == "New"
    assert (await visitor.one(moved, "city"))["city"] == "Moved"


async def test_a_guarded_write_that_breaks_a_rule_is_refused_and_the_others_are_written(visitor: Visitor) -> None:
    good, bad = await visitor.partner(), await visitor.partner()
    answer = await guarded(
        visitor,
        {"id": bad, "expect": {}, "values": {"city": "Lost", "name": False}},
        {"id": good, "expect": {}, "values": {"name": "Changed"}},
    )
    refused, written = answer["isthmus"]
    assert (refused["id"], refused["outcome"], refused["name"]) == (bad, "refused", "ValidationError")
    assert "Contacts require a name" in refused["message"]
    assert (written["id"], written["outcome"]) == (good, "ok")
    assert (await visitor.one(bad, "name", "city")) == {"id": bad, "name": "Somebody", "city": False}
    assert (await visitor.one(good, "name"))["name"] == "Changed"


async def test_a_server_action_without_the_marker_does_nothing(visitor: Visitor) -> None:
    admin = visitor.up.settings.odoo_admin_key
    action = {"name": "Other", "model_id": 1, "state": "code", "code": "records.unlink()"}
    ids = await visitor.call("ir.actions.server", "create", key=admin, vals_list=[action])
    assert await visitor.call("ir.actions.server", "run", ids=ids) is False


# --- switches --------------------------------------------------------------------------------------------------------


async def test_the_switches_need_the_admin_key(visitor: Visitor) -> None:
    status, _ = await visitor.ask("POST", "/sandbox/reset", {})
    assert status == 401


async def test_a_reset_brings_back_the_first_rows(visitor: Visitor) -> None:
    first = await visitor.switch("GET", "snapshot")
    made = await visitor.partner()
    await visitor.switch("POST", "reset")
    again = await visitor.switch("GET", "snapshot")
    assert [row["id"] for row in again[PARTNER]] == [row["id"] for row in first[PARTNER]]
    assert await visitor.partner() == made


async def test_a_snapshot_holds_raw_rows_and_no_secret(visitor: Visitor) -> None:
    await visitor.partner(name="In Snapshot", credit_limit=7.5)
    told = await visitor.switch("GET", "snapshot")
    (row,) = [row for row in told[PARTNER] if row["name"] == "In Snapshot"]
    assert row["credit_limit"] == {"1": 7.5}
    assert len(row["write_date"]) == 26
    text = repr(told)
    for secret in (visitor.up.settings.api_key, visitor.up.settings.password):
        assert secret not in text
        assert hashlib.sha256(secret.encode()).hexdigest() not in text


async def test_an_edit_by_another_user_bears_that_users_name(visitor: Visitor) -> None:
    made = await visitor.partner()
    await visitor.switch("POST", "edit", model=PARTNER, id=made, values={"city": "Edited"})
    assert (await visitor.one(made, "write_uid"))["write_uid"] == [2, "Administrator"]
    told = await visitor.switch("POST", "edit", model=PARTNER, values={"name": "By low"}, login="admin")
    assert (await visitor.one(told["ids"][0], "create_uid"))["create_uid"][0] == 2


async def test_a_late_commit_appears_behind_the_readers_back(visitor: Visitor) -> None:
    made, other = await visitor.partner(name="Late"), await visitor.partner(name="Other")
    seen = (await visitor.one(other, "write_date"))["write_date"]
    told = await visitor.switch("POST", "late", model=PARTNER, id=made, values={"city": "Late"}, seconds=30)
    row = await visitor.one(made, "write_date", "city")
    assert row["city"] == "Late"
    assert row["write_date"] == told["write_date"][:19] < seen
    edge = (datetime.fromisoformat(seen) - timedelta(seconds=40)).strftime("%Y-%m-%d %H:%M:%S")
    found = await visitor.call(PARTNER, "search", domain=[["write_date", ">=", edge], ["name", "=", "Late"]])
    assert found == [made]
    assert made not in await visitor.call(PARTNER, "search", domain=[["write_date", ">=", seen]])


async def test_a_merge_moves_children_and_external_ids_onto_the_survivor(visitor: Visitor) -> None:
    rows = [["keep", "Survivor", ""], ["lose", "Loser", "l@merge.example"]]
    told = await visitor.call(PARTNER, "load", fields=["id", "name", "email"], data=rows)
    survivor, loser = told["ids"]
    child = await visitor.partner(parent_id=loser, type="delivery")
    await visitor.switch("POST", "merge", survivor=survivor, losers=[loser])
    assert await visitor.call(PARTNER, "read", ids=[loser], fields=["name"]) == []
    row = await visitor.one(survivor, "name", "email", "child_ids")
    assert (row["name"], row["email"], row["child_ids"]) == ("Survivor", "l@merge.example", [child])
    (data,) = await visitor.call(PARTNER, "get_metadata", ids=[survivor])
    assert {entry["xmlid"] for entry in data["xmlids"]} == {"__import__.keep", "__import__.lose"}
    again = await visitor.call(PARTNER, "load", fields=["id", "name"], data=[["lose", "Renamed by loser"]])
    assert again["ids"] == [survivor]


async def test_a_hard_delete_leaves_no_trace(visitor: Visitor) -> None:
    (made,) = (await visitor.call(PARTNER, "load", fields=["id", "name"], data=[["trace", "Trace"]]))["ids"]
    await visitor.switch("POST", "delete", model=PARTNER, id=made)
    told = await visitor.switch("GET", "snapshot")
    assert not any(row["name"] == "trace" for row in told["ir.model.data"])
    assert not any(row["id"] == made for row in told[PARTNER])


async def test_keys_expire_and_can_be_revoked(visitor: Visitor) -> None:
    login = visitor.up.settings.login
    expired = await visitor.switch("POST", "keys", login=login, days=-1)
    fresh = await visitor.switch("POST", "keys", login=login, days=90)
    status, told = await visitor.ask("POST", f"/json/2/{PARTNER}/search_count", {"domain": []}, expired["key"])
    assert (status, told["message"]) == (401, "Invalid apikey")
    assert await visitor.call(PARTNER, "search_count", key=fresh["key"], domain=[]) > 0
    rows = await visitor.call("res.users.apikeys", "search_read", domain=[], fields=["name", "expiration_date"])
    assert (datetime.now(UTC) + timedelta(days=90)).strftime("%Y-%m-%d") in {
        str(row["expiration_date"])[:10] for row in rows
    }
    await visitor.switch("DELETE", "keys", id=fresh["id"])
    status, _ = await visitor.ask("POST", f"/json/2/{PARTNER}/search_count", {"domain": []}, fresh["key"])
    assert status == 401


async def test_rights_can_be_taken_away_while_running(visitor: Visitor) -> None:
    made = await visitor.partner()
    await visitor.switch("PUT", "rights", login=visitor.up.settings.login, model=PARTNER, rights="r")
    status, told = await visitor.ask("POST", f"/json/2/{PARTNER}/write", {"ids": [made], "vals": {}})
    assert (status, told["name"]) == (403, "odoo.exceptions.AccessError")


async def test_calls_are_counted(visitor: Visitor) -> None:
    await visitor.partner()
    await visitor.partner()
    assert (await visitor.switch("GET", "calls"))["calls"] == {"res.partner.create": 2}


async def test_other_companies_rows_hide_and_company_values_differ(visitor: Visitor) -> None:
    admin = visitor.up.settings.odoo_admin_key
    (second,) = await visitor.call("res.company", "create", key=admin, vals_list=[{"name": "Second"}])
    (made,) = await visitor.call(PARTNER, "create", key=admin, vals_list=[{"name": "Theirs", "company_id": second}])
    assert await visitor.call(PARTNER, "search", domain=[["name", "=", "Theirs"]]) == []
    status, told = await visitor.ask("POST", f"/json/2/{PARTNER}/read", {"ids": [made], "fields": ["name"]})
    assert (status, told["name"]) == (403, "odoo.exceptions.AccessError")
    shared = await visitor.partner(credit_limit=1)
    await visitor.call(
        PARTNER, "write", key=admin, ids=[shared], vals={"credit_limit": 2}, context={"allowed_company_ids": [second]}
    )
    assert (await visitor.one(shared, "credit_limit"))["credit_limit"] == 1.0
    in_second = await visitor.one(shared, "credit_limit", key=admin, context={"allowed_company_ids": [second]})
    assert in_second["credit_limit"] == 2.0


# --- faults ----------------------------------------------------------------------------------------------------------


async def test_a_dropped_answer_has_been_written_and_a_reset_one_has_not(visitor: Visitor) -> None:
    for kind, written in (("drop_after_commit", 1), ("reset", 0)):
        await visitor.switch("POST", "faults", kind=kind, times=1, match="/create")
        with pytest.raises(aiohttp.ClientError):
            await visitor.partner(name=kind)
        assert await visitor.call(PARTNER, "search_count", domain=[["name", "=", kind]]) == written
    assert (await visitor.switch("GET", "faults"))["fired"] == {"drop_after_commit": 1, "reset": 1}


async def test_a_truncated_answer_ends_too_early(visitor: Visitor) -> None:
    await visitor.switch("POST", "faults", kind="truncate", times=1)
    with pytest.raises(aiohttp.ClientPayloadError):
        await visitor.partner(name="Cut")
    assert await visitor.call(PARTNER, "search_count", domain=[["name", "=", "Cut"]]) == 1


async def test_status_faults_answer_without_running_the_call(visitor: Visitor) -> None:
    await visitor.switch("POST", "faults", kind="status", status=429, seconds=7, times=1)
    headers = {"Authorization": f"Bearer {visitor.up.settings.api_key}"}
    url = f"{visitor.up.url}/json/2/{PARTNER}/create"
    async with visitor.session.post(url, json={"vals_list": [{"name": "Limited"}]}, headers=headers) as answer:
        assert (answer.status, answer.headers["Retry-After"], answer.content_type) == (429, "7", "text/html")
    await visitor.switch("POST", "faults", kind="status", status=502, every=2)
    outcomes = [(await visitor.ask("POST", f"/json/2/{PARTNER}/search_count", {"domain": []}))[0] for _ in range(4)]
    assert outcomes == [200, 502, 200, 502]
    await visitor.switch("DELETE", "faults")
    assert await visitor.call(PARTNER, "search_count", domain=[["name", "=", "Limited"]]) == 0


async def test_a_delay_holds_one_call_and_not_the_others(visitor: Visitor) -> None:
    await visitor.switch("POST", "faults", kind="delay", times=1, seconds=1, match="/create")
    started = time.monotonic()
    slow = asyncio.create_task(visitor.partner())
    await asyncio.sleep(0.05)
    await visitor.call(PARTNER, "search_count", domain=[])
    assert time.monotonic() - started < 0.8
    await slow
    assert time.monotonic() - started >= 1.0


async def test_an_unknown_fault_is_refused_with_the_choices(visitor: Visitor) -> None:
    status, told = await visitor.ask("POST", "/sandbox/faults", {"kind": "melt"}, visitor.up.settings.admin_key)
    assert status == 400
    assert "drop_after_commit" in told["error"]


async def test_latency_slows_every_call(visitor: Visitor) -> None:
    await visitor.switch("PUT", "latency", ms=200)
    started = time.monotonic()
    await visitor.call(PARTNER, "search_count", domain=[])
    assert time.monotonic() - started >= 0.2
