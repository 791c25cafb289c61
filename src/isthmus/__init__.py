"""Isthmus keeps Odoo ERP and BNG in agreement, and proves it."""

__version__ = "0.1.0"
