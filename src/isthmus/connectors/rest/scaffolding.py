"""Makes a new connector package of a name, or of a system's OpenAPI document: its tests pass before it is touched."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from importlib import resources
from string import Template
from typing import Any

import yaml

from isthmus.connectors.rest.drafting import draft
from isthmus.connectors.rest.manifest import parse_manifest, parse_yaml
from isthmus.connectors.rest.sampling import scenario_of
from isthmus.sdk import Misconfigured
from isthmus.sdk.registry import Scaffold

_KEY = re.compile(r"[a-z][a-z0-9_]{1,39}")


def scaffold(key: str, document: Mapping[str, Any] | None = None) -> Scaffold:
    """The files of the package `isthmus-KEY`; raises Misconfigured for a key that cannot be one."""
    doing = f"making the connector {key!r}"
    if not _KEY.fullmatch(key) or keyword.iskeyword(key):
        raise Misconfigured(
            f"{doing}: that is no key",
            hint="A key has small letters, digits and underscores, and begins with a letter: acme_crm.",
        )
    title = key.replace("_", " ").title()
    doubts: tuple[str, ...] = ()
    if document is None:
        text = _form("manifest.yaml.txt", key=key, title=title)
    else:
        drafted = draft(document, key, str((document.get("info") or {}).get("title") or title))
        doubts = tuple(drafted.doubts)
        text = _manifest_text(drafted.manifest, doubts)
    manifest = parse_manifest(parse_yaml(text), f"of {key}")
    package, title = f"isthmus_{key}", manifest.name
    names = {
        "key": key,
        "title": title,
        "package": package,
        "distribution": package.replace("_", "-"),
        "klass": f"Test{key.title().replace('_', '')}",
        "entities": "\n".join(
            f"- `{name}`: {spec.label or name}, at `{spec.path}`" for name, spec in manifest.entities.items()
        ),
        "doubts": "\n".join(f"- {doubt}" for doubt in doubts)
        or "- nothing: compare the manifest with the system's documentation",
    }
    return Scaffold(
        files={
            "pyproject.toml": _form("pyproject.toml.txt", **names),
            "README.md": _form("README.md.txt", **names),
            f"src/{package}/__init__.py": _form("package.py.txt", **names),
            f"src/{package}/manifest.yaml": text,
            f"tests/test_{key}.py": _form("test.py.txt", **names),
            "tests/scenario.yaml": _dumped(scenario_of(manifest)),
        },
        doubts=doubts,
    )


def _manifest_text(manifest: Mapping[str, Any], doubts: tuple[str, ...]) -> str:
    head = [f"# {manifest['name']}, drafted from its OpenAPI document."]
    if doubts:
        head += ["# Look at these before trusting it:", *(f"# - {doubt}" for doubt in doubts)]
    return "\n".join(head) + "\n" + _dumped(manifest)


def _dumped(data: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)
    return text


def _form(name: str, **places: str) -> str:
    """A file of the package to be, its places filled in."""
    text = (resources.files(__package__) / "package_form" / name).read_text(encoding="utf-8")
    return Template(text).substitute(places)
