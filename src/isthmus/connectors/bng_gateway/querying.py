"""Questions to the query API: transactions by id, order or time, vault customers, settlement batches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar
from xml.etree.ElementTree import Element

from isthmus.connectors.bng_gateway.answers import MOMENT, customers_in, transactions_in
from isthmus.connectors.bng_gateway.settings import GatewaySettings
from isthmus.connectors.bng_gateway.values import Settlement, Transaction, VaultCustomer
from isthmus.connectors.bng_gateway.wire import Wire
from isthmus.model.card import mask
from isthmus.sdk import Clock
from isthmus.sdk.together import together

MOST_IDS = 50
"""Ids in one question."""

Row = TypeVar("Row", Transaction, VaultCustomer)
Form = Mapping[str, str]


class Queries:
    """Everything that only reads."""

    def __init__(self, settings: GatewaySettings, wire: Wire, clock: Clock) -> None:
        self._settings = settings
        self._wire = wire
        self._clock = clock

    async def find(self, order_id: str) -> list[Transaction]:
        """Every transaction with this order id, whatever became of it, oldest first."""
        doing = f"looking for the transactions of order {mask(order_id)}"
        found = [t async for page in self._pages({"order_id": order_id}, doing, transactions_in) for t in page]
        return sorted((t for t in found if t.order_id == order_id), key=_age)

    async def by_reference(self, number: int, key: str) -> list[Transaction]:
        """Every transaction whose merchant defined field `number` holds `key`."""
        form = {f"merchant_defined_field_{number}": key}
        doing = f"looking for the transactions of {mask(key)}"
        found = [t async for page in self._pages(form, doing, transactions_in) for t in page]
        return sorted((t for t in found if t.references.get(number) == key), key=_age)

    async def by_ids(self, ids: Sequence[str]) -> dict[str, Transaction]:
        """The transactions of these ids; what is not there is left out."""
        wanted = [key for key in dict.fromkeys(ids) if key.isascii() and key.isdigit()]  # others are no ids of theirs
        parts = [wanted[start : start + MOST_IDS] for start in range(0, len(wanted), MOST_IDS)]
        doing = "reading transactions" if len(wanted) != 1 else f"reading transaction {mask(wanted[0])}"
        answers = await together(*(self._wire.query({"transaction_id": ",".join(p)}, doing=doing) for p in parts))
        found = {t.id: t for answer in answers for t in transactions_in(answer)}
        return {key: found[key] for key in wanted if key in found}

    async def transactions(
        self, since: datetime | None = None, until: datetime | None = None, *, first_page: int = 0, **more: str
    ) -> AsyncIterator[list[Transaction]]:
        """Pages of transactions that changed in this time, in the gateway's order, each transaction once."""
        form = {**more, **_window(since, until)}
        async for page in self._pages(form, "reading transactions", transactions_in, first_page=first_page):
            yield page

    async def customer(self, vault_id: str) -> VaultCustomer | None:
        """The customer of the vault with this id, or None."""
        form = {"report_type": "customer_vault", "customer_vault_id": vault_id}
        answer = await self._wire.query(form, doing=f"reading vault customer {mask(vault_id)}")
        return next((c for c in customers_in(answer) if c.id == vault_id), None)

    async def customers(
        self, since: datetime | None = None, until: datetime | None = None, *, first_page: int = 0
    ) -> AsyncIterator[list[VaultCustomer]]:
        """Pages of vault customers that were made or changed in this time, each once."""
        form = {"report_type": "customer_vault", **_window(since, until)}
        if since or until:
            form["date_search"] = "created,updated"
        async for page in self._pages(form, "reading vault customers", customers_in, first_page=first_page):
            yield page

    async def settlements(self, since: datetime, until: datetime | None = None) -> list[Settlement]:
        """The batches that were settled in this time, oldest first. The gateway has no list of them: they are put
        together from the transactions, so a batch at the edge of the time may be incomplete."""
        entries: dict[str, list[tuple[Transaction, Decimal]]] = {}
        moments: dict[str, datetime] = {}
        async for page in self.transactions(since, until, action_type="settle"):
            for found in page:
                for action in found.actions:
                    if action.type == "settle" and action.success and action.batch_id:
                        entries.setdefault(action.batch_id, []).append((found, action.amount))
                        if action.at:
                            moments[action.batch_id] = max(action.at, moments.get(action.batch_id, action.at))
        inside = {key: e for key, e in entries.items() if key not in moments or moments[key] >= since}
        made = [Settlement(id=key, at=moments.get(key), entries=tuple(e)) for key, e in inside.items()]
        return sorted(made, key=lambda batch: (batch.at is None, batch.at, batch.id))

    async def recent_settlements(self) -> list[Settlement]:
        """The batches of as many days back as the connection says."""
        return await self.settlements(self._clock.now() - timedelta(days=self._settings.batch_days))

    async def test_mode(self) -> bool | None:
        """Whether the whole account is in test mode; None when the gateway does not tell."""
        answer = await self._wire.query({"report_type": "test_mode_status"}, doing="asking for the test mode")
        told = (answer.findtext("test_mode_enabled") or "").strip().lower()
        return told in ("true", "1", "yes", "enabled") if told else None

    async def _pages(
        self, form: Form, doing: str, rows: Callable[[Element], Iterator[Row]], *, first_page: int = 0
    ) -> AsyncIterator[list[Row]]:
        """Page after page. Rows that come twice are left out: gateways disagree on whether pages count from 0 or 1."""
        size, number, idle = self._settings.page_size, first_page, 0
        seen: set[str] = set()
        while True:
            paged = {**form, "result_limit": str(size), "page_number": str(number)}
            found = list(rows(await self._wire.query(paged, doing=doing)))
            fresh = [row for row in found if row.id not in seen]
            seen.update(row.id for row in fresh)
            idle = 0 if fresh else idle + 1
            if fresh:
                yield fresh
            if len(found) < size or idle > 1:
                return
            number += 1


def _window(since: datetime | None, until: datetime | None) -> dict[str, str]:
    out: dict[str, str] = {}
    if since:
        out["start_date"] = since.strftime(MOMENT)
    if until:
        out["end_date"] = until.strftime(MOMENT)
    return out


def _age(found: Transaction) -> tuple[bool, datetime | None, str]:
    return found.created_at is None, found.created_at, found.id
