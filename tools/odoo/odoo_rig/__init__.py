"""The pieces that bring up a real Odoo 19 with its own PostgreSQL for tests and demos."""
