"""Modules and functions stay small enough to be read in one go."""

from __future__ import annotations

from source_tree import beside, functions, product

MODULE_LINES = 600
FUNCTION_LINES = 60

LARGE_MODULES: dict[str, int] = {}
"""Modules above the limit, with the most lines each may have; may only shrink."""

LARGE_FUNCTIONS: dict[str, int] = {}
"""Functions above the limit, as `path::name`, with the most lines each may have; may only shrink."""


def test_no_module_has_more_than_600_lines() -> None:
    found = {m.path: m.lines for m in (*product(), *beside()) if m.lines > LARGE_MODULES.get(m.path, MODULE_LINES)}
    assert found == {}


def test_no_function_has_more_than_60_lines() -> None:
    found = {}
    for module in product():
        for node in functions(module.tree):
            name = f"{module.path}::{node.name}"
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > LARGE_FUNCTIONS.get(name, FUNCTION_LINES):
                found[name] = lines
    assert found == {}


def test_the_lists_of_what_is_too_large_only_shrink() -> None:
    sizes = {m.path: m.lines for m in (*product(), *beside())}
    for module in product():
        for node in functions(module.tree):
            sizes[f"{module.path}::{node.name}"] = (node.end_lineno or node.lineno) - node.lineno + 1
    limits = {**dict.fromkeys(LARGE_MODULES, MODULE_LINES), **dict.fromkeys(LARGE_FUNCTIONS, FUNCTION_LINES)}
    needless = [name for name, limit in limits.items() if sizes.get(name, 0) <= limit]
    assert needless == [], "take these off the list"
