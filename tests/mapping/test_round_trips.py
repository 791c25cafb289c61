"""Whatever a record holds, it comes back the same from either side, and a second trip changes nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shipped import PAIRS, compiled

from isthmus.mapping.compiled import CompiledMapping
from isthmus.model.canonical import Ref, Value
from isthmus.model.entities import ENTITIES
from isthmus.model.schema import Field, FieldType
from isthmus.sync.merge import same

_LETTERS = "abcXYZ äöüßéñø'&<>-.,/0123456789"
_TEXT = st.text(_LETTERS, min_size=1, max_size=24).map(lambda t: " ".join(t.split())).filter(bool)
_WORD = st.text("abcdefghij", min_size=1, max_size=8)
_MONEY = st.builds(
    lambda amount, currency: {"amount": amount, "currency": currency},
    st.integers(1, 10**9).map(lambda n: f"{n / 100:.2f}".rstrip("0").rstrip(".")),
    st.just("USD"),
)
_ADDRESS = st.fixed_dictionaries(
    {"line1": _WORD, "city": _WORD, "country": st.sampled_from(["DE", "BE", "NZ"])},
    optional={"line2": _WORD, "postal_code": st.integers(1000, 99999).map(str)},
)
_SPECIAL: dict[str, st.SearchStrategy[Any]] = {
    "email": st.builds("{}@{}.example".format, _WORD, _WORD),
    "phone": st.integers(2_000_000, 9_999_999).map("+1650{}".format),
    "website": st.builds("https://{}.example/{}".format, _WORD, _WORD),
    "tax_id": st.integers(10**8, 10**9).map(str),
    "currency": st.sampled_from(["USD", "EUR", "CHF"]),
    "payment_terms": st.sampled_from(["NET15", "NET30", "IMMEDIATE"]),
    "payment_method": st.sampled_from(["ach", "check", "wire"]),
    "product_type": st.sampled_from(["stocked", "non_stocked", "service"]),
    "unit": st.sampled_from(["EA", "DZ", "KG", "HR"]),
    "list_price": _MONEY,
    "cost": _MONEY,
    "tax_code": st.lists(_WORD, min_size=1, max_size=3, unique=True).map(lambda names: "+".join(sorted(names))),
    "attributes": st.dictionaries(_WORD, _WORD, min_size=1, max_size=3),
    "active": st.just(True),
    "employment_type": st.sampled_from(["employee", "contractor", "intern"]),
    "work_email": st.builds("{}@{}.example".format, _WORD, _WORD),
    "work_phone": st.integers(2_000_000, 9_999_999).map("+1650{}".format),
    "mobile_phone": st.integers(2_000_000, 9_999_999).map("+1650{}".format),
    "terminated": st.just(False),
    "on_hand": st.integers(0, 9_999).map(lambda n: Decimal(n) * 12),
    "reserved": st.integers(0, 99).map(lambda n: Decimal(n) * 12),
    "unit_cost": st.integers(1, 9_999).map(Decimal),
    "as_of": st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  # the zone is beside it
    "notes": st.lists(_TEXT, min_size=1, max_size=3).map("\n".join),
    "description": st.lists(st.text("abc &.,-", min_size=1, max_size=9).map(str.strip).filter(bool), min_size=1).map(
        "\n".join
    ),
}
_WEIGHTY = st.integers(1, 10**6).map(lambda n: Decimal(n) / 100)


def _of(field: Field) -> st.SearchStrategy[Any]:
    if field.name in _SPECIAL:
        return _SPECIAL[field.name]
    kinds: dict[FieldType, st.SearchStrategy[Any]] = {
        FieldType.BOOLEAN: st.booleans(),
        FieldType.INTEGER: st.integers(1, 999),
        FieldType.DATE: st.dates(date(2000, 1, 1), date(2030, 1, 1)),
        FieldType.DECIMAL: _WEIGHTY,
        FieldType.ADDRESS: _ADDRESS,
        FieldType.REFERENCE: st.integers(1, 999).map(lambda n: Ref(field.target or "", str(n))),
    }
    return kinds.get(field.type, _TEXT)


@cache
def records(entity: str) -> st.SearchStrategy[dict[str, Value]]:
    """Canonical records of an Entity; any field that need not be there may be missing."""
    fields = ENTITIES[entity].fields
    sure = {n: _of(f) for n, f in fields.items() if f.required or f.type is FieldType.BOOLEAN or n in _ALWAYS}
    return st.fixed_dictionaries(sure, optional={n: _of(f) for n, f in fields.items() if n not in sure})


_ALWAYS = ("list_price", "product_type", "unit", "email")
MAPPINGS = [(entity, name) for entity, pair in PAIRS.items() for name in pair]
BOUNDED = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@cache
def ready(name: str) -> CompiledMapping:
    return compiled(name)


def there_and_back(mapping: CompiledMapping, values: dict[str, Value]) -> tuple[dict[str, Value], dict[str, Any]]:
    """A new record written through a mapping and read again."""
    written = mapping.write(values, [n for n in values if n in mapping.writable], None)
    assert [p for p in written.problems if p.severity == "block"] == []
    read = mapping.read(written.values)
    assert [p for p in read.problems if p.severity == "block"] == []
    return read.values, written.values


@pytest.mark.parametrize(("entity", "name"), MAPPINGS)
def test_what_is_written_reads_back_the_same(entity: str, name: str) -> None:
    mapping = ready(name)

    @BOUNDED
    @given(records(entity))
    def holds(values: dict[str, Value]) -> None:
        found, _ = there_and_back(mapping, values)
        both = [n for n in values if n in mapping.writable and n in mapping.readable]
        assert {n: (values[n], found[n]) for n in both if not same(values[n], found[n])} == {}

    holds()


@pytest.mark.parametrize(("entity", "name"), MAPPINGS)
def test_the_projection_tells_before_what_will_be_read_after(entity: str, name: str) -> None:
    mapping = ready(name)

    @BOUNDED
    @given(records(entity))
    def holds(values: dict[str, Value]) -> None:
        fields = [n for n in values if n in mapping.writable and n not in ENTITIES[entity].references()]
        expected = mapping.project(values, fields, None)
        found, _ = there_and_back(mapping, values)
        assert {n: (v, found.get(n)) for n, v in expected.items() if not same(v, found.get(n))} == {}

    holds()


@pytest.mark.parametrize(("entity", "name"), MAPPINGS)
def test_a_second_write_of_what_was_read_changes_nothing(entity: str, name: str) -> None:
    mapping = ready(name)

    @BOUNDED
    @given(records(entity))
    def holds(values: dict[str, Value]) -> None:
        found, raw = there_and_back(mapping, values)
        raw = {**raw, "product_variant_count": 1}
        again = mapping.write(found, [n for n in found if n in mapping.writable], raw)
        assert {p: (v, raw.get(p)) for p, v in again.values.items() if (v or None) != (raw.get(p) or None)} == {}

    holds()


@pytest.mark.parametrize("entity", PAIRS)
def test_a_record_goes_over_and_comes_back_as_it_left(entity: str) -> None:
    left, right = (ready(name) for name in PAIRS[entity])
    both = left.readable & left.writable & right.readable & right.writable - {"parent", "template", "preferred_vendor"}

    @BOUNDED
    @given(records(entity))
    def holds(values: dict[str, Value]) -> None:
        here, _ = there_and_back(left, values)
        # A template's code is made of its id, and stock is as of the moment at which Odoo is read.
        named = {name: values[name] for name in ("sku", "as_of") if name in values}
        there, _ = there_and_back(right, {**here, **named})
        back, _ = there_and_back(left, there)
        told = {n for n in values if n in both}
        assert {n: (values[n], back.get(n)) for n in told if not same(values[n], back.get(n))} == {}

    holds()
