"""Odoo: any model of any version with JSON-2, JSON-RPC or XML-RPC."""

from isthmus.connectors.odoo.connector import OdooConnector
from isthmus.connectors.odoo.settings import OdooSettings
from isthmus.sdk import ConnectorKind

connector = ConnectorKind(
    key="odoo",
    name="Odoo",
    summary="Odoo ERP, community or enterprise: contacts, products, documents and custom models.",
    settings=OdooSettings,
    build=OdooConnector,
    rate_of=lambda settings: settings.rate(),
    support="certified",
    known_limits=(
        "Tested with Odoo 19 over JSON-2, JSON-RPC and XML-RPC; versions 14 to 18 speak the same but are untested.",
        "Deletions are not told by polling; automations tell them, and the Sweep finds them.",
        "Without the guarded-write action an edit made between our last look and our write can be overwritten.",
        "Records are archived, never deleted.",
    ),
)

__all__ = ["OdooConnector", "OdooSettings", "connector"]
