"""One gateway: its parts, wired together, and what its operators do."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from ..parts.delivery import Dispatcher
from ..parts.outbox import Outbox
from .desk import Desk
from .faults import Faults
from .hooks import Hooks
from .query import Queries
from .settings import Settings, Switches
from .store import Doc, Store
from .vault import Vault


class Gateway:
    """The state of one server. Requests run whole, one after another; only waits and webhooks interleave."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.switches = msgspec.structs.replace(settings.switches)
        self.store = Store(settings.data, settings.now)
        self.outbox = Outbox(self.store)
        self.hooks = Hooks(self.store, self.outbox, settings)
        self.desk = Desk(self.store, self.hooks, self.switches)
        self.vault = Vault(self.store)
        self.queries = Queries(self.store, self.switches)
        self.faults = Faults(settings.random_seed)
        self.dispatcher = Dispatcher(self.store, self.outbox, self.hooks.address, self.faults, settings.webhooks)
        self.calls: Counter[str] = Counter()
        self._left, self._filled_at = float(self.switches.rate_burst), time.monotonic()

    def may_pass(self) -> bool:
        """Whether the rate limit lets one more request pass."""
        now = time.monotonic()
        more = (now - self._filled_at) * self.switches.rate_per_second
        self._left, self._filled_at = min(float(self.switches.rate_burst), self._left + more), now
        if not self.switches.rate_limit:
            return True
        passes = self._left >= 1
        self._left -= 1 if passes else 0
        return passes

    def settle(self, ids: Sequence[str] = ()) -> dict[str, Any]:
        """Settle what is pending settlement, or those of `ids` that are, as one batch."""
        docs = self.store.where("condition = 'pendingsettlement'")
        docs = [doc for doc in docs if not ids or doc["transaction_id"] in ids]
        if not docs:
            return {"batch_id": None, "transaction_ids": []}
        with self.store.transaction():
            batch = self.store.new_batch()
            for doc in docs:
                amount = Decimal(doc["actions"][-1]["amount"])
                doc["actions"].append(self.desk.action("settle", amount, text="ACCEPTED", batch=batch))
                doc["condition"] = "complete"
                self.store.put(doc)
            self.hooks.settlement(batch, docs)
        return {"batch_id": batch, "transaction_ids": [doc["transaction_id"] for doc in docs]}

    def charge_back(self, ids: Sequence[str], reason: str) -> dict[str, Any]:
        """Have the issuers take back these transactions; only a webhook tells of it."""
        rows = []
        for key in ids:
            doc = self.store.get(key)
            if doc is None or doc["condition"] != "complete":
                raise ValueError(f"transaction {key} is not settled")
            rows.append(
                {
                    "id": key,
                    "date": self.store.moment(),
                    "customer_name": f"{doc.get('first_name', '')} {doc.get('last_name', '')}".strip(),
                    "cc_number": doc.get("cc_number", ""),
                    "amount": f"{self.desk.captured(doc):.2f}",
                    "reason": reason,
                }
            )
        return {"event_id": self.hooks.chargebacks(rows), "chargebacks": rows}

    def resolve(self, key: str, *, taken: bool) -> Doc:
        """Decide a transaction of which the gateway did not know what became."""
        doc = self.store.get(key)
        if doc is None or doc["condition"] != "unknown":
            raise ValueError(f"transaction {key} is not unknown")
        first = doc["actions"][0]
        first |= {"success": "1", "response_text": "SUCCESS", "response_code": "100"} if taken else {}
        doc["condition"] = "pendingsettlement" if taken else "failed"
        with self.store.transaction():
            self.store.put(doc)
            self.hooks.transaction(first["action_type"], "success" if taken else "failure", doc)
        return doc

    def totals(self) -> dict[str, dict[str, str]]:
        """By currency: what was captured, given back, paid out and settled (net); for proofs to tie out with."""
        sums: dict[str, dict[str, Decimal]] = {}
        for doc in self.store.where("condition IN ('pendingsettlement', 'complete')"):
            kind, amount = doc["actions"][0]["action_type"], Decimal(doc["actions"][-1]["amount"])
            if kind == "validate":
                continue
            empty = dict.fromkeys(("captured", "refunded", "credited", "settled"), Decimal("0.00"))
            found = sums.setdefault(doc["currency"], empty)
            found[{"refund": "refunded", "credit": "credited"}.get(kind, "captured")] += amount
            if doc["condition"] == "complete":
                found["settled"] += amount if kind in ("sale", "auth") else -amount
        return {c: {name: f"{amount:.2f}" for name, amount in found.items()} for c, found in sorted(sums.items())}

    def switch(self, told: dict[str, Any]) -> Switches:
        """Turn the named switches; raises ValueError (nothing turned) when one of them is unknown or wrong."""
        checked = msgspec.convert(msgspec.structs.asdict(self.switches) | told, Switches)
        for name in msgspec.structs.fields(Switches):
            setattr(self.switches, name.name, getattr(checked, name.name))
        self._left = float(self.switches.rate_burst)
        return self.switches

    def reset(self) -> None:
        """Empty everything and put switches and faults back to how it started."""
        self.dispatcher.clear()
        self.store.clear()
        self.faults.clear()
        self.calls.clear()
        self.switch(msgspec.structs.asdict(self.settings.switches))

    def counters(self) -> dict[str, Any]:
        """What happened since the start or the last reset."""
        return {
            "calls": dict(self.calls),
            "webhooks": {**self.outbox.counts(), **self.dispatcher.counts},
            "fired": dict(self.faults.counts),
        }

    async def close(self) -> None:
        """Stop sending and close the file."""
        await self.dispatcher.close()
        self.store.close()
