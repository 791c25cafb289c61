"""The oracle's and the driver's own way into BNG: REST with OAuth over the standard library."""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit


class BngRefused(Exception):
    """BNG answered with an HTTP error."""


class Bng:
    """Reads by the public API with a token of its own; edits as people at BNG do, by the sandbox's switches."""

    def __init__(self, url: str, client_id: str, client_secret: str, admin_key: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._login = base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()
        self._admin = {"Authorization": f"Bearer {admin_key}", "Content-Type": "application/json"}
        self._token, self._until = "", 0.0
        self.calls = 0

    def everything(self, plural: str) -> list[dict[str, Any]]:
        """Every record of an entity, by cursor."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            asked = {"limit": "200"} | ({"cursor": cursor} if cursor else {})
            page = self._send("GET", f"/api/v1/{plural}?{urlencode(asked)}", None, self._bearer())
            found.extend(page["Data"])
            if not page["Paging"]["HasMore"]:
                return found
            cursor = page["Paging"]["NextCursor"]

    def read(self, plural: str, key: str) -> dict[str, Any]:
        """One record."""
        return dict(self._send("GET", f"/api/v1/{plural}/{quote(key)}", None, self._bearer()))

    def create(self, entity: str, values: Mapping[str, Any]) -> str:
        """A record made by people at BNG; returns its id."""
        made = self._send("POST", "/sandbox/edit", {"entity": entity, "values": dict(values)}, self._admin)
        return str(made[f"{entity.title().replace('_', '')}ID"])

    def seed(self, entity: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        """Many records made by people at BNG before anything listens; returns their ids."""
        told = {"entity": entity, "records": [dict(r) for r in rows], "quiet": True}
        return [str(key) for key in self._send("POST", "/sandbox/seed", told, self._admin)["ids"]]

    def write(self, entity: str, key: str, values: Mapping[str, Any]) -> None:
        """An edit by people at BNG: the named fields only."""
        self._send("POST", "/sandbox/edit", {"entity": entity, "id": key, "values": dict(values)}, self._admin)

    def merge(self, entity: str, survivor: str, losers: Sequence[str]) -> None:
        """Merge records; the losers are gone."""
        told = {"entity": entity, "survivor": survivor, "losers": list(losers)}
        self._send("POST", "/sandbox/merge", told, self._admin)

    def delete(self, entity: str, keys: Sequence[str]) -> None:
        """Remove records for good, which only people at BNG can."""
        self._send("POST", "/sandbox/delete", {"entity": entity, "ids": list(keys)}, self._admin)

    def ship(self, key: str, notice: Mapping[str, Any]) -> None:
        """A ship notice of BNG's warehouse."""
        self._send("POST", f"/api/v1/sales_orders/{quote(key)}/fulfillments", dict(notice), self._bearer())

    def receive(self, key: str, receipt: Mapping[str, Any]) -> None:
        """Goods of a purchase order arrive at BNG's warehouse."""
        self._send("POST", "/sandbox/receive", {"id": key, "receipt": dict(receipt)}, self._admin)

    def counters(self) -> dict[str, Any]:
        """What the sandbox counted: calls, writes, webhooks."""
        return dict(self._send("GET", "/sandbox/calls", None, self._admin))

    def _bearer(self) -> dict[str, str]:
        if time.monotonic() > self._until:
            headers = {"Authorization": f"Basic {self._login}", "Content-Type": "application/x-www-form-urlencoded"}
            told = self._raw("POST", "/oauth/token", urlencode({"grant_type": "client_credentials"}), headers)
            self._token, self._until = told["access_token"], time.monotonic() + float(told["expires_in"]) / 2
        return {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}

    def _send(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Any:
        return self._raw(method, path, None if body is None else json.dumps(body), headers)

    def _raw(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Any:
        self.calls += 1
        connection = http.client.HTTPConnection(self._host, self._port, timeout=60)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            told = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise BngRefused(f"{method} {path}: {answer.status} {told[:400]!r}")
        return json.loads(told)
