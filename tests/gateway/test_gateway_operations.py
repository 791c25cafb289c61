"""What flows ask for by name: each Act is done once, its verdict is read from the gateway's state."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from gateway_rig import Rig

from isthmus.connectors.bng_gateway import GatewayConnector
from isthmus.sdk import Act, Ambiguous, Done, Failed, InvalidRecord, Misconfigured, NotDone, Undecided, Unsure


async def one(connector: GatewayConnector, operation: str, key: str = "k1", **given: Any) -> Any:
    [outcome] = await connector.perform(operation, [Act(key=key, input=given)])
    return outcome


async def verdict(connector: GatewayConnector, operation: str, key: str = "k1", **given: Any) -> Any:
    [found] = await connector.verify(operation, [Act(key=key, input=given)])
    return found


async def test_an_order_is_paid_from_authorisation_to_refund(rig: Rig) -> None:
    connector = rig.connector()
    charge = {"order_id": "SO1", "amount": "50.00", "token": rig.token(), "description": "Tools"}
    assert await verdict(connector, "authorise", **charge) == NotDone()
    made = await one(connector, "authorise", **charge)
    assert isinstance(made, Done)
    key = made.result["transaction_id"]
    assert (made.result["status"], made.repeated) == ("Authorized", False)
    assert (await one(connector, "authorise", **charge)).repeated
    capture = {"transaction_id": key, "amount": "30.00"}
    assert await verdict(connector, "capture", **capture) == NotDone()
    taken = await one(connector, "capture", **capture)
    assert taken.result["amount"] == Decimal("30.00")
    found = await verdict(connector, "capture", **capture)
    assert isinstance(found, Done)
    assert found.result["transaction_id"] == key
    refund = {"transaction_id": key, "amount": "10.00"}
    assert await verdict(connector, "refund", "CN1", **refund) == NotDone()
    back = await one(connector, "refund", "CN1", **refund)
    assert (back.result["type"], back.result["original_id"]) == ("Refund", key)
    standing = await one(connector, "find", order_id="SO1", total="30.00")
    assert standing.result["payment_status"] == "Partial"
    assert (standing.result["captured"], standing.result["refunded"]) == (Decimal("30.00"), Decimal("10.00"))
    assert [t["type"] for t in standing.result["transactions"]] == ["Authorization", "Refund"]


async def test_one_bad_act_never_stops_a_good_one(rig: Rig) -> None:
    connector = rig.connector()
    outcomes = await connector.perform(
        "sale",
        [
            Act(key="O1", input={"amount": "1.00", "token": rig.token()}),
            Act(key="O2", input={"amount": "1.00", "token": rig.token("decline")}),
            Act(key="O3", input={"amount": "none", "card": "x"}),
            Act(key="O4", input={"amount": "2.00", "token": rig.token()}),
        ],
    )
    assert [type(outcome) for outcome in outcomes] == [Done, Failed, Failed, Done]
    assert isinstance(outcomes[2], Failed)
    assert isinstance(outcomes[2].error, InvalidRecord)
    assert isinstance(outcomes[0], Done)
    assert outcomes[0].result["order_id"] == "O1", "an Act without an order is known by its key"


async def test_an_unknown_outcome_is_unsure_and_the_same_act_later_finds_it(rig: Rig) -> None:
    connector = rig.connector(timeout=0.2, look_again=())
    charge = {"order_id": "A", "amount": "5.00", "token": rig.token("late")}
    first = await one(connector, "sale", **charge)
    assert isinstance(first, Unsure)
    assert first.error.record == "A"
    await asyncio.sleep(0.8)
    again = await one(connector, "sale", **charge)
    assert isinstance(again, Done)
    assert again.repeated
    assert len(await rig.charges("A")) == 1


async def test_a_verdict_says_what_would_refuse_the_act(rig: Rig) -> None:
    connector = rig.connector()
    made = await one(connector, "sale", order_id="A", amount="5.00", token=rig.token())
    key = made.result["transaction_id"]
    await rig.switch("POST", "settle")
    found = await verdict(connector, "void", transaction_id=key)
    assert isinstance(found, NotDone)
    assert found.blocked is not None
    assert "settled" in str(found.blocked)


async def test_what_the_state_cannot_tell_is_undecided(rig: Rig) -> None:
    connector = rig.connector()
    made = await one(connector, "sale", order_id="A", amount="5.00", token=rig.token())
    key = made.result["transaction_id"]
    await one(connector, "refund", "CN1", transaction_id=key, amount="1.00")
    found = await verdict(connector, "refund", "CN2", transaction_id=key, amount="1.00")
    assert isinstance(found, Undecided)
    assert isinstance(found.error, Ambiguous)
    assert isinstance(await verdict(connector, "refund", "CN2", transaction_id=key, amount="1.00", number=2), NotDone)
    await rig.switch("POST", "faults", kind="status", match="query.php", next=9, status=500)
    assert isinstance(await verdict(connector, "void", transaction_id=key), Undecided)


async def test_a_customer_is_kept_and_charged_by_its_name(rig: Rig) -> None:
    connector = rig.connector()
    keep = {"vault_id": "c1", "token": rig.token(), "person": {"FirstName": "Ada"}}
    assert await verdict(connector, "keep_customer", **keep) == NotDone()
    assert (await one(connector, "keep_customer", **keep)).result["vault_id"] == "c1"
    assert (await one(connector, "keep_customer", **keep)).repeated
    paid = await one(connector, "sale", order_id="A", amount="5.00", vault_id="c1")
    assert paid.result["vault_id"] == "c1"
    assert (await one(connector, "credit", order_id="B", amount="2.00", vault_id="c1")).result["type"] == "Credit"
    voided = await one(connector, "void", transaction_id=paid.result["transaction_id"])
    assert voided.result["status"] == "Voided"


async def test_every_operation_describes_itself(rig: Rig) -> None:
    connector = rig.connector()
    known = {operation.name: operation for operation in connector.operations()}
    assert set(known) == {"sale", "authorise", "capture", "void", "refund", "credit", "keep_customer", "find"}
    for operation in known.values():
        for form in (operation.input, operation.result):
            assert [name for name, field in form.model_fields.items() if not field.description] == []
    assert known["refund"].leases({"transaction_id": "9"}) == ("transaction:9",)
    assert known["sale"].money
    assert not known["find"].money
    with pytest.raises(Misconfigured, match="there is none"):
        await connector.perform("charge", [])


async def test_results_fit_their_forms(rig: Rig) -> None:
    connector = rig.connector()
    known = {operation.name: operation for operation in connector.operations()}
    made = await one(connector, "sale", order_id="A", amount="5.00", token=rig.token())
    known["sale"].result.model_validate(made.result)
    known["find"].result.model_validate((await one(connector, "find", order_id="A")).result)
    kept = await one(connector, "keep_customer", vault_id="c1", token=rig.token())
    known["keep_customer"].result.model_validate(kept.result)
