"""Values between Odoo's raw form and ours, by field type; no Odoo needed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.connectors.odoo import codec
from isthmus.connectors.odoo.fields import OdooField
from isthmus.connectors.odoo.protocols import (
    Call,
    decode_json,
    encode_json,
    rpc_arguments,
    xmlrpc_answer,
    xmlrpc_message,
)
from isthmus.connectors.odoo.ranges import pack, unpack
from isthmus.sdk import InvalidRecord


def field(kind: str, **more: Any) -> OdooField:
    return OdooField(name="x", type=kind, **more)


@pytest.mark.parametrize("kind", ["char", "text", "html", "selection", "date", "datetime", "many2one", "binary"])
def test_false_is_empty_and_empty_is_false(kind: str) -> None:
    assert codec.decode(field(kind), False) is None
    assert codec.encode(field(kind), None) is False


def test_false_is_a_value_of_a_boolean_and_zero_one_of_a_number() -> None:
    assert codec.decode(field("boolean"), False) is False
    assert codec.decode(field("integer"), 0) == 0
    assert codec.decode(field("float"), Decimal(0)) == 0
    assert codec.encode(field("integer"), 0) == 0


@pytest.mark.parametrize("raw", [7, [7, "Shown name"], [7, False]])
def test_a_many2one_is_an_id_however_odoo_tells_it(raw: Any) -> None:
    assert codec.decode(field("many2one"), raw) == 7


def test_lists_of_records_are_written_as_one_replacing_command() -> None:
    assert codec.encode(field("many2many"), ["3", 4]) == [[6, 0, [3, 4]]]
    assert codec.encode(field("many2many"), None) == [[6, 0, []]]
    assert codec.decode(field("one2many"), [3, 4]) == [3, 4]


def test_moments_are_naive_utc_in_odoo_and_aware_here() -> None:
    at = datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=2)))
    assert codec.encode(field("datetime"), at) == "2026-03-29 00:30:00"
    assert codec.decode(field("datetime"), "2026-03-29 00:30:00") == at.astimezone(UTC)


def test_a_date_never_passes_through_an_instant() -> None:
    assert codec.decode(field("date"), "2026-12-31") == date(2026, 12, 31)
    assert codec.encode(field("date"), date(2026, 12, 31)) == "2026-12-31"
    with pytest.raises(InvalidRecord):
        codec.encode(field("date"), datetime(2026, 12, 31, 23, tzinfo=UTC))


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=2))
def test_amounts_survive_the_way_out_and_back_exactly(amount: Decimal) -> None:
    price = field("float", scale=2)
    sent = encode_json({"v": codec.encode(price, amount)})
    assert codec.decode(price, decode_json(sent)["v"]) == amount


@given(st.decimals(min_value=-(10**6), max_value=10**6, places=4))
def test_amounts_survive_xmlrpc_exactly(amount: Decimal) -> None:
    body = xmlrpc_message("object", "x", [amount]).body.replace(b"methodCall", b"methodResponse")
    body = body.replace(b"<methodName>x</methodName>\n", b"")
    assert xmlrpc_answer(body) == amount


def test_a_number_has_the_digits_of_its_field_and_noise_is_cut() -> None:
    assert str(codec.decode(field("float", scale=2), Decimal("0.1"))) == "0.10"
    assert codec.decode(field("float", scale=2), Decimal("0.30000000000000004")) == Decimal("0.30")
    assert str(codec.decode(field("float"), Decimal("0.30000000000000004"))) == "0.3"
    assert str(codec.decode(field("monetary"), Decimal("1E+3"))) == "1000"


def test_a_value_that_the_type_cannot_hold_is_refused_by_name() -> None:
    with pytest.raises(InvalidRecord, match="x"):
        codec.encode(field("integer"), Decimal("1.5"))
    with pytest.raises(InvalidRecord):
        codec.encode(field("many2one"), "not a number")
    with pytest.raises(InvalidRecord):
        codec.encode(field("float"), "abc")


def test_equal_to_odoo_is_equal_to_us() -> None:
    assert codec.raw_equal(field("char"), None, "")
    assert codec.raw_equal(field("many2many"), [1, 2], [2, 1])
    assert codec.raw_equal(field("float", scale=2), Decimal("1.001"), Decimal("1.00"))
    assert not codec.raw_equal(field("char"), "a", None)
    assert not codec.raw_equal(field("many2one"), 1, None)


def test_integers_beyond_32_bits_and_nothing_pass_xmlrpc() -> None:
    body = xmlrpc_message("object", "x", [2**40, None, {"a": [None]}]).body
    assert b"<i8>1099511627776</i8>" in body
    assert b"<nil/>" in body


def test_a_method_that_returns_nothing_is_no_failure_over_xmlrpc() -> None:
    fault = (
        b"<?xml version='1.0'?><methodResponse><fault><value><struct>"
        b"<member><name>faultCode</name><value><string>cannot marshal None unless allow_none is enabled"
        b"</string></value></member><member><name>faultString</name><value><string>Traceback</string></value></member>"
        b"</struct></value></fault></methodResponse>"
    )
    assert xmlrpc_answer(fault) is None


def test_older_versions_get_their_arguments_by_position() -> None:
    call = Call("res.partner", "search_read", None, {"domain": [], "fields": ["name"], "limit": 3}, {"lang": "en_US"})
    assert rpc_arguments(call) == ([[]], {"fields": ["name"], "limit": 3, "context": {"lang": "en_US"}})
    call = Call("res.partner", "write", [7], {"vals": {"name": "x"}}, {})
    assert rpc_arguments(call) == ([[7], {"name": "x"}], {"context": {}})


@given(st.sets(st.integers(min_value=1, max_value=10_000), max_size=200))
def test_remembered_ids_come_back_whole(ids: set[int]) -> None:
    assert unpack(pack(ids)) == ids


def test_a_bulk_of_ids_takes_the_room_of_one() -> None:
    assert pack(range(1000, 2000)) == "1000-1999"
