"""Every trouble a shop can make is told in its class, waits as long as it must, and says what to do."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from shop_visitor import Shopping, bucket, made, new, opened, read, services_with, stocked

from isthmus.sdk import (
    AuthFailed,
    Everything,
    Failed,
    IsthmusError,
    Misconfigured,
    RateLimited,
    SchemaDrift,
    TokenBucket,
    Unavailable,
    Unsure,
    Written,
)


class Watched:
    """A call budget that is looked at: what was taken, and until when everybody was stopped."""

    def __init__(self, inner: TokenBucket) -> None:
        self._inner = inner
        self.taken = 0
        self.blocks: list[datetime] = []

    async def take(self, n: int = 1) -> None:
        self.taken += n
        await self._inner.take(n)

    async def block_until(self, when: datetime) -> None:
        self.blocks.append(when)
        await self._inner.block_until(when)


READS: list[tuple[dict[str, Any], type[IsthmusError]]] = [
    ({"kind": "status", "status": 500}, Unavailable),
    ({"kind": "status", "status": 502}, Unavailable),
    ({"kind": "status", "status": 503}, Unavailable),
    ({"kind": "reset"}, Unavailable),
    ({"kind": "truncate"}, Unavailable),
    ({"kind": "html", "status": 502}, Unavailable),
    ({"kind": "html", "status": 200}, Misconfigured),
    ({"kind": "throttle", "retry_after": 50}, RateLimited),
    ({"kind": "graphql_error"}, Unavailable),
]


@pytest.mark.parametrize(("fault", "kind"), READS, ids=[f"{f['kind']}-{f.get('status', '')}" for f, _ in READS])
async def test_a_read_that_goes_wrong_is_told_in_its_class(
    shopping: Shopping, fault: dict[str, Any], kind: type[IsthmusError]
) -> None:
    shop = shopping.connect()
    await shopping.fault(**{**fault, "next": 9})
    with pytest.raises(kind) as caught:
        await read(shop, "order", Everything())
    assert type(caught.value) is kind
    assert caught.value.hint


WRITES: list[tuple[dict[str, Any], type, type[IsthmusError]]] = [
    ({"kind": "status", "status": 500}, Unsure, IsthmusError),
    ({"kind": "status", "status": 503}, Failed, Unavailable),
    ({"kind": "html", "status": 200, "after": True}, Unsure, IsthmusError),
    ({"kind": "graphql_error", "after": True}, Unsure, IsthmusError),
    ({"kind": "throttle", "retry_after": 70}, Failed, RateLimited),
    ({"kind": "drop_after_commit"}, Unsure, IsthmusError),
]


@pytest.mark.parametrize(
    ("fault", "outcome", "kind"), WRITES, ids=[f"{f['kind']}-{f.get('status', '')}" for f, _, _ in WRITES]
)
async def test_a_write_that_goes_wrong_is_never_called_failed_when_it_may_have_taken_place(
    shopping: Shopping, fault: dict[str, Any], outcome: type, kind: type[IsthmusError]
) -> None:
    shop = shopping.connect()
    await made(shop, "customer", "warm", firstName="Warm")
    await shopping.fault(**fault, method="mutation")
    outcomes = await shop.create("customer", [new("c1", firstName="Ada"), new("c2", firstName="Bea")])
    assert [type(one) for one in outcomes] == [outcome, outcome]
    first, second = (one.error for one in outcomes)  # type: ignore[union-attr]  # seen above
    assert isinstance(first, kind)
    assert (first.record, second.record) == ("c1", "c2")


async def test_a_refused_token_a_closed_shop_and_a_wrong_version_halt(shopping: Shopping) -> None:
    with pytest.raises(AuthFailed, match="401"):
        await read(shopping.connect(token="wrong"), "order", Everything())
    for state, kind in (("frozen", Misconfigured), ("locked", Misconfigured), ("forbidden", AuthFailed)):
        await shopping.door("PUT", "settings", {"state": state})
        with pytest.raises(kind):
            await read(shopping.connect(), "order", Everything())
    await shopping.door("PUT", "settings", {"state": "open"})
    shop = shopping.connect()
    shop.wire.path = "/admin/api/next-year/graphql.json"
    with pytest.raises(Misconfigured, match="404"):
        await read(shop, "order", Everything())


async def test_a_missing_scope_is_named_and_stops_only_what_needs_it(shopping: Shopping) -> None:
    scopes = [
        one
        for one in (await shopping.door("GET", "settings"))["scopes"]
        if one not in ("read_orders", "write_customers")
    ]
    await shopping.door("PUT", "settings", {"scopes": scopes})
    shop = shopping.connect()
    with pytest.raises(Misconfigured, match="read_orders") as caught:
        await read(shop, "order", Everything())
    assert "Give the app the scope read_orders" in caught.value.hint
    [refused] = await shop.create("customer", [new("c1", firstName="Ada")])
    assert isinstance(refused, Failed)
    assert isinstance(refused.error, Misconfigured)
    assert len(await read(shop, "product", Everything())) == 2
    findings = await shop.check()
    [problem] = [one for one in findings if one.status == "problem"]
    assert "write_customers" in problem.message or "read_orders" in problem.message


async def test_the_doctor_tells_of_the_shop_and_of_what_is_wrong(shopping: Shopping) -> None:
    good = await shopping.connect().check()
    assert {one.check for one in good} == {"connection", "version", "scopes", "locations", "webhooks", "budget"}
    assert [one for one in good if one.status == "problem"] == []
    odd = await shopping.connect(location="7", api_version="2024-01", points_per_second=5000).check()
    told = {one.check: one for one in odd if one.status != "ok"}
    assert "served as 2026-07" in told["version"].message
    assert "Set api_version to 2026-07" in told["version"].fix
    assert "no location 7" in told["locations"].message
    assert "Main warehouse" in told["locations"].fix
    assert "points_per_second" in told["budget"].fix


async def test_a_version_that_does_not_know_a_field_is_schema_drift(shopping: Shopping) -> None:
    shop = shopping.connect()
    with pytest.raises(SchemaDrift, match="doesn't exist on type"):
        await shop.wire.ask("{ shop { nonsense } }", doing="asking for nonsense")


async def test_a_throttled_call_waits_for_its_points_in_the_shared_budget(shopping: Shopping) -> None:
    await shopping.door("PUT", "settings", {"bucket": 40, "restore": 400})
    watched = Watched(bucket(0, 1))
    shop = shopping.connect(services=services_with(watched))
    items = [new(f"c{n}", firstName=f"Name {n}") for n in range(9)]
    shop2 = shopping.connect(services=services_with(watched), batch_size=3)
    outcomes = await shop2.create("customer", items)
    assert [type(one) for one in outcomes] == [Written] * 9
    assert len(await read(shop, "customer", Everything())) == 9
    assert watched.blocks, "nobody was told to wait"
    assert await shopping.count("Customer") == 9


async def test_a_shop_that_stays_throttled_is_told_with_the_wait(shopping: Shopping) -> None:
    await shopping.fault("graphql_throttle", next=99)
    shop = shopping.connect()
    with pytest.raises(RateLimited) as caught:
        await read(shop, "order", Everything())
    assert caught.value.wait is not None
    [refused] = await shop.create("customer", [new("c1", firstName="Ada")])
    assert isinstance(refused, Failed)
    assert isinstance(refused.error, RateLimited)
    assert await shopping.count("Customer") == 0


async def test_the_points_that_a_query_costs_are_taken_from_the_budget() -> None:
    async with opened() as shopping:
        await stocked(shopping)
        watched = Watched(bucket(0, 1))
        shop = shopping.connect(services=services_with(watched))
        await read(shop, "product", Everything(), "title", "variants")
        first = watched.taken
        await read(shop, "product", Everything(), "title", "variants")
        assert watched.taken - first > first


async def test_no_secret_is_in_any_error(shopping: Shopping) -> None:
    token = shopping.up.settings.access_token
    shop = shopping.connect()
    assert token not in repr(shop.settings)
    for kind in ("status", "html", "reset", "throttle"):
        await shopping.fault(kind, next=9, status=500, retry_after=60)
        with pytest.raises(IsthmusError) as caught:
            await read(shop, "order", Everything())
        assert token not in repr(caught.value.as_dict())
        await shopping.door("DELETE", "faults")
        shop = shopping.connect()
