"""What the demo starts with: records of both systems, and the end that each of them has to come to."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

End = Literal["agreed", "held", "left out"]
"""Agreed: linked and equal. Held: waits for a person. Left out: archived or without a key, so nothing is due."""

Values = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """One thing of the business as both systems know it (or one, or several records of one), and its expected end.

    Records are in each system's own words; references of Odoo (country, unit) stand by code or name. `kind` is the
    error class of a hold. `settled` are values (in the words of `fields.py`) that both sides must have in the end.
    """

    tag: str
    entity: str
    story: str
    odoo: Sequence[Values] = ()
    bng: Sequence[Values] = ()
    end: End = "agreed"
    kind: str = ""
    settled: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Story:
    """How many things go which way."""

    name: str
    count: int
    end: End = "agreed"
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Everything:
    """All seeds by Entity; the same for the same seed number."""

    customers: Sequence[Seed]
    products: Sequence[Seed]
    vendors: Sequence[Seed]

    def __iter__(self) -> Any:
        yield from (*self.vendors, *self.customers, *self.products)

    @property
    def counts(self) -> dict[str, int]:
        """Things by Entity."""
        return {"customer": len(self.customers), "product": len(self.products), "vendor": len(self.vendors)}


def everything(seed: int = 19) -> Everything:
    """1,000 customers, 500 products and 100 vendors."""
    from isthmus.demo.parties import customers, vendors
    from isthmus.demo.products import products

    return Everything(
        customers(random.Random(f"{seed} customers")),
        products(random.Random(f"{seed} products")),
        vendors(random.Random(f"{seed} vendors")),
    )
