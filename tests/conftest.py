"""Registers the fixtures that tests of several kinds share."""

pytest_plugins = ["real_odoo", "database", "joined", "covered"]
