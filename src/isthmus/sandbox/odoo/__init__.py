"""An Odoo-compatible server for demos, benchmarks and quick tests: master data over Odoo 19's own protocols."""

from .app import Running, create_app, running
from .rest import MANIFEST as REST_MANIFEST
from .settings import Settings

__all__ = ["REST_MANIFEST", "Running", "Settings", "create_app", "running"]
