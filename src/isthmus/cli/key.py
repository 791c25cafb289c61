"""`isthmus key`: the master key."""

from __future__ import annotations

from typing import Any

import typer

from isthmus.cli.session import JSON, out, run, say_json

app = typer.Typer(add_completion=False, no_args_is_help=True, help="The master key that wraps all data keys.")


@app.command()
def show(as_json: bool = JSON) -> None:
    """Show the id of the master key in use; never the key."""

    async def work(runtime: Any) -> Any:
        return {"current": runtime.keys.current.id, "older": sorted(runtime.keys.older)}

    told = run(work, as_json=as_json)
    say_json(told) if as_json else out.print(f"In use: {told['current']}; still readable: {told['older'] or 'none'}")


@app.command()
def rotate(as_json: bool = JSON) -> None:
    """Make a new master key and wrap every data key by it; the service goes on meanwhile.

    With a key from the environment or a command, put the new key there and the old one in
    ISTHMUS_MASTER_KEY_OLD first; with a key file, both files are written for you.
    """
    from isthmus.operate.keys import rotate as rotate_keys

    async def work(runtime: Any) -> Any:
        return await rotate_keys(runtime)

    told = run(work, as_json=as_json)
    say_json(told) if as_json else out.print(
        f"Master key is {told['current']} now; {told['rewrapped']} data keys re-wrapped."
    )
