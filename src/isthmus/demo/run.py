"""The demo as a sequence: both systems up and seeded, connected, loaded, served; then edited, judged and swept."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from isthmus.demo import trade as trades
from isthmus.demo.edits import Editor
from isthmus.demo.home import Home
from isthmus.demo.outcome import Books, Placed, Unexpected, books, judge, placed
from isthmus.demo.plain import plain_work
from isthmus.demo.seed import everything
from isthmus.demo.stage import SERVICE_PORT, Kind, Stage, free, on_stage
from isthmus.demo.troubles import cause_troubles, mend
from isthmus.errors import Unavailable
from isthmus.model.secret import Secret
from isthmus.operate import connections, loads, service, status, sweeps
from isthmus.operate import pairs as pair_verbs
from isthmus.operate.opening import opened
from isthmus.operate.runtime import Progress, Runtime
from isthmus.security.tokens import local_token
from isthmus.store import pairs

PAIR, LEFT, RIGHT, GATEWAY, TEMPLATE = "demo", "odoo", "bng", "gateway", "odoo-bng"
ACTOR = "demo"
PATIENCE_SECONDS = 60.0
AGREEMENT_SECONDS = 15.0
"""Two turns of polling and more: what no webhook told has been found by then."""

Say = Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class Demo:
    """A running demo. `things` are empty when it continues an earlier one."""

    home: Home
    stage: Stage
    runtime: Runtime
    url: str = ""
    pair_id: int = 0
    things: list[Placed] = field(default_factory=list)
    trade: trades.Trade = field(default_factory=trades.Trade)
    loaded: dict[str, Any] = field(default_factory=dict)

    @property
    def trades(self) -> bool:
        """Whether orders run as well: on the sandboxes. A real Odoo gets master data only."""
        return self.stage.kind == "sandbox"

    async def books(self) -> Books:
        """What the product says about the pair now."""
        return await self.runtime.db.run(books, self.pair_id)

    async def status(self) -> status.PairStatus:
        """How the pair stands."""
        return await self.runtime.db.run(lambda conn: status.status(conn, pairs.get(conn, PAIR)))


@asynccontextmanager
async def demo(
    path: Path,
    kind: Kind,
    make_app: Callable[[Runtime], Any],
    *,
    keep: bool,
    fixed_ports: bool,
    say: Say,
    progress: Progress,
    stop: asyncio.Event,
) -> AsyncIterator[Demo]:
    """A demo that runs for the time of the block; `keep` goes on with the one that is in the folder, if there is."""
    home = Home(path)
    with home.locked():
        continues = keep and home.continues
        if not continues:
            home.empty()
        home.enter()
        say("Starting both systems and the embedded PostgreSQL")
        async with on_stage(home.path, kind, fixed_ports=fixed_ports) as stage, opened() as runtime:
            await stage.odoo.learn()
            await runtime.db.run(local_token, home.path)
            out = Demo(home=home, stage=stage, runtime=runtime)
            if not continues:
                await _seed(out, say)
            await _connect(out, say)
            if not continues:
                await _load(out, say, progress)
            async with _served(out, make_app, SERVICE_PORT if fixed_ports and free(SERVICE_PORT) else 0, stop):
                await _hook(out, say)
                if out.trades and not continues:
                    await trades.publish(runtime, PAIR, LEFT, RIGHT, GATEWAY, ACTOR)
                home.keep(_doors(out))
                yield out


async def _seed(out: Demo, say: Say) -> None:
    """Store every seed on both sides, the same way people's imports would; no webhook tells of it."""
    seeds = everything()
    products = [*seeds.products, *(trades.charges() if out.trades else ())]
    for entity, mine in (("vendor", seeds.vendors), ("customer", seeds.customers), ("product", products)):
        lefts = await out.stage.odoo.make(entity, [record for seed in mine for record in seed.odoo])
        rights = await out.stage.bng.make(entity, [record for seed in mine for record in seed.bng])
        left, right = iter(lefts), iter(rights)
        for seed in mine:
            out.things.append(placed(seed, [str(next(left)) for _ in seed.odoo], [next(right) for _ in seed.bng]))
        say(f"{len(mine):,} {entity}s seeded: {len(lefts):,} records in Odoo, {len(rights):,} in BNG")


