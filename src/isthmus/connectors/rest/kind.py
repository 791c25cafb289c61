"""Makes an installable connector out of a manifest alone, and the general one that takes any manifest as a setting."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from isthmus.connectors.rest.connector import RestConnector
from isthmus.connectors.rest.manifest import Manifest, parse_manifest, parse_yaml, read_yaml
from isthmus.connectors.rest.scaffolding import scaffold
from isthmus.connectors.rest.settings import RestSettings
from isthmus.connectors.rest.stand_in import standing_in
from isthmus.sdk import ConnectorKind, Misconfigured, Services


def rest_kind(path: Path, *, connector: type[RestConnector] = RestConnector) -> ConnectorKind:
    """The ConnectorKind of the system that the manifest at `path` describes; a connection may override its parts."""
    data = read_yaml(path)
    manifest = parse_manifest(data, path.name)

    def build(settings: RestSettings, services: Services) -> RestConnector:
        mine = parse_manifest(data, path.name, settings.overrides) if settings.overrides else manifest
        return connector(mine, settings, services)

    return ConnectorKind(
        key=manifest.key,
        name=manifest.name,
        summary=manifest.summary,
        settings=RestSettings,
        build=build,
        rate_of=lambda settings: settings.rate(manifest),
        support=manifest.support,
        known_limits=manifest.known_limits,
        manifest=manifest,
        stand_in=lambda: standing_in(manifest),
    )


class DescribedSettings(RestSettings):
    """A connection to a system that has no package of its own: its manifest comes with the settings."""

    manifest: dict[str, Any] | str = Field(description="The manifest: as data, as YAML text, or the path of its file.")

    def described(self) -> Manifest:
        """The manifest with the overrides laid over it; raises Misconfigured."""
        return parse_manifest(_data(self.manifest), "of this connection", self.overrides)


def general_kind() -> ConnectorKind:
    """The connector `rest`: any described REST system."""

    def build(settings: DescribedSettings, services: Services) -> RestConnector:
        return RestConnector(settings.described(), settings, services)

    return ConnectorKind(
        key="rest",
        name="Any REST system",
        summary="A system described by a manifest: paths, fields, paging, login, limits.",
        settings=DescribedSettings,
        build=build,
        rate_of=lambda settings: settings.rate(settings.described()),
        of_file=rest_kind,
        scaffold=scaffold,
    )


def _data(given: Mapping[str, Any] | str) -> Mapping[str, Any]:
    if isinstance(given, Mapping):
        return given
    if "\n" not in given and given.endswith((".yaml", ".yml")):
        return read_yaml(Path(given))
    try:
        found = parse_yaml(given)
    except yaml.YAMLError as error:
        raise Misconfigured(f"reading the manifest of this connection: {error}", hint="Correct the YAML.") from error
    if not isinstance(found, dict):
        raise Misconfigured("reading the manifest of this connection: it holds no mapping", hint="Correct the YAML.")
    return found
