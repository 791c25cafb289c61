"""Orders of a shop on their way to BNG: the stand-ins of both, flows that ship, and what people at both ends do."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text

TESTS = Path(__file__).resolve().parents[1]
# Workers import this outside pytest: what follows is found only from here on, hence E402.
sys.path += [str(TESTS), str(TESTS / "odoo"), str(TESTS / "gateway"), str(TESTS / "shop")]

from cash_world import BUSY, publish  # noqa: E402
from shop_visitor import HOOK_SECRET, Shopping, number, opened, stocked  # noqa: E402

from isthmus.detect.poll import poll_connection  # noqa: E402
from isthmus.operate import flows as verbs  # noqa: E402
from isthmus.operate.assemble import template  # noqa: E402
from isthmus.operate.opening import opened as opened_runtime  # noqa: E402
from isthmus.operate.runtime import Runtime  # noqa: E402
from isthmus.sandbox.bng.shipping import fulfil  # noqa: E402
from isthmus.sdk import Hint  # noqa: E402
from isthmus.store import connections, flows  # noqa: E402
from joined import Systems, connect_bng, isthmus  # noqa: E402

__all__ = ["ADDRESS", "ShopWorld", "Shopping", "connect_shop", "goods", "opened", "publish_as", "shop_world"]
ADDRESS = {
    "firstName": "Ada", "lastName": "Byron", "address1": "Kaai 7", "address2": "Dock 2", "city": "Gent", "zip": "9000",
    "countryCode": "BE", "phone": "+3291234567",
}  # fmt: skip


class ShopWorld:
    """What shoppers, the shop's people and BNG's people do, and what the service then does."""

    def __init__(self, runtime: Runtime, systems: Systems, shopping: Shopping) -> None:
        self.runtime, self.systems, self.shopping = runtime, systems, shopping
        self.db = runtime.db

    # -- in the shop -------------------------------------------------------------------------------------------

    async def checkout(self, *lines: dict[str, Any], **more: Any) -> str:
        """An order of Ada's; its key."""
        told = {"email": "ada@example.org", "shipping_address": ADDRESS, **more}
        return number((await self.shopping.do("checkout", lines=list(lines), **told))["id"])

    async def in_shop(self, kind: str, key: str) -> dict[str, Any]:
        """A document of the shop."""
        [found] = [one for one in await self.all_in_shop(kind) if one["number_id"] in (key, int(key))]
        return found

    async def all_in_shop(self, kind: str) -> list[dict[str, Any]]:
        """Every document of a kind."""
        return list(await self.shopping.door("GET", "all", kind=kind))

    async def available(self, sku: str) -> int:
        """What the shop may still sell of a SKU."""
        items = {one["id"] for one in await self.all_in_shop("InventoryItem") if one["sku"] == sku}
        levels = [one for one in await self.all_in_shop("InventoryLevel") if one["item"] in items]
        return sum(one["counts"]["available"] for one in levels)

    # -- at BNG ------------------------------------------------------------------------------------------------

    async def seed(self, entity: str, **record: Any) -> str:
        """A record typed into BNG; its id."""
        told = await self.systems.in_bng("POST", "seed", entity=entity, records=[record])
        return str(told["ids"][0])

    async def product(self, sku: str) -> str:
        """A product of BNG."""
        return await self.seed(
            "product", SKU=sku, Name=sku.title(), ProductType="Stocked", UnitOfMeasure="EA", ListPrice="10",
            CurrencyCode="USD",
        )  # fmt: skip

    async def edit(self, entity: str, key: str, **fields: Any) -> None:
        """An edit by people at BNG."""
        await self.systems.in_bng("POST", "edit", entity=entity, id=key, values=fields)

    async def at_bng(self, entity: str, **where: Any) -> list[dict[str, Any]]:
        """Records of BNG with these values."""
        found = (await self.systems.in_bng("GET", "snapshot", entities=entity))[entity]
        return [one for one in found if all(one[name] == value for name, value in where.items())]

    def ship(self, key: str, *lines: tuple[int, str], tracking: str = "") -> None:
        """A ship notice of BNG's warehouse; without lines everything that is open leaves."""
        notice: dict[str, Any] = {"Carrier": "UPS", **({"TrackingNumbers": [tracking]} if tracking else {})}
        if lines:
            notice["Lines"] = [{"LineNumber": number, "Quantity": quantity} for number, quantity in lines]
        sandbox = self.systems.bng.sandbox
        with sandbox.store.transaction():
            fulfil(sandbox, key, notice)

    async def lose(self, match: str, times: int, kind: str = "drop_after_commit") -> None:
        """BNG does the work, and its answer is lost so many times."""
        told = {"kind": kind, "next": times, "match": match, "method": "POST"}
        await self.systems.in_bng("POST", "faults", **told)

    async def order_of(self, key: str) -> dict[str, Any]:
        """The one order of BNG that came of an order of the shop."""
        found = [
            one for one in await self.at_bng("sales_order") if (one["CustomFields"] or {}).get("shop_order") == key
        ]
        assert len(found) == 1, f"{len(found)} orders of BNG came of {key}"
        return found[0]

    # -- the service -------------------------------------------------------------------------------------------

    async def poll(self) -> None:
        """Look once at everything that flows listen to."""
        for connection_id, entity in await self.db.run(flows.watched):
            row = await self.db.run(connections.by_id, connection_id)

            def hear(conn: Any, hints: Any, number: int = connection_id) -> None:
                self.runtime.flows.hear(conn, number, hints)

            await poll_connection(self.db, connection_id, await self.runtime.connector(row), entity, hear)

    def hear(self, name: str, entity: str, *keys: str) -> None:
        """What webhooks say: look at these records; the same ones again, in any order."""
        number = self.one("select id from connection where name = :name", name=name)
        with self.db.transaction() as conn:
            self.runtime.flows.hear(conn, number, [Hint(entity=entity, key=key) for key in keys])

    async def quiet(self, seconds: float = 60.0) -> None:
        """Wait until nothing is under way."""
        end = asyncio.get_running_loop().time() + seconds
        while self.one(BUSY):
            assert asyncio.get_running_loop().time() < end, self.rows(
                "select r.key, i.node, i.state, i.attempts from run_item i join run r on r.id = i.run_id "
                "where i.state in ('ready', 'waiting')"
            )
            await asyncio.sleep(0.05)

    async def work(self, rounds: int = 2) -> None:
        """Let the service do everything that is due: what it wrote it hears of, until nothing is new."""
        stop = asyncio.Event()
        engine = asyncio.create_task(self.runtime.engine.run(stop))
        try:
            for _ in range(rounds):
                await self.poll()
                await self.quiet()
        finally:
            stop.set()
            await engine

    def one(self, sql: str, **given: Any) -> Any:
        with self.db.transaction() as conn:
            return conn.execute(text(sql), given).scalar()

    def rows(self, sql: str, **given: Any) -> list[Any]:
        with self.db.transaction() as conn:
            return [tuple(row) for row in conn.execute(text(sql), given)]

    def held(self) -> list[tuple[str, str, str]]:
        """What waits for a person: node, key without the number of its item, and what it was told."""
        sql = "select side, key, error ->> 'answered' from dead_letter where state = 'open' order by id"
        return [(side, key.rpartition(" #")[0], answered or "") for side, key, answered in self.rows(sql)]


