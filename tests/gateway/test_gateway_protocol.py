"""The stand-in speaks the gateway's classic protocol: results in the body, XML for questions, codes as published."""

from __future__ import annotations

from urllib.parse import parse_qs
from xml.etree import ElementTree

import pytest
from gateway_rig import Rig, paying

from isthmus.sandbox.gateway import Switches


async def pay(rig: Rig, **form: str) -> dict[str, str]:
    status, body = await rig.send("/api/transact.php", **form)
    assert status == 200, "the HTTP status says nothing about the result"
    return {name: values[0] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}


async def ask(rig: Rig, **form: str) -> ElementTree.Element:
    status, body = await rig.send("/api/query.php", **form)
    assert status == 200
    return ElementTree.fromstring(body)


async def sale(rig: Rig, order: str = "O1", amount: str = "10.00", **more: str) -> dict[str, str]:
    form = {"type": "sale", "orderid": order, "amount": amount, "payment_token": rig.token()}
    return await pay(rig, **{**form, **more})


async def test_an_approval_has_every_published_name_and_code_100(rig: Rig) -> None:
    answer = await sale(rig)
    assert set(answer) >= {
        "response", "responsetext", "authcode", "transactionid", "avsresponse", "cvvresponse", "orderid", "type",
        "response_code",
    }  # fmt: skip
    assert (answer["response"], answer["response_code"], answer["orderid"]) == ("1", "100", "O1")


@pytest.mark.parametrize(
    ("behaviour", "response", "code"),
    [("decline", "2", "200"), ("insufficient", "2", "202"), ("expired", "2", "223"), ("error", "3", "400")],
)
async def test_a_refusal_is_in_the_body_and_the_transaction_is_kept_as_failed(
    rig: Rig, behaviour: str, response: str, code: str
) -> None:
    answer = await sale(rig, payment_token=rig.token(behaviour))
    assert (answer["response"], answer["response_code"]) == (response, code)
    found = await ask(rig, transaction_id=answer["transactionid"])
    assert found.findtext("transaction/condition") == "failed"
    assert found.findtext("transaction/action/success") == "0"


async def test_a_wrong_key_is_refused_by_both_doors(rig: Rig) -> None:
    answer = await pay(rig, security_key="wrong", type="sale")
    assert (answer["response"], answer["response_code"]) == ("3", "300")
    assert answer["responsetext"].startswith("Authentication Failed REFID:")
    found = await ask(rig, security_key="wrong")
    assert (found.findtext("error_response") or "").startswith("Authentication Failed")


async def test_an_equal_charge_of_a_card_is_refused_inside_the_window_and_leaves_no_trace(rig: Rig) -> None:
    await sale(rig, payment_token=rig.token(card="anna"))
    again = await sale(rig, order="O2", payment_token=rig.token(card="anna"))
    assert (again["response"], again["response_code"]) == ("3", "300")
    assert again["responsetext"].startswith("Duplicate transaction REFID:")
    assert (await sale(rig, order="O3", amount="10.01", payment_token=rig.token(card="anna")))["response"] == "1"
    assert (await sale(rig, order="O4", payment_token=rig.token(card="anna"), dup_seconds="0"))["response"] == "1"
    assert (await ask(rig, order_id="O2")).find("transaction") is None


async def test_where_the_order_is_part_of_the_window_another_order_is_another_charge(rig: Rig) -> None:
    await rig.switch("PUT", "settings", dup_by_order=True)
    await sale(rig, payment_token=rig.token(card="anna"))
    assert (await sale(rig, order="O2", payment_token=rig.token(card="anna")))["response"] == "1"
    assert (await sale(rig, payment_token=rig.token(card="anna")))["response"] == "3"


async def test_beyond_the_rate_code_301_is_answered_with_status_200() -> None:
    async with paying(Switches(rate_per_second=0.01, rate_burst=2)) as rig:
        answers = [await sale(rig, order=f"O{n}") for n in range(3)]
    assert [a["response_code"] for a in answers] == ["100", "100", "301"]
    assert answers[2]["response"] == "3"


async def test_a_token_is_good_for_one_charge(rig: Rig) -> None:
    token = rig.token()
    assert (await sale(rig, payment_token=token))["response"] == "1"
    again = await sale(rig, order="O2", amount="3.00", payment_token=token)
    assert again["responsetext"].startswith("Payment Token has already been used")


