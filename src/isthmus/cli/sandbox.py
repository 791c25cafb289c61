"""`isthmus sandbox`: stand-ins to try things on, run until you stop them."""

from __future__ import annotations

import asyncio
import shlex
import signal
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import typer
from rich.panel import Panel
from rich.table import Table

from isthmus.cli.session import err, out

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Stand-ins to try things on; never for real data.")

_HOST = typer.Option("127.0.0.1", "--host", help="The address to listen on.")
_DATA = typer.Option(None, "--data", help="The file that keeps everything; in memory without it.", dir_okay=False)
_READY = typer.Option(False, "--print-ready", help="Print one line of JSON when it answers, and nothing else.")
_ADMIN_KEY = typer.Option(None, "--admin-key", help="Opens the /sandbox switches; new at every start without.")


@app.command()
def bng(
    host: str = _HOST,
    port: int = typer.Option(8430, "--port", help="The port; 0 takes a free one."),
    data: Path | None = _DATA,
    client_id: str | None = typer.Option(None, "--client-id", help="The service account's id."),
    client_secret: str | None = typer.Option(None, "--client-secret", help="Its secret; new at every start without."),
    webhook_secret: str | None = typer.Option(None, "--webhook-secret", help="Suggested to sign webhooks with."),
    admin_key: str | None = _ADMIN_KEY,
    print_ready: bool = _READY,
) -> None:
    """Run the BNG Business API: twelve entities, OAuth 2.0, webhooks, fault switches."""
    from isthmus.sandbox.bng import Running, Settings, running
    from isthmus.sandbox.bng.__main__ import ready_line

    settings = Settings(
        **_given(
            host=host,
            port=port,
            data=data,
            client_id=client_id,
            client_secret=client_secret,
            webhook_secret=webhook_secret,
            admin_key=admin_key,
        )
    )

    def ready(up: Running) -> None:
        if print_ready:
            typer.echo(ready_line(up))
            return
        connect = _command(
            "bng",
            up.url,
            plain={"client_id": settings.client_id, "allow_loopback": "true"},
            secret={"client_secret": settings.client_secret, "webhook_secret": settings.webhook_secret},
        )
        facts = {
            "address": up.url,
            "its screens": f"{up.url}/screens",
            "described at": f"{up.url}/openapi.json",
            "client id": settings.client_id,
            "client secret": settings.client_secret,
            "admin key": settings.admin_key,
            "keeps its records": str(data) if data else "in memory: they end with it",
        }
        _screen("BNG sandbox", facts, connect)

    _serve(running(settings), ready)


@app.command()
def odoo(
    host: str = _HOST,
    port: int = typer.Option(8431, "--port", help="The port; 0 takes a free one."),
    data: Path | None = _DATA,
    database: str | None = typer.Option(None, "--database", help="The name of its database."),
    login: str | None = typer.Option(None, "--login", help="The integration user's login."),
    api_key: str | None = typer.Option(
        None, "--api-key", help="The integration user's key; new at every start without."
    ),
    latency_ms: float = typer.Option(0.0, "--latency-ms", help="Added to every call, to imitate a real Odoo."),
    admin_key: str | None = _ADMIN_KEY,
    print_ready: bool = _READY,
) -> None:
    """Run an Odoo-compatible server: contacts, products and vendors over Odoo's own protocols."""
    from isthmus.sandbox.odoo import Running, Settings, running
    from isthmus.sandbox.odoo.__main__ import ready_line

    settings = Settings(
        **_given(
            host=host,
            port=port,
            data=data,
            database=database,
            login=login,
            api_key=api_key,
            latency_ms=latency_ms,
            admin_key=admin_key,
        )
    )

    def ready(up: Running) -> None:
        if print_ready:
            typer.echo(ready_line(up))
            return
        connect = _command(
            "odoo",
            up.url,
            plain={"database": settings.database, "login": settings.login, "allow_loopback": "true"},
            secret={"api_key": settings.api_key},
        )
        facts = {
            "address": up.url,
            "database": settings.database,
            "login": settings.login,
            "API key": settings.api_key,
            "admin key": settings.admin_key,
            "keeps its records": str(data) if data else "in memory: they end with it",
        }
        _screen("Odoo-compatible sandbox", facts, connect)

    _serve(running(settings), ready)


