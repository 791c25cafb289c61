"""Operations: forms that name what is wrong, leases by business key, and a sentence for everything."""

from __future__ import annotations

import importlib

import pytest

from isthmus.errors import InvalidRecord
from isthmus.sdk.operations import Operation
from isthmus.sdk.registry import installed


def shipped() -> list[Operation]:
    """The operations of every connector that brings some."""
    found: list[Operation] = []
    for kind in installed():
        try:
            found += importlib.import_module(f"isthmus.connectors.{kind.key}.operations").OPERATIONS
        except (ModuleNotFoundError, AttributeError):
            continue
    return found


every = pytest.mark.parametrize("operation", shipped(), ids=[one.name for one in shipped()])


def test_there_are_operations() -> None:
    assert {"confirm_sales_order", "register_payment"} <= {one.name for one in shipped()}


@every
def test_an_operation_and_its_fields_have_their_sentences(operation: Operation) -> None:
    assert operation.label
    assert operation.summary.endswith(".")
    for form in (operation.input, operation.result):
        schemas = [form.model_json_schema(), *form.model_json_schema().get("$defs", {}).values()]
        silent = [n for one in schemas for n, f in one.get("properties", {}).items() if not f.get("description")]
        assert silent == []


@every
def test_what_is_held_is_a_field_of_the_input(operation: Operation) -> None:
    assert set(operation.lease) <= set(operation.input.model_fields)


@every
def test_what_does_not_belong_into_the_input_is_refused_by_name(operation: Operation) -> None:
    with pytest.raises(InvalidRecord) as refused:
        operation.parse({"no_such_field": 1})
    assert "no_such_field" in str(refused.value)
    assert refused.value.hint.startswith("Its fields are: ")


def test_leases_name_the_documents_in_the_order_in_which_they_are_taken() -> None:
    [reconcile] = [one for one in shipped() if one.name == "reconcile"]
    assert reconcile.leases({"invoice": 7, "credit_note": "3"}) == ("account.move:3", "account.move:7")
    assert reconcile.leases({"invoice": 7, "payment": 3}) == ("account.move:7", "account.payment:3")
