"""Settlement batches of the gateway as bank statement lines of a real Odoo: every amount by value, once."""

from __future__ import annotations

from typing import Any

import pytest
from cash_world import CashWorld, cashing

from isthmus.operate import flows as verbs
from joined import Systems
from real_odoo import OdooDatabases

pytestmark = pytest.mark.odoo


async def charged(world: CashWorld, kind: str, **form: str) -> str:
    """The id of a new transaction."""
    status, said = await world.rig.send("/api/transact.php", type=kind, **form)
    assert status == 200
    assert b"response=1&" in said, said
    return dict(part.split("=", 1) for part in said.decode().split("&"))["transactionid"]


def lines(world: CashWorld, batch: str) -> list[tuple[Any, ...]]:
    """What the bank journal has of a batch."""
    found = world.trade.read("account.bank.statement.line", [["ref", "=", batch]], "payment_ref", "amount", "state")
    return sorted((row["payment_ref"], row["amount"], row["state"]) for row in found)


async def test_each_batch_becomes_statement_lines_that_come_to_its_net_amount_once(
    home: Any, systems: Systems, odoo_db: OdooDatabases
) -> None:
    async with cashing(odoo_db(), systems, names=("settlement-to-bank",)) as world:
        expected: dict[str, list[tuple[Any, ...]]] = {}
        refundable: list[tuple[str, str]] = []
        for n in range(3):
            made = []
            for order, amount in ((f"S-{n}-1", f"{40 + n}.10"), (f"S-{n}-2", f"{7 + n}.25")):
                key = await charged(
                    world, "sale", amount=amount, payment_token=world.rig.token(), orderid=order, currency="USD"
                )
                made.append((f"{order} {key}", float(amount), "posted"))
            for order, key in refundable:
                back = await charged(world, "refund", transactionid=key, amount="5.00")
                made.append((f"{order} {back}", -5.0, "posted"))
            batch = await world.rig.switch("POST", "settle")
            refundable = [(label.split()[0], label.split()[1]) for label, _, _ in made[:1]]
            expected[batch["batch_id"]] = sorted(made)
            await world.work(2)
        assert world.held() == []
        assert {batch: lines(world, batch) for batch in expected} == expected
        assert [len(rows) for rows in expected.values()] == [2, 3, 3]
        for batch in expected:  # told of again, it is booked no second time
            data = {"entity": "settlement_batch", "key": batch}
            await verbs.begin(world.trade.runtime, "settlement-to-bank", [(batch, data)], actor="test", node="settled")
        await world.work(1)
        assert world.held() == []
        assert {batch: lines(world, batch) for batch in expected} == expected
