"""Brings the systems up: three sandboxes in this process, or a real Odoo beside those of BNG and its gateway."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import aiohttp

from isthmus.demo.systems import Bng, BngDoor, Gateway, GatewayDoor, Odoo, OdooDoor
from isthmus.errors import Misconfigured
from isthmus.model.secret import Secret

Kind = Literal["sandbox", "real"]
RIG = Path(__file__).parents[3] / "tools" / "odoo" / "rig.py"
DATABASE = "isthmus_demo"
ODOO_PORT, BNG_PORT, SERVICE_PORT = 8431, 8430, 8420


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """All systems as they run, with what the product needs to connect to each.

    `kind` is the Odoo's; `spoil_odoo` has its sandbox lose, cut and refuse some calls, or none any more.
    """

    kind: Kind
    odoo: Odoo
    bng: Bng
    gateway: Gateway
    spoil_odoo: Callable[[bool], None]
    odoo_door: OdooDoor
    bng_door: BngDoor
    odoo_settings: dict[str, Any]
    odoo_secrets: dict[str, Secret]
    bng_settings: dict[str, Any]
    bng_secrets: dict[str, Secret]
    gateway_settings: dict[str, Any]
    gateway_secrets: dict[str, Secret]


@asynccontextmanager
async def on_stage(folder: Path, kind: Kind, *, fixed_ports: bool) -> AsyncIterator[Stage]:
    """Both systems for the time of the block, their records in `folder`."""
    async with AsyncExitStack() as stack:
        bng_door, bng_secret = await _bng(stack, folder, _port(BNG_PORT, fixed_ports))
        gateway_door = await _gateway(stack, folder)
        spoil: Callable[[bool], None] = _never
        if kind == "real":
            odoo_door, login, key = await _real_odoo(stack)
        else:
            odoo_door, login, key, spoil = await _odoo(stack, folder, _port(ODOO_PORT, fixed_ports))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Stage(
            kind=kind,
            odoo=Odoo(session, odoo_door),
            bng=Bng(session, bng_door),
            gateway=Gateway(session, gateway_door),
            spoil_odoo=spoil,
            odoo_door=odoo_door,
            bng_door=bng_door,
            odoo_settings={"url": odoo_door.url, "database": odoo_door.database, "login": login, **_SOON, **_NEAR},
            odoo_secrets={"api_key": Secret(key)},
            bng_settings={"url": bng_door.url, "client_id": bng_door.client_id, "calls_per_second": 0, **_NEAR},
            bng_secrets={"client_secret": Secret(bng_secret)},
            gateway_settings={"url": gateway_door.url, "calls_per_second": 0, **_SOON, **_NEAR},
            gateway_secrets={"security_key": Secret(gateway_door.security_key)},
        )


_NEAR = {"allow_loopback": True}
_SOON = {"request_ceiling": 5.0}
"""Nothing here works on a request for longer, so a lost answer is soon looked into."""
_SPOILED: tuple[tuple[Literal["drop_after_commit", "status", "reset"], int], ...] = (
    ("drop_after_commit", 60),
    ("status", 45),
    ("reset", 70),
)
"""What goes wrong with every so manyth call of Odoo while faults are on: see the sandbox's own faults."""


def _never(on: bool) -> None:
    """A real Odoo has no switches for faults."""


async def _odoo(stack: AsyncExitStack, folder: Path, port: int) -> tuple[OdooDoor, str, str, Callable[[bool], None]]:
    from isthmus.sandbox.odoo import Settings, running
    from isthmus.sandbox.odoo.faults import Fault

    up = await stack.enter_async_context(running(Settings(port=port, data=folder / "odoo.jsonl", database=DATABASE)))
    told = up.settings

    def spoil(on: bool) -> None:
        up.sandbox.faults.clear()
        for kind, every in _SPOILED if on else ():
            up.sandbox.faults.add(Fault(kind=kind, every=every, match="/json/2/"))

    door = OdooDoor(url=up.url, database=told.database, key=told.odoo_admin_key)
    return door, told.login, told.api_key, spoil


async def _gateway(stack: AsyncExitStack, folder: Path) -> GatewayDoor:
    from isthmus.sandbox.gateway import Settings, running

    up = await stack.enter_async_context(running(Settings(data=folder / "gateway.sqlite")))
    return GatewayDoor(url=up.url, security_key=up.settings.security_key, admin_key=up.settings.admin_key)


async def _bng(stack: AsyncExitStack, folder: Path, port: int) -> tuple[BngDoor, str]:
    from isthmus.sandbox.bng import Settings, running

    up = await stack.enter_async_context(running(Settings(port=port, data=folder / "bng.sqlite")))
    told = up.settings
    door = BngDoor(url=up.url, admin_key=told.admin_key, client_id=told.client_id, client_secret=told.client_secret)
    return door, told.client_secret


async def _real_odoo(stack: AsyncExitStack) -> tuple[OdooDoor, str, str]:
    """A database of its own on the project's real Odoo; the server stays up afterwards, as it is shared."""
    if not RIG.is_file():
        raise Misconfigured(
            "starting the demo on a real Odoo",
            answered="the script that brings one up is part of the project's source, not of the installed package",
            hint="Clone the project and run `make demo ODOO=real` there, or run the demo on the sandbox.",
        )
    await _rig("up")
    facts = await _rig("fresh", DATABASE)
    stack.push_async_callback(_rig, "drop", DATABASE)
    return (
        OdooDoor(url=facts["url"], database=facts["database"], key=facts["admin_key"]),
        facts["login"],
        facts["api_key"],
    )


async def _rig(*arguments: str) -> dict[str, Any]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(RIG), *arguments, "--json", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    printed, said = await child.communicate()
    if child.returncode:
        lines = said.decode(errors="replace").strip().splitlines()
        raise Misconfigured(
            "bringing a real Odoo up",
            answered=lines[-1] if lines else f"the script ended with {child.returncode}",
            hint="`make odoo-up` shows more; the demo on the sandbox needs none of it.",
        )
    return dict(json.loads(printed))


def _port(wanted: int, fixed: bool) -> int:
    """The usual port, or a free one when it is taken."""
    return wanted if fixed and free(wanted) else 0


def free(port: int) -> bool:
    """Whether nothing listens on a port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
