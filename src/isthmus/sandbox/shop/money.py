"""Exact amounts in the shop's currency and the shopper's, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

_DIGITS = {"JPY": 0, "KRW": 0, "CLP": 0, "VND": 0, "ISK": 0, "KWD": 3, "BHD": 3, "OMR": 3, "TND": 3, "JOD": 3}


def digits(currency: str) -> int:
    """Decimal places of a currency."""
    return _DIGITS.get(currency, 2)


def rounded(amount: Decimal, currency: str) -> Decimal:
    """An amount in whole minor units, half up."""
    return amount.quantize(Decimal(1).scaleb(-digits(currency)), ROUND_HALF_UP)


def amount_text(amount: Decimal) -> str:
    """As Shopify writes a Decimal: no needless zeros, but one place at least."""
    text = format(amount.normalize() if amount else Decimal(0), "f")
    return text if "." in text else text + ".0"


def money_text(amount: Decimal, currency: str) -> str:
    """As Shopify writes the scalar Money: every place of the currency."""
    return format(rounded(amount, currency), "f")


@dataclass(frozen=True, slots=True)
class Currencies:
    """The shop's currency, the shopper's, and how much of the latter one unit of the former is."""

    shop: str
    presentment: str
    rate: Decimal = Decimal(1)

    def bag(self, amount: Decimal) -> Bag:
        """An amount of the shop's currency in both, each rounded."""
        return Bag(self, rounded(amount, self.shop), rounded(amount * self.rate, self.presentment))

    def none(self) -> Bag:
        """Nothing, in both."""
        return Bag(self, Decimal(0), Decimal(0))

    def total(self, bags: Iterable[Bag]) -> Bag:
        """The sum in both."""
        out = self.none()
        for bag in bags:
            out = out + bag
        return out

    def read(self, doc: Mapping[str, Any]) -> Bag:
        """The amounts in a document."""
        return Bag(self, Decimal(doc["shopMoney"]["amount"]), Decimal(doc["presentmentMoney"]["amount"]))


@dataclass(frozen=True, slots=True)
class Bag:
    """One amount in both currencies."""

    of: Currencies
    shop: Decimal
    presentment: Decimal

    def __add__(self, other: Bag) -> Bag:
        return Bag(self.of, self.shop + other.shop, self.presentment + other.presentment)

    def __sub__(self, other: Bag) -> Bag:
        return Bag(self.of, self.shop - other.shop, self.presentment - other.presentment)

    def times(self, factor: Decimal | int) -> Bag:
        """A share or a multiple, rounded in each currency."""
        return Bag(
            self.of,
            rounded(self.shop * factor, self.of.shop),
            rounded(self.presentment * factor, self.of.presentment),
        )

    def share(self, part: Bag, whole: Bag) -> Bag:
        """What of this falls on `part` of `whole`, in each currency by itself."""
        return Bag(
            self.of,
            rounded(self.shop * part.shop / whole.shop, self.of.shop) if whole.shop else Decimal(0),
            rounded(self.presentment * part.presentment / whole.presentment, self.of.presentment)
            if whole.presentment
            else Decimal(0),
        )

    def at_most(self, other: Bag) -> Bag:
        """The smaller of both, in each currency."""
        return Bag(self.of, min(self.shop, other.shop), min(self.presentment, other.presentment))

    def told(self) -> dict[str, Any]:
        """As a MoneyBag."""
        return {
            "shopMoney": {"amount": amount_text(self.shop), "currencyCode": self.of.shop},
            "presentmentMoney": {"amount": amount_text(self.presentment), "currencyCode": self.of.presentment},
        }
