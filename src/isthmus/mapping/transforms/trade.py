"""Transforms of trade documents: stages that only go forward, prices with discounts, taxes of a line, currencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import zip_longest
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import Field

from isthmus.mapping.lookups import Lookups
from isthmus.mapping.problem import TransformProblem, show
from isthmus.mapping.transform import Build, Example, Step, Transform
from isthmus.mapping.transforms.number import as_decimal, rounded
from isthmus.mapping.transforms.text import as_text
from isthmus.model.canonical import Ref, plain_decimal

CENT = Decimal("0.01")


class Stages(Transform):
    """Maps the words of a status in the order in which a document goes through them.

    Writing never takes a record back: one that is further along, or at a word in `holds`, stays as it is, except that
    the meanings in `always` are written whatever is there. Several words may have one meaning; the first is written.
    """

    name = "stages"
    label = "Stages of a document"
    group = "trade"
    main = "words"
    examples = (
        Example(raw="Open", value="draft", back="Draft", options={"words": {"Draft": "draft", "Open": "draft"}}),
        Example(
            raw="Shipped", value="shipped", back="Shipped", record={"x": "Shipped"},
            options={"words": {"Draft": "draft", "Shipped": "shipped"}},
        ),
        Example(raw="Odd", problem="none of", options={"words": {"Draft": "draft"}}),
    )  # fmt: skip

    words: dict[str, str] = Field(min_length=1, description="Raw word to canonical word, in order.")
    holds: list[str] = Field(default_factory=list, description="Raw words that are left as they are.")
    always: list[str] = Field(default_factory=list, description="Canonical words that are written in any case.")

    def build(self, at: Build) -> Step:
        words, holds, always = self.words, frozenset(self.holds), frozenset(self.always)
        rank = {raw: n for n, raw in enumerate(words)}
        path = at.paths.get("", "")

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            found = words.get(str(value).strip())
            if found is None:
                raise TransformProblem(f"{show(value)!r} is none of {', '.join(words)}", value)
            return found

        def write(value: Any, record: Mapping[str, Any]) -> Any:
            fitting = [raw for raw, meaning in words.items() if meaning == value and raw not in holds]
            if not fitting:
                raise TransformProblem(f"{show(value)!r} is none of {', '.join(dict.fromkeys(words.values()))}", value)
            now = record.get(path)
            if now in rank and words[now] != value and value in always:
                return fitting[0]
            if now in rank and (now in holds or rank[now] >= rank[fitting[0]]):
                return now
            return fitting[0]

        return self.step(read, write)


class LinePrice(Transform):
    """Reads quantity, price and discount of a line; where there is no place for an amount, it goes into the price.

    Parts: `quantity`, `price`, `discount` (per cent) and, where the system has it, `amount` (of the whole line). With
    `net`, the total without tax, a price that holds its tax is read as the price without it.
    """

    name = "line_price"
    label = "Price of a line"
    group = "trade"
    takes = "parts"
    examples = (
        Example(
            raw={"quantity": Decimal(3), "price": Decimal("9.99"), "discount": Decimal(0)},
            value={"quantity": Decimal(3), "unit_price": Decimal("9.99"), "discount_percent": None,
                   "discount_amount": None},
            back={"quantity": Decimal(3), "price": Decimal("9.99"), "discount": Decimal(0)},
        ),
        Example(
            raw={"quantity": Decimal(2), "price": Decimal("60.5"), "discount": Decimal(10), "net": Decimal(90)},
            value={"quantity": Decimal(2), "unit_price": Decimal(50), "discount_percent": Decimal(10),
                   "discount_amount": None},
            back={"quantity": Decimal(2), "price": Decimal(50), "discount": Decimal(10)},
        ),
    )  # fmt: skip

    price_scale: int = Field(6, ge=0, le=12, description="Decimal places of a price that a discount went into.")
    discount_scale: int | None = Field(
        None, ge=0, le=12, description="Decimal places of a discount in per cent; finer ones go into the price."
    )

    def build(self, at: Build) -> Step:
        amounts = "amount" in at.paths
        price_scale, scale = self.price_scale, self.discount_scale

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            percent, amount = _number(value.get("discount")), _number(value.get("amount"))
            quantity, price = value.get("quantity"), value.get("price")
            unit_price = None if price is None else as_decimal(price)
            if unit_price is not None and value.get("net") is not None:
                unit_price = _without_tax(unit_price, _number(quantity), percent, as_decimal(value["net"]), price_scale)
            return {
                "quantity": None if quantity is None else as_decimal(quantity),
                "unit_price": unit_price,
                "discount_percent": percent or None,
                "discount_amount": amount or None,
            }

        def write(value: Any, _record: Mapping[str, Any]) -> Any:
            quantity, price = _number(value.get("quantity")), _number(value.get("unit_price"))
            percent, amount = _number(value.get("discount_percent")), _number(value.get("discount_amount"))
            if percent and scale is not None and rounded(percent, scale) != percent:
                price, percent = rounded(price * (100 - percent) / 100, price_scale), Decimal(0)
            if amount and not amounts:
                if not quantity:
                    raise TransformProblem("a discount of an amount needs a quantity", str(amount))
                price, amount = rounded((quantity * price - amount) / quantity, price_scale), Decimal(0)
            out = {"quantity": quantity, "price": price, "discount": percent}
            return {**out, "amount": amount or None} if amounts else out

        return self.step(read, write)


def _without_tax(price: Decimal, quantity: Decimal, percent: Decimal, net: Decimal, scale: int) -> Decimal:
    """The price that makes the total without tax, where the price as it is does not."""
    times = quantity * (100 - percent) / 100
    if not times or abs(price * times - net) <= CENT:
        return price
    return rounded(net / times, scale)


class TaxNames(Transform):
    """Reads the taxes of a line by their names as one code, and whether they are part of the price.

    Taxes in the table `included` are part of it, those in `table` come on top. Several are joined by a plus sign.
    """

    name = "tax_names"
    label = "Taxes of a line by name"
    group = "trade"
    examples = (
        Example(raw=["7%", "2%"], value={"tax_code": "2%+7%", "tax_included": False}, back=["2%", "7%"]),
        Example(raw=[], value={"tax_code": None, "tax_included": False}, back=[]),
    )

    table: str = Field("tax", description="The look-up table of taxes that come on top.")
    included: str = Field("tax_included", description="The look-up table of taxes that are part of the price.")

    def build(self, at: Build) -> Step:
        table, included, lookups, system = self.table, self.included, at.lookups, at.system

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            names = [as_text(one).strip() for one in value or ()]
            inside = [lookups.to_canonical(included, system, name) for name in names]
            if any(inside):
                codes = [code or name for code, name in zip(inside, names, strict=True)]
            else:
                codes = [lookups.to_canonical(table, system, name) or name for name in names]
            return {"tax_code": _joined(codes), "tax_included": any(inside)}

        def write(value: Any, _record: Mapping[str, Any]) -> Any:
            codes = _codes(value.get("tax_code"))
            if not value.get("tax_included"):
                return [lookups.from_canonical(table, system, code) or code for code in codes]
            names = [lookups.from_canonical(included, system, code) for code in codes]
            if None in names or not codes:
                told = "+".join(codes) or "(none)"
                raise TransformProblem(
                    f"the price holds the tax {told}, and no tax is known that is part of a price: add it to the "
                    f"look-up table {included!r} with `isthmus lookup import`",
                    told,
                )
            return names

        return self.step(read, write, sees_empty=True)


class LineTax(Transform):
    """Reads the tax of a line by its code, or finds the code whose rate makes the tax amount.

    Parts: `code`, `included`, `amount`, `total` (of the line, without tax). Rates stand in the look-up table `rates`:
    the code, and in the system's column the rate in per cent. An amount that no rate makes is held.
    """

    name = "line_tax"
    label = "Tax of a line"
    group = "trade"
    takes = "parts"
    examples = (
        Example(
            raw={"code": "V21", "included": False, "amount": Decimal(21), "total": Decimal(100)},
            value={"tax_code": "V21", "tax_included": False}, back={"code": "V21", "included": False},
        ),
        Example(
            raw={"code": None, "included": None, "amount": None, "total": Decimal(100)},
            value={"tax_code": None, "tax_included": False}, back={"code": None, "included": False},
        ),
        Example(
            raw={"code": None, "included": False, "amount": Decimal(3), "total": Decimal(100)}, problem="no rate",
        ),
    )  # fmt: skip

    table: str = Field("tax", description="The look-up table of codes.")
    rates: str = Field("tax_rate", description="The look-up table of rates in per cent by code.")

    def build(self, at: Build) -> Step:
        table, rates, lookups, system = self.table, self.rates, at.lookups, at.system

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            told = value.get("code")
            codes = [lookups.to_canonical(table, system, code) or code for code in _codes(told)]
            amount = _number(value.get("amount"))
            if not codes and amount:
                codes = [_by_rate(lookups, rates, system, _number(value.get("total")), amount)]
            return {"tax_code": _joined(codes), "tax_included": bool(value.get("included"))}

        def write(value: Any, _record: Mapping[str, Any]) -> Any:
            codes = [lookups.from_canonical(table, system, code) or code for code in _codes(value.get("tax_code"))]
            return {"code": _joined(codes), "included": bool(value.get("tax_included"))}

        return self.step(read, write, sees_empty=True)


class DocumentCurrency(Transform):
    """Reads a document's currency; writing chooses the price list of that currency, where it is not in it already.

    Parts: `currency` and `pricelist` (by name, from the look-up table `pricelist`). The currency follows from the price
    list and cannot be written itself; documents without one are in the company's currency. A document whose currency
    cannot be written is held: its amounts would mean other money.
    """

    name = "document_currency"
    label = "Currency of a document"
    group = "trade"
    takes = "parts"
    examples = (
        Example(
            raw={"currency": "USD", "pricelist": None}, value="USD", back={}, options={"company": "USD"},
        ),
    )  # fmt: skip

    company: str | None = Field(None, description="The company's own currency.")
    table: str = Field("pricelist", description="Look-up table of price lists by currency.")

    def build(self, at: Build) -> Step:
        company, table, lookups, system = self.company or "", self.table, at.lookups, at.system

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            return value.get("currency")

        def write(value: Any, record: Mapping[str, Any]) -> Any:
            now, chosen = record.get(at.paths.get("currency", "")), record.get(at.paths.get("pricelist", ""))
            found = lookups.from_canonical(table, system, str(value))
            if value == now or (found is None and not now and value == company):
                return {}
            if found is None and value != company:
                raise TransformProblem(
                    f"no price list in {value} is known: add it to the look-up table {table!r} with "
                    "`isthmus lookup import`",
                    value,
                )
            if now and (chosen or None) == found:
                why = f"its price list is {found!r} already" if found else "it has no price list"
                raise TransformProblem(
                    f"it is in {now} and cannot become {value}, for {why}: put the look-up table {table!r} right with "
                    "`isthmus lookup import`",
                    value,
                )
            return {"pricelist": found}

        def implies(value: Any, written: Mapping[str, Any]) -> Any:
            return {at.paths["currency"]: value} if at.paths.get("pricelist") in written else {}

        return self.step(read, write, implies=implies, insists=True)


class DayAt(Transform):
    """Reads the day of a moment; a day is written as noon of it, and leaves a moment of that day as it is."""

    name = "day_at"
    label = "Day, kept as a moment"
    group = "trade"
    main = "zone"
    examples = (
        Example(
            raw=datetime(2026, 3, 1, 23, 30, tzinfo=UTC), value=date(2026, 3, 1),
            back=datetime(2026, 3, 1, 12, tzinfo=UTC),
        ),
    )  # fmt: skip

    zone: str = Field("UTC", description="The zone whose calendar counts.")

    def build(self, at: Build) -> Step:
        zone, path = ZoneInfo(self.zone), at.paths.get("", "")

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(zone).date()

        def write(value: Any, record: Mapping[str, Any]) -> Any:
            now = record.get(path)
            if isinstance(now, datetime) and read(now, record) == value:
                return now
            return datetime.combine(value, time(12), zone).astimezone(UTC)

        return self.step(read, write)


class Analytic(Transform):
    """Reads which analytic accounts bear a line: the one account, where it is one alone, and the shares of all.

    Parts: `ids` and `names` of the accounts, and `shares`, per cent by id (several ids of one share joined by commas).
    """

    name = "analytic"
    label = "Analytic distribution"
    group = "trade"
    takes = "parts"
    examples = (
        Example(
            raw={"ids": [4], "names": ["Berlin"], "shares": {"4": 100}},
            value={"cost_center": "Berlin", "dimensions": {"Berlin": "100"}}, one_way=True,
        ),
        Example(
            raw={"ids": [4, 5], "names": ["Berlin", "Rome"], "shares": {"4": 60, "5": 40}},
            value={"cost_center": None, "dimensions": {"Berlin": "60", "Rome": "40"}}, one_way=True,
        ),
    )  # fmt: skip

    def build(self, at: Build) -> Step:
        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            pairs = zip(value.get("ids") or (), value.get("names") or (), strict=False)
            known = {str(one): str(name) for one, name in pairs}
            shares: dict[str, str] = {}
            for key, share in (value.get("shares") or {}).items():
                for one in str(key).split(","):
                    shares[known.get(one, one)] = plain_decimal(as_decimal(share))
            only = next(iter(shares)) if len(shares) == 1 else None
            return {"cost_center": only, "dimensions": dict(sorted(shares.items())) or None}

        return self.step(read)


class Applications(Transform):
    """Reads which invoices a payment was matched with and with how much; writing names the invoices it is meant for.

    Parts: `debits`, `debit_amounts`, `credits`, `credit_amounts` (lists within lists, as matched lines give them),
    `invoices`, the ones it is meant for, and, where told, `debit_kinds` and `credit_kinds`: what is an `entry`, like
    that of another payment, is no invoice.
    """

    name = "applications"
    label = "Invoices paid"
    group = "trade"
    takes = "parts"
    examples = (
        Example(
            raw={"debits": [[7], []], "debit_amounts": [[Decimal(5)], []], "credits": None, "credit_amounts": None,
                 "invoices": [7]},
            value=[{"invoice": Ref("invoice", "7"), "amount": Decimal(5)}], back={"invoices": [7]},
        ),
    )  # fmt: skip

    to: str = Field("invoice", description="The Entity of the invoices.")

    def build(self, at: Build) -> Step:
        entity = self.to

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            found: dict[int, Decimal] = {}
            for side in ("debit", "credit"):
                ids, amounts = _flat(value.get(f"{side}s")), _flat(value.get(f"{side}_amounts"))
                kinds = _flat(value.get(f"{side}_kinds"))
                for one, amount, kind in zip_longest(ids, amounts, kinds):
                    if one and kind != "entry":
                        found[int(one)] = found.get(int(one), Decimal(0)) + _number(amount)
            return [{"invoice": Ref(entity, str(one)), "amount": amount} for one, amount in sorted(found.items())]

        def write(value: Any, _record: Mapping[str, Any]) -> Any:
            ids = []
            for row in value or ():
                invoice = row.get("invoice")
                if not isinstance(invoice, Ref) or not invoice.key.isdecimal():
                    raise TransformProblem(f"the invoice {show(invoice)} is not known on this side", invoice)
                ids.append(int(invoice.key))
            return {"invoices": sorted(ids)}

        return self.step(read, write, sees_empty=True)


def _flat(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return [one for inner in value for one in _flat(inner)]
    return [value]


def _number(value: Any) -> Decimal:
    return Decimal(0) if value in (None, "") else as_decimal(value)


def _codes(value: Any) -> list[str]:
    return [one for piece in as_text(value).split("+") if (one := piece.strip())] if value not in (None, "") else []


def _joined(codes: Sequence[str]) -> str | None:
    return "+".join(sorted(codes)) or None


def _by_rate(lookups: Lookups, table: str, system: str, total: Decimal, amount: Decimal) -> str:
    """The code whose rate makes this amount of this total, to the cent; the closest one where several do."""
    known = lookups.tables.get(table)
    found: list[tuple[Decimal, str]] = []
    for row in known.rows if known is not None else ():
        if system in row.values:
            off = abs(rounded(total * as_decimal(row.values[system]) / 100, 2) - amount)
            if off < CENT:
                found.append((off, row.canonical))
    if not found:
        raise TransformProblem(
            f"no rate of the look-up table {table!r} makes a tax of {amount} on {total}: name the tax code, or add the "
            "rate with `isthmus lookup import`",
            str(amount),
        )
    return min(found)[1]
