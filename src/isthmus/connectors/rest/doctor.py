"""The connection doctor: looks at everything a connection needs and says in plain words how it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isthmus.connectors.rest.codec import EntityCodec, Row
from isthmus.connectors.rest.manifest import Manifest
from isthmus.connectors.rest.reading import Reader
from isthmus.connectors.rest.settings import RestSettings
from isthmus.connectors.rest.wire import Wire
from isthmus.sdk import AuthFailed, Finding, IsthmusError, Misconfigured
from isthmus.sdk.answers import dig
from isthmus.sdk.auth import OAuth
from isthmus.sdk.together import together


class Doctor:
    """Examines one connection; never raises for what it finds."""

    def __init__(self, manifest: Manifest, settings: RestSettings, wire: Wire, reader: Reader) -> None:
        self._manifest = manifest
        self._settings = settings
        self._wire = wire
        self._reader = reader

    async def findings(self) -> list[Finding]:
        """Every finding: first what stops everything, then each Entity, limits and webhooks."""
        login = await self._login()
        if any(finding.status == "problem" for finding in login):
            return login
        names = [name for name, spec in self._manifest.entities.items() if spec.parent is None]
        looks = await together(*(self._entity(name) for name in names))
        entities = [finding for findings, _ in looks for finding in findings]
        headers = next((seen for _, seen in looks if seen), {})
        same = {(finding.message, finding.fix) for finding in entities}
        if len(entities) > 1 and len(same) == 1 and entities[0].status == "problem":
            return [*login, entities[0]]  # one cause, said once
        return [*login, *entities, self._limits(headers), *await self._hooks()]

    async def _login(self) -> list[Finding]:
        base = self._wire.client.http.base_url
        auth = self._wire.client.auth
        try:
            await auth.headers()
        except IsthmusError as error:
            return [problem("login", error)]
        out = [Finding(check="login", status="ok", message=f"The login at {base} is accepted.")]
        if isinstance(auth, OAuth):
            granted = (await auth.granted()).scopes
            missing = [scope for scope in auth.scopes if granted and scope not in granted]
            if missing:
                out.append(
                    Finding(
                        check="scopes",
                        status="warning",
                        message=f"The login was not granted {', '.join(missing)}.",
                        fix=f"Grant these scopes to the client {auth.client_id} in {self._manifest.name}.",
                        facts={"missing": missing, "granted": list(granted)},
                    )
                )
        return out

    async def _entity(self, name: str) -> tuple[list[Finding], Mapping[str, str]]:
        codec = self._reader.codec(name)
        doing = f"reading {name} from {self._manifest.name}"
        try:
            async for answer, rows in self._reader.lists(codec.spec, [], doing, size=1):
                return self._look_at(codec, rows), answer.response.headers
        except AuthFailed as error:
            scope = codec.spec.scopes.get("read") if error.facts.get("status") == 403 else None
            fix = f"Grant the scope {scope} to this login in {self._manifest.name}." if scope else error.hint
            return [Finding(check=name, status="problem", message=str(error), fix=fix, facts=error.facts)], {}
        except IsthmusError as error:
            return [problem(name, error)], {}
        return [], {}

    def _look_at(self, codec: EntityCodec, rows: Sequence[Row]) -> list[Finding]:
        """A readable list; a sample row that lacks needed fields or has more than described is worth a word."""
        if not rows:
            return [Finding(check=codec.name, status="ok", message=f"{codec.name} can be read; there are none yet.")]
        row = rows[0]
        needed = {
            "key": codec.spec.key,
            "version": codec.spec.version,
            "changed at": codec.spec.changed_at,
            "external key": codec.spec.external_key,
        }
        missing = [f"{field} ({what})" for what, field in needed.items() if field and codec.wire(field) not in row]
        if missing:
            return [
                Finding(
                    check=codec.name,
                    status="problem",
                    message=f"{codec.name} can be read, but its rows lack {', '.join(missing)}.",
                    fix="Give the fields' names on the wire in the overrides of the connection.",
                    facts={"missing": missing},
                )
            ]
        known = {codec.wire(field) for field in codec.fields}
        more = sorted(name for name in row if name not in known)
        if more:
            return [
                Finding(
                    check=codec.name,
                    status="ok",
                    message=f"{codec.name} can be read; the manifest does not know {', '.join(more)}.",
                    facts={"unknown": more},
                )
            ]
        return [Finding(check=codec.name, status="ok", message=f"{codec.name} can be read.")]

    def _limits(self, headers: Mapping[str, str]) -> Finding:
        limit = headers.get("x-ratelimit-limit")
        ours = self._settings.rate(self._manifest)
        said = f"We make at most {ours.per_second:g} calls a second."
        if limit is None:
            return Finding(check="limits", status="ok", message=f"No rate limit is announced. {said}")
        left = headers.get("x-ratelimit-remaining", "?")
        return Finding(
            check="limits",
            status="ok",
            message=f"The system announces a limit of {limit} calls, {left} left. {said}",
            facts={name: value for name, value in headers.items() if name.startswith("x-ratelimit")},
        )

    async def _hooks(self) -> list[Finding]:
        told = self._manifest.webhooks
        if told is None:
            return []
        if not self._settings.webhook_secret:
            return [
                Finding(
                    check="webhooks",
                    status="warning",
                    message="There is no webhook secret, so changes are found by polling only.",
                    fix="Set webhook_secret of the connection, then install the webhooks.",
                )
            ]
        if told.subscriptions is None:
            return []
        try:
            answer = await self._wire.get(told.subscriptions.path, doing="reading the webhook registrations")
        except IsthmusError as error:
            return [problem("webhooks", error, status="warning")]
        path = self._manifest.wording.rows if told.subscriptions.rows is None else told.subscriptions.rows
        rows = _list_at(answer.decoded, path)
        return [Finding(check="webhooks", status="ok", message=f"{len(rows)} webhook registrations are in place.")]


def problem(check: str, error: IsthmusError, status: Any = "problem") -> Finding:
    """A finding that an error tells."""
    fix = error.hint if error.action != "retry" else _patience(error)
    return Finding(check=check, status=status, message=str(error), fix=fix, facts={**error.facts, "kind": error.kind})


def unusable(error: IsthmusError) -> list[Finding]:
    """The only finding of a connection that cannot even be set up."""
    return [problem("settings" if isinstance(error, Misconfigured) else "login", error)]


def _patience(error: IsthmusError) -> str:
    if error.facts.get("sent") is False:
        return "Check the address and the port, and that this machine may reach that host (firewall, proxy, VPN)."
    return "Try again in a while; if it stays, ask the operator of that system."


def _list_at(decoded: Any, path: str | None) -> list[Any]:
    found = dig(decoded, path)
    return found if isinstance(found, list) else []
