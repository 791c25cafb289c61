"""The product under test: its commands, its service, and when it has come to rest."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence

import yaml
from tests.acceptance.installation import ROOT, Installation, NeverQuiet
from tests.acceptance.trade.market import Market

SHIPPED = ROOT / "src" / "isthmus" / "templates" / "flows"
PAIR = "trade"
ROLES = {"bng": "bng", "odoo": "erp", "gateway": "till", "trade": PAIR}
FLOWS = ("order-to-cash", "procure-to-pay", "payment-from-bng")
"""Published for a campaign."""
LOOKUPS = {
    "payment_method": ["odoo,BNK1,Card", "bng,Card,Card"],
    "pricelist": ["odoo,Euro,EUR"],
    "tax_included": ["odoo,21% incl,V21", "bng,V21,V21"],
}
"""Rows of look-up tables: system, value, canonical."""

BUSY = """
select (select count(*) from change where state <> 'closed')
     + (select count(*) from intent where state in ('planned', 'sent', 'unknown'))
     + (select count(*) from run_intent where state in ('planned', 'sent', 'unknown'))
     + (select count(*) from flow_event where state = 'pending')
     + (select count(*) from run_item where state = 'ready'
        or (state = 'waiting' and due_at < now() + interval '60 seconds'))
"""
UNDER_WAY = """
select 'change', entity, key, state || ' ' || coalesce(reason::text, '') from change where state <> 'closed'
union all select 'intent', entity, key, state from intent where state in ('planned', 'sent', 'unknown')
union all select 'effect', i.node, r.key, i.state || ' ' || coalesce(i.error::text, '') from run_intent i
  join run r on r.id = i.run_id where i.state in ('planned', 'sent', 'unknown')
union all select 'event', node, key, state from flow_event where state = 'pending'
union all select 'item', i.node, r.key, i.state || ' tries ' || i.attempts from run_item i
  join run r on r.id = i.run_id where i.state in ('ready', 'waiting')
