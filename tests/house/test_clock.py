"""Time, identity and chance are injected; only model/clock.py and the vault ask the system for them."""

from __future__ import annotations

import ast

from source_tree import product

ASKS = {
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.sleep", "time.time_ns",
    "uuid.uuid4", "uuid.uuid1", "uuid4", "random.random", "random.randint", "random.choice", "random.uniform",
    "random.shuffle", "random.sample",
}  # fmt: skip
"""Calls that make two runs of the same code differ."""

ALLOWED = {"model.clock"}
OTHER_PEOPLES_SYSTEMS = {"sandbox", "testing"}
"""A stand-in is a system of its own, with its own clock."""


def dotted(node: ast.expr) -> str:
    """`a.b.c` of an expression, as far as it is one."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def asked(tree: ast.Module) -> list[tuple[int, str]]:
    """Calls and mentions of what ASKS lists, by whatever longer name."""
    found = []
    for node in ast.walk(tree):
        name = dotted(node) if isinstance(node, ast.Attribute | ast.Name) else ""
        if any(name == ask or name.endswith(f".{ask}") for ask in ASKS):
            found.append((node.lineno, name))
    return found


def test_only_the_clock_asks_for_time_identity_or_chance() -> None:
    found = [
        f"{module.path}:{line} {name}"
        for module in product()
        if module.name not in ALLOWED and module.folder not in OTHER_PEOPLES_SYSTEMS
        for line, name in asked(module.tree)
    ]
    assert not found, "\n".join(found)


def test_a_call_of_the_system_clock_is_noticed() -> None:
    tree = ast.parse("import datetime\nx = datetime.datetime.now(datetime.UTC)\n")
    assert asked(tree) == [(2, "datetime.datetime.now")]
