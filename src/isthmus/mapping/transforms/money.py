"""Money with its currency: amounts that name their currency, converted on dated rates only when written."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pydantic import Field

from isthmus.mapping.problem import TransformProblem, show
from isthmus.mapping.transform import Build, Example, Step, Transform
from isthmus.mapping.transforms.number import as_decimal, rounded
from isthmus.mapping.transforms.text import as_text
from isthmus.mapping.validity import is_currency
from isthmus.model.canonical import plain_decimal


class Currency(Transform):
    """Reads a currency as its ISO 4217 code in capitals; one that does not exist is held."""

    name = "currency"
    label = "Currency"
    group = "money"
    examples = (
        Example(raw=" usd", value="USD", back="USD"),
        Example(raw="Talers", problem="is not a currency"),
    )

    def build(self, at: Build) -> Step:
        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            code = as_text(value).strip().upper()
            if code and not is_currency(code):
                raise TransformProblem(f"{show(value)!r} is not a currency", value)
            return code or None

        return self.step(read, read)


class Money(Transform):
    """Reads an amount with its currency; writing converts on the day's rate where the record's currency differs.

    What is read never depends on a rate, so a rate that moves is not an edit. The canonical value is
    `{amount: "12.50", currency: "USD"}`, the amount as exact text.
    """

    name = "money"
    label = "Amount in a currency"
    group = "money"
    takes = "parts"
    examples = (
        Example(
            raw={"amount": Decimal("12.50"), "currency": "USD"},
            value={"amount": "12.5", "currency": "USD"},
            back={"amount": Decimal("12.50")},
            record={"amount": Decimal("12.50"), "currency": "USD"},
            options={"scale": 2},
        ),
        Example(
            value={"amount": "100", "currency": "EUR"},
            back={"amount": Decimal("110.00")},
            record={"amount": Decimal(1), "currency": "USD"},
            options={"scale": 2},
        ),
        Example(raw={"amount": Decimal(5), "currency": None}, problem="no currency is known"),
        Example(
            raw={"amount": Decimal(0), "currency": "USD"}, value=None, back={"amount": Decimal(0)},
            options={"zero_is_empty": True, "empty": 0},
        ),
    )  # fmt: skip

    currency: str | None = Field(None, description="Currency of records that name none, and of new records.")
    scale: int | None = Field(None, ge=0, le=12, description="Decimal places written; default: the field's own.")
    empty: Decimal | None = Field(None, description="What an empty amount is written as, where there is no empty.")
    zero_is_empty: bool = Field(False, description="Read zero as nothing, where the system has no empty amount.")
    writes_currency: bool = Field(True, description="Write the currency where the record has none yet.")

    def build(self, at: Build) -> Step:
        own, empty, rates = self.currency or None, self.empty, at.rates
        scale = self.scale if self.scale is not None else (at.raw.scale if at.raw else None)
        currency_path, zero_is_empty = at.paths.get("currency", ""), self.zero_is_empty
        can_write = self.writes_currency and bool(currency_path)

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            amount = value.get("amount")
            if amount is None or amount == "":
                return None
            currency = value.get("currency") or own
            if not isinstance(currency, str):
                raise TransformProblem(f"no currency is known for the amount {show(amount)}", amount)
            number = as_decimal(amount)
            if zero_is_empty and number == 0:
                return None
            return {"amount": plain_decimal(number), "currency": currency.strip().upper()}

        def convert(amount: Decimal, source: str, target: str) -> Decimal:
            if source == target:
                return amount
            rate = rates.rate(source, target) if rates is not None else None
            if rate is None:
                day = f" of {rates.on}" if rates is not None else ""
                raise TransformProblem(f"no rate{day} from {source} to {target} is known", f"{amount} {source}")
            # Without a scale the digits of a quotient would never end.
            return rounded(amount * rate, 6 if scale is None else scale)

        def write(value: Any, record: Mapping[str, Any]) -> Any:
            if value is None:
                return {"amount": empty}
            amount, currency = as_money(value)
            now = record.get(currency_path) or own
            target = str(now).strip().upper() if now else currency
            amount = convert(amount, currency, target)
            out: dict[str, Any] = {"amount": amount if scale is None else rounded(amount, scale)}
            if can_write and not record.get(currency_path):
                out["currency"] = target
            return out

        return self.step(read, write, sees_empty=True)


def as_money(value: Any) -> tuple[Decimal, str]:
    """The amount and currency of a canonical money value."""
    if not isinstance(value, Mapping) or not isinstance(value.get("currency"), str):
        raise TransformProblem(f"expected an amount with its currency, got {show(value)}", value)
    return as_decimal(value.get("amount")), str(value["currency"])
