"""The reference: what a good engineer would write by hand to copy customers once, with nothing of Isthmus in it.

It keeps no Links, no Bases, no audit and finds no counterparts; it only reads, maps and writes in the best batches.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp

BEST_CONTEXT = {
    "tracking_disable": True,
    "mail_create_nolog": True,
    "mail_create_nosubscribe": True,
    "mail_notrack": True,
    "import_file": True,
    "lang": "en_US",
}
COLUMNS = (
    "id", "name", "is_company", "email", "phone", "website", "vat", "street", "street2", "city", "zip",
    "state_id/.id", "country_id/.id", "comment", "customer_rank", "type",
)  # fmt: skip
FIELDS = ("name", "is_company", "email", "phone", "website", "vat", "street", "street2", "city", "zip", "state_id",
          "country_id", "comment")  # fmt: skip


@dataclass(frozen=True)
class Odoo:
    """One database of an Odoo 19 over JSON-2."""

    url: str
    database: str
    key: str
    access: dict[str, Any] = field(default_factory=dict)

    async def call(self, http: aiohttp.ClientSession, model: str, method: str, **arguments: Any) -> Any:
        headers = {"Authorization": f"bearer {self.key}", "X-Odoo-Database": self.database}
        async with http.post(f"{self.url}/json/2/{model}/{method}", json=arguments, headers=headers) as answer:
            told = await answer.json()
            assert answer.status == 200, told
            return told


@dataclass(frozen=True)
class Bng:
    """A BNG Business API with a service account."""

    url: str
    client_id: str
    client_secret: str

    async def token(self, http: aiohttp.ClientSession) -> dict[str, str]:
        auth = aiohttp.BasicAuth(self.client_id, self.client_secret)
        async with http.post(f"{self.url}/oauth/token", data={"grant_type": "client_credentials"}, auth=auth) as answer:
            return {"Authorization": f"Bearer {(await answer.json())['access_token']}"}

    async def pages(self, http: aiohttp.ClientSession) -> AsyncIterator[list[dict[str, Any]]]:
        headers, cursor = await self.token(http), ""
        while True:
            more = f"&cursor={cursor}" if cursor else ""
            async with http.get(f"{self.url}/api/v1/customers?limit=200{more}", headers=headers) as answer:
                told = await answer.json()
            yield told["Data"]
            if not told["Paging"]["HasMore"]:
                return
            cursor = told["Paging"]["NextCursor"]


async def to_odoo(bng: Bng, odoo: Odoo, *, batch: int, callers: int, most: int = 10**9) -> int:
    """Copy BNG's customers into an Odoo that has none; returns how many."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(600)) as http:
        countries = {
            row["code"]: row["id"]
            for row in await odoo.call(http, "res.country", "search_read", domain=[], fields=["code"])
        }
        states = {
            (row["country_id"][0], row["code"]): row["id"]
            for row in await odoo.call(
                http, "res.country.state", "search_read", domain=[], fields=["code", "country_id"]
            )
        }
        queue: asyncio.Queue[list[list[Any]] | None] = asyncio.Queue(callers * 2)
        done = 0

        async def write() -> None:
            nonlocal done
            while (rows := await queue.get()) is not None:
                told = await odoo.call(
                    http, "res.partner", "load", fields=list(COLUMNS), data=rows, context=BEST_CONTEXT
                )
                assert told["ids"], told["messages"]
                done += len(rows)

        writers = [asyncio.create_task(write()) for _ in range(callers)]
        waiting: list[list[Any]] = []
        read = 0
        async for page in bng.pages(http):
            for one in page[: most - read]:
                address = one["BillingAddress"]
                country = countries[address["CountryCode"]]
                waiting.append(
                    [
                        f"bench.customer_{one['CustomerID'].replace('-', '_')}", one["CompanyName"], "True",
                        one["Email"], one["Phone"], one["Website"], one["TaxID"], address["Line1"],
                        address.get("Line2") or "", address["City"], address["PostalCode"],
                        states[country, address["State"]], country, f"<p>{one['Notes']}</p>", 1, "contact",
                    ]
                )  # fmt: skip
            read += len(page)
            while len(waiting) >= batch:
                await queue.put(waiting[:batch])
                waiting = waiting[batch:]
            if read >= most:
                break
        if waiting:
            await queue.put(waiting)
        for _ in writers:
            await queue.put(None)
        await asyncio.gather(*writers)
        return done


class Pace:
    """At most so many calls a second, after a burst: what BNG's contract allows a client."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._every, self._ahead, self._next = 1 / per_second, burst / per_second, time.monotonic()

    async def turn(self) -> None:
        """Wait until the next call may be made."""
        now = time.monotonic()
        self._next = max(self._next, now - self._ahead) + self._every
        await asyncio.sleep(self._next - now)


async def to_bng(odoo: Odoo, bng: Bng, *, batch: int, callers: int, most: int = 10**9, pace: Pace | None = None) -> int:
    """Copy Odoo's contacts into a BNG that has none; returns how many."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(600)) as http:
        call = odoo.call
        countries = {
            row["id"]: row["code"] for row in await call(http, "res.country", "search_read", domain=[], fields=["code"])
        }
        states = {
            row["id"]: row["code"]
            for row in await call(http, "res.country.state", "search_read", domain=[], fields=["code"])
        }
        headers = await bng.token(http)
        queue: asyncio.Queue[list[dict[str, Any]] | None] = asyncio.Queue(callers * 2)
        done = 0

        async def write() -> None:
            nonlocal done
            while (items := await queue.get()) is not None:
                body = json.dumps({"Items": items}).encode()
                if pace is not None:
                    await pace.turn()
                async with http.post(
                    f"{bng.url}/api/v1/customers/batch",
                    data=body,
                    headers={**headers, "Content-Type": "application/json"},
                ) as answer:
                    told = await answer.json()
                    assert answer.status in (200, 207), told
                done += len(items)

        writers = [asyncio.create_task(write()) for _ in range(callers)]
        after, waiting = 0, []
        while True:
            rows = await call(
                http, "res.partner", "search_read", fields=list(FIELDS), order="id", limit=1000, load="",
                domain=[["id", ">", after], ["type", "=", "contact"], ["user_ids", "=", False], ["email", "!=", False]],
            )  # fmt: skip
            for row in rows[: most - done]:
                waiting.append(
                    {
                        "ExternalID": f"bench-{row['id']}", "CompanyName": row["name"], "Email": row["email"],
                        "Phone": row["phone"] or None, "Website": row["website"] or None, "TaxID": row["vat"] or None,
                        "Status": "Active", "Notes": "hello",
                        "BillingAddress": {
                            "Line1": row["street"], "Line2": row["street2"] or None, "City": row["city"],
                            "PostalCode": row["zip"], "State": states.get(row["state_id"]),
                            "CountryCode": countries.get(row["country_id"]),
                        },
                    }
                )  # fmt: skip
            while len(waiting) >= batch:
                await queue.put(waiting[:batch])
                waiting = waiting[batch:]
            if len(rows) < 1000:
                break
            after = rows[-1]["id"]
        if waiting:
            await queue.put(waiting)
        for _ in writers:
            await queue.put(None)
        await asyncio.gather(*writers)
        return done
