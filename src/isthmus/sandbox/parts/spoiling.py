"""What a fault does to a request: its answer is lost, late, cut in half, or another one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from .faults import Fault

Work = Callable[[], Awaitable[web.StreamResponse]]
Refuse = Callable[[int, float | None], web.Response]
"""The system's own way to answer a status, with the seconds to wait when it says so."""

_PAGE = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1><p>nginx</p></body></html>"


async def spoil(fault: Fault, request: web.Request, work: Work, refuse: Refuse) -> web.StreamResponse:
    """Answer `request` as the fault wants it, by `work` where that is to take effect; unknown kinds change nothing."""
    if fault.kind == "reset":
        return _cut(request)
    if fault.kind == "throttle":
        return refuse(429, fault.retry_after)
    if fault.kind == "delay" and not fault.after:
        await asyncio.sleep(fault.seconds)
    if fault.kind in ("status", "html") and not fault.after:
        return _in_place(fault, refuse)
    response = await work()
    if fault.kind == "delay" and fault.after:
        await asyncio.sleep(fault.seconds)
    elif fault.kind == "drop_after_commit":
        return _cut(request)
    elif fault.kind == "truncate" and isinstance(response, web.Response):
        return await _halved(request, response)
    elif fault.kind in ("status", "html"):
        return _in_place(fault, refuse)
    return response


def _in_place(fault: Fault, refuse: Refuse) -> web.Response:
    if fault.kind == "html":
        page = _PAGE.format(f"{fault.status} Bad Gateway" if fault.status >= 500 else "Sign in")
        return web.Response(text=page, status=fault.status, content_type="text/html")
    return refuse(fault.status, None)


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _halved(request: web.Request, whole: web.Response) -> web.StreamResponse:
    body = whole.body if isinstance(whole.body, bytes) else b""
    half = web.StreamResponse(status=whole.status, headers=whole.headers)
    half.content_length = len(body)
    half.force_close()
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return half