limit 30
"""
HELD = """
select coalesce(r.key, case d.side when 'left' then l.right_key end, d.key), d.entity, d.kind, d.error::text
from dead_letter d
left join run_item i on i.id = d.run_item_id
left join run r on r.id = i.run_id
left join link l on l.entity = d.entity and l.left_key = d.key and d.side = 'left'
where d.state = 'open' order by d.id
"""


class Trading(Installation):
    """An installation whose flows act as well as its pair."""

    sent = """select (select count(*) from intent where state = 'sent' and id > %s)
                   + (select count(*) from run_intent where state = 'sent')"""

    def connect(self, market: Market) -> None:
        """Connections through the proxies, the pair of the trade template, and every flow that ships for it."""
        erp, books, till = market.erp, market.books, market.till
        self.command(
            "connection", "add", "erp", "--kind", "odoo", "--url", market.proxies["odoo"].url, "--no-check",
            "--set", f"database={erp['database']}", "--set", f"login={erp['login']}", "--set", "allow_loopback=true",
            "--set", "request_ceiling=8", "--secret", f"api_key={erp['api_key']}", secret=True,
        )  # fmt: skip
        self.command(
            "connection", "add", "bng", "--kind", "bng", "--url", market.proxies["bng"].url, "--no-check",
            "--set", f"client_id={books['client_id']}", "--set", "allow_loopback=true", "--set", "calls_per_second=0",
            "--secret", f"client_secret={books['client_secret']}",
            "--secret", f"webhook_secret={books['webhook_secret']}", secret=True,
        )  # fmt: skip
        self.command(
            "connection", "add", "till", "--kind", "bng_gateway", "--url", market.proxies["gateway"].url, "--no-check",
            "--set", "allow_loopback=true", "--set", "request_ceiling=8", "--set", "calls_per_second=0",
            "--secret", f"security_key={till['security_key']}",
            "--secret", f"webhook_signing_key={till['signing_key']}", secret=True,
        )  # fmt: skip
        self.command("pair", "add", PAIR, "--left", "erp", "--right", "bng", "--template", "odoo-bng-trade")
        self._shape()

    def _shape(self) -> None:
        """Products for shipping and discounts, look-ups of this market, and polling that is quick."""
        folder = self.folder / "pair"
        self.command("pair", "export", PAIR, str(folder))
        path = folder / "pair.yaml"
        file = yaml.safe_load(path.read_text())
        file["settings"] |= {"shipping_product": "SHIP", "discount_product": "DISC", "rounding_product": "ROUND"}
        for entity in file["entities"].values():
            for side in ("left", "right"):
                entity[side]["poll_seconds"] = 4
        path.write_text(yaml.safe_dump(file, sort_keys=False))
        for name, rows in LOOKUPS.items():
            table = folder / "lookups" / f"{name}.csv"
            table.parent.mkdir(exist_ok=True)
            table.write_text("\n".join(["system,value,canonical", *rows, ""]))
        self.command("pair", "apply", str(folder))

    def load(self) -> None:
        """What is there already is linked or made on the other side."""
        self.command("load", PAIR, "--yes", tries=3)

    def publish(self, names: Sequence[str]) -> None:
        """Bring in flows that ship, bind their roles and publish them."""
        for name in names:
            path = SHIPPED / f"{name}.yaml"
            file = yaml.safe_load(path.read_text())
            bound = [part for role in (*file.get("connections", ()), *file.get("pairs", ()))
                     for part in ("--bind", f"{role}={ROLES[role]}")]  # fmt: skip
            self.command("flow", "import", str(path), *bound)
            self.command("flow", "publish", name)

    def hear(self, market: Market) -> None:
        """Webhooks of both systems; both go straight to the service."""
        self.command("connection", "hooks", "bng", "--base-url", self.url)
        erp = market.erp
        self.command(
            "connection", "hooks", "erp", "--base-url", self.url,
            "--admin", f"admin_key={erp['admin_key']}", "--admin", f"admin_login={erp['admin_login']}", secret=True,
        )  # fmt: skip

    # -- rest --------------------------------------------------------------------------------------------------

    def rest(self, *, seconds: float, still: float) -> float:
        """Wait until polling has read everything up to now, nothing is under way, and nothing began for `still` s.

        Gives up when nothing went on for `seconds` although something is under way, or after five times as long.
        """
        began = time.monotonic()
        start = self.scalar("select clock_timestamp()")
        behind = "select count(*) from cursor where advanced_at <= %s"
        newest, since, moved = (-1, -1, -1), began, began
        while True:
            time.sleep(0.25)
            now = time.monotonic()
            self.must_run()
            [last] = self.rows("""select (select coalesce(max(id), 0) from intent),
                                  (select coalesce(max(id), 0) from run_step),
                                  (select coalesce(max(id), 0) from change)""")
            if last != newest:
                moved = now
            if last != newest or self.scalar(behind, start) or self.scalar(BUSY):
                newest, since = last, now
            elif now - since >= still:
                return now - began
            if now - moved > seconds or now - began > 5 * seconds:
                told = "\n".join(str(row) for row in self.rows(UNDER_WAY))
                raise NeverQuiet(f"not at rest after {seconds:.0f} s:\n{told}\n{self.last_words()[-2500:]}")

    def must_run(self) -> None:
        """Raise when the service ended, or the pair or a flow does not work any more."""
        super().must_run()
        if state := self.rows("select name, state from flow where state not in ('active', 'published')"):
            raise NeverQuiet(f"flows do not work: {state}; the service said: {self.last_words()[-1500:]}")

    def asked(self) -> dict[str, list[int]]:
        """Numbers of open questions by the key of their Run."""
        out: dict[str, list[int]] = defaultdict(list)
        sql = "select r.key, a.id from approval a join run r on r.id = a.run_id where a.state = 'open' order by a.id"
        for key, number in self.rows(sql):
            out[key].append(int(number))
        return dict(out)

    def decide(self, key: str, choice: str) -> None:
        """Answer the one question about an order."""
        [number] = self.asked()[key]
        self.command("approvals", "decide", str(number), choice)

    def held(self) -> tuple[dict[str, list[tuple[str, str]]], list[str]]:
        """Open dead letters by the key of the order or record they are about, and each in full."""
        out: dict[str, list[tuple[str, str]]] = defaultdict(list)
        rows = self.rows(HELD)
        for key, entity, kind, _ in rows:
            out[key].append((entity, kind))
        return dict(out), [" ".join(str(v) for v in row)[:900] for row in rows]

    def journey(self, key: str) -> str:
        """What the product's books say of an order, to find out what went wrong with it."""
        asked = {
            "run": "select id, version, node, state, events, started_at, ended_at from run where key = %s order by id",
            "step": """select s.run_id, s.node, s.outcome, s.port, s.at, left(s.error::text, 300) from run_step s
                       join run r on r.id = s.run_id where r.key = %s order by s.id desc limit 14""",
            "effect": """select i.run_id, i.node, i.state, i.sends, i.sent_at, left(i.payload::text, 200),
                         left(i.answer::text, 200), left(i.error::text, 200)
                         from run_intent i join run r on r.id = i.run_id where r.key = %s order by i.id""",
            "link": "select id, left_key, state from link where entity = 'sales_order' and right_key = %s",
        }
        lines = []
        for name, sql in asked.items():
            lines += [f"      {name}: " + " | ".join(str(v) for v in row) for row in self.rows(sql, key)]
        for (left,) in self.rows("select left_key from link where entity = 'sales_order' and right_key = %s", key):
            lines.append(self.story("sales_order", [left, key]))
        return "\n".join(line[:500] for line in "\n".join(lines).splitlines())
