"""Imports point inward only."""

from __future__ import annotations

import ast

from source_tree import Module, imports, product

CORE = {"errors", "model"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "model": {"errors"},
    "security": CORE,
    "sdk": CORE,
    "mapping": CORE,
    "store": CORE | {"security"},
    "connectors": CORE | {"sdk"},
    "testing": CORE | {"sdk"},
    "sandbox": set(),
    "engine": CORE | {"sdk", "store"},
    "sync": CORE | {"sdk", "mapping", "store"},
    "detect": CORE | {"sdk", "store", "sync"},
    "audit": CORE | {"store"},
    "reconcile": CORE | {"sdk", "mapping", "engine", "store", "sync"},
    "assist": CORE | {"sdk", "mapping", "engine", "store", "sync"},
    "flows": CORE | {"sdk", "mapping", "engine", "store", "sync"},
    "operate": CORE
    | {"sdk", "mapping", "engine", "store", "security", "sync", "detect", "audit", "reconcile", "flows"},
    "api": CORE | {"sdk", "mapping", "store", "security", "sync", "detect", "operate", "flows", "assist", "reconcile"},
    "cli": CORE | {"sdk", "mapping", "store", "security", "operate", "api", "testing", "sandbox", "demo", "flows"},
    "demo": CORE | {"operate", "security", "store", "sandbox"},
    "__init__": set(),
    "__main__": {"cli"},
}
"""What each part of the house may import, besides itself. `sandbox` stands for other people's systems: nothing."""

SHARED_BY_ALL = {"model.card"}
"""Pure functions that even stand-ins use: what looks like a card number is one question with one answer."""

RUNS_SANDBOXES = {"cli.sandbox", "cli.demo"}
"""The only modules that start the stand-ins."""

SYSTEMS = {"odoo", "bng", "bng_gateway", "shopify"}
KNOW_SYSTEMS = {"connectors", "sandbox", "testing", "demo"}
NAMES_AS_DATA = {"sdk.webhook"}
"""Ways of signing a webhook are called by who invented them; other connectors choose among them."""
DEMONSTRATES = {"cli.demo", "cli.sandbox", "operate.demo"}
"""Modules that show the product on two given systems, and so name them."""


def crossing(module: Module) -> list[str]:
    """Imports of this module that its part of the house may not make."""
    allowed = MAY_IMPORT.get(module.folder)
    if allowed is None:
        return [f"{module.path}: {module.folder} is not on the plan of the house"]
    found = []
    for line, name in imports(module.tree):
        part = name.split(".")[0]
        inside = part in ("__version__", module.folder) or part in allowed or name in SHARED_BY_ALL
        sandbox = part == "sandbox" and module.folder == "cli" and not _demonstrates(module)
        if not inside or sandbox:
            found.append(f"{module.path}:{line} imports isthmus.{name}")
    return found


def _demonstrates(module: Module) -> bool:
    return any(module.name == name or module.name.startswith(name) for name in RUNS_SANDBOXES)


def test_imports_point_inward_only() -> None:
    found = [line for module in product() for line in crossing(module)]
    assert not found, "\n".join(found)


def test_an_outward_import_is_noticed() -> None:
    text = "from isthmus.operate.runtime import Runtime\n"
    module = Module("sync.lane", "sync/lane.py", text, ast.parse(text))
    assert crossing(module) == ["sync/lane.py:1 imports isthmus.operate.runtime"]


def test_a_connector_imports_nothing_of_another_connector() -> None:
    """Only the general REST connector may be built upon."""
    found = []
    for module in product():
        if module.folder != "connectors" or module.name == "connectors":
            continue
        own = module.name.split(".")[1]
        for line, name in imports(module.tree):
            parts = name.split(".")
            if parts[0] == "connectors" and parts[1:2] not in ([own], ["rest"]):
                found.append(f"{module.path}:{line} imports isthmus.{name}")
    assert not found, "\n".join(found)


def test_only_connectors_and_stand_ins_know_a_system_by_name() -> None:
    found = []
    for module in product():
        if (
            module.folder in KNOW_SYSTEMS
            or module.name in NAMES_AS_DATA
            or any(module.name.startswith(name) for name in DEMONSTRATES)
        ):
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Constant) and node.value in SYSTEMS:
                found.append(f"{module.path}:{node.lineno} names {node.value}")
    assert not found, "\n".join(found)


def test_an_import_inside_a_function_counts() -> None:
    text = "def work():\n    from isthmus.cli.main import main\n"
    module = Module("sdk.http", "sdk/http.py", text, ast.parse(text))
    assert crossing(module) == ["sdk/http.py:2 imports isthmus.cli.main"]
