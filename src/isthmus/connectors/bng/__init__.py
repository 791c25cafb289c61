"""The BNG Business API: everything there is to say about it stands in manifest.yaml."""

from pathlib import Path

from isthmus.connectors.rest import rest_kind

connector = rest_kind(Path(__file__).with_name("manifest.yaml"))

__all__ = ["connector"]
