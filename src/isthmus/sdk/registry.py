"""Which connectors there are: installed ones by entry point, described ones by a manifest in the user's folder."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ValidationError

from isthmus.errors import Misconfigured
from isthmus.model.secret import Secret
from isthmus.sdk.connector import Connector
from isthmus.sdk.limits import Rate
from isthmus.sdk.services import Services

GROUP = "isthmus.connectors"
FOLDERS = "ISTHMUS_CONNECTORS"
"""Names the folders of described systems; without it there is one, `connectors` in the installation's home."""

Make = Callable[[Any, Services], Connector]


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A running system to try a connector against: its address and what to log in with."""

    url: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaffold:
    """The files of a new connector package by path, and what a person should look at before trusting it."""

    files: Mapping[str, str]
    doubts: tuple[str, ...] = ()


def _default_rate(settings: Any) -> Rate:
    return Rate()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorKind:
    """One kind of system: its names, the form of its settings, and how a Connector is made.

    `settings` is a pydantic model; its fields of type `Secret` are the secrets. `build` gets a validated instance
    of it. `rate` says how fast such a connection may be called unless told otherwise. `manifest` is the connector's
    description as data, when it has one. `stand_in` starts a server that behaves as described, for tests. A general
    connector makes further kinds: `of_file` of a description in a file, `scaffold` a package of a name and perhaps
    the system's OpenAPI document.
    """

    key: str
    name: str
    summary: str
    settings: type[BaseModel]
    build: Make
    rate_of: Callable[[Any], Rate] = _default_rate
    support: str = "community"
    known_limits: tuple[str, ...] = ()
    manifest: Any = None
    stand_in: Callable[[], AbstractAsyncContextManager[Live]] | None = None
    of_file: Callable[[Path], ConnectorKind] | None = None
    scaffold: Callable[[str, Mapping[str, Any] | None], Scaffold] | None = None

    def secret_names(self) -> tuple[str, ...]:
        """The settings that are kept encrypted and never shown."""
        schema = self.settings.model_json_schema()
        return tuple(n for n, spec in schema.get("properties", {}).items() if _is_secret(spec))

    def parse(self, settings: Mapping[str, Any], secrets: Mapping[str, Secret] | None = None) -> BaseModel:
        """The validated settings; raises Misconfigured naming every field that is wrong, values of secrets left out."""
        try:
            return self.settings.model_validate({**settings, **(secrets or {})})
        except ValidationError as error:
            told = "; ".join(
                f"{'.'.join(str(part) for part in entry['loc']) or self.key}: {entry['msg']}"
                for entry in error.errors(include_input=False, include_url=False, include_context=False)
            )
            raise Misconfigured(
                f"reading the settings of a {self.name} connection: {told}",
                hint="Correct these settings with `isthmus connection add`.",
            ) from None

    def rate(self, settings: Mapping[str, Any], secrets: Mapping[str, Secret] | None = None) -> Rate:
        """How fast a connection with these settings may be called: make its Budget with this."""
        return self.rate_of(self.parse(settings, secrets))

    def make(self, settings: Mapping[str, Any], secrets: Mapping[str, Secret], services: Services) -> Connector:
        """A Connector bound to one connection; opens nothing yet. Raises Misconfigured for wrong settings."""
        return self.build(self.parse(settings, secrets), services)


def find(key: str) -> ConnectorKind:
    """The connector of this key, installed or described; raises Misconfigured listing the known ones."""
    points = _points()
    if key in points:
        return _load(points[key])
    described = _described()
    if key in described:
        return _of_file(key, described[key])
    known = sorted({*points, *described})
    near = difflib.get_close_matches(key, known, n=1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    raise Misconfigured(
        f"looking for the connector {key!r}: it is not installed",
        hint=f"Installed are {', '.join(known) or 'none'}.{meant} Install the package that brings it.",
        facts={"key": key, "installed": known},
    )


def installed() -> list[ConnectorKind]:
    """Every installed connector, by key."""
    return [_load(point) for _, point in sorted(_points().items())]


def described() -> list[ConnectorKind]:
    """Every system that a manifest in the user's folders describes, by key; an installed connector comes first."""
    points = _points()
    return [_of_file(key, path) for key, path in sorted(_described().items()) if key not in points]


def folders() -> list[Path]:
    """Where manifests of described systems are looked for."""
    told = os.environ.get(FOLDERS)
    if told:
        return [Path(part).expanduser() for part in told.split(os.pathsep) if part]
    return [Path(os.environ.get("ISTHMUS_HOME") or "~/.isthmus").expanduser() / "connectors"]


def kind_of(module: ModuleType | Any) -> ConnectorKind:
    """The ConnectorKind that a connector package exposes as `connector`."""
    found = getattr(module, "connector", module)
    if not isinstance(found, ConnectorKind):
        raise Misconfigured(
            f"loading the connector {getattr(module, '__name__', module)!r}: it exposes no ConnectorKind",
            hint="Give the package a module-level `connector = ConnectorKind(...)`.",
        )
    return found


def _points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def _load(point: EntryPoint) -> ConnectorKind:
    try:
        return kind_of(point.load())
    except ImportError as error:
        raise Misconfigured(
            f"loading the connector {point.name!r} from {point.value}: {error}",
            hint="Install its package again, with what it depends on.",
        ) from error


def _described() -> dict[str, Path]:
    """Key -> its manifest: `KEY.yaml`, or `KEY/manifest.yaml`."""
    found: dict[str, Path] = {}
    for folder in reversed(folders()):
        found.update({path.stem: path for path in folder.glob("*.yaml")})
        found.update({path.parent.name: path for path in folder.glob("*/manifest.yaml")})
    return found


_read: dict[Path, tuple[int, ConnectorKind]] = {}


def _of_file(key: str, path: Path) -> ConnectorKind:
    """The kind that a manifest describes, read again only when its file changed."""
    stamp = path.stat().st_mtime_ns
    known = _read.get(path)
    if known is not None and known[0] == stamp:
        return known[1]
    general = next((kind for kind in installed() if kind.of_file), None)
    if general is None or general.of_file is None:
        raise Misconfigured(
            f"reading {path}: no installed connector understands manifests",
            hint="Install isthmus again; its general REST connector is missing.",
        )
    kind = general.of_file(path)
    if kind.key != key:
        raise Misconfigured(
            f"reading {path}: its key is {kind.key!r}",
            hint=f"Name the file {kind.key}.yaml, or set its key to {key!r}.",
        )
    _read[path] = (stamp, kind)
    return kind


def _is_secret(spec: Mapping[str, Any]) -> bool:
    options = [spec, *spec.get("anyOf", ()), spec.get("items", {})]
    return any(option.get("format") == "password" for option in options)
