"""Settlement batches of the gateway as bank statement lines of a real Odoo: every amount by value, once."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from cash_world import CashWorld, cashing

from isthmus.operate import flows as verbs
from isthmus.operate.assemble import template
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


async def test_each_batch_becomes_statement_lines_that_come_to_its_net_amount_less_the_fee_once(
    home: Any, systems: Systems, odoo_db: OdooDatabases
) -> None:
    async with cashing(odoo_db(), systems, names=()) as world:
        file = template("flows", "settlement-to-bank")
        for name, old, new in (("percent", "0", "2"), ("each", "0.00", "0.10")):
            file = file.replace(f"house.{name}: '\"{old}\"'", f"house.{name}: '\"{new}\"'")
        await verbs.bring_in(world.trade.runtime, file, bindings={"gateway": "gateway", "odoo": "odoo"}, actor="test")
        await verbs.publish(world.trade.runtime, "settlement-to-bank", actor="test")
        await world.poll()
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
            fee = sum(Decimal(str(amount)) for _, amount, _ in made if amount > 0) * 2 / 100 + Decimal("0.10") * len(
                made
            )
            fee = fee.quantize(Decimal("0.01"), ROUND_HALF_UP)
            expected[batch["batch_id"]] = sorted([*made, (f"{batch['batch_id']}: fee", -float(fee), "posted")])
            await world.work(2)
        assert world.held() == []
        assert {batch: lines(world, batch) for batch in expected} == expected
        assert [len(rows) for rows in expected.values()] == [3, 4, 4]
        for batch in expected:  # told of again, it is booked no second time
            data = {"entity": "settlement_batch", "key": batch}
            await verbs.begin(world.trade.runtime, "settlement-to-bank", [(batch, data)], actor="test", node="settled")
        await world.work(1)
        assert world.held() == []
        assert {batch: lines(world, batch) for batch in expected} == expected
