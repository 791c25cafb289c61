"""Keys are the numbers at the end of Shopify's global ids; a level of stock has two, `ITEM/LOCATION`."""

from __future__ import annotations


def gid(kind: str, key: str) -> str:
    """The global id of a key: `gid://shopify/Order/1001`."""
    return f"gid://shopify/{kind}/{key}"


def key_of(text: str | None) -> str | None:
    """The key in a global id."""
    return None if not text else text.rpartition("/")[2].partition("?")[0]


def is_key(key: str) -> bool:
    """Whether this can be a key at all."""
    return key.isascii() and key.isdigit() and len(key) < 20


def level_key(item: str | None, location: str | None) -> str:
    """The key of a level of stock."""
    return f"{key_of(item)}/{key_of(location)}"


def level_parts(key: str) -> tuple[str, str] | None:
    """Item and location of a level's key; None when it is none."""
    item, _, location = key.partition("/")
    return (item, location) if is_key(item) and is_key(location) else None
