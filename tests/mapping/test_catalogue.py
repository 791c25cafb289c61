"""Every transform of the catalogue: described for forms and docs, and each of its own examples holds both ways."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from isthmus.mapping.lookups import LookupRow, Lookups, LookupTable
from isthmus.mapping.problem import Noted, TransformProblem
from isthmus.mapping.rates import Rates
from isthmus.mapping.transform import Build, Described, Example, Step, catalogue, transform
from isthmus.mapping.transforms.records import build_step

TERMS = LookupTable(name="terms", rows=(LookupRow(canonical="NET30", values={"sys": "30 Days"}),))
RATES = Rates([(date(2026, 1, 1), "EUR", "USD", Decimal("1.10"))], on=date(2026, 6, 1))

DESIGNED = {
    "type conversion": {"text", "integer", "decimal", "boolean", "date", "instant", "day_of"},
    "look-up tables": {"lookup", "country", "state", "currency"},
    "concatenate and split": {"join", "split", "full_name", "party", "address", "address_parts", "affix", "list_text"},
    "conditional": {"cases", "when", "flag"},
    "default": {"default"},
    "currency on dated rates": {"money"},
    "units": {"unit"},
    "trim, case, replace, regex": {"trim", "case", "replace", "pattern", "cut"},
    "arithmetic": {"arithmetic"},
    "HTML to text": {"html_to_text", "text_to_html", "strip_html"},
    "phone and VAT": {"phone", "tax_id", "email", "website"},
    "lists and child records": {"each", "children", "first", "only", "attributes", "reference"},
    "enum maps": {"enum"},
    "constant": {"constant"},
    "CEL": {"cel"},
    "trade documents": {
        "stages",
        "line_price",
        "tax_names",
        "line_tax",
        "document_currency",
        "day_at",
        "analytic",
        "applications",
    },
}
"""What a catalogue has to cover, by purpose, and the transforms that do."""

FREE = {"raw", "value", "read", "write", "empty"}
"""Options that take any value."""

EXAMPLES = [
    pytest.param(told, example, id=f"{told.name}-{n}")
    for told in catalogue()
    for n, example in enumerate(told.examples)
]


def built(told: Described, example: Example) -> tuple[Step, dict[str, Any]]:
    """The step for an example, and the raw record it stands in."""
    several = told.takes == "parts" or (told.takes == "either" and isinstance(example.raw, dict))
    paths = {"": "x"} if not several else {part: part for part in (example.raw or {"amount": 0, "currency": 0})}
    at = Build(system="sys", paths=paths, lookups=Lookups([TERMS]), rates=RATES)
    step = build_step({told.name: dict(example.options)}, at)
    here: dict[str, Any] = dict(example.raw) if several and example.raw else {"x": example.raw}
    return step, {**example.record, **here}


def run(function: Any, sees_empty: bool, value: Any, record: Mapping[str, Any]) -> Any:
    if value is None and not sees_empty:
        return None
    found = function(value, record)
    return found.value if isinstance(found, Noted) else found


@pytest.mark.parametrize(("told", "example"), EXAMPLES)
def test_the_example_reads_as_it_says(told: Described, example: Example) -> None:
    step, record = built(told, example)
    if example.problem:
        with pytest.raises(TransformProblem) as caught:
            run(step.read, step.sees_empty, example.raw, record)
        assert example.problem in caught.value.message
        return
    if example.raw is not None or told.takes != "parts":
        assert run(step.read, step.sees_empty, example.raw, record) == example.value


@pytest.mark.parametrize(("told", "example"), [p for p in EXAMPLES if not p.values[1].problem])
def test_the_example_writes_back_what_it_says(told: Described, example: Example) -> None:
    step, _ = built(told, example)
    if example.one_way:
        assert step.write is None
        return
    assert step.write is not None
    expected = example.raw if example.back is ... else example.back
    if example.value is None and example.back is ... and not step.sees_empty:
        expected = None
    found = run(step.write, step.sees_empty, example.value, example.record)
    if told.takes == "parts" and isinstance(found, dict) and expected:
        # A part the step has nothing to say about is left alone; told is what counts.
        expected = {part: value for part, value in expected.items() if part in found}
    assert found == expected


@pytest.mark.parametrize("told", catalogue(), ids=lambda t: t.name)
def test_it_describes_itself_for_forms_and_docs(told: Described) -> None:
    assert told.label
    assert told.help.endswith(".")
    assert told.examples
    for name, option in told.options.get("properties", {}).items():
        assert option.get("description"), f"{told.name}.{name} is not described"
        assert option.keys() & {"type", "anyOf", "enum", "$ref"} or name in FREE, f"{told.name}.{name} has no type"


def test_the_catalogue_covers_what_it_is_designed_to_cover() -> None:
    assert {told.name for told in catalogue()} == set().union(*DESIGNED.values())


def test_an_unknown_name_suggests_the_nearest_one() -> None:
    with pytest.raises(KeyError, match="did you mean 'lookup'"):
        transform("lokup")


def test_a_step_with_a_wrong_option_names_the_right_ones() -> None:
    with pytest.raises(ValueError, match="boolean takes the options empty, no, yes"):
        build_step({"boolean": {"emtpy": False}}, Build())


def test_an_option_takes_the_pairs_setting_and_falls_back_where_none_is_set() -> None:
    spec = {"phone": {"region": "$region|US"}}
    for settings, number in (({}, "+16502530000"), ({"region": "FR"}, "6502530000")):
        step = build_step(spec, Build(settings=settings))
        assert step.read("6502530000", {}) == number
