"""`isthmus demo`: stand-ins, 1,600 things, 250 orders, a running pair; to play with, or to prove itself once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Literal, TypeVar

import typer

from isthmus.cli.session import Bars, err, fail, out, say_json
from isthmus.errors import IsthmusError

T = TypeVar("T")

app = typer.Typer(
    add_completion=False, help="Sandboxes with 1,600 records, 250 orders and a running pair, ready to edit."
)

_HOME = typer.Option(None, "--home", help="The demo's folder; .isthmus/demo here, or a temporary one with --once.")


@app.callback(invoke_without_command=True)
def demo(
    context: typer.Context,
    once: bool = typer.Option(
        False, "--once", help="No screen: edit both sides, run the orders, sweep, judge, and end."
    ),
    as_json: bool = typer.Option(False, "--json", help="With --once: print one line of JSON, nothing else."),
    odoo: str = typer.Option("sandbox", "--odoo", help="sandbox, or real: an Odoo 19 brought up on this machine."),
    keep: bool = typer.Option(False, "--continue", help="Go on with the demo in the folder instead of starting anew."),
    home: Path | None = _HOME,
) -> None:
    """Start both systems, seed them, connect them, load, run 250 orders, and keep them in agreement until Ctrl-C.

    Orders run on the sandboxes, up to their shipping; a real Odoo gets master data only. Each start begins anew;
    --continue goes on where the last one ended.
    """
    if context.invoked_subcommand is not None:
        return
    if odoo not in ("sandbox", "real"):
        raise typer.BadParameter("sandbox or real", param_hint="--odoo")
    if keep and (once or odoo == "real"):
        raise typer.BadParameter("only a demo on the sandboxes continues, and not with --once", param_hint="--continue")
    kind: Literal["sandbox", "real"] = "real" if odoo == "real" else "sandbox"
    import uvloop

    from isthmus.demo.home import DEFAULT

    uvloop.install()
    try:
        if once:
            good = _once(home, kind, as_json)
            raise typer.Exit(0 if good else 1)
        asyncio.run(_play(home or DEFAULT, kind, keep))
    except IsthmusError as error:
        fail(error, as_json=as_json)


def _once(home: Path | None, kind: Literal["sandbox", "real"], as_json: bool) -> bool:
    from isthmus.demo.home import temporary

    if home is not None:
        return asyncio.run(_rehearsed(home, kind, as_json))
    with temporary() as folder:
        return asyncio.run(_rehearsed(folder, kind, as_json))


async def _rehearsed(home: Path, kind: Literal["sandbox", "real"], as_json: bool) -> bool:
    from isthmus.api.app import create_app
    from isthmus.demo.run import demo as running
    from isthmus.demo.run import rehearse
    from isthmus.model.clock import SystemClock

    began = SystemClock().monotonic()
    say, stop = _nothing if as_json else _step, asyncio.Event()
    with Bars(quiet=as_json) as bars:
        async with running(
            home, kind, create_app, keep=False, fixed_ports=False, say=say, progress=bars, stop=stop
        ) as up:
            result = await _unless(stop, rehearse(up, say, bars, began))
    for finding in result.findings:
        err.print(f"unexpected: {finding.entity} {finding.tag} ({finding.story}): {finding.what}", highlight=False)
    for one in result.differing:
        err.print(f"difference: {one}", highlight=False, markup=False)
    if as_json:
        say_json(result.line())
    else:
        for name, value in result.line().items():
            told = _in_words(value) if isinstance(value, dict) else f"{value:,}"
            out.print(f"{name:>13}  {told}", highlight=False)
    return result.good


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is given up when `stop` comes first (Ctrl-C); then the command ends with 130."""
    task, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    waiting: set[asyncio.Task[Any]] = {task, stopped}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()
        raise typer.Exit(130)
    stopped.cancel()
    return task.result()


async def _play(home: Path, kind: Literal["sandbox", "real"], keep: bool) -> None:
    from isthmus.api.app import create_app
    from isthmus.demo.feed import watch
    from isthmus.demo.run import demo as running
    from isthmus.demo.run import settled, traded

    own_database = "DATABASE_URL" in os.environ
    stop = asyncio.Event()
    with Bars(quiet=False) as bars:
        async with running(
            home, kind, create_app, keep=keep, fixed_ports=True, say=_step, progress=bars, stop=stop
        ) as up:
            await settled(up)
            for finding in await _unless(stop, traded(up, _step)) if up.trades and up.things else ():
                err.print(
                    f"unexpected: {finding.entity} {finding.tag} ({finding.story}): {finding.what}", highlight=False
                )
            for line in _screen(up, await up.status(), kind, own_database):
                out.print(line, highlight=False)
            await watch(up.runtime, up.pair_id, _step, stop)
            err.print("Ending: what is being written now is written to its end.", highlight=False)


