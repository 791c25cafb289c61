"""Made-up tax ids whose check digits are right, by country."""

from __future__ import annotations

from functools import lru_cache
from itertools import product

_FORMS = {
    "DE": ("DE1{n:07}", 1, ""),
    "GB": ("GB{n:07}", 2, ""),
    "IT": ("IT{n:07}015", 1, ""),
    "ES": ("ESB{n:07}", 1, ""),
    "NL": ("NL1{n:07}", 1, "B01"),
}
"""Country: the form of what stands before the check digits, how many of these there are, and what follows."""


@lru_cache(maxsize=4096)
def tax_id(country: str, number: int) -> str:
    """A tax id of this country, different for every number below a million."""
    from stdnum import get_cc_module

    if country == "US":
        return f"{(10, 20, 36, 47, 58, 61, 73, 82, 95)[number % 9]}{1_000_000 + number}"
    if country == "CA":
        return _first_valid(get_cc_module("CA", "bn"), f"7{number:07}", 1, "")
    if country == "FR":
        siren = _first_valid(get_cc_module("FR", "siren"), f"5{number:07}", 1, "")
        return f"FR{(12 + 3 * (int(siren) % 97)) % 97:02}{siren}"
    form, digits, after = _FORMS[country]
    for shift in range(10):
        # Some numbers have no check digit at all; the next ones, far outside of what is asked for, do.
        try:
            return _first_valid(
                get_cc_module(country, "vat"), form.format(n=1_000_000 * (1 + shift % 9) + number), digits, after
            )
        except StopIteration:
            continue
    raise ValueError(f"no tax id for {country} {number}")


def _first_valid(module: object, before: str, digits: int, after: str) -> str:
    tries = ("".join(combination) for combination in product("0123456789", repeat=digits))
    return next(f"{before}{end}{after}" for end in tries if module.is_valid(f"{before}{end}{after}"))  # type: ignore[attr-defined]  # the library is untyped
