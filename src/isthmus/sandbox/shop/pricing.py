"""What an order comes to: discounts, shipping and taxes, in the shop's and the shopper's currency, to the cent.

Every amount is rounded in each currency by itself and sums are sums of rounded amounts, so totals add up in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from .money import Bag, Currencies, amount_text


class Discount(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A percentage, or a fixed amount in the shop's currency; with a code, or with a title by hand."""

    kind: str = "percentage"
    value: Decimal
    code: str | None = None
    title: str = "Discount"


class Tax(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A tax on every taxable line and on shipping; `rate` 0.19 is 19 per cent."""

    title: str
    rate: Decimal


class Line(msgspec.Struct, kw_only=True):
    """What is bought; `price` per unit in the shop's currency. `current` is what is left after edits and removals."""

    id: str = ""
    variant: str | None = None
    product: str | None = None
    item: str | None = None
    title: str = ""
    variant_title: str | None = None
    sku: str | None = None
    vendor: str | None = None
    quantity: int = 1
    current: int = 1
    price: Decimal = Decimal(0)
    taxable: bool = True
    requires_shipping: bool = True
    discount: Discount | None = None
    attributes: list[dict[str, str]] = []


class Shipping(msgspec.Struct, kw_only=True):
    """A way of shipping and its price in the shop's currency."""

    id: str = ""
    title: str = "Standard"
    code: str | None = None
    price: Decimal = Decimal(0)
    taxable: bool = True
    discount: Discount | None = None


class Basket(msgspec.Struct, kw_only=True):
    """Everything an order's amounts follow from. `rate` is shopper's currency per unit of the shop's."""

    currency: str
    presentment: str
    rate: Decimal = Decimal(1)
    taxes_included: bool = False
    lines: list[Line] = []
    shipping: list[Shipping] = []
    discounts: list[Discount] = []
    taxes: list[Tax] = []

    @property
    def currencies(self) -> Currencies:
        """The two currencies."""
        return Currencies(self.currency, self.presentment, self.rate)


@dataclass(slots=True)
class Priced:
    """One line or one way of shipping with its amounts."""

    of: Line | Shipping
    quantity: int
    unit: Bag
    original: Bag
    discounted: Bag
    allocations: list[tuple[int, Bag]] = field(default_factory=list)
    taxes: list[tuple[Tax, Bag]] = field(default_factory=list)

    @property
    def net(self) -> Bag:
        """After every discount."""
        return self.original - self.discount

    @property
    def discount(self) -> Bag:
        """All discounts together."""
        return self.original.of.total(bag for _, bag in self.allocations)

    @property
    def tax(self) -> Bag:
        """All taxes together."""
        return self.original.of.total(bag for _, bag in self.taxes)


@dataclass(slots=True)
class Bill:
    """The amounts of an order."""

    currencies: Currencies
    taxes_included: bool
    lines: list[Priced]
    shipping: list[Priced]
    applications: list[dict[str, Any]]

    @property
    def subtotal(self) -> Bag:
        """Lines after discounts."""
        return self.currencies.total(line.net for line in self.lines)

    @property
    def shipping_total(self) -> Bag:
        """Shipping after discounts."""
        return self.currencies.total(one.net for one in self.shipping)

    @property
    def discounts(self) -> Bag:
        """Every discount."""
        return self.currencies.total(one.discount for one in (*self.lines, *self.shipping))

    @property
    def tax(self) -> Bag:
        """Every tax, included ones too."""
        return self.currencies.total(one.tax for one in (*self.lines, *self.shipping))

    @property
    def total(self) -> Bag:
        """What is to be paid."""
        net = self.subtotal + self.shipping_total
        return net if self.taxes_included else net + self.tax

    def tax_lines(self) -> list[dict[str, Any]]:
        """The taxes of the whole order by title."""
        sums: dict[str, tuple[Tax, Bag]] = {}
        for one in (*self.lines, *self.shipping):
            for tax, bag in one.taxes:
                known = sums.get(tax.title)
                sums[tax.title] = (tax, bag if known is None else known[1] + bag)
        return [tax_line(tax, bag) for tax, bag in sums.values()]


def bill(basket: Basket, quantities: Sequence[int]) -> Bill:
    """The amounts when so many of each line are bought."""
    money = basket.currencies
    applications: list[dict[str, Any]] = []
    lines = [_priced(money, line, count, applications) for line, count in zip(basket.lines, quantities, strict=True)]
    shipping = [_priced(money, one, 1, applications) for one in basket.shipping]
    for discount in basket.discounts:
        _across(money, discount, lines, applications)
    for one in (*lines, *shipping):
        if one.of.taxable:
            one.taxes = _taxes(money, one.net, basket.taxes, basket.taxes_included)
    return Bill(money, basket.taxes_included, lines, shipping, applications)


def _priced(money: Currencies, of: Line | Shipping, count: int, applications: list[dict[str, Any]]) -> Priced:
    unit = money.bag(of.price)
    original = unit.times(count)
    priced = Priced(of, count, unit, original, original)
    if of.discount is not None:
        taken = _amount(money, of.discount, original)
        kind = "LINE_ITEM" if isinstance(of, Line) else "SHIPPING_LINE"
        applications.append(_application(of.discount, len(applications), "EACH", "EXPLICIT", kind, money.shop))
        priced.allocations.append((len(applications) - 1, taken))
        if of.discount.code is None:
            priced.discounted = original - taken
    return priced


def _across(money: Currencies, discount: Discount, lines: Sequence[Priced], applications: list[dict[str, Any]]) -> None:
    """A discount of the whole order, spread over its lines; the last one takes what rounding leaves."""
    whole = money.total(line.net for line in lines)
    taken = _amount(money, discount, whole)
    applications.append(_application(discount, len(applications), "ACROSS", "ALL", "LINE_ITEM", money.shop))
    left = taken
    for number, line in enumerate(lines):
        part = left if number == len(lines) - 1 else taken.share(line.net, whole)
        part = part.at_most(line.net)
        left = left - part
        line.allocations.append((len(applications) - 1, part))


def _amount(money: Currencies, discount: Discount, of: Bag) -> Bag:
    if discount.kind == "percentage":
        return of.times(discount.value / 100)
    return money.bag(discount.value).at_most(of)


def _taxes(money: Currencies, net: Bag, taxes: Sequence[Tax], included: bool) -> list[tuple[Tax, Bag]]:
    rates = sum((tax.rate for tax in taxes), Decimal(0))
    return [(tax, net.times(tax.rate / (1 + rates) if included else tax.rate)) for tax in taxes]


def tax_line(tax: Tax, bag: Bag) -> dict[str, Any]:
    """As a TaxLine."""
    return {
        "title": tax.title,
        "rate": float(tax.rate),
        "ratePercentage": float(tax.rate * 100),
        "priceSet": bag.told(),
        "channelLiable": False,
    }


def allocation(index: int, bag: Bag) -> dict[str, Any]:
    """As a DiscountAllocation; the application is found by its place in the order."""
    return {"allocatedAmountSet": bag.told(), "application": index}


def _application(
    discount: Discount, index: int, method: str, selection: str, kind: str, currency: str
) -> dict[str, Any]:
    value: dict[str, Any] = (
        {"__typename": "PricingPercentageValue", "percentage": float(discount.value)}
        if discount.kind == "percentage"
        else {"__typename": "MoneyV2", "amount": amount_text(discount.value), "currencyCode": currency}
    )
    shared = {"index": index, "allocationMethod": method, "targetSelection": selection, "targetType": kind}
    if discount.code is not None:
        return {"__typename": "DiscountCodeApplication", **shared, "value": value, "code": discount.code}
    return {"__typename": "ManualDiscountApplication", **shared, "value": value, "title": discount.title}
