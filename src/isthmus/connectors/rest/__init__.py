"""Any REST system that a manifest describes; `rest_kind` makes a connector of a manifest file."""

from isthmus.connectors.rest.connector import RestConnector
from isthmus.connectors.rest.kind import general_kind, rest_kind
from isthmus.connectors.rest.manifest import Manifest, load_manifest
from isthmus.connectors.rest.settings import RestSettings

connector = general_kind()

__all__ = ["Manifest", "RestConnector", "RestSettings", "connector", "general_kind", "load_manifest", "rest_kind"]
