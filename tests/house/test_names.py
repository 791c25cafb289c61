"""Names say what a thing is; words that fit anything are not among them."""

from __future__ import annotations

import ast
import re
from pathlib import PurePosixPath

from source_tree import functions, product

BANNED_FILES = {"common", "utils", "util", "helpers", "helper", "base", "misc", "process", "handle", "manage"}
BANNED_VERBS = {"process", "handle", "manage", "do", "perform", "helper"}
SYNONYMS = {
    "binding_id": "link_id", "job_id": "run_id", "workspace": "installation", "mapper": "Mapping",
    "integration": "pair", "synchronisation": "sync", "synchronization": "sync",
}  # fmt: skip
"""Identifiers that would be a second word for something in the glossary."""

REQUIRED = {"handle_starttag", "handle_endtag", "handle_data", "handle_startendtag", "do_GET", "do_POST"}
"""Names that the standard library asks for."""

PROMISED = {"perform"}
"""Names of the connector's published contract: `perform` is what is done with an Operation, and nothing else."""


def test_no_file_or_folder_has_a_name_that_fits_anything() -> None:
    found = [
        module.path
        for module in product()
        if BANNED_FILES & {part.removesuffix(".py") for part in PurePosixPath(module.path).parts[2:]}
    ]
    assert not found, "\n".join(found)


def test_no_function_or_class_has_a_name_that_fits_anything() -> None:
    found = []
    for module in product():
        for node in functions(module.tree):
            first = node.name.lstrip("_").split("_")[0]
            if first in BANNED_VERBS and node.name not in REQUIRED | PROMISED:
                found.append(f"{module.path}:{node.lineno} {node.name}")
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef) and re.search(r"(Manager|Helper|Util|Handler|Processor)s?$", node.name):
                found.append(f"{module.path}:{node.lineno} {node.name}")
    assert not found, "\n".join(found)


def test_words_of_the_glossary_have_no_synonyms_in_code() -> None:
    found = []
    for module in product():
        if module.folder in ("sandbox", "connectors"):
            continue  # other systems have their own words
        for node in ast.walk(module.tree):
            name = getattr(node, "name", None) or getattr(node, "arg", None) or getattr(node, "id", None)
            if isinstance(name, str) and name in SYNONYMS:
                found.append(f"{module.path}: {name} is called {SYNONYMS[name]} here")
    assert not found, "\n".join(found)


def test_names_of_tests_are_sentences() -> None:
    from source_tree import beside

    short = [
        f"{module.path}: {node.name}"
        for module in beside()
        if module.path.startswith("tests/")
        for node in module.tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if node.name.startswith("test_") and node.name.count("_") < 3
    ]
    assert not short, "\n".join(short)
