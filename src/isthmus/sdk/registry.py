"""Which connectors are installed: found by the entry point group `isthmus.connectors`, in this package or any other."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ValidationError

from isthmus.errors import Misconfigured
from isthmus.model.secret import Secret
from isthmus.sdk.connector import Connector
from isthmus.sdk.limits import Rate
from isthmus.sdk.services import Services

GROUP = "isthmus.connectors"
Make = Callable[[Any, Services], Connector]


def _default_rate(settings: Any) -> Rate:
    return Rate()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorKind:
    """One kind of system: its names, the form of its settings, and how a Connector is made.

    `settings` is a pydantic model; its fields of type `Secret` are the secrets. `build` gets a validated instance
    of it. `rate` says how fast such a connection may be called unless told otherwise. `sandbox` is a summary of
    how to start a stand-in for tests; `manifest` is the connector's description as data, when it has one.
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
    """The installed connector of this key; raises Misconfigured listing the known ones."""
    points = _points()
    if key not in points:
        near = difflib.get_close_matches(key, points, n=1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        raise Misconfigured(
            f"looking for the connector {key!r}: it is not installed",
            hint=f"Installed are {', '.join(sorted(points)) or 'none'}.{meant} Install the package that brings it.",
            facts={"key": key, "installed": sorted(points)},
        )
    return _load(points[key])


def installed() -> list[ConnectorKind]:
    """Every installed connector, by key."""
    return [_load(point) for _, point in sorted(_points().items())]


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


def _is_secret(spec: Mapping[str, Any]) -> bool:
    options = [spec, *spec.get("anyOf", ()), spec.get("items", {})]
    return any(option.get("format") == "password" for option in options)
