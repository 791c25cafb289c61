"""`isthmus serve`: the service."""

from __future__ import annotations

import json
from typing import Any

import typer

from isthmus.cli.session import JSON, err, run

app = typer.Typer(add_completion=False)


@app.command()
def serve(
    host: str = typer.Option("127.0.0.1", "--host", help="The address to listen on."),
    port: int = typer.Option(8420, "--port", help="The port; 0 takes a free one."),
    log_level: str = typer.Option("warning", "--log-level", help="debug, info, warning or error."),
    as_json: bool = JSON,
) -> None:
    """Run API, webhook intake, lanes and pollers until you stop it (Ctrl-C or SIGTERM; it drains first)."""
    import logging

    import uvloop

    from isthmus.api.app import create_app
    from isthmus.operate import service
    from isthmus.security.redaction import mask_logs
    from isthmus.security.tokens import local_token
    from isthmus.store.postgres import home

    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")

    mask_logs()

    async def work(runtime: Any) -> None:
        await runtime.db.run(local_token, home())

        def ready(url: str) -> None:
            if as_json:
                typer.echo(json.dumps({"url": url, "token_file": str(home() / "token")}))
            else:
                err.print(f"Isthmus listens on [bold]{url}[/]; its API is described at {url}/docs", highlight=False)
                err.print(f"The token of this machine's administrator is in {home() / 'token'}", highlight=False)

        await service.serve(runtime, create_app, host=host, port=port, ready=ready)

    uvloop.install()
    run(work, as_json=as_json)
