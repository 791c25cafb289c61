"""A compiled mapping: what it reads and writes, what it holds, what it says of a wrong file."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from shipped import PAIRS, compiled

from isthmus.errors import Misconfigured, SchemaDrift
from isthmus.mapping.compiled import compile_mapping, load_mapping
from isthmus.model.entities import CUSTOMER
from isthmus.model.schema import EntitySchema, Field, FieldType

HEAD = "mapping: m\nsystem: s\nsystem_entity: e\ncanonical: customer\n"


def mapping(fields: str, **more: Any) -> Any:
    return compile_mapping(load_mapping(f"{HEAD}fields:\n{fields}"), entity=CUSTOMER, **more)


@pytest.mark.parametrize("name", [n for pair in PAIRS.values() for n in pair])
def test_an_empty_record_reads_without_a_traceback(name: str) -> None:
    read = compiled(name).read({})
    assert {p.severity for p in read.problems} <= {"block"}


@pytest.mark.parametrize("name", [n for pair in PAIRS.values() for n in pair])
@pytest.mark.parametrize("odd", [0, -1.5, True, "", "\x00\u2028", [], {}, [{}], {"a": [1]}, "9" * 5000, b"x"])
def test_an_odd_value_anywhere_is_a_problem_of_its_field_and_never_an_exception(name: str, odd: Any) -> None:
    ready = compiled(name)
    read = ready.read(dict.fromkeys(ready.paths, odd))
    assert {p.field for p in read.problems if p.severity == "block"}.isdisjoint(read.values)
    ready.write(read.values, list(read.values), None)


def test_what_clears_a_value_is_read_before_so_that_the_write_can_expect_it() -> None:
    ready = compiled("odoo-customer")
    raw = {"child_ids[type=delivery].id": 7, "child_ids[type=delivery].active": True}
    assert "child_ids[type=delivery].active" in ready.paths
    written = ready.write({"shipping": None}, ["shipping"], raw)
    assert written.values == {"child_ids[type=delivery].active": False}
    assert ready.write({"shipping": None}, ["shipping"], {}).values == {}


def test_only_the_paths_of_the_touched_fields_are_written() -> None:
    raw = {"name": "A", "email": "a@example.com", "phone": None}
    written = compiled("odoo-customer").write({"name": "B", "email": "b@example.com"}, ["name"], raw)
    assert written.values == {"name": "B"}


def test_a_new_record_gets_what_every_new_one_gets_and_no_empties() -> None:
    written = compiled("odoo-customer").write({"name": "B", "email": None}, ["name", "email"], None)
    assert written.values == {"customer_rank": 1, "type": "contact", "name": "B"}


def test_a_template_field_is_left_to_the_template_where_it_has_several_variants() -> None:
    ready = compiled("odoo-product")
    values = {"name": "B", "weight": Decimal(1)}
    one, two = ({"product_variant_count": n, "weight_uom_name": "kg"} for n in (1, 2))
    assert ready.write(values, ["name", "weight"], one).values == {"name": "B", "weight": Decimal(1)}
    assert ready.write(values, ["name", "weight"], two).values == {"weight": Decimal(1)}


def test_text_longer_than_the_field_is_held_or_cut_as_the_mapping_says() -> None:
    schema = EntitySchema(name="e", fields={"n": Field(name="n", type=FieldType.STRING, max_length=3)})
    held = mapping("  name: {from: n}\n", schema=schema).write({"name": "abcd"}, ["name"], {})
    assert "4 characters do not fit into n, which takes 3" in held.problems[0].message
    cut = mapping("  name: {from: n, too_long: cut}\n", schema=schema).write({"name": "abcd"}, ["name"], {})
    assert cut.values == {"n": "abc"}


def test_a_normalised_echo_is_what_the_projection_expects() -> None:
    ready = compiled("odoo-customer")
    assert ready.project({"website": "example.com"}, ["website"], {}) == {"website": "http://example.com"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("  nmae: {from: n}\n", "customer has no field nmae"),
        ("  name: {form: n}\n", "line 6, fields.name.form"),
        ("  name: {from: n, steps: [lokup]}\n", "no transform is called 'lokup'; did you mean 'lookup'"),
        ("  name: {from: n, steps: [{boolean: {emtpy: true}}]}\n", "boolean takes the options"),
        ("  name: {from: n}\n  name: {from: m}\n", "line 7: name stands there twice"),
        ("  name: {from: n, write_when: 'raw.x =='}\n", "not an expression"),
        ("  name: {}\n", "say where the value comes from"),
    ],
)
def test_a_wrong_file_names_the_place_and_what_is_wrong(text: str, why: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        mapping(text)
    assert why in caught.value.doing


def test_a_field_the_system_lacks_drifts_unless_it_is_optional() -> None:
    schema = EntitySchema(name="e", fields={"n": Field(name="n", type=FieldType.STRING)})
    with pytest.raises(SchemaDrift, match="e has no field gone"):
        mapping("  name: {from: gone.key}\n", schema=schema)
    assert mapping("  name: {from: gone, optional: true}\n  email: {from: n}\n", schema=schema).readable == {"email"}
    assert mapping("  name: {from: 'n[type=x].gone'}\n", schema=schema).readable == {"name"}


def test_a_read_only_field_of_the_system_is_never_written() -> None:
    schema = EntitySchema(name="e", fields={"n": Field(name="n", type=FieldType.STRING, readonly=True)})
    ready = mapping("  name: {from: n}\n", schema=schema)
    assert ready.writable == frozenset()
    assert ready.readable == {"name"}


def test_explaining_shows_what_is_left_out_and_why() -> None:
    ready = compiled("odoo-product")
    values = {"name": "B", "barcode": None}
    told = {t.fields[0]: t for t in ready.explain_write(values, list(values), {"product_variant_count": 2})}
    assert (told["name"].skipped, told["name"].problem) == (True, "only written where raw.product_variant_count <= 1")
    assert not told["barcode"].skipped
    (fresh,) = ready.explain_write({"barcode": None}, ["barcode"], None)
    assert (fresh.skipped, fresh.problem) == (True, "empty, and a new record has nothing to empty")
    (unclear,) = ready.explain_write(values, ["name"], {})
    assert (unclear.skipped, "No matching overloads" in unclear.problem) == (False, True)