def _screen(up: Any, status: Any, kind: str, own_database: bool) -> list[str]:
    """What a newcomer needs: where everything is, how to edit a record on either side, how to watch it travel."""
    odoo, bng, folder = up.stage.odoo_door, up.stage.bng_door, up.home.path
    held = sum(status.dead_letters.values())
    by_hand = "" if kind == "real" else "    open it in a browser, and edit a record as a person would"
    body = '{"entity": "customer", "id": "KEY", "values": {"Phone": "+12125550000"}}'
    return [
        "",
        f"[bold]Odoo[/]     {odoo.url}{by_hand}",
        f"[bold]BNG[/]      {bng.url}    its API is described at {bng.url}/openapi.json",
        f"[bold]Isthmus[/]  {up.url}/docs    its token is in {folder / 'token'}",
        "",
        f"{status.links:,} records are linked and agree; {held:,} wait for a person, on purpose:",
        "duplicates, bad e-mails, addresses without a country.",
        "",
        *_orders(up.trade),
        "[bold]Edit a record[/] on either side, in another terminal in this folder:",
        "  isthmus demo find cedar",
        "  isthmus demo edit odoo customer KEY phone='+1 212-555-0000'",
        "  isthmus demo edit bng customer KEY email=someone@new.example",
        f"  curl {bng.url}/sandbox/edit -H 'Authorization: Bearer {bng.admin_key}' -d '{body}'",
        "",
        "[bold]Watch[/] it arrive here, or ask in the other terminal:",
        f"  export ISTHMUS_HOME={folder}" + ("; unset DATABASE_URL" if own_database else ""),
        "  isthmus status                    isthmus trace left:KEY",
        "  isthmus deadletters list demo     isthmus conflicts list demo     isthmus sweep demo",
        "",
        "Ctrl-C ends everything. The next `isthmus demo` starts anew; `isthmus demo --continue` goes on from here.",
        "",
    ]


def _orders(trade: Any) -> list[str]:
    """Where the orders of this demo ended, if it ran any."""
    if not trade.orders:
        return []
    rows = (("Sales orders", trade.orders), ("Purchases", trade.purchases))
    return [
        *(f"[bold]{name:<13}[/] {_in_words(trade.counts(orders))}" for name, orders in rows),
        "Invoices and payments follow on a real Odoo: the sandbox keeps no accounting.",
        "Where one of them is: isthmus journey S-0001 (S-0002 and so on; also S00001, its number in Odoo)",
        "",
    ]


def _in_words(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items())


@app.command()
def find(words: str = typer.Argument(help="Part of a name, an e-mail or a SKU."), home: Path | None = _HOME) -> None:
    """Find records on both sides of the running demo."""
    from isthmus.demo import visit
    from isthmus.demo.home import DEFAULT

    rows = _visit(visit.find(home or DEFAULT, words))
    if not rows:
        out.print(f"Neither side has a record with {words!r}.")
    for row in rows:
        # One line each, keys whole: they are copied from here.
        out.print(f"{row['system']:<5} {row['entity']:<9} {row['key']:<37} {row['name']}  {row['detail']}",
                  highlight=False, markup=False)  # fmt: skip


@app.command()
def edit(
    system: str = typer.Argument(help="odoo or bng."),
    entity: str = typer.Argument(help="customer, vendor or product."),
    record: str = typer.Argument(help="Its key, or words that only this record holds."),
    fields: list[str] = typer.Argument(help="field=value; email, phone, price, or the system's own field names."),
    home: Path | None = _HOME,
) -> None:
    """Edit a record of the running demo on one side, as a person would."""
    from isthmus.demo import visit
    from isthmus.demo.home import DEFAULT

    told = {}
    for text in fields:
        name, found, value = text.partition("=")
        if not found:
            raise typer.BadParameter(f"{text!r} is not field=value")
        told[name] = value
    key = _visit(visit.edit(home or DEFAULT, system, entity, record, told))
    side = "left" if system == "odoo" else "right"
    out.print(f"Edited {entity} {key} in {system}. What came of it: isthmus trace {side}:{key}", highlight=False)


def _visit(work: Any) -> Any:
    try:
        return asyncio.run(work)
    except IsthmusError as error:
        fail(error)


def _step(text: str) -> None:
    err.print(f"[green]•[/] {text}", highlight=False)


def _nothing(text: str) -> None:
    """Say nothing."""
