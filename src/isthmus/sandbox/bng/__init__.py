"""A stand-in for BNG: the whole Business API over HTTP, with storage, OAuth 2.0, webhooks and fault switches."""

from ..parts.delivery import WebhookTimes
from .app import Running, create_app, running
from .settings import Settings, Switches

__all__ = ["Running", "Settings", "Switches", "WebhookTimes", "create_app", "running"]