@app.command()
def gateway(
    host: str = _HOST,
    port: int = typer.Option(8432, "--port", help="The port; 0 takes a free one."),
    data: Path | None = _DATA,
    security_key: str | None = typer.Option(
        None, "--security-key", help="The merchant account's key; new at every start without."
    ),
    signing_key: str | None = typer.Option(None, "--signing-key", help="Signs webhooks; new at every start without."),
    admin_key: str | None = _ADMIN_KEY,
    print_ready: bool = _READY,
) -> None:
    """Run a payment gateway: charges, captures, refunds, vault, settlement, signed webhooks, fault switches."""
    from isthmus.sandbox.gateway import Running, Settings, running
    from isthmus.sandbox.gateway.__main__ import ready_line

    settings = Settings(
        **_given(
            host=host, port=port, data=data, security_key=security_key, signing_key=signing_key, admin_key=admin_key
        )
    )

    def ready(up: Running) -> None:
        if print_ready:
            typer.echo(ready_line(up))
            return
        connect = _command(
            "bng_gateway",
            up.url,
            plain={"allow_loopback": "true"},
            secret={"security_key": settings.security_key, "webhook_signing_key": settings.signing_key},
        )
        facts = {
            "address": up.url,
            "security key": settings.security_key,
            "signing key": settings.signing_key,
            "admin key": settings.admin_key,
            "test tokens": "test-approve-NAME, test-decline-NAME, test-timeout-NAME, …",
            "keeps its records": str(data) if data else "in memory: they end with it",
        }
        _screen("BNG Gateway sandbox", facts, connect)

    _serve(running(settings), ready)


@app.command()
def shop(
    host: str = _HOST,
    port: int = typer.Option(8433, "--port", help="The port; 0 takes a free one."),
    data: Path | None = _DATA,
    access_token: str | None = typer.Option(
        None, "--access-token", help="The app's access token; new at every start without."
    ),
    webhook_secret: str | None = typer.Option(None, "--webhook-secret", help="Signs webhooks; new without."),
    currency: str | None = typer.Option(None, "--currency", help="The shop's currency; USD without."),
    admin_key: str | None = _ADMIN_KEY,
    print_ready: bool = _READY,
) -> None:
    """Run a shop on Shopify: its Admin GraphQL API, shoppers, stock, signed webhooks, fault switches."""
    from isthmus.sandbox.shop import Running, Settings, running
    from isthmus.sandbox.shop.__main__ import ready_line

    given = _given(host=host, port=port, data=data, access_token=access_token, webhook_secret=webhook_secret)
    settings = Settings(**given, **_given(currency=currency, admin_key=admin_key))

    def ready(up: Running) -> None:
        if print_ready:
            typer.echo(ready_line(up))
            return
        connect = _command(
            "shopify",
            up.url,
            plain={"allow_loopback": "true"},
            secret={"access_token": settings.access_token, "webhook_secret": settings.webhook_secret},
        )
        facts = {
            "address": up.url,
            "access token": settings.access_token,
            "webhook secret": settings.webhook_secret,
            "admin key": settings.admin_key,
            "a shopper buys": f"POST {up.url}/sandbox/checkout",
            "keeps its records": str(data) if data else "in memory: they end with it",
        }
        _screen("Shop sandbox", facts, connect)

    _serve(running(settings), ready)


def _given(**told: Any) -> dict[str, Any]:
    """Only what was told, so that the rest is made up or as usual."""
    return {name: value for name, value in told.items() if value is not None}


def _command(kind: str, url: str, *, plain: dict[str, str], secret: dict[str, str]) -> str:
    """The command that connects to the sandbox, ready to be pasted into a shell."""
    lines = [f"isthmus connection add {kind.replace('_', '-')}-sandbox --kind {kind} --url {shlex.quote(url)}"]
    lines += [f"--set {shlex.quote(f'{name}={value}')}" for name, value in plain.items()]
    lines += [f"--secret {shlex.quote(f'{name}={value}')}" for name, value in secret.items()]
    return " \\\n  ".join(lines)


def _screen(title: str, facts: dict[str, str], connect: str) -> None:
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        table.add_row(name, value, style=None)
    out.print(Panel.fit(table, title=title, title_align="left"), highlight=False)
    out.print("To connect, in another terminal:\n", highlight=False)
    out.print(connect, highlight=False, markup=False, soft_wrap=True)
    out.print("\nCtrl-C ends it.", highlight=False)


def _serve(context: AbstractAsyncContextManager[Any], ready: Any) -> None:
    """Run until SIGINT or SIGTERM; a taken port or an unusable file ends the command with a sentence."""

    async def whole() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        async with context as up:
            ready(up)
            await stop.wait()

    import uvloop

    try:
        uvloop.run(whole())
    except (OSError, ValueError) as error:
        err.print(f"[bold red]The sandbox cannot start.[/] {error}", highlight=False)
        raise typer.Exit(1) from error
