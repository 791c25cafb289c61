"""Orders from BNG to cash: a real Odoo, the stand-ins of BNG and its gateway, the trade pair, and a shipped flow."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text

TESTS = Path(__file__).resolve().parents[1]
# Workers import this outside pytest: what follows is found only from here on, hence E402.
sys.path += [str(TESTS), str(TESTS / "odoo"), str(TESTS / "gateway")]

from gateway_rig import Rig, paying  # noqa: E402
from trading import PRODUCTS, SIDES, Trade, trading  # noqa: E402

from isthmus.detect.poll import poll, poll_connection  # noqa: E402
from isthmus.errors import Contended  # noqa: E402
from isthmus.flows.definition import parse  # noqa: E402
from isthmus.operate import deadletters, runs  # noqa: E402
from isthmus.operate import flows as verbs  # noqa: E402
from isthmus.operate.assemble import template  # noqa: E402
from isthmus.operate.runtime import Runtime  # noqa: E402
from isthmus.store import connections, flows  # noqa: E402
from joined import Systems, isthmus  # noqa: E402
from real_odoo import RealOdoo  # noqa: E402

IMPATIENT = """
update connection set settings = settings || '{"request_ceiling": 8}', updated_at = now() where name = 'odoo'
"""
"""What was never answered is soon looked into."""
BUSY = """
select (select count(*) from change where state <> 'closed' and not_before < now() + interval '8 seconds')
     + (select count(*) from flow_event where state = 'pending')
     + (select count(*) from run_item where state = 'ready'
        or (state = 'waiting' and due_at < now() + interval '10 seconds'))
