"""The business campaign: orders and purchase orders on a real Odoo 19, BNG and its gateway; faults, kills, then ties.

python -m tests.acceptance.trade.campaign --orders 100 --purchases 30 --kills 20
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.bng import BngRefused
from tests.acceptance.installation import CommandFailed, NeverQuiet, drop_database, new_database, own_postgres
from tests.acceptance.odoo import OdooRefused
from tests.acceptance.trade import books, payables, purchases, variants
from tests.acceptance.trade.gateway import GatewayRefused
from tests.acceptance.trade.market import Market, open_market
from tests.acceptance.trade.orders import Order, Seen, World
from tests.acceptance.trade.purchases import Purchase
from tests.acceptance.trade.subject import FLOWS, Trading

LOOK_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a campaign is told. `faults` is the share of requests that meet one; `still`, `patience` are seconds."""

    orders: int = 12
    purchases: int = 4
    kills: int = 3
    seed: int = 1
    faults: float = 0.06
    webhooks: bool = True
    still: float = 2.5
    patience: float = 600.0


class Campaign:
    """One run from empty systems to a verdict."""

    def __init__(self, options: Options, folder: Path, say: Callable[[str], None]) -> None:
        self.options, self._say = options, say
        self.began = time.monotonic()
        self.dice = random.Random(options.seed)
        self.postgres = own_postgres(folder / "postgres")
        self.market: Market = open_market(options.seed)
        self.dsn = new_database(self.postgres)
        self.product = Trading(folder / "installation", self.dsn)
        self.world = World(self.market, self.product)
        self.orders = variants.orders(options.orders, options.seed)
        self.purchases = purchases.purchases(options.purchases, options.seed)
        self.acts: Counter[str] = Counter()
        self.verdict = books.Verdict()
        self.refused: list[str] = []
        self.rested = 0.0
        self._seen: dict[str, Seen] = {}
        self._looked = 0.0

    def say(self, text: str) -> None:
        """A line with the time since the beginning."""
        self._say(f"{time.monotonic() - self.began:6.0f} s  {text}")

    def close(self) -> None:
        """End and remove everything."""
        self.product.close()
        self.market.close()
        drop_database(self.postgres, self.dsn)

    def run(self) -> None:
        """Set up, trade under faults and kills, come to rest, judge."""
        self.market.furnish()
        self.product.connect(self.market)
        self.product.load()
        self.market.learn()
        self.product.publish(FLOWS)
        self.product.start()
        if self.options.webhooks:
            self.product.hear(self.market)
        self.say(f"{len(self.market.products)} products are linked, {', '.join(FLOWS)} published; trading")
        self.market.faults(self.options.faults)
        self.trade()
        self.market.faults(0)
        self.rested = self.product.rest(seconds=self.options.patience, still=self.options.still)
        self.judge()

    # -- trading -----------------------------------------------------------------------------------------------

    def trade(self) -> None:
        """Everything people do, in random order, the service killed now and then while a write is on its way."""
        todo: list[Order | Purchase] = [*self.orders, *self.purchases]
        total = sum(len(order.acts) for order in todo)
        done = kills = 0
        last = time.monotonic()
        while todo:
            if order := self._ready(todo):
                self._act(order)
                todo = [order for order in todo if order.acts]
                done, last = done + 1, time.monotonic()
            else:
                time.sleep(0.1)
            if kills < self.options.kills and done >= (kills + 1) * total // (self.options.kills + 1):
                kills += 1
                sent = self.product.kill_in_flight(6, lambda: time.sleep(0.002))
                self.product.start()
                self.say(f"{done} of {total} acts; killed{' with a write on its way' if sent else ''}")
            if time.monotonic() - last > self.options.patience:
                waits = [f"{o.number} ({o.variant}) waits to {o.acts[0].name}" for o in todo]
                told = [*self.product.held()[1], *(self.product.journey(o.key) for o in todo[:3])]
                raise NeverQuiet("\n".join([f"nothing went on: {'; '.join(waits)}", *told]))

    def _ready(self, todo: Sequence[Order | Purchase]) -> Order | Purchase | None:
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self.product.must_run()
            self._seen, self._looked = look(self.world), time.monotonic()
            for purchase in self.purchases:
                purchase.key = self._seen.get(purchase.name, {}).get("key", "")
        ready = [order for order in todo if order.acts[0].when(self._seen.get(order.ref, {}))]
        return self.dice.choice(ready) if ready else None

    def _act(self, order: Order | Purchase) -> None:
        name = order.acts[0].name
        self.acts[name] += 1
        try:
            if isinstance(order, Purchase):
                order.acts.pop(0).do(self.world, order)
            else:
                order.acts.pop(0).do(self.world, order)
        except (BngRefused, OdooRefused, GatewayRefused, CommandFailed, ValueError, LookupError) as error:
            order.acts.clear()
            self.refused.append(f"{order.number} {order.variant}: nobody could {name}: {error!r}")
            self.say(self.refused[-1])
        self._seen.pop(order.ref, None)  # what comes next is decided by what is seen afterwards

    # -- judging -----------------------------------------------------------------------------------------------

    def judge(self) -> None:
        """The oracle's verdict, and for what is wrong what the product's books say."""
        held, letters = self.product.held()
        found = books.read(self.market)
        bought: Counter[str] = Counter()
        for purchase in self.purchases:
            bought.update(purchase.took_in)
        self.verdict = books.judge(self.orders, found, held, bought)
        payables.judge(self.purchases, found, held, self.verdict)
        self.verdict.wrong += self.refused
        known = {key for o in (*self.orders, *self.purchases) for key in (o.key, *getattr(o, "bills", ()))}
        self.verdict.equal("held beside them", {key: told for key, told in held.items() if key not in known}, {})
        self.say(f"{self.verdict.compared} comparisons after {self.rested:.0f} s of rest: "
                 + ("all agree" if self.verdict.good else f"{len(self.verdict.wrong)} WRONG"))  # fmt: skip
        for line in self.verdict.wrong:
            self.say("WRONG " + line)
        if not self.verdict.good:
            for letter in letters:
                self.say("held: " + letter)
            traded = (*self.orders, *self.purchases)
            wrong = [o for o in traded if any(line.startswith(o.number) for line in self.verdict.wrong)]
            for order in wrong[:4]:
                self.say(f"{order.number} {order.variant} {order.key}\n{self.product.journey(order.key)}")

    def report(self) -> dict[str, Any]:
        """The campaign in figures."""
        kinds = Counter(order.variant for order in self.orders)
        fired = {name: proxy.told() for name, proxy in self.market.proxies.items()}
        return {
            "seed": self.options.seed,
            "orders": len(self.orders),
            "purchases": len(self.purchases),
            "variants": dict(kinds),
            "purchase_variants": dict(Counter(order.variant for order in self.purchases)),
            "acts": dict(self.acts),
            "kills": self.product.kills,
            "kills_with_write_on_its_way": self.product.kills_with_intent,
            "faults": {name: told["fired"] for name, told in fired.items()},
            "requests": {name: told["requests"] for name, told in fired.items()},
            "held": self.product.scalar("select count(*) from dead_letter where state = 'open'"),
            "comparisons": self.verdict.compared,
            "ties": self.verdict.figures,
            "wrong": self.verdict.wrong,
            "good": self.verdict.good and self.verdict.compared > 0,
            "seconds": round(time.monotonic() - self.began),
        }


