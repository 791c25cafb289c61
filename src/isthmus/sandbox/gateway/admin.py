"""The sandbox's own switches under /sandbox, behind the admin key: settlement, chargebacks, webhooks, faults."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from .faults import Fault
from .instruments import instrument
from .replies import Refused
from .service import Gateway

Switch = Callable[[Gateway, dict[str, Any]], Any]


def _reset(gateway: Gateway, told: dict[str, Any]) -> Any:
    """Empty everything; switches and faults are as at the start."""
    gateway.reset()
    return {"ok": True}


def _transactions(gateway: Gateway, told: dict[str, Any]) -> Any:
    """All transactions, or those of an `order`, as they are kept."""
    if order := told.get("order"):
        return gateway.store.where("order_id = ?", str(order))
    return gateway.store.where("1")


def _customers(gateway: Gateway, told: dict[str, Any]) -> Any:
    """All vault customers, as they are kept."""
    return gateway.store.customers()


def _totals(gateway: Gateway, told: dict[str, Any]) -> Any:
    """By currency: captured, refunded, credited, settled (net)."""
    return gateway.totals()


def _token(gateway: Gateway, told: dict[str, Any]) -> Any:
    """A fresh one-time token, as the gateway's form makes them; `behaviour` and `card` (a label) say of what."""
    token = f"test-{told.get('behaviour', 'approve')}-{told.get('card', 'card')}.{gateway.store.stamp()}"
    try:
        found = instrument(token)
    except Refused as error:
        raise ValueError(f"behaviour or card: {error}") from error
    return {"token": token, "last4": found.last4, "brand": found.brand}


def _settle(gateway: Gateway, told: dict[str, Any]) -> Any:
    """Settle what is pending settlement, or the `transactions` named, as one batch."""
    return gateway.settle([str(key) for key in told.get("transactions") or ()])


def _charge_back(gateway: Gateway, told: dict[str, Any]) -> Any:
    """Have the issuers take back `transactions` for a `reason`; a webhook tells of it."""
    return gateway.charge_back([str(key) for key in told["transactions"]], str(told.get("reason", "Fraud")))


def _resolve(gateway: Gateway, told: dict[str, Any]) -> Any:
    """Decide a `transaction` that is unknown: `taken` or not."""
    return gateway.resolve(str(told["transaction"]), taken=bool(told.get("taken", True)))


def _hooks(gateway: Gateway, told: dict[str, Any]) -> Any:
    return gateway.store.hooks()


def _add_hook(gateway: Gateway, told: dict[str, Any]) -> Any:
    """Tell `url` of `events` (names or patterns; all when left out), as a person sets it up in the gateway."""
    return gateway.hooks.add(told["url"], told.get("events"))


def _drop_hooks(gateway: Gateway, told: dict[str, Any]) -> Any:
    gateway.store.drop_hooks()
    return []


def _settings(gateway: Gateway, told: dict[str, Any]) -> Any:
    return msgspec.to_builtins(gateway.switches)


def _switch(gateway: Gateway, told: dict[str, Any]) -> Any:
    return msgspec.to_builtins(gateway.switch(told))


def _faults(gateway: Gateway, told: dict[str, Any]) -> Any:
    return gateway.faults.told()


def _add_fault(gateway: Gateway, told: dict[str, Any]) -> Any:
    return msgspec.to_builtins(gateway.faults.add(msgspec.convert(told, Fault)))


def _drop_faults(gateway: Gateway, told: dict[str, Any]) -> Any:
    """Switch the fault `id` off, its count stays; all of them and their counts without an id."""
    if "id" not in told:
        gateway.faults.clear()
    elif not gateway.faults.remove(int(told["id"])):
        raise ValueError(f"there is no fault {told['id']}")
    return gateway.faults.told()


def _calls(gateway: Gateway, told: dict[str, Any]) -> Any:
    return gateway.counters()


def _deliveries(gateway: Gateway, told: dict[str, Any]) -> Any:
    """The last tries of webhook deliveries, oldest first, and what still waits."""
    return {"log": list(gateway.dispatcher.log), **gateway.outbox.counts()}


def _revive(gateway: Gateway, told: dict[str, Any]) -> Any:
    """Send again what was given up."""
    return {"revived": gateway.dispatcher.revive()}


SWITCHES: tuple[tuple[str, str, Switch], ...] = (
    ("POST", "reset", _reset),
    ("GET", "transactions", _transactions),
    ("GET", "customers", _customers),
    ("GET", "totals", _totals),
    ("POST", "tokens", _token),
    ("POST", "settle", _settle),
    ("POST", "chargebacks", _charge_back),
    ("POST", "resolve", _resolve),
    ("GET", "hooks", _hooks),
    ("POST", "hooks", _add_hook),
    ("DELETE", "hooks", _drop_hooks),
    ("GET", "settings", _settings),
    ("PUT", "settings", _switch),
    ("GET", "faults", _faults),
    ("POST", "faults", _add_fault),
    ("DELETE", "faults", _drop_faults),
    ("GET", "calls", _calls),
    ("GET", "deliveries", _deliveries),
    ("POST", "deliveries/revive", _revive),
)


def routes(gateway: Gateway) -> list[web.RouteDef]:
    """The routes; arguments come as a JSON object, for GET and DELETE as query parameters too."""
    return [web.route(verb, f"/sandbox/{name}", _guarded(gateway, switch)) for verb, name, switch in SWITCHES]


def _guarded(gateway: Gateway, switch: Switch) -> Callable[[web.Request], Awaitable[web.Response]]:
    expected = f"Bearer {gateway.settings.admin_key}".encode()

    async def respond(request: web.Request) -> web.Response:
        if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), expected):
            return web.json_response({"error": "The sandbox's admin key is needed as a bearer token."}, status=401)
        body = await request.read()
        try:
            told = msgspec.json.decode(body) if body else dict(request.query)
            if not isinstance(told, dict):
                raise ValueError("the body must be an object")
            return web.json_response(switch(gateway, told))
        except KeyError as error:
            return web.json_response({"error": f"{error.args[0]} must be given"}, status=400)
        except (TypeError, ValueError) as error:
            return web.json_response({"error": str(error)}, status=400)

    return respond
