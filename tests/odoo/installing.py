"""A connection to a real Odoo for tests of what is installed there, and the administrator's view of it."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from isthmus.connectors.odoo.settings import OdooSettings
from isthmus.connectors.odoo.wire import Wire
from isthmus.sdk import NetworkPolicy, Secret, WebhookRequest, local_services
from real_odoo import RealOdoo


def settings(odoo: RealOdoo, **more: Any) -> OdooSettings:
    """The integration user's login, as a person would fill it in."""
    plain: dict[str, Any] = {
        "url": odoo.url,
        "database": odoo.database,
        "login": odoo.login,
        "api_key": Secret(odoo.api_key),
        **more,
    }
    return OdooSettings(**plain)


@asynccontextmanager
async def connected(odoo: RealOdoo, **more: Any) -> AsyncIterator[Wire]:
    """The integration user's Wire."""
    told = settings(odoo, **more)
    services = local_services(told.rate(), network=NetworkPolicy(allow_loopback=True, allow_private=True))
    http = services.http(told.url)
    try:
        yield Wire(told, http, services.clock)
    finally:
        await http.close()


def administrator(wire: Wire, odoo: RealOdoo) -> Wire:
    """The same server with the administrator's key."""
    return wire.with_key(odoo.admin_key, odoo.admin_login)


def partners(odoo: RealOdoo, *names: str, **values: Any) -> list[int]:
    """New contacts, made by the integration user."""
    made = odoo.call("res.partner", "create", vals_list=[{"name": name, **values} for name in names])
    return [int(one) for one in made]


def one(odoo: RealOdoo, partner: int, *fields: str) -> dict[str, Any]:
    """Fields of one contact as they are now."""
    (row,) = odoo.call("res.partner", "read", ids=[partner], fields=list(fields), load="")
    return dict(row)


class Receiver:
    """What Odoo posts to: keeps every delivery with the query of its address."""

    def __init__(self) -> None:
        self._taken: list[WebhookRequest] = []
        receiver = self

        class Answering(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                query = dict(parse_qsl(urlsplit(self.path).query))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver._taken.append(WebhookRequest(headers=headers, body=body, query=query))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hooks/odoo/secret"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def taken(self) -> list[WebhookRequest]:
        """The deliveries since the last look; Odoo posts before it answers, so none is still on its way."""
        out, self._taken = self._taken, []
        return out

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
