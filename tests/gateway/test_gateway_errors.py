"""Each way in which the gateway says no leads to its own next action; asked to slow down, nobody hammers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from gateway_rig import Rig

from isthmus.connectors.bng_gateway import PaymentType
from isthmus.sdk import (
    AuthFailed,
    IsthmusError,
    Misconfigured,
    NetworkPolicy,
    OutcomeUnknown,
    Rate,
    RateLimited,
    RefusedByTarget,
    SchemaDrift,
    Unavailable,
    local_services,
)
from isthmus.sdk.registry import find


async def failed(rig: Rig, behaviour: str = "approve", **more: Any) -> IsthmusError:
    with pytest.raises(IsthmusError) as caught:
        await rig.gateway(**more).sale("A", Decimal("5.00"), token=rig.token(behaviour))
    return caught.value


@pytest.mark.parametrize(
    ("behaviour", "kind", "code"),
    [
        ("decline", RefusedByTarget, 200),
        ("insufficient", RefusedByTarget, 202),
        ("expired", RefusedByTarget, 223),
        ("error", RefusedByTarget, 400),
        ("unclear", OutcomeUnknown, 420),
    ],
)
async def test_a_refusal_carries_the_gateways_words_and_code(
    rig: Rig, behaviour: str, kind: type[IsthmusError], code: int
) -> None:
    error = await failed(rig, behaviour)
    assert isinstance(error, kind)
    assert error.facts["response_code"] == code
    assert f"(code {code})" in str(error.answered)
    assert error.record == "A"
    assert error.hint


async def test_a_wrong_key_halts_and_says_where_to_make_one(rig: Rig) -> None:
    error = await failed(rig, security_key="wrong-key-0000001")
    assert isinstance(error, AuthFailed)
    assert "connection rotate" in error.hint
    assert "wrong-key" not in f"{error} {error.as_dict()!r}"


@pytest.mark.parametrize("fault", [{"kind": "rate_code"}, {"kind": "throttle"}], ids=["301", "429"])
async def test_asked_to_slow_down_nothing_more_is_sent_and_the_wait_grows(rig: Rig, fault: dict[str, Any]) -> None:
    pay, token = rig.gateway(backoff_seconds=40.0), rig.token()
    await rig.fault(**fault)
    with pytest.raises(RateLimited) as first:
        await pay.sale("A", Decimal("5.00"), token=token)
    assert first.value.wait is not None
    assert first.value.wait.total_seconds() == 40
    before = await rig.switch("GET", "calls")
    for _ in range(3):
        with pytest.raises(RateLimited):
            await pay.sale("A", Decimal("5.00"), token=token)
    assert (await rig.switch("GET", "calls"))["calls"] == before["calls"], "it hammers"
    assert await rig.charges("A") == []
    await rig.fault(**{**fault, "match": "query.php", "next": 3})
    waits = []
    other = rig.gateway(backoff_seconds=0.01)
    for _ in range(3):
        with pytest.raises(RateLimited) as slow:
            await other.find("A")
        assert slow.value.wait is not None
        waits.append(slow.value.wait.total_seconds())
    assert waits == [0.01, 0.02, 0.04]
    assert await other.find("A") == []


async def test_a_wait_that_the_gateway_names_is_kept_to(rig: Rig) -> None:
    await rig.fault("throttle", retry_after=33)
    error = await failed(rig)
    assert isinstance(error, RateLimited)
    assert error.wait is not None
    assert error.wait.total_seconds() == 33


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "status", "status": 500}, Unavailable),
        ({"kind": "status", "status": 503}, Unavailable),
        ({"kind": "garbage"}, Unavailable),
        ({"kind": "truncate"}, Unavailable),
        ({"kind": "html", "status": 200}, Misconfigured),
        ({"kind": "status", "status": 404}, Misconfigured),
    ],
    ids=lambda value: str(value),
)
async def test_a_question_without_an_answer_is_asked_later_or_the_address_is_wrong(
    rig: Rig, fault: dict[str, Any], kind: type[IsthmusError]
) -> None:
    await rig.switch("POST", "faults", **{"match": "query.php", "next": 9, **fault})
    with pytest.raises(IsthmusError) as caught:
        await rig.gateway().find("A")
    assert type(caught.value) is kind


async def test_a_payment_door_that_is_not_there_is_a_matter_of_set_up(rig: Rig) -> None:
    await rig.fault("status", status=404)
    error = await failed(rig)
    assert isinstance(error, Misconfigured)
    assert "url" in error.hint


async def test_nobody_there_is_unavailable_and_nothing_was_sent() -> None:
    kind = find("bng_gateway")
    made = kind.make({"url": "http://127.0.0.1:9"}, {"security_key": kind_secret()}, local_services(
        Rate(0), network=NetworkPolicy(allow_loopback=True)))  # fmt: skip
    try:
        with pytest.raises(Unavailable):
            await made.gateway.sale("A", Decimal("1.00"), token="test-approve-x")  # type: ignore[attr-defined]
    finally:
        await made.close()


def kind_secret() -> Any:
    from isthmus.sdk import Secret

    return Secret("some-security-key")


async def test_plain_http_and_private_addresses_are_refused() -> None:
    kind = find("bng_gateway")
    for url in ("http://gateway.example.com", "https://10.0.0.1", "https://169.254.169.254"):
        made = kind.make({"url": url}, {"security_key": kind_secret()}, local_services(Rate(0)))
        with pytest.raises(Misconfigured):
            await made.gateway.find("A")  # type: ignore[attr-defined]
        await made.close()


def test_the_address_is_the_gateways_own_unless_told_otherwise() -> None:
    kind = find("bng_gateway")
    settings: Any = kind.parse({}, {"security_key": kind_secret()})
    assert settings.url == "https://secure.bngpaymentgateway.com"
    assert set(kind.secret_names()) == {"security_key", "webhook_signing_key", "webhook_signing_key_previous"}
    assert "some-security-key" not in repr(settings)


async def test_an_entity_or_field_that_there_is_not_is_told_with_those_there_are(rig: Rig) -> None:
    connector = rig.connector()
    with pytest.raises(SchemaDrift) as drift:
        await connector.describe(["card"])
    assert "vault_customer" in drift.value.hint
    assert PaymentType.SALE.value == "Sale"


async def test_the_doctor_tells_what_a_person_has_to_do(rig: Rig) -> None:
    findings = {f.check: f for f in await rig.connector(webhook_signing_key=None, dup_seconds=0).check()}
    assert findings["login"].status == "ok"
    assert findings["webhooks"].status == "warning"
    assert findings["duplicates"].status == "warning"
    await rig.switch("PUT", "settings", test_mode=True)
    findings = {f.check: f for f in await rig.connector().check()}
    assert "no money moves" in findings["test mode"].message
    [refused] = await rig.connector(security_key="wrong-key-0000001").check()
    assert (refused.check, refused.status) == ("login", "problem")
