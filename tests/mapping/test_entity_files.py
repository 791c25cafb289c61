"""Entities of a pair's own: described in a file, checked with path and line, usable like those that ship."""

from __future__ import annotations

import pytest
from shipped import text_of

from isthmus.errors import Misconfigured
from isthmus.mapping.compiled import compile_mapping, load_mapping
from isthmus.mapping.entityfile import entities_of, load_entity
from isthmus.mapping.rules import load_rules
from isthmus.model.entities import ENTITIES
from isthmus.model.policy import Empties, Rule
from isthmus.model.schema import FieldType

MEMBERSHIP = """
entity: membership
label: Membership
fields:
  number: {type: string, required: true, max_length: 16, rule: ask}
  member: {type: reference, target: customer, later: true}
  level: {type: enum, choices: {gold: Gold, silver: Silver}, rule: left, strict: true}
  fee: {type: decimal, scale: 2, rule: right, direction: to_left, empties: keep}
  active: {type: boolean}
match: [number, {field: member, also: [level], strong: false}]
"""


def test_a_file_describes_a_whole_entity() -> None:
    found = load_entity("entities/membership.yaml", MEMBERSHIP)
    assert (found.name, found.label, found.status_field) == ("membership", "Membership", "active")
    assert found.depends_on == ("customer",)
    assert found.later == {"member"}
    assert [(key.field, key.also, key.strong) for key in found.match] == [
        ("number", (), True),
        ("member", ("level",), False),
    ]
    fee, number = found.fields["fee"], found.fields["number"]
    assert (fee.type, fee.scale, fee.policy.rule) == (FieldType.DECIMAL, 2, Rule.RIGHT)
    assert (fee.policy.direction, fee.policy.empties) == ("to_left", Empties.KEEP)
    assert (number.required, number.max_length, number.custom) == (True, 16, True)
    assert found.fields["level"].choices == (("gold", "Gold"), ("silver", "Silver"))


def test_one_that_extends_a_shipped_one_takes_its_mappings_and_rules() -> None:
    told = "entity: prospect\nextends: customer\nfields:\n  source: {type: string, rule: left}\n"
    found = entities_of({"entities/prospect.yaml": told})["prospect"]
    assert found.fields.keys() == ENTITIES["customer"].fields.keys() | {"source"}
    assert found.match == ENTITIES["customer"].match
    compiled = compile_mapping(load_mapping(text_of("mappings", "bng-customer")), entity=found)
    assert "email" in compiled.writable
    assert load_rules(text_of("rules", "customer-standard"), found)


@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        (("type: decimal", "type: money"), 8, "Input should be"),
        (("target: customer, ", ""), 6, "a reference names its target"),
        (("choices: {gold: Gold, silver: Silver}, ", ""), 7, "an enum lists its choices"),
        (("match: [number", "match: [nummer"), 2, "there is no field nummer"),
        (("entity: membership", "entity: customer"), 2, "ships already"),
        (("entity: membership", "entity: Membership"), 2, "pattern"),
        (("label: Membership", "lable: Membership"), 3, "Extra inputs are not permitted"),
        (("  active: {type: boolean}", "  active: {type: boolean}\n  Bad-Name: {}"), 2, "Bad-Name is no name"),
        (("rule: ask", "rule: mine"), 5, "'left', 'right', 'newest'"),
        (("label: Membership", "status_field: number"), 2, "number is string, not boolean"),
    ],
)
def test_every_error_is_told_with_its_place(change: tuple[str, str], line: int, said: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        load_entity("entities/membership.yaml", MEMBERSHIP.replace(*change))
    assert f"entities/membership.yaml: line {line}," in str(caught.value)
    assert said in str(caught.value)


def test_a_file_by_another_name_and_a_reference_to_nothing_are_refused() -> None:
    with pytest.raises(Misconfigured, match="it describes membership"):
        load_entity("entities/members.yaml", MEMBERSHIP)
    with pytest.raises(Misconfigured, match=r"fields\.member: there is no Entity client"):
        entities_of({"entities/membership.yaml": MEMBERSHIP.replace("target: customer", "target: client")})