async def connect_shop(shopping: Shopping) -> None:
    """The shop as a Connection of the service."""
    secrets = ("--secret", f"access_token={shopping.up.settings.access_token}")
    secrets += ("--secret", f"webhook_secret={HOOK_SECRET}")
    plain = ("--set", "allow_loopback=true", "--set", "points_per_second=0", "--set", "request_ceiling=5", "--no-check")
    said = await isthmus("connection", "add", "shop", "--kind", "shopify", "--url", shopping.up.url, *secrets, *plain)
    assert said.code == 0, said


async def goods(shopping: Shopping, *skus: str) -> None:
    """Products of the shop by the SKUs of Odoo."""
    for sku in skus:
        await shopping.do("product", title=sku.title(), sku=sku, price="40.00", available=50)


async def publish_as(runtime: Runtime, name: str, words: Mapping[str, str], **bindings: str) -> None:
    """A flow that ships, with some words of its file changed as a house would."""
    file = template("flows", name)
    for old, new in words.items():
        assert file.count(old) == 1, old
        file = file.replace(old, new)
    await verbs.bring_in(runtime, file, bindings=bindings, actor="test")
    await verbs.publish(runtime, name, actor="test")


@asynccontextmanager
async def shop_world(
    systems: Systems, *, names: Sequence[str] = ("shop-order-to-bng",), **settings: Any
) -> AsyncIterator[ShopWorld]:
    """A shop with mugs and caps and BNG that knows them, connected, and the flows published."""
    async with opened(**settings) as shopping:
        await stocked(shopping)
        await connect_shop(shopping)
        said = await isthmus(*connect_bng(systems))
        assert said.code == 0, said
        async with opened_runtime() as runtime:
            world = ShopWorld(runtime, systems, shopping)
            for sku in ("MUG", "CAP"):
                await world.product(sku)
            for name in names:
                await publish(runtime, name, shop="shop", bng="bng")
            await world.work(1)
            yield world
