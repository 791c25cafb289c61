"""The oracle's and the driver's own way into Odoo: JSON-2 over the standard library, nothing of the product."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

ARCHIVED_TOO = {"active_test": False}
QUIET = {"tracking_disable": True, "mail_create_nolog": True, "mail_notrack": True, "mail_create_nosubscribe": True}
PAGE = 1000


class OdooRefused(Exception):
    """Odoo answered with an HTTP error."""


class Odoo:
    """One user's calls to one database."""

    def __init__(self, url: str, database: str, key: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._headers = {
            "Authorization": f"bearer {key}",
            "X-Odoo-Database": database,
            "Content-Type": "application/json",
        }
        self.calls = 0

    def call(self, model: str, method: str, /, **arguments: Any) -> Any:
        """One call; a dropped connection is not retried, a serialisation conflict is left to the server."""
        self.calls += 1
        connection = http.client.HTTPConnection(self._host, self._port, timeout=180)
        try:
            connection.request("POST", f"/json/2/{model}/{method}", json.dumps(arguments), self._headers)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise OdooRefused(f"{model}.{method}: {answer.status} {body[:400]!r}")
        return json.loads(body)

    def create(self, model: str, rows: Sequence[Mapping[str, Any]]) -> list[int]:
        """Create records; returns their ids in order."""
        return list(self.call(model, "create", vals_list=list(rows), context=QUIET))

    def write(self, model: str, ids: Iterable[int], values: Mapping[str, Any]) -> None:
        """Write the same values to records."""
        self.call(model, "write", ids=list(ids), vals=dict(values), context=QUIET)

    def unlink(self, model: str, ids: Iterable[int]) -> None:
        """Delete records."""
        self.call(model, "unlink", ids=list(ids))

    def read(self, model: str, ids: Sequence[int], fields: Sequence[str]) -> list[dict[str, Any]]:
        """Read records by id, many2one as `[id, name]`."""
        return list(self.call(model, "read", ids=list(ids), fields=list(fields), context=ARCHIVED_TOO))

    def everything(self, model: str, domain: Sequence[Any], fields: Sequence[str]) -> list[dict[str, Any]]:
        """Every record of a domain, archived ones included, by pages of ids."""
        found: list[dict[str, Any]] = []
        last = 0
        while True:
            page = self.call(
                model,
                "search_read",
                domain=[["id", ">", last], *domain],
                fields=list(fields),
                order="id",
                limit=PAGE,
                context=ARCHIVED_TOO,
            )
            found.extend(page)
            if len(page) < PAGE:
                return found
            last = page[-1]["id"]

    def merge(self, survivor: int, losers: Sequence[int]) -> None:
        """Merge contacts by Odoo's own wizard, as an administrator."""
        wizard = self.create(
            "base.partner.merge.automatic.wizard",
            [{"partner_ids": [[6, 0, [survivor, *losers]]], "dst_partner_id": survivor, "state": "selection"}],
        )
        self.call("base.partner.merge.automatic.wizard", "action_merge", ids=wizard)

    def wait_until_it_answers(self, seconds: float = 60.0) -> None:
        """Wait for a server that is starting."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.call("res.partner", "search_count", domain=[])
                return
            except (OSError, http.client.HTTPException, OdooRefused):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)


class SandboxOdoo(Odoo):
    """The same against the Odoo-compatible sandbox, whose merge is a switch of its own."""

    def __init__(self, url: str, database: str, key: str, admin_key: str) -> None:
        super().__init__(url, database, key)
        self._admin = {"Authorization": f"Bearer {admin_key}", "Content-Type": "application/json"}

    def merge(self, survivor: int, losers: Sequence[int]) -> None:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=60)
        try:
            body = json.dumps({"survivor": survivor, "losers": list(losers)})
            connection.request("POST", "/sandbox/merge", body, self._admin)
            answer = connection.getresponse()
            told = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise OdooRefused(f"merge: {answer.status} {told[:400]!r}")