async def test_an_authorisation_is_pending_until_it_is_captured_and_complete_once_it_is_settled(rig: Rig) -> None:
    made = await pay(rig, type="auth", orderid="O1", amount="50.00", payment_token=rig.token())
    key = made["transactionid"]

    async def condition() -> str | None:
        return (await ask(rig, transaction_id=key)).findtext("transaction/condition")

    assert await condition() == "pending"
    assert (await pay(rig, type="capture", transactionid=key, amount="50.01"))["response"] == "3"
    assert (await pay(rig, type="capture", transactionid=key, amount="20.00"))["transactionid"] == key
    assert await condition() == "pendingsettlement"
    assert (await pay(rig, type="capture", transactionid=key, amount="20.00"))["response"] == "3"
    await rig.switch("POST", "settle")
    assert await condition() == "complete"
    found = await ask(rig, transaction_id=key)
    actions = [(a.findtext("action_type"), a.findtext("amount")) for a in found.iter("action")]
    assert actions == [("auth", "50.00"), ("capture", "20.00"), ("settle", "20.00")]
    assert (await pay(rig, type="void", transactionid=key))["response"] == "3"


async def test_refunds_never_exceed_what_was_captured(rig: Rig) -> None:
    key = (await sale(rig))["transactionid"]
    first = await pay(rig, type="refund", transactionid=key, amount="6.00")
    assert (first["response"], first["orderid"]) == ("1", "O1")
    assert first["transactionid"] != key
    assert (await pay(rig, type="refund", transactionid=key, amount="4.01"))["response"] == "3"
    assert (await pay(rig, type="void", transactionid=first["transactionid"]))["response"] == "1"
    assert (await pay(rig, type="refund", transactionid=key))["response"] == "1"
    assert (await rig.switch("GET", "totals"))["USD"]["refunded"] == "10.00"


@pytest.mark.parametrize("amount", ["", "0.00", "-1.00", "1.001", "1e3", "ten", "1,00"])
async def test_an_amount_that_is_none_is_refused(rig: Rig, amount: str) -> None:
    assert (await sale(rig, amount=amount))["responsetext"].startswith("Invalid amount")


async def test_lists_come_in_pages_whose_first_number_can_be_0_or_1(rig: Rig) -> None:
    for n in range(5):
        await sale(rig, order=f"O{n}")

    async def page(number: int) -> list[str | None]:
        found = await ask(rig, result_limit="2", page_number=str(number))
        return [t.findtext("order_id") for t in found.iter("transaction")]

    assert [await page(n) for n in range(4)] == [["O0", "O1"], ["O2", "O3"], ["O4"], []]
    await rig.switch("PUT", "settings", pages_from=1)
    assert [await page(n) for n in range(3)] == [["O0", "O1"], ["O0", "O1"], ["O2", "O3"]]


async def test_texts_with_markup_come_back_as_they_were(rig: Rig) -> None:
    text = 'Müller & Söhne <b>"x"</b>'
    await sale(rig, order_description=text)
    assert (await ask(rig, order_id="O1")).findtext("transaction/order_description") == text


async def test_the_vault_tells_of_a_card_what_may_be_shown(rig: Rig) -> None:
    added = await pay(rig, customer_vault="add_customer", customer_vault_id="c1", payment_token=rig.token())
    assert (added["response"], added["customer_vault_id"]) == ("1", "c1")
    found = await ask(rig, report_type="customer_vault", customer_vault_id="c1")
    number = found.findtext("customer_vault/customer/cc_number") or ""
    assert number.startswith("4xxxxxxxxxxx")
    assert (await pay(rig, customer_vault="add_customer", customer_vault_id="c1", payment_token=rig.token()))[
        "responsetext"
    ].startswith("Duplicate Customer Vault Id")
    assert (await sale(rig, payment_token="", customer_vault_id="c1"))["response"] == "1"
    assert (await sale(rig, payment_token="", customer_vault_id="nobody"))["response"] == "3"


async def test_the_test_mode_can_be_asked_for(rig: Rig) -> None:
    assert (await ask(rig, report_type="test_mode_status")).findtext("test_mode_enabled") == "false"
    await rig.switch("PUT", "settings", test_mode=True)
    assert (await ask(rig, report_type="test_mode_status")).findtext("test_mode_enabled") == "true"


async def test_the_switches_are_closed_without_the_admin_key(rig: Rig) -> None:
    async with rig.session.get(f"{rig.up.url}/sandbox/transactions") as answer:
        assert answer.status == 401
