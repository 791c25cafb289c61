"""A third REST system joins by a manifest alone: read, changed, written, deleted and examined."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from acme import KEY, MANIFEST, Acme
from aiohttp import web
from aiohttp.test_utils import TestServer

from isthmus.connectors.rest import RestConnector, connector
from isthmus.connectors.rest.manifest import merged
from isthmus.sdk import (
    AuthFailed,
    ByExternalKeys,
    ByKeys,
    ByValues,
    Create,
    Delete,
    Everything,
    Failed,
    Gone,
    Hint,
    Misconfigured,
    NetworkPolicy,
    Rate,
    RateLimited,
    RefusedByTarget,
    SchemaDrift,
    Secret,
    Stale,
    Unsure,
    Update,
    Written,
    local_services,
)


@pytest.fixture
async def acme() -> AsyncIterator[tuple[Acme, TestServer]]:
    system = Acme()
    server = TestServer(system.app())
    await server.start_server()
    yield system, server
    await server.close()


def connect(server: TestServer, overrides: dict[str, Any] | None = None, key: str = KEY) -> RestConnector:
    made = connector.make(
        {"base_url": str(server.make_url("")), "manifest": MANIFEST, "overrides": overrides or {}},
        {"api_key": Secret(key)},
        local_services(Rate(0), network=NetworkPolicy(allow_loopback=True)),
    )
    assert isinstance(made, RestConnector)
    return made


@pytest.fixture
async def person(acme: tuple[Acme, TestServer]) -> AsyncIterator[RestConnector]:
    made = connect(acme[1])
    yield made
    await made.close()


async def read(connector: RestConnector, selection: Any, *paths: str, scope: Any = None) -> list[Any]:
    pages = connector.read("person", selection, paths, scope)
    return [record async for page in pages for record in page]


async def changed(connector: RestConnector, cursor: str | None) -> tuple[list[Hint], str]:
    hints: list[Hint] = []
    last = cursor or ""
    async for page in connector.changes("person", cursor):
        hints.extend(page.hints)
        last = page.cursor
    return hints, last


def new(ref: str, **values: Any) -> Create:
    return Create(external_key=ref, values={"mail": f"{ref}@x.org", **values}, idempotency_key=f"key-{ref}")


async def test_every_page_is_read_and_values_are_typed(acme: Any, person: RestConnector) -> None:
    for n in range(7):
        acme[0].put(ref=f"r{n}", mail="a@x.org", balance="12.50", born="1990-02-28", kind="C", home={"town": "Ulm"})
    records = await read(person, Everything(), "mail", "balance", "born", "kind", "home.town", "home.zip")
    assert [record.key for record in records] == ["1", "2", "3", "4", "5", "6", "7"]
    assert records[0].values == {
        "mail": "a@x.org",
        "balance": Decimal("12.50"),
        "born": date(1990, 2, 28),
        "kind": "Client",
        "home.town": "Ulm",
        "home.zip": None,
    }
    assert records[0].external_key == "r0"
    assert records[0].created_at is not None
    assert records[0].created_at.tzinfo is not None


async def test_offset_paging_works_by_an_override(acme: Any) -> None:
    acme[0].paging = "offset"
    for n in range(8):
        acme[0].put(ref=f"r{n}", mail="a@x.org")
    made = connect(acme[1], {"paging": {"style": "offset", "offset_param": "skip"}})
    assert len(await read(made, Everything())) == 8
    await made.close()


async def test_a_field_name_is_overridden_per_connection(acme: Any) -> None:
    acme[0].put(ref="r1", mail="a@x.org", full_name="Ada")
    made = connect(acme[1], {"entities": {"person": {"fields": {"name": {"wire": "full_name"}}}}})
    assert (await read(made, ByKeys(["1"]), "name"))[0].values == {"name": "Ada"}
    [written] = await made.create("person", [new("r2", name="Bob")])
    assert isinstance(written, Written)
    assert acme[0].rows[2]["full_name"] == "Bob"
    await made.close()


async def test_a_wrong_override_says_where(acme: Any) -> None:
    with pytest.raises(Misconfigured, match=r"paging\.style"):
        connect(acme[1], {"paging": {"style": "sideways"}})


async def test_reading_by_keys_leaves_out_what_is_not_there(acme: Any, person: RestConnector) -> None:
    acme[0].put(ref="r1", mail="a@x.org")
    assert [r.key for r in await read(person, ByKeys(["1", "99"]), "mail")] == ["1"]
    assert await person.exists("person", ["1", "99"]) == {"1": True, "99": False}


async def test_reading_by_external_key_and_by_value(acme: Any, person: RestConnector) -> None:
    acme[0].put(ref="r1", mail="a@x.org")
    acme[0].put(ref="r2", mail="b@x.org", archived=True)
    assert [r.key for r in await read(person, ByExternalKeys(["r2", "r9"]))] == ["2"]
    found = await read(person, ByValues("mail", ["b@x.org", "nobody@x.org"]), "@external_key")
    assert [(r.key, r.active, r.external_key, r.values) for r in found] == [("2", False, "r2", {})]
    assert await read(person, ByValues("name", ["Ada"])) == []


async def test_an_unknown_field_is_no_empty_field(person: RestConnector) -> None:
    with pytest.raises(SchemaDrift, match="no field mial") as caught:
        await read(person, Everything(), "mial")
    assert "mail" in caught.value.hint


async def test_a_scope_limits_what_is_read(acme: Any, person: RestConnector) -> None:
    acme[0].put(ref="r1", mail="a@x.org", kind="L")
    acme[0].put(ref="r2", mail="b@x.org", kind="C")
    assert [r.key for r in await read(person, Everything(), "mail", scope={"kind": "Client"})] == ["2"]
    assert [r.key for r in await read(person, ByKeys(["1", "2"]), scope={"kind": ["Lead"]})] == ["1"]


async def test_changes_begin_now_and_carry_the_content(acme: Any, person: RestConnector) -> None:
    acme[0].put(ref="old", mail="a@x.org")
    hints, cursor = await changed(person, None)
    assert hints == []
    start = acme[0].rows[1]["modified_on"]
    acme[0].put(ref="new", mail="b@x.org")
    hints, cursor = await changed(person, start)
    assert {h.key for h in hints} == {"1", "2"}
    assert hints[-1].record is not None
    assert hints[-1].record.values["mail"] == "b@x.org"
    again, _ = await changed(person, cursor)
    assert again == []
    acme[0].edit(1, name="Ada")
    again, _ = await changed(person, cursor)
    assert [h.key for h in again] == ["1"]


@pytest.mark.parametrize("style", ["page", "offset"])
async def test_a_record_that_changes_while_paging_loses_no_other(acme: Any, style: str) -> None:
    system = acme[0]
    system.paging = style
    for n in range(9):
        system.put(ref=f"r{n}", mail="a@x.org")
    start = system.rows[1]["modified_on"]
    moves = iter([1, 2])

    def meanwhile() -> None:
        number = next(moves, None)
        if number:
            system.edit(number, name="moved to the end, the others move up")

    system.between_pages = meanwhile
    made = connect(acme[1], {"paging": {"style": style, "offset_param": "skip"}})
    hints, _ = await changed(made, start)
    assert {int(h.key) for h in hints} == set(range(1, 10))
    await made.close()


async def test_many_records_of_one_instant_are_all_seen(acme: Any, person: RestConnector) -> None:
    for n in range(10):
        acme[0].put(ref=f"r{n}", mail="a@x.org", modified_on="2026-01-01T00:00:00+00:00")
    hints, cursor = await changed(person, "2026-01-01T00:00:00+00:00")
    assert len({h.key for h in hints}) == 10
    acme[0].edit(4, name="x")
    hints, _ = await changed(person, cursor)
    assert [h.key for h in hints] == ["4"]


async def test_an_unordered_list_moves_the_cursor_only_after_a_quiet_walk(acme: Any) -> None:
    for n in range(4):
        acme[0].put(ref=f"r{n}", mail="a@x.org", modified_on=f"2026-02-01T00:00:0{n}+00:00")
    made = connect(acme[1], {"changes": {"ordered": False}})
    pages = [page async for page in made.changes("person", "2026-01-01T00:00:00+00:00")]
    assert {h.key for p in pages for h in p.hints} == {"1", "2", "3", "4"}
    assert pages[0].cursor == pages[1].cursor != pages[-1].cursor
    await made.close()


async def test_a_record_dated_in_the_future_does_not_hide_the_others(acme: Any, person: RestConnector) -> None:
    acme[0].put(ref="r1", mail="a@x.org", modified_on="2999-01-01T00:00:00+00:00")
    _, cursor = await changed(person, "2026-01-01T00:00:00+00:00")
    assert "2999" not in cursor.split('"seen"')[0]


async def test_records_are_made_one_by_one_and_a_bad_one_stops_none(acme: Any, person: RestConnector) -> None:
    bad = Create(external_key="bad", values={"name": "no mail"}, idempotency_key="key-bad")
    outcomes = await person.create("person", [new("r1", balance=Decimal("1.10")), bad, new("r2", kind="Lead")])
    assert [type(outcome) for outcome in outcomes] == [Written, Failed, Written]
    assert isinstance(outcomes[1], Failed)
    assert isinstance(outcomes[1].error, RefusedByTarget)
    assert "mail is missing" in str(outcomes[1].error)
    assert {row["ref"]: row.get("kind") for row in acme[0].rows.values()} == {"r1": None, "r2": "L"}
    sent = [headers["X-Request-Key"] for method, _, headers, _ in acme[0].calls if method == "POST"]
    assert sorted(sent) == ["key-bad", "key-r1", "key-r2"]


async def test_a_record_that_carries_our_key_is_adopted(acme: Any, person: RestConnector) -> None:
    acme[0].put(ref="mine", mail="a@x.org")
    [outcome] = await person.create("person", [new("mine")])
    assert isinstance(outcome, Written)
    assert (outcome.key, outcome.created) == ("1", False)
    assert len(acme[0].rows) == 1


async def test_another_duplicate_is_refused_in_the_systems_words(acme: Any, person: RestConnector) -> None:
    acme[0].answers.append(web.json_response({"errors": {"mail": ["is taken"]}}, status=409))
    [outcome] = await person.create("person", [new("r1")])
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, RefusedByTarget)
    assert "mail: is taken" in str(outcome.error) or "mail is taken" in str(outcome.error)


async def test_a_partial_update_sends_only_what_changed_and_guards_the_rest(acme: Any, person: RestConnector) -> None:
    acme[0].put(ref="r1", mail="a@x.org", name="Ada", balance="5.00")
    change = Update(key="1", values={"name": "Bea"}, expect={"name": "Ada"}, version="1", idempotency_key="u1")
    [outcome] = await person.update("person", [change])
    assert isinstance(outcome, Written)
    assert (outcome.version, acme[0].rows[1]["name"]) == ("2", "Bea")
    assert acme[0].calls[-1][3] == {"name": "Bea"}
    [stale] = await person.update("person", [change])
    assert stale == Stale(key="1")
    [gone] = await person.update(
        "person", [Update(key="77", values={"name": "x"}, expect={"name": "y"}, version=None, idempotency_key="u2")]
    )
    assert gone == Gone(key="77")


async def test_a_part_of_an_object_is_written_without_losing_the_rest(acme: Any, person: RestConnector) -> None:
    acme[0].put(ref="r1", mail="a@x.org", home={"town": "Ulm", "zip": "89073"})
    change = Update(
        key="1", values={"home.town": "Bonn"}, expect={"home.town": "Ulm"}, version="1", idempotency_key="u"
    )
    assert isinstance((await person.update("person", [change]))[0], Written)
    assert acme[0].rows[1]["home"] == {"town": "Bonn", "zip": "89073"}


async def test_a_full_update_overlays_a_fresh_read(acme: Any) -> None:
    acme[0].put(ref="r1", mail="a@x.org", name="Ada", extra="kept")
    made = connect(acme[1], {"entities": {"person": {"update": {"method": "PATCH", "style": "full"}}}})
    change = Update(key="1", values={"name": "Bea"}, expect={"name": "Ada"}, version="1", idempotency_key="u")
    assert isinstance((await made.update("person", [change]))[0], Written)
    body = acme[0].calls[-1][3]
    assert body == {"ref": "r1", "mail": "a@x.org", "name": "Bea", "extra": "kept", "archived": False}
    await made.close()


async def test_a_record_is_deleted_once(acme: Any, person: RestConnector) -> None:
    acme[0].put(ref="r1", mail="a@x.org")
    removal = Delete(key="1", version=None, idempotency_key="d")
    assert isinstance((await person.delete("person", [removal]))[0], Written)
    assert await person.delete("person", [removal]) == [Gone(key="1")]


@pytest.mark.parametrize(
    ("status", "kind"), [(500, Unsure), (502, Unsure), (503, Failed), (400, Failed), (403, Failed), (405, Failed)]
)
async def test_what_is_not_known_is_never_called_failed(
    acme: Any, person: RestConnector, status: int, kind: type
) -> None:
    acme[0].answers.append(web.Response(status=status, text="<html><title>Oops</title></html>"))
    [outcome] = await person.create("person", [new("r1")])
    assert type(outcome) is kind
    assert "Oops" in str(outcome.error)  # type: ignore[union-attr]


async def test_an_answer_that_cannot_be_read_is_unsure(acme: Any, person: RestConnector) -> None:
    acme[0].answers.append(web.Response(status=200, text="all fine!"))
    [outcome] = await person.create("person", [new("r1")])
    assert isinstance(outcome, Unsure)


async def test_too_many_calls_wait_as_long_as_asked(acme: Any, person: RestConnector) -> None:
    acme[0].answers.append(web.Response(status=429, headers={"Retry-After": "45"}))
    [outcome] = await person.create("person", [new("r1")])
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, RateLimited)
    assert outcome.error.wait is not None
    assert outcome.error.wait.total_seconds() == 45
    with pytest.raises(RateLimited):  # the budget is blocked for everybody, longer than it is worth waiting
        await read(person, Everything())


async def test_a_refused_key_is_a_refused_login(acme: Any) -> None:
    made = connect(acme[1], key="wrong")
    with pytest.raises(AuthFailed):
        await read(made, Everything())
    [outcome] = await made.create("person", [new("r1")])
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, AuthFailed)
    findings = await made.check()
    assert [f.status for f in findings if f.check == "person"] == ["problem"]
    await made.close()


async def test_the_doctor_tells_a_web_page_from_an_api(acme: Any, person: RestConnector) -> None:
    acme[0].answers.append(web.Response(text="<!doctype html><title>Welcome</title>", content_type="text/html"))
    findings = await person.check()
    [finding] = [f for f in findings if f.status == "problem"]
    assert "web page" in finding.message
    assert "base URL" in finding.fix


async def test_the_doctor_tells_an_unreachable_host() -> None:
    made = connector.make(
        {"base_url": "http://127.0.0.1:9", "manifest": MANIFEST},
        {"api_key": Secret(KEY)},
        local_services(Rate(0), network=NetworkPolicy(allow_loopback=True)),
    )
    findings = await made.check()
    [finding] = [f for f in findings if f.status == "problem"]
    assert "cannot be reached: connection refused" in finding.message
    assert "firewall" in finding.fix
    await made.close()


def test_a_manifest_never_computes() -> None:
    with pytest.raises(Misconfigured, match="transform"):
        connector.make(
            {"base_url": "https://x.org", "manifest": merged(MANIFEST, {"transform": "lambda row: row"})},
            {"api_key": Secret(KEY)},
            local_services(),
        )
