"""Requests to the canonical API: who may, how fast, repeats and lost answers, and bodies that do not fit."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text

from calling import Caller, in_odoo, new_client, token_for, until
from isthmus.store.database import Database
from joined import Service, Systems, isthmus

BODY = {"reference": "W-1", "values": {"name": "Acme", "email": "acme@example.com"}}
CARD = "4111 1111 1111 1111"


@pytest.fixture
async def till(joined: Systems, service: Service) -> Caller:
    """A client that writes to Odoo."""
    return await new_client(service)


def rows(database: Database, sql: str) -> list[tuple[Any, ...]]:
    with database.transaction() as conn:
        return [tuple(row) for row in conn.execute(text(sql))]


async def odoo_fault(up: Systems, **fault: Any) -> None:
    headers = {"Authorization": f"Bearer {up.odoo.settings.admin_key}"}
    async with up.session.post(f"{up.odoo.url}/sandbox/faults", json=fault, headers=headers) as answer:
        assert answer.status < 300, await answer.text()


async def test_a_token_is_given_for_id_and_secret_only(till: Caller, service: Service, database: Database) -> None:
    status, told = await token_for(till.url, till.session, till.client_id, "sec_wrong")
    assert (status, told["error"]) == (401, "invalid_client")
    status, told = await token_for(till.url, till.session, till.client_id, till.client_secret, "payments:write")
    assert (status, told["error"]) == (400, "invalid_scope")
    async with till.session.post(f"{till.url}/oauth/token", json={"grant_type": "password"}) as answer:
        assert (answer.status, (await answer.json())["error"]) == (400, "unsupported_grant_type")
    basic = base64.b64encode(f"{till.client_id}:{till.client_secret}".encode()).decode()
    form = {"grant_type": "client_credentials", "scope": "customers:read"}
    async with till.session.post(
        f"{till.url}/oauth/token", data=form, headers={"Authorization": f"Basic {basic}"}
    ) as answer:
        told = await answer.json()
        assert (answer.status, told["scope"], told["expires_in"]) == (200, "customers:read", 900)
    stored = str(rows(database, "select c.*, t.* from client c join client_token t on t.client_id = c.id"))
    assert till.client_secret not in stored
    assert told["access_token"] not in stored


async def test_a_token_may_what_its_scopes_say_until_it_ends_or_the_client_is_revoked(
    till: Caller, service: Service, database: Database
) -> None:
    _, told = await token_for(till.url, till.session, till.client_id, till.client_secret, "customers:read")
    narrow = Caller(till.url, till.session, told["access_token"])
    assert (await narrow.call("GET", "/customers"))[0] == 200
    for verb, path in (("POST", "/customers"), ("GET", "/products"), ("PUT", "/customers/1")):
        status, told, _ = await narrow.call(verb, path, BODY if verb != "GET" else None)
        assert (status, told["code"]) == (403, "forbidden")
    for token in ("", "ict_wrong", service.token):
        status, told, headers = await Caller(till.url, till.session, token).call("GET", "/customers")
        assert (status, told["code"], headers["WWW-Authenticate"]) == (401, "unauthorised", "Bearer")
    assert (await service.call("GET", "/api/v1/status", token=till.token))[0] == 401
    with database.transaction() as conn:
        conn.execute(text("update client_token set expires_at = now() where scopes = array['customers:read']"))
    assert (await narrow.call("GET", "/customers"))[0] == 401
    assert (await service.call("DELETE", "/api/v1/clients/till"))[1] == {"revoked": 1}
    assert (await till.call("GET", "/customers"))[0] == 401
    assert (await token_for(till.url, till.session, till.client_id, till.client_secret))[0] == 401


async def test_clients_are_made_listed_and_revoked_by_command(joined: Systems, database: Database) -> None:
    made = await isthmus("client", "add", "till", "--pair", "main", "--scope", "customers:write", "--json")
    assert made.code == 0, made
    secret = made.json["client_secret"]
    said = await isthmus("client", "list", "--json")
    assert [(c["name"], c["side"], c["scopes"]) for c in said.json] == [("till", "left", ["customers:write"])]
    assert secret not in said.out + (await isthmus("client", "list")).out
    assert (await isthmus("client", "add", "till", "--pair", "main", "--scope", "customers:read")).code == 1
    refused = await isthmus("client", "add", "x", "--pair", "main", "--scope", "customers:delete", "--json")
    assert "customers:write" in refused.json["error"]["hint"]
    assert (await isthmus("client", "revoke", "till")).code == 0
    assert (await isthmus("client", "revoke", "till")).code == 1
    actions = [a for (a,) in rows(database, "select action from audit where action like '%client' order by id")]
    assert actions == ["add client", "revoke client"]


async def test_a_client_that_asks_too_fast_is_told_when_to_go_on(service: Service, joined: Systems) -> None:
    slow = await new_client(service, "slow", per_minute=60)
    answers = await asyncio.gather(*(slow.call("GET", "/customers?limit=1") for _ in range(75)))
    late = [(told, headers) for status, told, headers in answers if status == 429]
    assert 5 <= len(late) <= 15
    assert late[0][0]["code"] == "rate_limit"
    assert int(late[0][1]["Retry-After"]) == 1
    other = await new_client(service, "other")
    assert (await other.call("GET", "/customers?limit=1"))[0] == 200
    await asyncio.sleep(1.1)
    assert (await slow.call("GET", "/customers?limit=1"))[0] == 200


async def test_the_same_key_and_body_are_answered_the_same_and_another_body_is_refused(
    till: Caller, joined: Systems, database: Database
) -> None:
    first = await till.call("POST", "/customers", BODY, Idempotency_Key="k1")
    again = await till.call("POST", "/customers", BODY, Idempotency_Key="k1")
    assert first[:2] == again[:2]
    assert first[0] == 201
    assert again[2]["Idempotency-Replayed"] == "true"
    assert again[2]["Location"] == first[2]["Location"]
    status, told, _ = await till.call("POST", "/customers", {**BODY, "reference": "W-2"}, Idempotency_Key="k1")
    assert (status, told["code"]) == (422, "key_reused")
    wrong = {"reference": "W-3", "values": {"name": ""}}
    answers = [await till.call("POST", "/customers", wrong, Idempotency_Key="k2") for _ in range(2)]
    assert [status for status, _, _ in answers] == [422, 422]
    assert answers[0][1] == answers[1][1]
    with database.transaction() as conn:
        conn.execute(text("update client_answer set created_at = now() - interval '25 hours'"))
    status, told, headers = await till.call("POST", "/customers", BODY, Idempotency_Key="k1")
    assert (status, told["key"]) == (200, first[1]["key"])
    assert "Idempotency-Replayed" not in headers
    assert len(await in_odoo(joined, "res.partner", "name", name="Acme")) == 1


async def test_the_same_reference_is_the_same_record_and_with_other_values_a_duplicate(
    till: Caller, joined: Systems
) -> None:
    first = await till.call("POST", "/customers", BODY)
    again = await till.call("POST", "/customers", BODY)
    assert (first[0], again[0], again[1]["key"]) == (201, 200, first[1]["key"])
    other = {"reference": "W-1", "values": {"name": "Else", "email": "else@example.com"}}
    status, told, _ = await till.call("POST", "/customers", other)
    assert (status, told["code"], told["record"]) == (409, "duplicate", first[1]["key"])
    assert len(await in_odoo(joined, "res.partner", "name", email="acme@example.com")) == 1


async def test_the_same_request_while_the_first_is_being_answered_is_sent_away(till: Caller, joined: Systems) -> None:
    await odoo_fault(joined, kind="delay", seconds=1.0, match="res.partner/load", times=1)
    answers = await asyncio.gather(*(till.call("POST", "/customers", BODY, Idempotency_Key="k") for _ in range(4)))
    assert sorted(status for status, _, _ in answers) == [201, 409, 409, 409]
    assert {told["code"] for status, told, _ in answers if status == 409} == {"busy"}
    assert (await till.call("POST", "/customers", BODY, Idempotency_Key="k"))[0] == 201
    assert len(await in_odoo(joined, "res.partner", "name", name="Acme")) == 1


async def test_a_record_whose_answer_was_lost_is_found_and_not_made_twice(till: Caller, joined: Systems) -> None:
    await odoo_fault(joined, kind="drop_after_commit", match="res.partner/load", times=1)
    status, told, _ = await till.call("POST", "/customers", BODY, Idempotency_Key="k")
    assert status == 201, told
    path = f"/customers/{told['key']}"
    await odoo_fault(joined, kind="drop_after_commit", match="ir.actions.server/run", times=1)
    await odoo_fault(joined, kind="drop_after_commit", match="res.partner/write", times=1)
    status, told, _ = await till.call("PUT", path, {"values": {"name": "Acme Two"}})
    assert status == 200, told
    assert [p["name"] for p in await in_odoo(joined, "res.partner", "name", email="acme@example.com")] == ["Acme Two"]


async def test_a_system_that_is_away_is_told_as_such_and_the_key_stays_free(till: Caller, joined: Systems) -> None:
    await odoo_fault(joined, kind="status", status=503, match="res.partner")
    status, told, headers = await till.call("POST", "/customers", BODY, Idempotency_Key="k")
    assert (status, told["code"]) == (503, "network")
    assert int(headers["Retry-After"]) >= 1
    headers = {"Authorization": f"Bearer {joined.odoo.settings.admin_key}"}
    async with joined.session.delete(f"{joined.odoo.url}/sandbox/faults", headers=headers) as answer:
        assert answer.status < 300
    assert (await till.call("POST", "/customers", BODY, Idempotency_Key="k"))[0] in (201, 503)


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The service as a process of its own, as it is started by hand."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "isthmus",
        "serve",
        "--port",
        "0",
        "--json",
        stdout=asyncio.subprocess.PIPE,
        env=dict(os.environ),
    )
    try:
        assert child.stdout is not None
        line = await asyncio.wait_for(child.stdout.readline(), 60)
        yield child, json.loads(line)["url"]
    finally:
        if child.returncode is None:
            child.terminate()
        await child.wait()


@pytest.mark.parametrize("landed", [True, False])
async def test_a_service_killed_between_intent_and_answer_leaves_one_record_and_says_so_when_asked_again(
    joined: Systems, database: Database, landed: bool
) -> None:
    made = (await isthmus("client", "add", "till", "--pair", "main", "--scope", "customers:write", "--json")).json
    who = (made["client_id"], made["client_secret"])
    await odoo_fault(joined, kind="delay", seconds=2.0, match="res.partner/load", times=1)

    async def sent() -> Any:
        return await asyncio.to_thread(rows, database, "select id from client_intent where state = 'sent'")

    async def stands() -> Any:
        return await in_odoo(joined, "res.partner", "name", name="Acme")

    async with serving() as (child, url):
        _, told = await token_for(url, joined.session, *who)
        caller = Caller(url, joined.session, told["access_token"])
        asking = asyncio.create_task(caller.call("POST", "/customers", BODY, Idempotency_Key="k"))
        await until(sent)
        with database.engine.connect() as conn:
            # The service cannot note that it has written, as long as this holds the Intent.
            conn.execute(text("select 1 from client_intent for update"))
            if landed:
                await until(stands)
            os.kill(child.pid, signal.SIGKILL)
            await child.wait()
        assert isinstance((await asyncio.gather(asking, return_exceptions=True))[0], Exception)
    async with serving() as (_, url):
        caller = Caller(url, joined.session, caller.token)
        status, told, headers = await caller.call("POST", "/customers", BODY, Idempotency_Key="k")
        if not landed:
            assert (status, told["code"]) == (503, "network")
            assert int(headers["Retry-After"]) > 60  # Odoo may still be at it, for all we know
            with database.transaction() as conn:
                conn.execute(text("update client_intent set sent_at = now() - interval '1 hour'"))
            status, told, headers = await caller.call("POST", "/customers", BODY, Idempotency_Key="k")
        assert status == 201, told
        assert [told["key"]] == [str(there["id"]) for there in await stands()]
    assert rows(database, "select state, sends from client_intent") == [("confirmed", 1 if landed else 2)]
    assert rows(database, "select count(*) from audit where actor = 'client till' and action = 'create'") == [(1,)]


async def test_what_became_of_a_lost_write_is_found_out_also_when_nobody_asks_again(
    till: Caller, joined: Systems, service: Service, database: Database
) -> None:
    made = await till.create("customers", "W-1", **BODY["values"])
    with database.transaction() as conn:
        conn.execute(text("update client_intent set state = 'sent', key = null, ended_at = null"))
        conn.execute(text("update client_intent set sent_at = now() - interval '1 hour'"))
        conn.execute(
            text(
                """insert into client_intent (client_id, pair_id, entity, side, action, idempotency_key, digest, key,
                     fields, sent_at)
                   select client_id, pair_id, entity, side, 'update', 'x', digest, cast(:key as text),
                     '{"name": "Never"}', sent_at from client_intent"""
            ),
            {"key": made["key"]},
        )
    from isthmus.operate.canonical.writing import resolve
    from isthmus.operate.opening import opened

    async with opened() as runtime:
        assert await resolve(runtime) == 2
    found = rows(database, "select action, state, key from client_intent order by id")
    assert found == [("create", "confirmed", made["key"]), ("update", "dropped", made["key"])]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"\xff\xfe", 400),
        (b'{"reference": "a", "values": {"name": NaN}}', 400),
        (b"[" * 100_000, 400),
        (b'{"reference": "a", "values": {"credit_limit": ' + b"9" * 5000 + b"}}", 400),
        (b'{"reference": "a", "values": {"credit_limit": 1e999999}}', 422),
        (b'{"reference": "a", "values": {"name": "a\\u0000b", "email": "a@example.com"}}', 422),
        (b'{"reference": "a", "values": {"name": "a\\ud800b", "email": "a@example.com"}}', 400),
        (b'{"reference": "a\\u0000", "values": {"name": "a", "email": "a@example.com"}}', 422),
        (b'{"reference": "", "values": {}}', 422),
        (b'{"values": {}}', 422),
        (b'{"reference": "a", "name": "x"}', 422),
        (b'{"reference": "a", "values": []}', 422),
        (b'{"reference": 7, "values": {}}', 422),
        (b'{"reference": "a", "values": {"name": "' + b"x" * 1_000_001 + b'"}}', 413),
    ],
)
async def test_a_body_that_is_not_as_it_should_is_refused_with_a_sentence(
    till: Caller, database: Database, body: bytes, status: int
) -> None:
    answered, told, headers = await till.call("POST", "/customers", body)
    assert (answered, headers["Content-Type"]) == (status, "application/problem+json"), told
    assert told["next"]
    assert rows(database, "select count(*) from client_intent") == [(0,)]


async def test_card_numbers_are_refused_and_kept_nowhere(
    till: Caller, joined: Systems, service: Service, database: Database
) -> None:
    noted = {"reference": "W-1", "values": {**BODY["values"], "notes": f"card {CARD}"}}
    number = {"reference": "W-1", "values": {**BODY["values"], "credit_limit": 4111111111111111}}
    named = {"reference": CARD, "values": BODY["values"]}
    for body in (noted, number, named):
        status, told, _ = await till.call("POST", "/customers", body, Idempotency_Key="k")
        assert (status, told["code"]) == (422, "card_number")
        assert "1111 1111" not in str(told)
    assert (await till.call("POST", "/customers", BODY, Idempotency_Key=CARD))[0] == 422
    for table in ("client_answer", "client_intent", "audit", "change"):
        kept = str(rows(database, f"select t::text from {table} t")).replace(" ", "")
        assert "4111111111111111" not in kept
