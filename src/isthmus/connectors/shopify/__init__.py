"""Shopify: orders, customers, products, stock, fulfilments and refunds of one shop, by its Admin GraphQL API."""

from isthmus.connectors.shopify.connector import ShopifyConnector
from isthmus.connectors.shopify.settings import ShopifySettings
from isthmus.sdk import ConnectorKind

connector = ConnectorKind(
    key="shopify",
    name="Shopify",
    summary="A shop on Shopify: orders, customers, products, stock, fulfilments and refunds.",
    settings=ShopifySettings,
    build=ShopifyConnector,
    rate_of=lambda settings: settings.rate(),
    support="certified",
    known_limits=(
        "Version 2026-07 of the Admin API is spoken; proven on the shop sandbox, not yet on a live shop.",
        "Customers, products and orders have no conditional writes: an edit made in the moment between our last look "
        "and our write can be overwritten. Levels of stock are compared and set in one step.",
        "Deletions are told by webhooks; the Sweep finds them otherwise.",
        "Of an order at most 100 fulfilments, refunds and transactions are read; lines without limit. Orders of more "
        "than 250 lines are not shipped or refunded from here.",
    ),
)

__all__ = ["ShopifyConnector", "ShopifySettings", "connector"]
