"""The acceptance campaign: random edits on both systems, faults before both, kills; then the oracle.

python -m tests.acceptance.campaign --odoo real --records 2000 --edits 5000 --kills 50
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.acceptance import specials, systems, work
from tests.acceptance.driver import Driver
from tests.acceptance.installation import Installation, drop_database, new_database, own_postgres
from tests.acceptance.oracle import MARK, Oracle, Snapshot, Verdict

FAULT_RATE = 0.12
PAIR = "books"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a campaign is told. `size` of a round is in edits; `still` and `poll` are seconds."""

    odoo: str = "sandbox"
    seed: int = 1
    records: int = 150
    edits: int = 300
    kills: int = 6
    protocol: str = "auto"
    webhooks: bool = True
    faults: float = FAULT_RATE
    rounds: int = 0
    mutant: str = ""
    checks: bool = True
    poll: float = 1.0
    still: float = 2.5
    patience: float = 300.0
    entities: tuple[str, ...] = ("customer", "vendor", "product")
    postgres: str = ""

    @property
    def turns(self) -> int:
        """Live rounds, each followed by one with the service down."""
        return self.rounds or max(2, self.edits // 500)


def operations(options: Options) -> list[str]:
    """Every live edit of the campaign, in random order."""
    share = options.edits
    many: dict[str, int] = {
        "create": max(1, options.records // 4),
        "archive": max(1, share // 25),
        "restore": share // 150,
    }
    live = share - 2 * conflicts_in_all(options) - 2 * sum(many.values()) - share // 25
    many["edit"] = max(1, live // 2)
    out = [f"{side} {name}" for name, count in many.items() for side in ("left", "right") for _ in range(count)]
    random.Random(options.seed).shuffle(out)
    return out


def conflicts_in_all(options: Options) -> int:
    """True conflicts of the campaign: six of a hundred edits, of which each takes two."""
    return max(2, options.edits * 6 // 100)


class Campaign:
    """One run from empty systems to a verdict."""

    def __init__(self, options: Options, folder: Path, say: Callable[[str], None]) -> None:
        self.options, self.say = options, say
        self.began = time.monotonic()
        self.postgres = options.postgres or own_postgres(folder / "postgres")
        self.systems = systems.start(options.odoo, options.seed)
        self.dsn = new_database(self.postgres)
        self.product = Installation(folder / "installation", self.dsn, mutant=options.mutant)
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget everything that an earlier run over the same systems found."""
        self.dice = random.Random(self.options.seed)
        self.verdicts: list[tuple[str, Verdict]] = []
        self.extra: dict[str, Any] = {}
        self._ops: list[str] = []
        self._rate = 0.0
        self._mended: list[Any] = []
        self._told: set[str] = set()

    def close(self) -> None:
        """End and remove everything."""
        self.product.close()
        self.systems.close()
        drop_database(self.postgres, self.dsn)

    # -- set-up ------------------------------------------------------------------------------------------------

    def set_up(self) -> None:
        """Connections through the proxies, a pair from the template, records on both sides."""
        self.connect()
        self.fill()

    def connect(self) -> None:
        """The product's Connections through the proxies, and a pair from the template."""
        erp, books, product = self.systems.erp, self.systems.books, self.product
        product.command(
            "connection", "add", "erp", "--kind", "odoo", "--url", self.systems.left.url, "--no-check",
            "--set", f"database={erp['database']}", "--set", f"login={erp['login']}", "--set", "allow_loopback=true",
            "--set", f"protocol={self.options.protocol}", "--set", "request_ceiling=6",
            "--secret", f"api_key={erp['api_key']}", secret=True,
        )  # fmt: skip
        product.command(
            "connection", "add", "bng", "--kind", "bng", "--url", self.systems.right.url, "--no-check",
            "--set", f"client_id={books['client_id']}", "--set", "allow_loopback=true", "--set", "calls_per_second=0",
            "--secret", f"client_secret={books['client_secret']}",
            "--secret", f"webhook_secret={books['webhook_secret']}", secret=True,
        )  # fmt: skip
        product.command("pair", "add", PAIR, "--left", "erp", "--right", "bng", "--template", "odoo-bng")
        self._entities = self._shape_pair()

    def fill(self) -> None:
        """The oracle and the driver, and records on both sides."""
        entities = self._entities
        company = self.systems.odoo.everything("res.company", [], ["currency_id"])[0]
        self.oracle = Oracle(self.systems.odoo, self.systems.bng, self.dsn, entities)
        self.driver = Driver(
            self.systems.odoo,
            self.systems.bng,
            seed=self.options.seed,
            entities=entities,
            currency=company["currency_id"][1],
            credit_limit="customer" in entities and "credit_limit" in self.oracle.fields("customer"),
        )
        self.driver.seed(self.options.records // 2)

    def _shape_pair(self) -> list[str]:
        """Poll often, own two fields on the right side; returns the entities that are compared."""
        folder = self.product.folder / "pair"
        self.product.command("pair", "export", PAIR, str(folder))
        path = folder / "pair.yaml"
        file = yaml.safe_load(path.read_text())
        for name, entity in list(file["entities"].items()):
            for side in ("left", "right"):
                entity[side]["poll_seconds"] = self.options.poll
            if name in ("customer", "vendor"):
                field = "website" if name == "customer" else "phone"
                entity.setdefault("fields", {})[field] = {"rule": "right"}
        path.write_text(yaml.safe_dump(file, sort_keys=False))
        self.product.command("pair", "apply", str(folder))
        polled = self.product.rows("select settings -> 'entities' from pair")[0][0]
        self._cursors = len({(side, _model(name, side)) for name in polled for side in ("left", "right")})
        return [name for name in self.options.entities if name in file["entities"]]

    def load(self) -> None:
        """The initial load, then the service with its webhooks."""
        began = time.monotonic()
        self.product.command("load", PAIR, "--yes")
        self.extra["load_seconds"] = round(time.monotonic() - began, 1)
        for entity, side, key, kind in self.product.rows(
            "select entity, side, key, kind from dead_letter where state = 'open'"
        ):
            if (entity, side, key) not in self.driver.by_key:
                self.driver.holds[entity, f"{side}:{key}", kind] += 1
                self.extra["held_before"] = self.extra.get("held_before", 0) + 1
        self.product.start()
        if self.options.webhooks:
            erp = self.systems.erp
            self.product.command("connection", "hooks", "bng", "--base-url", self.product.url)
            self.product.command(
                "connection", "hooks", "erp", "--base-url", self.product.url,
                "--admin", f"admin_key={erp['admin_key']}", "--admin", f"admin_login={erp['admin_login']}", secret=True,
            )  # fmt: skip
        self.check("load")

    # -- rounds ------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Set up, load, all rounds, then the last comparison and the checks that nothing useless is done."""
        self.set_up()
        self.say(f"{len(self.driver.subjects)} records are there; loading")
        self.load()
        self.faults(self.options.faults)
        self._ops = operations(self.options)
        kills, turns = self.options.kills, self.options.turns
        conflicts = conflicts_in_all(self.options)
        live_kills = max(0, kills - turns)
        for turn in range(turns):
            part = self._ops[turn * len(self._ops) // turns : (turn + 1) * len(self._ops) // turns]
            mine = live_kills * (turn + 1) // turns - live_kills * turn // turns
            self.live(part, mine)
            self.check(f"round {turn + 1}")
            self.paused(conflicts * (turn + 1) // turns - conflicts * turn // turns, turn)
            self.check(f"conflicts {turn + 1}")
        self.faults(0)
        self.sweep()
        self.check("end")
        if self.options.checks:
            self.extra |= work.checks(self)

    def live(self, ops: list[str], kills: int) -> None:
        """Edits while the service works, interrupted by kills at moments when a write is on its way."""
        queue = list(ops)
        legs = kills + 1
        for leg in range(legs):
            until = len(queue) - len(ops) // legs if leg < kills else 0
            while len(queue) > max(until, 0):
                self.operate(queue.pop())
            if leg < kills:
                self.product.kill_in_flight(10, lambda: self._next(queue))
                for _ in range(self.dice.randint(0, 3)):
                    self._next(queue)
                self.product.start()

    def _next(self, queue: list[str]) -> None:
        """The next edit of the round; when there is none, an edit more now and then keeps writes coming."""
        if queue:
            self.operate(queue.pop())
        else:
            time.sleep(0.05)
            self.operate(self.dice.choice(("left edit", "right edit")))

    def operate(self, what: str) -> None:
        """One edit."""
        side, _, name = what.partition(" ")
        driver = self.driver
        if name == "create":
            parents = [s for s in driver.pool() if s.entity == "customer" and s.company]
            parents = [s for s in parents if "tax_id" not in s.frozen or s.sides == {}]
            if parents and "customer" in driver.entities and self.dice.random() < 0.1:
                parent = self.dice.choice(parents)
                parent.frozen |= {"tax_id", "credit_limit"}
                driver.create(side, parent=parent)
            else:
                driver.create(side)
        elif name == "archive":
            driver.archive(side, driver.pool())
        elif name == "restore" and (pool := driver.pool(archived=True)):
            driver.archive(side, pool, restore=True)
        else:
            driver.edit(side, driver.pool())

    def paused(self, conflicts: int, turn: int) -> None:
        """Edits that are only certain while nobody looks: true conflicts, and records with an end of their own."""
        driver = self.driver
        if self.options.kills > turn:
            self.product.kill()
        else:
            self.product.stop()
        driver.conflicts(conflicts)
        if "customer" in driver.entities:
            scale = max(1, self.options.edits // 1500)
            specials.mend(driver, self._mended)
            specials.held_on_create(driver, 3 * scale)
            specials.contacts(driver, scale)
            specials.born_on_both_sides(driver, scale)
            specials.same_e_mail_only(driver, scale)
            specials.twins(driver, scale)
            specials.merges(driver, 2 * scale)
            specials.deletes(driver, 2 * scale)
            bad = specials.held_by_edit(driver, 2 * scale)
            self._mended = bad[: len(bad) // 2]
            specials.emptied(driver, 2 * scale)
        self.product.start()

    # -- judging -----------------------------------------------------------------------------------------------

    def sweep(self) -> None:
        """A person's Sweep. A command ends at the first trouble and is given again, so it is spared the faults."""
        rate = self._rate
        self.faults(0)
        self.product.command("sweep", PAIR, fine=(0, 3), tries=3)
        self.faults(rate)

    def faults(self, rate: float) -> None:
        """Turn the faults of both proxies."""
        self._rate = rate
        for proxy in (self.systems.left, self.systems.right):
            if rate:
                proxy.plan(rate, delay_seconds=0.6, spare=r"^POST /oauth/|/version|/sandbox/")
            else:
                proxy.calm()

    def quiet(self) -> float:
        """Wait until nothing moves; returns the seconds it took."""
        return self.product.wait_until_quiet(
            seconds=self.options.patience, still=self.options.still, cursors=self._cursors
        )

    def check(self, name: str) -> Snapshot:
        """Wait until nothing moves, then have the oracle judge everything; deletions need a Sweep without hooks."""
        seconds = self.quiet()
        if self.driver.done["merges"] or self.driver.done["deletes"]:
            self.sweep()
            seconds += self.quiet()
        seen = self.oracle.look()
        verdict = self.oracle.judge(seen, self.driver.expected(), self.driver.holds, self.driver.by_key)
        self.verdicts.append((name, verdict))
        self.driver.learn(seen)
        self.say(
            f"{time.monotonic() - self.began:6.0f} s  {name}: {verdict.compared} pairs compared after {seconds:.0f} s, "
            f"{self.driver.edits()} edits, {self.product.kills} kills: "
            + ("agreement" if verdict.good else f"WRONG {verdict.figures()}\n{verdict.told()}")
        )
        if not verdict.good:
            self.tell_stories(verdict)
        return seen

    def tell_stories(self, verdict: Verdict, most: int = 3) -> None:
        """Say what the product's books hold of the first records that went wrong."""
        marks = [m for m in dict.fromkeys(MARK.findall(verdict.told())) if m not in self._told]
        for mark in marks[:most]:
            self._told.add(mark)
            for entity in self.driver.entities:
                if s := self.driver.subjects.get((entity, mark)):
                    keys = [str(k) for k in (s.left, s.right) if k]
                    self.say(f"    {s}\n{self.product.story(entity, keys)}")

    def report(self) -> dict[str, Any]:
        """The campaign in figures."""
        worst: Counter[str] = Counter()
        for _, verdict in self.verdicts:
            for name, count in verdict.figures().items():
                worst[name] = max(worst[name], count)
        done = self.driver.done
        fired = {name: proxy.told() for name, proxy in (("odoo", self.systems.left), ("bng", self.systems.right))}
        return {
            "odoo": self.options.odoo,
            "protocol": self.options.protocol,
            "webhooks": self.options.webhooks,
            "seed": self.options.seed,
            "records": self.verdicts[-1][1].compared,
            "edits": self.driver.edits(),
            "done": dict(done),
            "held": sum(self.driver.holds.values()),
            "kills": self.product.kills,
            "kills_with_intent_sent": self.product.kills_with_intent,
            "faults": {name: told["fired"] for name, told in fired.items()},
            "requests": {name: told["requests"] for name, told in fired.items()},
            "comparisons": len(self.verdicts),
            **worst,
            **self.extra,
            "good": all(v.good for _, v in self.verdicts) and not self.extra.get("useless"),
            "seconds": round(time.monotonic() - self.began),
        }


def _model(entity: str, side: str) -> str:
    if side == "right":
        return {"product_template": "product"}.get(entity, entity)
    return {"customer": "res.partner", "vendor": "res.partner", "product": "product.product"}.get(entity, entity)


def campaign(options: Options, say: Callable[[str], None]) -> dict[str, Any]:
    """Run one campaign in a temporary folder; returns its report."""
    with tempfile.TemporaryDirectory(prefix="acceptance-", ignore_cleanup_errors=True) as folder:
        run = Campaign(options, Path(folder), say)
        try:
            run.run()
            return run.report()
        finally:
            run.close()


def table(report: dict[str, Any]) -> str:
    """The report for people."""
    lines = []
    for name, value in report.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k} {v}" for k, v in value.items() if not isinstance(v, dict)) or json.dumps(value)
        lines.append(f"{name.replace('_', ' '):26} {value}")
    for system, fired in report["faults"].items():
        lines.append(f"{'faults before ' + system:26} " + ", ".join(f"{k} {v}" for k, v in fired.items()))
    return "\n".join(lines)


def main() -> int:
    """Run it as told on the command line; exit 0 only when everything agreed."""
    known = Options()
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.campaign", description=__doc__)
    parser.add_argument("--odoo", choices=("real", "sandbox"), default="real")
    for name in ("seed", "records", "edits", "kills", "rounds"):
        parser.add_argument(f"--{name}", type=int, default=getattr(known, name))
    parser.add_argument("--protocol", choices=("auto", "json2", "jsonrpc", "xmlrpc"), default="auto")
    parser.add_argument("--webhooks", choices=("on", "off"), default="on")
    parser.add_argument("--faults", type=float, default=known.faults, help="share of requests that meet a fault")
    parser.add_argument("--entities", default=",".join(known.entities))
    parser.add_argument("--mutant", default="", help="a kept mutant of the product, by name")
    parser.add_argument("--poll", type=float, default=known.poll)
    parser.add_argument("--still", type=float, default=known.still)
    parser.add_argument("--no-checks", action="store_true", help="leave out what follows the last comparison")
    parser.add_argument("--json", action="store_true", help="only the report, as one JSON line")
    told = vars(parser.parse_args())
    as_json = told.pop("json")
    told["entities"] = tuple(told["entities"].split(","))
    told["webhooks"] = told["webhooks"] == "on"
    told["checks"] = not told.pop("no_checks")

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    report = campaign(Options(**told), say)
    print(json.dumps(report), flush=True)
    if not as_json:
        print(table(report))
    return 0 if report["good"] else 1


if __name__ == "__main__":
    sys.exit(main())