"""
LETTERS = """
select d.id from dead_letter d left join run_item i on i.id = d.run_item_id left join run r on r.id = i.run_id
where d.state = 'open' and (d.key = :key or r.key = :key)
"""
ROLES = {"bng": "bng", "odoo": "odoo", "gateway": "gateway", "trade": "main"}
_numbers = itertools.count(1)


class CashWorld:
    """What people at BNG and their customers do, what the service then does, and what stands in the books."""

    def __init__(self, trade: Trade, systems: Systems, rig: Rig) -> None:
        self.trade = trade
        self.systems = systems
        self.rig = rig
        self.db = trade.runtime.db
        self._token = ""

    # -- at BNG ------------------------------------------------------------------------------------------------

    async def order(self, *lines: Mapping[str, Any], card: str = "", sale: bool = False, **more: Any) -> str:
        """A confirmed order; with a `card` its total is authorised at the gateway, or with `sale` charged at once."""
        number = f"S-{next(_numbers)}"
        told = self.trade.order(*lines, OrderNumber=number, Status="Confirmed", **more)
        if card:
            kind = "sale" if sale else "auth"
            status, said = await self.rig.send(
                "/api/transact.php", type=kind, amount=told["TotalAmount"], payment_token=self.rig.token(card),
                orderid=number, currency="USD",
            )  # fmt: skip
            assert status == 200
            assert b"response=1&" in said, said
            told["PaymentStatus"] = "Paid" if sale else "Authorized"
        [key] = await self.trade.seed("sales_order", told)
        return key

    async def ship(self, key: str, *lines: tuple[int, str], tracking: str = "", carrier: str = "UPS") -> None:
        """A ship notice of BNG's warehouse; without lines everything that is open leaves."""
        up, session = self.systems.bng, self.systems.session
        if not self._token:
            form = {"grant_type": "client_credentials", "client_id": up.settings.client_id,
                    "client_secret": up.settings.client_secret}  # fmt: skip
            async with session.post(f"{up.url}/oauth/token", data=form) as answer:
                self._token = (await answer.json())["access_token"]
        notice: dict[str, Any] = {"Carrier": carrier, **({"TrackingNumbers": [tracking]} if tracking else {})}
        if lines:
            notice["Lines"] = [{"LineNumber": number, "Quantity": quantity} for number, quantity in lines]
        headers = {"Authorization": f"Bearer {self._token}"}
        path = f"{up.url}/api/v1/sales_orders/{key}/fulfillments"
        async with session.post(path, json=notice, headers=headers) as answer:
            assert answer.status == 201, await answer.text()

    async def change(self, key: str, *lines: tuple[int, str, str, str]) -> None:
        """Lines of an order as they are now: number, product, quantity, price; those left out are gone."""
        there = {line["LineNumber"]: line["LineItemID"] for line in (await self.bng_order(key))["LineItems"]}
        rows = [self.trade.line(*line) for line in lines]
        rows = [{**row, **({"LineItemID": there[row["LineNumber"]]} if row["LineNumber"] in there else {})}
                for row in rows]  # fmt: skip
        told = self.trade.order(*rows)
        sums = {name: told[name] for name in ("Subtotal", "TotalAmount")}
        await self.trade.edit("sales_order", key, LineItems=rows, **sums)

    async def send_back(self, key: str, number: str, *lines: tuple[int, str]) -> None:
        """Goods of an order come back to the warehouse: line number and quantity of each."""
        came = {"number": number, "lines": [{"line": line, "quantity": quantity} for line, quantity in lines]}
        await self.begin("order-to-cash", key, {"came_back": came})

    async def at_bng(self, entity: str, **where: Any) -> list[dict[str, Any]]:
        """Records of BNG with these values."""
        return [r for r in await self.trade.at_bng(entity) if all(r[n] == v for n, v in where.items())]

    async def bng_order(self, key: str) -> dict[str, Any]:
        [found] = await self.at_bng("sales_order", SalesOrderID=key)
        return found

    # -- the service -------------------------------------------------------------------------------------------

    async def begin(self, flow: str, key: str, data: Mapping[str, Any]) -> None:
        """A Run that a person begins."""
        await verbs.begin(self.trade.runtime, flow, [(key, data)], actor="test")

    async def house(self, **rules: str) -> None:
        """The house rules of order to cash, changed in its file."""
        file = template("flows", "order-to-cash")
        for name, word in rules.items():
            file, times = re.subn(rf"(house\.{name}: )'\"\w+\"'", lambda m, to=word: f"{m[1]}'\"{to}\"'", file)
            assert times == 1, name
        await verbs.bring_in(self.trade.runtime, file, bindings=ROLES, actor="test")
        await verbs.publish(self.trade.runtime, "order-to-cash", actor="test")

    def asked(self) -> list[Any]:
        """What people are asked: number, key of the Run, what is shown."""
        with self.db.transaction() as conn:
            return [(one["id"], one["key"], one["shown"]) for one in runs.approvals(conn)]

    async def decide(self, key: str, choice: str) -> None:
        """A person's answer to what is asked about an order."""
        [number] = [one for one, about, _ in self.asked() if about == key]
        lanes = self.trade.runtime.flows
        await self.db.run(runs.decide, lanes, number, choice, "ada", "as agreed")

    async def retry(self, key: str) -> None:
        """What is held of an order is tried again."""
        lanes = self.trade.runtime.flows
        for (number,) in self.rows(LETTERS, key=key):
            with contextlib.suppress(Contended), self.db.transaction() as conn:  # one Run of an order at a time
                deadletters.retry(conn, [int(number)], self.trade.runtime.wake, "ada", lanes)

    async def poll(self) -> None:
        """Look once at everything that pair and flows listen to."""
        runtime = self.trade.runtime
        _, pair = await runtime.pair(self.trade.pair_id)
        kinds = {(side, b.side(side).entity) for b in pair.entities.values() for side in SIDES}
        for side, kind in sorted(kinds):
            await poll(self.db, pair, side, kind, runtime.wake)
        for connection_id, entity in await self.db.run(flows.watched):
            row = await self.db.run(connections.by_id, connection_id)

            def hear(conn: Any, hints: Any, number: int = connection_id) -> None:
                runtime.flows.hear(conn, number, hints)

            await poll_connection(self.db, connection_id, await runtime.connector(row), entity, hear)

    async def quiet(self, seconds: float = 240.0) -> None:
        """Wait until nothing is under way."""
        end = asyncio.get_running_loop().time() + seconds
        while self.one(BUSY):
            assert asyncio.get_running_loop().time() < end, (
                self.rows("select r.key, i.node, i.state, i.attempts, i.due_at::text from run_item i "
                          "join run r on r.id = i.run_id where i.state in ('ready', 'waiting')"),
                self.rows("select entity, side, key, state, not_before::text from change where state <> 'closed'"),
            )  # fmt: skip
            await asyncio.sleep(0.1)

    async def work(self, rounds: int = 3, *, polls: bool = True) -> None:
        """Let the service do everything that is due: what it wrote it hears of, until nothing is new."""
        stop = asyncio.Event()
        engine = asyncio.create_task(self.trade.runtime.engine.run(stop))
        try:
            for _ in range(rounds):
                if polls:
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
            return [tuple(r) for r in conn.execute(text(sql), given)]

    def held(self) -> list[Any]:
        """What waits for a person."""
        return self.rows("select entity, side, key, kind, error ->> 'answered' from dead_letter where state = 'open'")

    # -- in Odoo -----------------------------------------------------------------------------------------------

    def in_odoo(self, key: str) -> dict[str, Any]:
        """The one sales order that came of an order of BNG."""
        names = ("name", "state", "amount_total", "order_line", "picking_ids", "invoice_ids", "delivery_status",
                 "invoice_status")  # fmt: skip
        [found] = self.trade.read("sale.order", [["origin", "=", key]], *names)
        return found

    def transfers(self, order: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """State, quantities and source of the deliveries of an order, oldest first."""
        out = []
        for picking in self.trade.read("stock.picking", [["id", "in", order["picking_ids"]]], "state", "origin"):
            moves = self.trade.read("stock.move", [["picking_id", "=", picking["id"]]], "quantity", "product_uom_qty")
            out.append((picking["state"], [m["quantity"] for m in moves], picking["origin"]))
        return out

    def invoices(self, order: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Kind, state, total, what is open, and payment state of the invoices of an order."""
        names = ("move_type", "state", "amount_total", "amount_residual", "payment_state")
        found = self.trade.read("account.move", [["id", "in", order["invoice_ids"]]], *names)
        return [tuple(row[name] for name in names) for row in found]

    def payments(self, *references: str) -> list[tuple[Any, ...]]:
        """Reference and amount of posted payments."""
        domain: list[Any] = [["state", "in", ["in_process", "paid"]]]
        if references:
            domain.append(["memo", "in", list(references)])
        return [(row["memo"], row["amount"]) for row in self.trade.read("account.payment", domain, "memo", "amount")]

    def receivable(self) -> float:
        """What all customers owe."""
        domain = [["account_type", "=", "asset_receivable"], ["parent_state", "=", "posted"]]
        rows = self.trade.read("account.move.line", domain, "balance")
        return round(sum(row["balance"] for row in rows), 2)


async def publish(runtime: Runtime, name: str, **bindings: str) -> None:
    """Bring in a flow that ships, bind its roles and publish it."""
    file = template("flows", name)
    roles = {*parse(file).connections, *parse(file).pairs}
    bound = {role: there for role, there in bindings.items() if role in roles}
    await verbs.bring_in(runtime, file, bindings=bound, actor="test")
    await verbs.publish(runtime, name, actor="test")


def stock(trade: Trade, quantities: Mapping[int, float] | None = None) -> None:
    """Goods in the warehouse: quantities by variant, else plenty of everything."""
    quantities = quantities or {trade.variants[sku]: 1000.0 for sku in PRODUCTS[:3]}
    [warehouse] = trade.read("stock.warehouse", [], "lot_stock_id")[:1]
    rows = [
        {"product_id": variant, "location_id": warehouse["lot_stock_id"][0], "inventory_quantity_auto_apply": quantity}
        for variant, quantity in quantities.items()
    ]  # fmt: skip
    trade.odoo.call("stock.quant", "create", vals_list=rows, context={"inventory_mode": True})


@asynccontextmanager
async def cashing(
    odoo: RealOdoo, systems: Systems, *, url: str = "", names: Sequence[str] = ("order-to-cash",), **more: Any
) -> AsyncIterator[CashWorld]:
    """Everything connected, master data loaded, goods in stock, and the flows published; `url` leads to Odoo too.

    `more` goes to the trading pair.
    """
    async with paying() as rig, trading(odoo, systems, url=url, **more) as trade:
        made = ["connection", "add", "gateway", "--kind", "bng_gateway", "--url", rig.up.url, "--no-check"]
        made += ["--set", "allow_loopback=true", "--set", "request_ceiling=8", "--set", "calls_per_second=0"]
        said = await isthmus(*made, "--secret", f"security_key={rig.up.settings.security_key}")
        assert said.code == 0, said
        with trade.runtime.db.transaction() as conn:
            conn.execute(text(IMPATIENT))
        stock(trade)
        for name in names:
            await publish(trade.runtime, name, **ROLES)
        world = CashWorld(trade, systems, rig)
        await world.work(1)
        yield world
