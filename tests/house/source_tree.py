"""The project's own source as syntax trees, read once for all house checks."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SRC = ROOT / "src" / "isthmus"


@dataclass(frozen=True)
class Module:
    """One Python file: `name` is dotted below the package, `path` relative to the project."""

    name: str
    path: str
    text: str
    tree: ast.Module

    @property
    def folder(self) -> str:
        """The part of the house it belongs to: the first name below the package."""
        return self.name.split(".")[0]

    @property
    def lines(self) -> int:
        return self.text.count("\n")


@cache
def product() -> tuple[Module, ...]:
    """Every module of the package."""
    return tuple(read(path) for path in sorted(SRC.rglob("*.py")))


@cache
def beside() -> tuple[Module, ...]:
    """Every other Python file of the project: tests, tools, benchmarks, examples."""
    folders = [ROOT / name for name in ("tests", "tools", "benchmarks", "examples")]
    return tuple(read(path) for folder in folders for path in sorted(folder.rglob("*.py")))


def read(path: Path) -> Module:
    """One file; `__init__` is the folder itself."""
    text = path.read_text()
    relative = path.relative_to(SRC if path.is_relative_to(SRC) else ROOT)
    parts = relative.with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
    return Module(name, path.relative_to(ROOT).as_posix(), text, ast.parse(text))


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and dotted name below the package of everything imported from the package, inside functions as well."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            if node.module == "isthmus":
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif node.module.startswith("isthmus."):
                yield node.lineno, node.module.removeprefix("isthmus.")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("isthmus."):
                    yield node.lineno, alias.name.removeprefix("isthmus.")


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method, nested ones too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@cache
def tracked() -> tuple[Path, ...]:
    """Every text file that belongs to the project: known to git or about to be, ignored ones left out."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:  # an unpacked archive has no history
        names = [p.relative_to(ROOT).as_posix() for p in ROOT.rglob("*") if not _private(p)]
    else:
        names = listed.stdout.splitlines()
    return tuple(path for name in names if (path := ROOT / name).is_file())


def _private(path: Path) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(ROOT).parts[:-1])
