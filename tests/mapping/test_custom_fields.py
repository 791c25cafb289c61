"""Custom fields of both systems: paired by name and type, declared as canonical fields, mapped at once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from shipped import PAIRS, compiled, text_of

from isthmus.errors import Misconfigured
from isthmus.mapping.compiled import compile_mapping, load_mapping
from isthmus.mapping.custom import Proposal, extended, proposals, with_fields
from isthmus.model.entities import CUSTOMER
from isthmus.model.policy import Rule
from isthmus.model.schema import EntitySchema, Field, FieldType


def schema(name: str, *fields: Field) -> EntitySchema:
    return EntitySchema(name=name, fields={f.name: f for f in fields})


def custom(name: str, kind: FieldType = FieldType.STRING, label: str = "") -> Field:
    return Field(name=name, type=kind, label=label, custom=True)


LEFT = schema(
    "res.partner",
    Field(name="name", type=FieldType.STRING),
    custom("x_studio_segment", FieldType.ENUM, "Segment"),
    custom("x_loyalty_points", FieldType.INTEGER, "Points"),
    custom("x_since", FieldType.DATE, "Customer since"),
    custom("x_photo", FieldType.BINARY),
    custom("x_owner_id", FieldType.REFERENCE),
)
RIGHT = schema(
    "customer",
    Field(name="Name", type=FieldType.STRING),
    Field(name="CustomFields", type=FieldType.OBJECT),
    Field(name="CustomFields.Segment", type=FieldType.STRING),
    Field(name="CustomFields.LoyaltyPoints", type=FieldType.INTEGER),
    Field(name="CustomFields.Since", type=FieldType.STRING),
)
CLOSED = replace(RIGHT, fields={k: v for k, v in RIGHT.fields.items() if k != "CustomFields"} | {
    "CustomFields.Segment": custom("CustomFields.Segment")})  # fmt: skip


def test_fields_of_the_same_name_and_type_are_offered() -> None:
    found = {p.name: p for p in proposals(LEFT, RIGHT)}
    segment, points = found["segment"], found["loyalty_points"]
    assert (segment.left, segment.right, segment.type) == (
        "x_studio_segment", "CustomFields.Segment", FieldType.STRING,
    )  # fmt: skip
    assert (points.right, points.type) == ("CustomFields.LoyaltyPoints", FieldType.INTEGER)


def test_a_type_that_does_not_fit_is_not_paired_and_a_new_field_is_offered_in_the_open_object() -> None:
    assert "x_since" not in {p.left for p in proposals(LEFT, RIGHT)}
    without = replace(RIGHT, fields={k: v for k, v in RIGHT.fields.items() if k != "CustomFields.Since"})
    since = next(p for p in proposals(LEFT, without) if p.left == "x_since")
    assert (since.right, since.likeness, since.type) == ("CustomFields.Since", 0, FieldType.DATE)
    assert {p.left for p in proposals(LEFT, CLOSED)} == {"x_studio_segment"}


def test_what_holds_no_single_value_is_not_offered() -> None:
    assert not {"x_photo", "x_owner_id"} & {p.left for p in proposals(LEFT, RIGHT)}


def test_what_is_mapped_already_is_not_offered_again() -> None:
    taken = {"x_studio_segment", "CustomFields.Segment"}
    assert "segment" not in {p.name for p in proposals(LEFT, RIGHT, taken)}


def test_a_name_that_is_in_use_gets_another() -> None:
    assert {p.left: p.name for p in proposals(LEFT, RIGHT, {"segment"})}["x_studio_segment"] == "segment_2"


def mapped(chosen: list[Proposal]) -> tuple[str, str]:
    left, right = (text_of("mappings", name) for name in PAIRS["customer"])
    return (
        with_fields(left, chosen, {p.name: p.left for p in chosen}, declares=True),
        with_fields(right, chosen, {p.name: p.right for p in chosen}, declares=False),
    )


def test_a_chosen_one_travels_both_ways_through_both_mappings() -> None:
    chosen = [p for p in proposals(LEFT, RIGHT) if p.name in ("segment", "loyalty_points")]
    files = [load_mapping(text) for text in mapped(chosen)]
    entity = extended(CUSTOMER, files)
    assert entity.fields["segment"].custom
    assert entity.fields["segment"].label == "Segment"
    left, right = (compile_mapping(file, entity=entity, settings={"region": "US"}) for file in files)
    read = left.read({"name": "A", "x_studio_segment": "gold", "x_loyalty_points": 7}).values
    assert (read["segment"], read["loyalty_points"]) == ("gold", 7)
    written = right.write(read, ["segment", "loyalty_points"], {}).values
    assert written == {"CustomFields.Segment": "gold", "CustomFields.LoyaltyPoints": 7}
    assert left.write(right.read(written).values, ["segment", "loyalty_points"], {}).values == {
        "x_studio_segment": "gold",
        "x_loyalty_points": 7,
    }


def test_adding_more_keeps_what_was_added_and_every_comment() -> None:
    first, second = proposals(LEFT, RIGHT)[:2]
    left, _ = mapped([first])
    again = with_fields(left, [second], {second.name: second.left}, declares=True)
    assert load_mapping(again).extra.keys() == {first.name, second.name}
    assert [line for line in text_of("mappings", "odoo-customer").splitlines() if "#" in line] == [
        line for line in again.splitlines() if "#" in line
    ]


DECLARED = "mapping: m\nsystem: s\nsystem_entity: e\ncanonical: customer\n{extra}fields:\n  name: {{from: n}}\n"


def declared(extra: str) -> str:
    return DECLARED.format(extra=extra)


def test_a_declared_field_says_who_owns_it() -> None:
    file = load_mapping(declared("extra:\n  segment: {type: enum, rule: right}\n"))
    assert extended(CUSTOMER, [file]).fields["segment"].policy.rule is Rule.RIGHT
    assert extended(CUSTOMER, [load_mapping(declared(""))]) is CUSTOMER


@pytest.mark.parametrize(
    ("extra", "why"),
    [
        ("extra:\n  name: {type: string}\n", "has a field of this name already"),
        ("extra:\n  Segment: {type: string}\n", "no name of a field"),
    ],
)
def test_a_wrong_declaration_is_refused_with_its_place(extra: str, why: str) -> None:
    with pytest.raises(Misconfigured, match=why):
        extended(CUSTOMER, [load_mapping(declared(extra))])


def test_two_declarations_of_one_field_have_to_be_the_same() -> None:
    one, two = (load_mapping(declared(f"extra:\n  segment: {{type: {kind}}}\n")) for kind in ("string", "integer"))
    with pytest.raises(Misconfigured, match="declares it differently"):
        extended(CUSTOMER, [one, two])


def test_fields_of_the_other_side_show_in_odoo_only_where_asked_for_and_there() -> None:
    fields = {p.partition(".")[0].partition("[")[0] for p in compiled("odoo-customer").paths}
    known = {name: Field(name=name, type=FieldType.STRING) for name in fields if not name.startswith("x_bng")}
    bare = EntitySchema(name="res.partner", fields=known)
    visible = Field(name="x_bng_customer_id", type=FieldType.STRING)
    shown = EntitySchema(name="res.partner", fields={**known, visible.name: visible})
    assert "right_id" not in compiled("odoo-customer", schema=bare).readable
    assert "right_id" in compiled("odoo-customer", schema=shown).readable
    assert "right_id" not in compiled("odoo-customer", schema=shown, settings={"region": "US"}).readable


def test_the_fields_that_can_be_made_in_odoo_are_listed_with_their_types() -> None:
    offers = load_mapping(text_of("mappings", "odoo-customer")).offers
    assert offers["x_bng_customer_id"].type == "string"
    assert all(name.startswith("x_bng_") for name in offers)
