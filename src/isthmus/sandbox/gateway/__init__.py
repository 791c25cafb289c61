"""A stand-in for the BNG Gateway: payment and query API, vault, settlement, webhooks, and faults on demand."""

from ..parts.delivery import WebhookTimes
from .app import Running, create_app, running
from .settings import Settings, Switches

__all__ = ["Running", "Settings", "Switches", "WebhookTimes", "create_app", "running"]
