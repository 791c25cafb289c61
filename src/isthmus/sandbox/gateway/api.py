"""The two doors of the gateway: forms in, answers out, whatever the HTTP status says."""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
from collections.abc import Awaitable, Callable

from aiohttp import web

from ..parts.spoiling import spoil
from .desk import refuse_cards
from .faults import Fault
from .replies import Refused, reply, told_once
from .service import Gateway

_log = logging.getLogger(__name__)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_RUBBISH = "\x00\x01<nm_resp response=1&&"
Work = Callable[[], Awaitable[web.StreamResponse]]


def routes(gateway: Gateway) -> list[web.RouteDef]:
    """The routes; both take POST with a form, as the real ones are used."""
    return [
        web.post("/api/transact.php", _door(gateway, _transact, _payment_error)),
        web.post("/api/query.php", _door(gateway, _query, _query_error)),
    ]


async def _transact(gateway: Gateway, form: dict[str, str]) -> bytes:
    try:
        refuse_cards(form)
        if form.get("customer_vault"):
            return gateway.vault.answer(form)
        return await gateway.desk.answer(form)
    except Refused as error:
        return reply(form, response=error.response, text=error.text, code=error.code)


async def _query(gateway: Gateway, form: dict[str, str]) -> bytes:
    return gateway.queries.answer(form)


def _payment_error(form: dict[str, str], text: str, code: int) -> bytes:
    return reply(form, response=3, text=Refused(text).text, code=code)


def _query_error(form: dict[str, str], text: str, code: int) -> bytes:
    return told_once("error_response", Refused(text).text)


def _door(
    gateway: Gateway,
    answer: Callable[[Gateway, dict[str, str]], Awaitable[bytes]],
    error: Callable[[dict[str, str], str, int], bytes],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    expected = gateway.settings.security_key.encode()
    kind = "text/xml" if answer is _query else "text/html"

    def told(body: bytes) -> web.Response:
        # The real one answers payments as text/html too; only the body counts.
        return web.Response(body=body, headers={"Content-Type": f"{kind}; charset=UTF-8"})

    async def respond(request: web.Request) -> web.StreamResponse:
        form = {name: _CONTROL.sub("", str(value)) for name, value in (await request.post()).items()}
        name = request.path.rpartition("/")[2]
        wanted = form.get("customer_vault") or form.get("type") or form.get("report_type") or ""
        gateway.calls[f"{name} {wanted}".strip()] += 1
        if gateway.switches.latency_ms:
            await asyncio.sleep(gateway.switches.latency_ms / 1000)

        async def work() -> web.StreamResponse:
            if not hmac.compare_digest(form.pop("security_key", "").encode(), expected):
                return told(error({}, "Authentication Failed", 300))
            if not gateway.may_pass():
                return told(error(form, "Rate limit exceeded", 301))
            try:
                return told(await answer(gateway, form))
            except Exception:
                _log.exception("answering %s: an error of the sandbox itself", name)
                return web.Response(status=500, text="The sandbox failed; its log says why.")

        fault = gateway.faults.on_request(f"{name} {wanted}", request.method)
        if fault is None:
            return await work()
        return await _spoiled(fault, request, work, lambda: told(error(form, "Rate limit exceeded", 301)))

    return respond


async def _spoiled(
    fault: Fault, request: web.Request, work: Work, limited: Callable[[], web.Response]
) -> web.StreamResponse:
    if fault.kind == "rate_code":
        return limited()
    if fault.kind == "garbage":
        if fault.after:
            await work()
        return web.Response(text=_RUBBISH, content_type="text/html")

    def refuse(status: int, retry_after: float | None) -> web.Response:
        headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
        return web.Response(status=status, headers=headers, text="The gateway cannot answer right now.")

    return await spoil(fault, request, work, refuse)
