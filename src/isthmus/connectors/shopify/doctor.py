"""The connection doctor: reach, login, version, scopes, locations, webhooks, the budget, each with its fix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from isthmus.connectors.shopify.catalogue import entities
from isthmus.connectors.shopify.keys import key_of
from isthmus.connectors.shopify.wire import Wire
from isthmus.sdk import Finding, IsthmusError

_QUERY = (
    "{ shop { id name myshopifyDomain currencyCode taxesIncluded plan { publicDisplayName } } "
    "currentAppInstallation { accessScopes { handle } } publicApiVersions { handle supported } }"
)
_HOW = "Shop's admin > Settings > Apps > Develop apps > the app > Configuration; install it again afterwards."


class Doctor:
    """Looks at one connection."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._mapped: Sequence[str] = ()

    def uses(self, mapped: Sequence[str]) -> None:
        """Which Entities are mapped: only their scopes are a problem when they are missing."""
        self._mapped = mapped

    async def findings(self) -> list[Finding]:
        """Every finding; never raises for a bad set-up."""
        try:
            data = await self._wire.ask(_QUERY, doing="looking at the shop")
        except IsthmusError as error:
            return [_failure("connection", error)]
        shop = data["shop"]
        scopes = {one["handle"] for one in data["currentAppInstallation"]["accessScopes"]}
        plan = (shop.get("plan") or {}).get("publicDisplayName")
        message = f"{shop['name']} ({shop['myshopifyDomain']}), {shop['currencyCode']}, plan {plan}"
        out = [Finding(check="connection", status="ok", message=message, facts={"domain": shop["myshopifyDomain"]})]
        out.extend(self._version(data["publicApiVersions"]))
        out.extend(self._scopes(scopes))
        out.append(await self._locations())
        out.append(self._webhooks())
        out.append(self._budget())
        return out

    def _version(self, versions: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
        asked, served = self._wire.settings.api_version, self._wire.served_version
        supported = sorted(str(one["handle"]) for one in versions if one["supported"])
        facts = {"asked": asked, "served": served, "supported": supported}
        if served and served != asked:
            newest = next((one for one in reversed(supported) if one.startswith("20")), served)
            yield Finding(
                check="version",
                status="warning",
                message=f"version {asked} of the API is served as {served}: it has ended",
                fix=f"Set api_version to {newest}, after looking at the changes in Shopify's changelog.",
                facts=facts,
            )
            return
        yield Finding(check="version", status="ok", message=f"version {asked} of the API is served", facts=facts)

    def _scopes(self, scopes: set[str]) -> Iterator[Finding]:
        # A scope to write is one to read, too.
        held = scopes | {one.replace("write_", "read_", 1) for one in scopes if one.startswith("write_")}
        missing: dict[str, list[str]] = {}
        for told in entities().values():
            for scope in (*told.reads, *(told.writes if told.creates or told.updates else ())):
                if scope not in held:
                    missing.setdefault(scope, []).append(told.name)
        for scope, names in sorted(missing.items()):
            needed = not self._mapped or any(name in self._mapped for name in names)
            yield Finding(
                check="scopes",
                status="problem" if needed else "warning",
                message=f"the app has not the scope {scope}, needed for {', '.join(names)}",
                fix=f"Add {scope}: {_HOW}",
                facts={"scope": scope, "entities": names},
            )
        if not missing:
            yield Finding(check="scopes", status="ok", message="the app has every scope that is needed")
        if "read_all_orders" not in scopes:
            yield Finding(
                check="scopes",
                status="warning",
                message="only orders of the last 60 days can be read",
                fix=f"Add read_all_orders where older ones matter: {_HOW}",
            )

    async def _locations(self) -> Finding:
        wanted = self._wire.settings.location
        text = "{ locations(first: 250) { nodes { id name } } }"
        try:
            nodes = (await self._wire.ask(text, doing="reading locations"))["locations"]["nodes"]
        except IsthmusError as error:
            return _failure("locations", error)
        names = {str(key_of(one["id"])): str(one["name"]) for one in nodes}
        shown = ", ".join(f"{name} ({key})" for key, name in names.items())
        if wanted and wanted not in names:
            fix = f"Set location to one of {shown}."
            return Finding(check="locations", status="problem", message=f"there is no location {wanted}", fix=fix)
        return Finding(check="locations", status="ok", message=f"locations: {shown}", facts={"locations": names})

    def _webhooks(self) -> Finding:
        if self._wire.settings.webhook_secret:
            return Finding(check="webhooks", status="ok", message="deliveries are verified with the app's secret key")
        return Finding(
            check="webhooks",
            status="warning",
            message="there is no webhook secret: changes are found by polling only",
            fix="Set webhook_secret to the app's API secret key, then `isthmus connection hooks`.",
        )

    def _budget(self) -> Finding:
        told = self._wire.throttle
        restore, ours = told.get("restoreRate"), self._wire.settings.points_per_second
        facts = {"restoreRate": restore, "maximumAvailable": told.get("maximumAvailable"), "ours": ours}
        if restore and ours and ours > float(restore):
            fix = f"Set points_per_second to {float(restore):g}."
            message = f"the shop gives {float(restore):g} points per second, the connection counts on {ours:g}"
            return Finding(check="budget", status="warning", message=message, fix=fix, facts=facts)
        return Finding(check="budget", status="ok", message=f"{restore or 'unknown'} points per second", facts=facts)


def _failure(check: str, error: IsthmusError) -> Finding:
    return Finding(check=check, status="problem", message=str(error), fix=error.hint, facts={"kind": error.kind})
