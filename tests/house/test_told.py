"""Everything a user meets is described, once, where it is defined."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from source_tree import functions, product

from isthmus import errors
from isthmus.mapping.model import Clear, FieldMap, Instead, Mapping
from isthmus.mapping.transform import Transform, catalogue
from isthmus.model import pairfile, policy, schema
from isthmus.model.entities import ENTITIES
from isthmus.sdk.registry import installed

SHORTEST = 12
"""Fewer characters are no sentence."""


def is_told(text: str | None) -> bool:
    """Whether a text says something: a sentence, not a word."""
    return bool(text) and len((text or "").strip()) >= SHORTEST and " " in (text or "").strip()


def fields_of(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every field of a form with its path."""
    for name, field in model.model_fields.items():
        yield f"{path or model.__name__}.{name}", field


FORMS: list[type[BaseModel]] = [
    pairfile.PairFile, pairfile.EntityFile, pairfile.SideFile, pairfile.FieldPolicyFile, pairfile.GuardFile,
    Mapping, FieldMap, Instead, Clear,
]  # fmt: skip


def test_every_module_says_its_one_job_in_its_first_line() -> None:
    silent = [m.path for m in product() if m.text.strip() and not is_told(ast.get_docstring(m.tree))]
    assert not silent, "\n".join(silent)


def test_every_public_class_says_what_it_is() -> None:
    silent = [
        f"{m.path}:{node.lineno} {node.name}"
        for m in product()
        for node in m.tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node)
    ]
    assert not silent, "\n".join(silent)


def test_every_public_function_of_a_verb_module_says_what_its_signature_cannot() -> None:
    silent = []
    for module in product():
        if module.folder not in ("operate", "sync", "engine", "store", "sdk", "security", "detect", "errors", "model"):
            continue
        if ".migrations.versions." in module.name:
            continue  # its docstring is the module's
        for node in module.tree.body:
            public = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_")
            if public and not ast.get_docstring(node):
                silent.append(f"{module.path}:{node.lineno} {node.name}")
    assert not silent, "\n".join(silent)


@pytest.mark.parametrize("kind", sorted(errors.catalogue()))
def test_every_error_says_what_happened_and_what_comes_next(kind: str) -> None:
    error = errors.catalogue()[kind]
    assert is_told(inspect.getdoc(error))
    assert vars(error).get("__doc__"), "it has its parent's words only"
    assert is_told(error.default_hint)


def test_every_error_belongs_to_exactly_one_next_action() -> None:
    groups = (errors.Retry, errors.Reject, errors.Halt)
    for kind, error in errors.catalogue().items():
        if error not in (errors.IsthmusError, *groups):
            assert sum(issubclass(error, group) for group in groups) == 1, kind


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_every_field_of_a_file_has_its_sentence(form: type[BaseModel]) -> None:
    silent = [path for path, field in fields_of(form) if not is_told(field.description)]
    assert not silent, "\n".join(silent)


def test_every_setting_of_every_connector_has_its_sentence() -> None:
    silent = [
        path
        for kind in installed()
        for path, field in fields_of(kind.settings, kind.key)
        if not is_told(field.description)
    ]
    assert not silent, "\n".join(silent)


def test_every_connector_says_what_it_is() -> None:
    assert [kind.key for kind in installed() if not (is_told(kind.summary) and kind.name)] == []


def test_every_transform_has_label_help_examples_and_a_sentence_for_each_option() -> None:
    silent = []
    for one in catalogue():
        kind = Transform.registry[one.name]
        if not one.label or not is_told(one.help) or not one.examples:
            silent.append(one.name)
        silent.extend(path for path, field in fields_of(kind, one.name) if not is_told(field.description))
    assert not silent, "\n".join(silent)


def test_every_canonical_field_has_label_and_sentence() -> None:
    silent = [
        f"{entity.name}.{field.name}"
        for entity in ENTITIES.values()
        for field in entity.fields.values()
        if not field.label or not is_told(field.help)
    ]
    assert not silent, "\n".join(silent)


@pytest.mark.parametrize("choice", [policy.Rule, policy.Empties, policy.Deletes, schema.FieldType])
def test_every_choice_of_a_policy_is_in_lower_case_words(choice: Any) -> None:
    assert all(member.value == member.value.lower() for member in choice)


def test_every_table_of_the_store_has_its_sentence() -> None:
    from isthmus.store.tables import metadata

    silent = [table.name for table in metadata.sorted_tables if not is_told(table.comment)]
    assert not silent, "\n".join(silent)


def test_the_check_for_docstrings_sees_a_function_without_one() -> None:
    tree = ast.parse("def look(): ...\n")
    assert [node.name for node in functions(tree) if not ast.get_docstring(node)] == ["look"]
