"""Whether contact data has the form it should: e-mail, phone, currency."""

from __future__ import annotations

from functools import cache, lru_cache

_LOCAL = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.!#$%&'*+/=?^_`{|}~-")


@lru_cache(maxsize=65_536)
def is_email(text: str) -> bool:
    """Whether one address has the form local@domain.tld; nothing is looked up."""
    local, at, domain = text.rpartition("@")
    if not at or not 1 <= len(local) <= 64 or len(text) > 254:
        return False
    if not all(c in _LOCAL or (c > "\xa0" and c.isprintable()) for c in local):
        return False
    if local.startswith(".") or local.endswith(".") or ".." in local:
        return False
    labels = domain.split(".")
    return len(labels) > 1 and all(_is_label(label) for label in labels) and not labels[-1].isdecimal()


def _is_label(label: str) -> bool:
    return (
        1 <= len(label) <= 63
        and label.replace("-", "").isalnum()
        and not label.startswith("-")
        and not label.endswith("-")
    )


@lru_cache(maxsize=65_536)
def is_phone(text: str) -> bool:
    """Whether it is a number with its country code that could exist."""
    import phonenumbers

    try:
        return bool(phonenumbers.is_possible_number(phonenumbers.parse(text, None)))
    except phonenumbers.NumberParseException:
        return False


@cache
def _currencies() -> frozenset[str]:
    import pycountry

    return frozenset(currency.alpha_3 for currency in pycountry.currencies)


def is_currency(text: str) -> bool:
    """Whether it is an ISO 4217 code."""
    return text in _currencies()