def look(world: World) -> dict[str, Seen]:
    """How far each order of BNG is."""
    odoo, product = world.market.odoo, world.product
    out: dict[str, dict[str, Any]] = {
        row["SalesOrderID"]: {"payment": row["PaymentStatus"], "delivered": 0}
        for row in world.market.bng.everything("sales_orders")
    }
    rows = odoo.everything("sale.order", [["origin", "!=", False]], ["origin", "state", "invoice_ids"])
    for row in rows:
        out[row["origin"]] |= {"state": row["state"], "invoices": len(row["invoice_ids"])}
    by_id = {row["id"]: row["origin"] for row in rows}
    for row in odoo.everything("stock.picking", [["state", "=", "done"]], ["sale_id"]):
        if row["sale_id"] and row["sale_id"][0] in by_id:
            out[by_id[row["sale_id"][0]]]["delivered"] += 1
    for bill in world.market.bng.everything("invoices"):
        if bill["SalesOrderID"] in out and bill["InvoiceType"] == "Invoice":
            out[bill["SalesOrderID"]]["bill"] = True
    asked, held = product.asked(), product.held()[0]
    for name, keys in (("asked", asked), ("held", held)):
        for key in keys:
            if key in out:
                out[key][name] = True
    out |= look_at_purchases(world, asked)
    return dict(out)


def look_at_purchases(world: World, asked: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """How far each purchase order is, by its number in Odoo; a question about its bill is one about it."""
    bng, odoo = world.market.bng, world.market.odoo
    out = {
        row["PONumber"]: {"key": row["PurchaseOrderID"], "received": 0, "asked": row["PurchaseOrderID"] in asked}
        for row in bng.everything("purchase_orders")
    }
    names = {seen["key"]: name for name, seen in out.items()}
    for bill in bng.everything("invoices"):
        if bill["InvoiceID"] in asked and bill["PurchaseOrderID"] in names:
            out[names[bill["PurchaseOrderID"]]]["asked"] = True
    done = {row["id"] for row in odoo.everything("stock.picking", [["state", "=", "done"]], ["state"])}
    for row in odoo.everything("purchase.order", [], ["name", "picking_ids"]):
        if row["name"] in out:
            out[row["name"]]["received"] = len(done & set(row["picking_ids"]))
    return out


def campaign(options: Options, say: Callable[[str], None]) -> dict[str, Any]:
    """Run one campaign in a temporary folder; returns its report."""
    with tempfile.TemporaryDirectory(prefix="trade-", ignore_cleanup_errors=True) as folder:
        run = Campaign(options, Path(folder), say)
        try:
            run.run()
            return run.report()
        finally:
            run.close()


def main() -> int:
    """Run it as told on the command line; exit 0 only when everything ties out."""
    known = Options()
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.trade.campaign", description=__doc__)
    for name in ("orders", "purchases", "kills", "seed"):
        parser.add_argument(f"--{name}", type=int, default=getattr(known, name))
    parser.add_argument("--faults", type=float, default=known.faults, help="share of requests that meet a fault")
    parser.add_argument("--webhooks", choices=("on", "off"), default="on")
    parser.add_argument("--json", action="store_true", help="only the report, as one JSON line")
    told = vars(parser.parse_args())
    as_json = told.pop("json")
    told["webhooks"] = told["webhooks"] == "on"

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    report = campaign(Options(**told), say)
    print(json.dumps(report), flush=True)
    if not as_json:
        for name, value in report.items():
            print(f"{name.replace('_', ' '):28} {value}")
    return 0 if report["good"] else 1


if __name__ == "__main__":
    sys.exit(main())
