"""An Odoo-compatible server for demos, benchmarks and quick tests: master data over Odoo 19's own protocols."""

from .app import Running, create_app, running
from .settings import Settings

__all__ = ["Running", "Settings", "create_app", "running"]
