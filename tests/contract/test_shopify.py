"""The Shopify connector keeps the contract, against the shop sandbox over its GraphQL API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from isthmus.sandbox.shop import Settings, metafields, running
from isthmus.testing.contract import Live, contract

HERE = Path(__file__).parent / "shopify"


@asynccontextmanager
async def running_shop() -> AsyncIterator[Live]:
    """A fresh shop on a free port, which knows our external key: the first write of all would teach it."""
    async with running(Settings(access_token="shop-contract-token-1")) as up:
        store = up.shop.store
        with store.transaction():
            for owner in ("CUSTOMER", "PRODUCT", "PRODUCTVARIANT"):
                key = {"ownerType": owner, "namespace": "isthmus", "key": "external_key", "name": "Key", "type": "id"}
                metafields.define(store, key)
        yield Live(url=up.url)


TestShopify = contract("shopify", HERE, live=running_shop)
