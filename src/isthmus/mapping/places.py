"""Countries and their subdivisions: names and codes to ISO 3166 and back."""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache

_ALSO = {
    "uk": "GB",
    "great britain": "GB",
    "england": "GB",
    "scotland": "GB",
    "wales": "GB",
    "northern ireland": "GB",
    "usa": "US",
    "u.s.a.": "US",
    "u.s.": "US",
    "united states of america": "US",
    "america": "US",
    "deutschland": "DE",
    "italia": "IT",
    "nederland": "NL",
    "the netherlands": "NL",
    "holland": "NL",
    "schweiz": "CH",
    "suisse": "CH",
    "svizzera": "CH",
    "osterreich": "AT",
    "espana": "ES",
    "belgie": "BE",
    "belgique": "BE",
    "south korea": "KR",
    "russia": "RU",
    "vietnam": "VN",
    "czech republic": "CZ",
    "turkey": "TR",
}


def fold(text: str) -> str:
    """Text for comparing: without case, accents and outer spaces."""
    plain = unicodedata.normalize("NFKD", text)
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).casefold().split())


@cache
def _countries() -> dict[str, str]:
    import pycountry

    found: dict[str, str] = dict(_ALSO)
    for country in pycountry.countries:
        for name in ("name", "official_name", "common_name", "alpha_3", "alpha_2"):
            value = getattr(country, name, None)
            if value:
                found[fold(value)] = country.alpha_2
    return found


@cache
def _subdivisions() -> dict[str, dict[str, str]]:
    """Per country, from folded name or code to the ISO 3166-2 code; names that mean two places are left out."""
    import pycountry

    out: dict[str, dict[str, str]] = {}
    twice: set[tuple[str, str]] = set()
    for place in pycountry.subdivisions:
        known = out.setdefault(place.country_code, {})
        for name in place.name.replace("[", ",").replace("]", ",").replace("/", ",").split(","):
            key = fold(name)
            if not key:
                continue
            if known.get(key, place.code) != place.code:
                twice.add((place.country_code, key))
            known[key] = place.code
    for country, key in twice:
        del out[country][key]
    for place in pycountry.subdivisions:
        # Codes win over names that happen to look like one.
        known = out[place.country_code]
        known[fold(place.code)] = place.code
        known[fold(place.code.partition("-")[2])] = place.code
    return out


def is_country(text: str) -> bool:
    """Whether it is an ISO 3166 alpha-2 code as it is written."""
    return len(text) == 2 and text.isupper() and _countries().get(text.casefold()) == text


@lru_cache(maxsize=4_096)
def country_code(text: str) -> str | None:
    """The alpha-2 code of a country given by code or name, or None."""
    return _countries().get(fold(text))


def country_name(code: str) -> str:
    """The usual English name of an alpha-2 code."""
    import pycountry

    found = pycountry.countries.get(alpha_2=code)
    return str(getattr(found, "common_name", found.name)) if found is not None else code


@lru_cache(maxsize=16_384)
def state_code(country: str, text: str) -> str | None:
    """The ISO 3166-2 code (`US-CA`) of a subdivision given by code or name, or None."""
    return _subdivisions().get(country, {}).get(fold(text.removesuffix(".")))


def short_state(code: str) -> str:
    """What people write for an ISO 3166-2 code: `CA` for `US-CA`."""
    return code.partition("-")[2] or code
