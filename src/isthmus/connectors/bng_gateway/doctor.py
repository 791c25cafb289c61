"""The connection doctor of the gateway: key, rights, test mode and webhooks, in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from isthmus.connectors.bng_gateway.querying import Queries
from isthmus.connectors.bng_gateway.settings import GatewaySettings
from isthmus.sdk import Clock, Finding, IsthmusError


async def findings(settings: GatewaySettings, queries: Queries, clock: Clock, base_url: str) -> Sequence[Finding]:
    """Every finding; nothing is charged to find out."""
    try:
        account = await queries.test_mode()
    except IsthmusError as error:
        return [_problem("login", error)]
    out = [Finding(check="login", status="ok", message=f"The security key is accepted at {base_url}.")]
    try:
        async for _ in queries.transactions(clock.now(), None):
            break
        out.append(Finding(check="query", status="ok", message="Transactions can be queried."))
    except IsthmusError as error:
        out.append(_problem("query", error))
    out.append(_test_mode(settings, account))
    if settings.dup_seconds is None:
        message = "The account's own window against duplicates is used; nobody knows how long it is."
        fix = "Set dup_seconds to at least the request_ceiling."
        out.append(Finding(check="duplicates", status="warning", message=message, fix=fix))
    elif settings.dup_seconds < settings.request_ceiling:
        message = f"An equal charge is refused for {settings.dup_seconds} s only, less than the request_ceiling."
        fix = "Set dup_seconds to at least the request_ceiling."
        out.append(Finding(check="duplicates", status="warning", message=message, fix=fix))
    if settings.webhook_keys():
        out.append(Finding(check="webhooks", status="ok", message="Deliveries are verified with the signing key."))
    else:
        message = "There is no signing key, so changes are found by polling only and chargebacks not at all."
        fix = "Add a webhook in the gateway (Settings > Webhooks), then set webhook_signing_key of the connection."
        out.append(Finding(check="webhooks", status="warning", message=message, fix=fix))
    return out


def _test_mode(settings: GatewaySettings, account: bool | None) -> Finding:
    if account and not settings.test_mode:
        return Finding(
            check="test mode",
            status="warning",
            message="The account is in test mode: charges are approved and no money moves.",
            fix="End the test mode in the gateway before real orders are paid, or set test_mode of the connection.",
        )
    if settings.test_mode and not account:
        return Finding(
            check="test mode",
            status="warning",
            message="This connection marks every transaction as a test; the account itself is live.",
            fix="Unset test_mode of the connection before real orders are paid.",
        )
    return Finding(
        check="test mode", status="ok", message="No money moves: test mode." if account else "Real money moves."
    )


def _problem(check: str, error: IsthmusError) -> Finding:
    patience = "Check the address, and that this machine may reach that host (firewall, proxy, VPN); then try again."
    fix = patience if error.action == "retry" else error.hint
    facts = {**error.facts, "kind": error.kind}
    return Finding(check=check, status="problem", message=str(error), fix=fix, facts=facts)
