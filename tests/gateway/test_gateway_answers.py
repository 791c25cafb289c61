"""Any bytes at all can come back: they are an answer, or they are told as none; nothing else happens."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.connectors.bng_gateway import PaymentType, Status, Transaction, standing
from isthmus.connectors.bng_gateway.answers import (
    Reply,
    Unreadable,
    customers_in,
    read_query,
    read_reply,
    transactions_in,
)
from isthmus.model.card import holds_card_number

TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=40)
FORM_LIKE = st.lists(
    st.tuples(st.sampled_from(["response", "response_code", "responsetext", "transactionid", "x"]), TEXTS), max_size=6
).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs).encode())
XML_LIKE = st.lists(
    st.sampled_from(
        [
            "<nm_response>", "</nm_response>", "<transaction>", "</transaction>", "<action>", "</action>", "<amount>",
            "</amount>", "12.5", "1e9999999", "NaN", "<date>", "</date>", "20260101", "99999999999999", "&amp;", "&x;",
            "<customer id='4111111111111111'>", "</customer>", "<cc_number>4111111111111111</cc_number>", "<!--", "-->",
            "<action_type>sale</action_type>", "<merchant_defined_field id='9'>", "</merchant_defined_field>",
        ]
    ),
    max_size=20,
).map(lambda parts: "".join(parts).encode())  # fmt: skip


@given(st.one_of(st.binary(max_size=200), FORM_LIKE))
def test_a_payment_answer_is_read_or_told_as_unreadable(body: bytes) -> None:
    try:
        reply = read_reply(body)
    except Unreadable:
        return
    assert isinstance(reply, Reply)
    assert reply.response in (1, 2, 3)
    assert not holds_card_number(dict(reply.values))


@given(st.one_of(st.binary(max_size=200), XML_LIKE))
def test_a_query_answer_is_read_or_told_as_unreadable(body: bytes) -> None:
    try:
        root = read_query(body)
    except Unreadable as error:
        root, told = None, str(error)
    else:
        told = ""
    assert not holds_card_number(told)
    found = [] if root is None else [*transactions_in(root), *customers_in(root)]
    assert not holds_card_number([repr(one) for one in found])


def test_numbers_of_any_length_are_survived() -> None:
    reply = read_reply(b"response=3&response_code=" + b"9" * 9000)
    assert reply.code == 0


@pytest.mark.parametrize("encoding", ["none-such", "utf-32", "utf-16"])
def test_an_encoding_that_nobody_knows_is_survived(encoding: str) -> None:
    with pytest.raises(Unreadable):
        read_query(f'<?xml version="1.0" encoding="{encoding}"?><nm_response></nm_response>'.encode())


def test_a_document_that_grows_by_its_own_entities_is_refused() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><nm_response>&b;</nm_response>'
    with pytest.raises(Unreadable):
        read_query(bomb)
    with pytest.raises(Unreadable):
        read_query(b'<?xml version="1.0"?>' + bomb)
    with pytest.raises(Unreadable):
        read_query(bomb.decode().encode("utf-16"))


KINDS = st.sampled_from([PaymentType.SALE, PaymentType.AUTHORIZATION, PaymentType.REFUND])
AMOUNTS = st.integers(1, 10_000).map(lambda cents: Decimal(cents) / 100)


@given(st.lists(st.builds(lambda kind, status, amount: Transaction(id="1", type=kind, status=status, amount=amount),
                          KINDS, st.sampled_from(list(Status)), AMOUNTS), max_size=8),
       AMOUNTS)  # fmt: skip
def test_an_order_stands_as_its_transactions_say_to_the_cent(found: list[Transaction], total: Decimal) -> None:
    stands = standing(found)
    brought = [t for t in found if t.type is not PaymentType.REFUND and t.money_in]
    assert stands.captured == sum((t.amount for t in brought), Decimal(0))
    assert stands.settled <= stands.captured
    assert stands.paid == stands.captured - stands.refunded
    status = stands.status(total)
    assert (status == "Paid") == (stands.paid >= total and stands.paid > 0 and stands.refunded < stands.captured)
    assert stands.status(total) in ("Unpaid", "Authorized", "Partial", "Paid", "Refunded", "Failed")