async def _connect(out: Demo, say: Say) -> None:
    """Add both Connections and the pair, as `isthmus connection add` and `isthmus pair add` do."""
    runtime, stage = out.runtime, out.stage
    for name, kind, settings, secrets in (
        (LEFT, "odoo", stage.odoo_settings, stage.odoo_secrets),
        (RIGHT, "bng", stage.bng_settings, stage.bng_secrets),
        (GATEWAY, "bng_gateway", stage.gateway_settings, stage.gateway_secrets),
    ):
        await connections.add(
            runtime, name, kind=kind, environment="sandbox", settings=settings, given=secrets, actor=ACTOR
        )
    known = await runtime.db.run(pairs.listing)
    if not any(row.name == PAIR for row in known) and out.trades:
        await trades.apply_pair(runtime, PAIR, LEFT, RIGHT, ACTOR)
    elif not any(row.name == PAIR for row in known):
        await pair_verbs.add(
            runtime, PAIR, left=LEFT, right=RIGHT, shipped=TEMPLATE, environment="sandbox", actor=ACTOR
        )
    out.pair_id = int((await runtime.db.run(pairs.get, PAIR)).id)
    say(f"Pair {PAIR}: Odoo on the left, BNG on the right")


async def _load(out: Demo, say: Say, progress: Progress) -> None:
    staged = await loads.stage(out.runtime, PAIR, progress)
    for entity, told in staged.figures.items():
        say(f"Predicted for {entity}: {', '.join(f'{count:,} {kind}' for kind, count in sorted(told.items()))}")
    done = await loads.commit(out.runtime, PAIR, progress)
    out.loaded = done.done
    say("The initial load is done")


@asynccontextmanager
async def _served(out: Demo, make_app: Callable[[Runtime], Any], port: int, stop: asyncio.Event) -> AsyncIterator[None]:
    """The service, as `isthmus serve` runs it, in this process."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        service.serve(out.runtime, make_app, host="127.0.0.1", port=port, ready=ready.set_result, stop=stop)
    )
    try:
        waiting: set[asyncio.Future[Any]] = {serving, ready}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            await serving
        out.url = ready.result()
        yield
    finally:
        stop.set()
        ready.cancel()
        await serving


async def _hook(out: Demo, say: Say) -> None:
    """Webhooks from both sides; Odoo's are installed with its administrator's key, which is used once."""
    admin = {"admin_key": Secret(out.stage.odoo_door.key)}
    for name, given in ((LEFT, admin), (RIGHT, None)):
        found = await connections.install_hooks(out.runtime, name, out.url, admin=given)
        standing = sum(1 for hook in found if hook.installed)
        say(f"Webhooks of {name}: {standing} of {len(found)} installed; polling finds what they miss")


def _doors(out: Demo) -> dict[str, Any]:
    return {
        "service": out.url,
        "odoo": asdict(out.stage.odoo_door),
        "bng": asdict(out.stage.bng_door),
    }


@dataclass(slots=True, kw_only=True)
class Result:
    """What `isthmus demo --once` prints. Latencies are from sending an edit to seeing it on the other side."""

    linked: int
    created: int
    conflicts: int
    dead_letters: int
    unexpected: int
    differences: int
    p50_ms: float
    p95_ms: float
    seconds: float
    orders: dict[str, int] = field(default_factory=dict)
    purchases: dict[str, int] = field(default_factory=dict)
    findings: list[Unexpected] = field(default_factory=list)
    differing: list[dict[str, Any]] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether everything came to its expected end."""
        return not self.unexpected and not self.differences

    def line(self) -> dict[str, Any]:
        """The figures alone."""
        told = asdict(self)
        return {name: value for name, value in told.items() if name not in ("findings", "differing")}


async def rehearse(out: Demo, say: Say, progress: Progress, began: float) -> Result:
    """Edit both sides, wait until they agree, sweep, and judge every record; `began` is on the runtime's clock."""
    await _as_expected(out)
    editor = Editor(out.stage, out.runtime.clock)
    await plain_work(out.things, editor, await out.books())
    say(f"{len(editor.took)} edits of people on both sides are visible on the other side")
    found = await out.books()
    await out.runtime.db.run(pair_verbs.set_state, out.runtime, PAIR, "paused", ACTOR)
    troubles = await cause_troubles(out.things, editor, found)
    await out.runtime.db.run(pair_verbs.set_state, out.runtime, PAIR, "active", ACTOR)
    await _as_expected(out)
    say("Both sides were edited at once, and wrongly, on purpose")
    await mend(troubles, out.things, editor, found, out.runtime)
    await _as_expected(out)
    say("One trouble of each kind is mended; the rest waits for a person, as it should")
    if out.trades:
        await trade(out, say)
    report = await sweeps.sweep(out.runtime, PAIR, progress)
    found, findings = await _as_expected(out)
    findings += await ends(out, found)
    differing = unexplained(report.differences, out.things, out.trade.held)
    return Result(
        linked=found.links,
        created=await out.runtime.db.run(_created, out.pair_id),
        conflicts=sum(len(fields) for fields in found.conflicts.values()),
        dead_letters=len(found.letters),
        unexpected=len(findings),
        differences=len(differing),
        orders=out.trade.counts(out.trade.orders),
        purchases=out.trade.counts(out.trade.purchases),
        p50_ms=_percentile(editor.took, 50),
        p95_ms=_percentile(editor.took, 95),
        seconds=round(out.runtime.clock.monotonic() - began, 1),
        findings=findings,
        differing=differing,
    )


async def trade(out: Demo, say: Say) -> None:
    """Run all orders, while both systems fail now and then."""
    say("Placing orders on both sides; this takes a moment, as every one goes through its whole flow")
    out.trade = await trades.trading(out.stage, out.runtime, out.things, await out.books())
    sold, bought = len(out.trade.orders), len(out.trade.purchases)
    say(f"{sold} orders were placed at BNG and {bought} in Odoo, shipped and cancelled, while calls failed on purpose")


async def traded(out: Demo, say: Say) -> list[Unexpected]:
    """Run all orders, and tell which ended elsewhere than expected."""
    await trade(out, say)
    return await ends(out, await out.books())


async def ends(out: Demo, found: Books) -> list[Unexpected]:
    """Where the orders ended: fills the counts, and tells which ended elsewhere than expected."""
    if not out.trade.orders:
        return []
    return await trades.judge_orders(out.stage, out.runtime, out.trade, found)


async def _as_expected(out: Demo) -> tuple[Books, list[Unexpected]]:
    """Wait until everything has come to its expected end, or told for long enough that it does not."""
    clock = out.runtime.clock
    began = clock.monotonic()
    while True:
        await settled(out)
        found = await out.books()
        findings = await judge(out.stage, found, out.things)
        if not findings or clock.monotonic() - began > AGREEMENT_SECONDS:
            return found, findings
        await asyncio.sleep(0.2)


async def settled(out: Demo) -> None:
    """Wait until nothing is in flight; a halted pair or a lane that does not end is told."""
    clock = out.runtime.clock
    began, quiet = clock.monotonic(), 0
    while quiet < 3:
        now = await out.status()
        quiet = quiet + 1 if not now.books["in_flight"] else 0
        if now.state == "halted":
            reason = now.reason or {}
            raise Unavailable(
                f"keeping pair {PAIR} in agreement: {reason.get('doing', '')}",
                answered=str(reason.get("answered") or ""),
                hint=str(reason.get("hint") or ""),
            )
        if clock.monotonic() - began > PATIENCE_SECONDS:
            raise Unavailable(
                "waiting for both sides to agree",
                answered=f"{now.books['in_flight']} changes are still in flight",
                hint="`isthmus status` says which.",
            )
        await asyncio.sleep(0.1)


def unexplained(
    differences: Sequence[dict[str, Any]], things: Sequence[Placed], orders: Iterable[tuple[str, str, str]]
) -> list[dict[str, Any]]:
    """Differences of a Sweep that no expected hold explains: neither a held record or order nor a disputed field."""
    held = set(orders)
    disputed: dict[tuple[str, str], set[str]] = {}
    for thing in things:
        entity = thing.seed.entity
        if thing.end == "held":
            held.update((entity, "left", key) for key in thing.left)
            held.update((entity, "right", key) for key in thing.right)
        if thing.disputed:
            for key in thing.left:
                disputed[entity, key] = thing.disputed
    return [
        one
        for one in differences
        if (one["entity"], "left", one["left"]) not in held
        and (one["entity"], "right", one["right"]) not in held
        and one["field"] not in disputed.get((one["entity"], one["left"] or ""), set())
    ]


def _created(conn: Connection, pair_id: int) -> int:
    sql = "select count(*) from audit where pair_id = :pair and action = 'create'"
    return int(conn.execute(text(sql), {"pair": pair_id}).scalar_one())


def _percentile(values: Sequence[float], percent: int) -> float:
    """The nearest-rank percentile, rounded to a tenth."""
    ordered = sorted(values)
    return round(ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)], 1) if ordered else 0.0
