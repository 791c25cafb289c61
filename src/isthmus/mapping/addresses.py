"""Addresses written as one text: split into parts by the country's own form and joined again; unsure means no."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import re2

from isthmus.mapping.places import country_code, fold, short_state, state_code
from isthmus.mapping.problem import TransformProblem, show

Parts = dict[str, str]

POSTAL_AFTER = "after"
"""City, state and postal code in this order: `Springfield, IL 62701` or `London, SW1A 1AA`."""
POSTAL_BEFORE = "before"
"""Postal code, then city: `10117 Berlin`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How one country writes the line with the city. `state` says whether the state stands in it."""

    postal: str
    order: str
    state: str = ""  # "" | before_postal | after_city
    house_apart: bool = False


_FORMS: Mapping[str, Form] = {
    "US": Form(postal=r"\d{5}(?:-\d{4})?", order=POSTAL_AFTER, state="before_postal"),
    "CA": Form(postal=r"[A-Za-z]\d[A-Za-z][ -]?\d[A-Za-z]\d", order=POSTAL_AFTER, state="before_postal"),
    "AU": Form(postal=r"\d{4}", order=POSTAL_AFTER, state="before_postal"),
    "GB": Form(postal=r"(?:GIR ?0AA|[A-Za-z]{1,2}\d[A-Za-z\d]? ?\d[A-Za-z]{2})", order=POSTAL_AFTER),
    "DE": Form(postal=r"(?:D-)?\d{5}", order=POSTAL_BEFORE),
    "AT": Form(postal=r"(?:A-)?\d{4}", order=POSTAL_BEFORE),
    "CH": Form(postal=r"(?:CH-)?\d{4}", order=POSTAL_BEFORE),
    "FR": Form(postal=r"(?:F-)?\d{5}", order=POSTAL_BEFORE, house_apart=True),
    "BE": Form(postal=r"(?:B-)?\d{4}", order=POSTAL_BEFORE),
    "NL": Form(postal=r"\d{4} ?[A-Za-z]{2}", order=POSTAL_BEFORE),
    "IT": Form(postal=r"(?:I-)?\d{5}", order=POSTAL_BEFORE, state="after_city", house_apart=True),
    "ES": Form(postal=r"\d{5}", order=POSTAL_BEFORE, house_apart=True),
    "PT": Form(postal=r"\d{4}-\d{3}", order=POSTAL_BEFORE, house_apart=True),
    "DK": Form(postal=r"(?:DK-)?\d{4}", order=POSTAL_BEFORE),
    "SE": Form(postal=r"(?:SE-)?\d{3} ?\d{2}", order=POSTAL_BEFORE),
}

COUNTRIES = tuple(_FORMS)
"""Countries whose addresses can be written as one text."""

_WHOLE = {country: re2.compile(f"^{form.postal}$") for country, form in _FORMS.items()}
_LEADING = {country: re2.compile(rf"^({form.postal})\s+(.+)$") for country, form in _FORMS.items()}
_TRAILING = {country: re2.compile(rf"^(.*\S)\s+({form.postal})$") for country, form in _FORMS.items()}
_ISO_STATE = re2.compile(r"^([A-Z]{2})-([A-Z0-9]{1,3})$")
_PROVINCE = re2.compile(r"^(.*\S)\s+\(?([A-Z]{2})\)?$")
_HOUSE = re2.compile(r"^\d{1,5}\s?[-/]?\s?(?:[A-Za-z]|bis|ter|quater|\d{1,4})?$")
_PREFIX = re2.compile(r"^[A-Z]{1,2}-(\d{4,5})$")
_DIGIT = re2.compile(r"\d")


def split_address(text: str, default_country: str | None = None) -> Parts:
    """The parts of an address in one text; TransformProblem where it can be read in more than one way.

    The parts are line1, line2, city, state (ISO 3166-2), postal_code and country (alpha-2), only those present.
    """
    segments = _segments(text)
    if not segments:
        return {}
    country, named = _country(segments, default_country)
    if country is None:
        raise _unsure(text, "it names no country that is known, and no default country is set")
    form = _FORMS.get(country)
    if form is None:
        raise _unsure(text, f"addresses of {country} cannot be read from one text; send the parts instead")
    rest = segments[:-1] if named else segments
    parts: Parts = {"country": country}
    rest = _take_iso_state(rest, country, parts, text)
    rest = (_city_before if form.order == POSTAL_AFTER else _city_after)(rest, country, form, parts, text)
    _street(rest, form, parts, text)
    return {key: parts[key] for key in _ORDER if key in parts}


_ORDER = ("line1", "line2", "city", "state", "postal_code", "country")


def join_address(parts: Mapping[str, str], *, lines: bool = False) -> str:
    """The address as one text that `split_address` reads back to the same parts; TransformProblem where it cannot.

    `lines` puts the parts on lines of their own; so does a part that contains a comma.
    """
    country = parts.get("country")
    form = _FORMS.get(country or "")
    shown = ", ".join(parts[key] for key in _ORDER if parts.get(key))
    if form is None or country is None:
        raise TransformProblem(f"addresses of {country or 'no country'} cannot be written as one text", shown)
    city = _city_line(parts, form)
    state = parts.get("state", "")
    pieces = [parts.get("line1", ""), parts.get("line2", ""), city, "" if form.state else state, country]
    text = ", ".join(piece for piece in pieces if piece)
    expected = {key: parts[key] for key in _ORDER if parts.get(key)}
    for separator in ("\n",) if lines else (", ", "\n"):
        text = separator.join(piece for piece in pieces if piece)
        try:
            if split_address(text) == expected:
                return text
        except TransformProblem:
            continue
    raise TransformProblem("the address cannot be written as one text that reads back the same", shown)


def _segments(text: str) -> list[str]:
    lines = [" ".join(line.split()).strip(",; ") for line in text.replace("\r", "\n").split("\n")]
    lines = [line for line in lines if line]
    if len(lines) == 1:
        return [segment for piece in lines[0].replace(";", ",").split(",") if (segment := piece.strip())]
    return lines


def _country(segments: list[str], default: str | None) -> tuple[str | None, bool]:
    """The country, and whether the last segment names it."""
    last = segments[-1]
    # A US state code such as CA or DE is no country when the postal code stands before it or is missing.
    found = country_code(last) if len(segments) > 1 else None
    if found is not None:
        return found, True
    return default, False


def _take_iso_state(rest: list[str], country: str, parts: Parts, text: str) -> list[str]:
    match = _ISO_STATE.match(rest[-1]) if rest else None
    if match is None or match.group(1) != country:
        return rest
    if _FORMS[country].state:
        raise _unsure(text, "the state stands apart from the city")
    parts["state"] = rest[-1]
    return rest[:-1]


def _city_before(rest: list[str], country: str, form: Form, parts: Parts, text: str) -> list[str]:
    """City, then state where there is one, then the postal code: on one segment or several."""
    if not rest:
        raise _unsure(text, "it has no city")
    tail = rest[-1]
    if _WHOLE[country].match(tail):
        parts["postal_code"] = _tidy_postal(tail, country)
        rest, tail = rest[:-1], ""
    else:
        match = _TRAILING[country].match(tail)
        if match is None:
            raise _unsure(text, f"no postal code of {country} stands behind the city")
        parts["postal_code"] = _tidy_postal(match.group(2), country)
        rest, tail = rest[:-1], match.group(1).strip(", ")
    if form.state:
        return _state_and_city(rest, tail, country, parts, text)
    if not tail:
        if not rest:
            raise _unsure(text, "it has no city")
        rest, tail = rest[:-1], rest[-1]
    return _city(rest, tail, country, parts, text)


def _state_and_city(rest: list[str], tail: str, country: str, parts: Parts, text: str) -> list[str]:
    if not tail:
        if not rest:
            raise _unsure(text, "it has no city")
        rest, tail = rest[:-1], rest[-1]
    pieces = [piece.strip() for piece in tail.split(",") if piece.strip()]
    state, city = state_code(country, pieces[-1]), " ".join(pieces[:-1])
    if state is None or (len(pieces) == 1 and not rest):
        words = pieces[-1].split()
        for size in (1, 2, 3):
            state = state_code(country, " ".join(words[-size:])) if size < len(words) else None
            if state is not None:
                city = " ".join([*pieces[:-1], *words[:-size]])
                break
    if state is None:
        raise _unsure(text, f"no state of {country} stands before the postal code")
    parts["state"] = state
    if city:
        return _city(rest, city, country, parts, text)
    if not rest:
        raise _unsure(text, "it has no city")
    return _city(rest[:-1], rest[-1], country, parts, text)


def _city_after(rest: list[str], country: str, form: Form, parts: Parts, text: str) -> list[str]:
    """Postal code, then city, then the province where there is one."""
    if not rest:
        raise _unsure(text, "it has no city")
    tail = rest[-1]
    if form.state == "after_city" and len(rest) > 1:
        alone = tail.strip("()")
        apart = state_code(country, alone) if len(alone) == 2 and alone.isupper() else None
        if apart is not None:
            parts["state"] = apart
            rest, tail = rest[:-1], rest[-2]
    match = _LEADING[country].match(tail)
    if match is not None:
        parts["postal_code"], city = _tidy_postal(match.group(1), country), match.group(2)
        rest = rest[:-1]
    elif _WHOLE[country].match(tail) and len(rest) > 1 and not _DIGIT.search(rest[-2]):
        parts["postal_code"], city = _tidy_postal(tail, country), rest[-2]
        rest = rest[:-2]
    else:
        raise _unsure(text, f"no postal code of {country} stands before the city")
    if form.state == "after_city" and "state" not in parts:
        province = _PROVINCE.match(city)
        code = state_code(country, province.group(2)) if province else None
        if province and code:
            city, parts["state"] = province.group(1), code
    return _city(rest, city, country, parts, text)


def _city(rest: list[str], city: str, country: str, parts: Parts, text: str) -> list[str]:
    if "," in city or (_DIGIT.search(city) and country != "FR"):
        raise _unsure(text, f"{show(city)!r} does not look like a city")
    if country == "GB" and len(rest) > 1 and _is_county(city):
        raise _unsure(text, f"{city!r} may be the city or the county")
    parts["city"] = city
    return rest


def _is_county(name: str) -> bool:
    return state_code("GB", name) is not None and fold(name) not in _BRITISH_CITIES


_BRITISH_CITIES = frozenset(
    fold(name)
    for name in (
        *("Aberdeen", "Bath", "Belfast", "Birmingham", "Bradford", "Brighton", "Bristol", "Cambridge", "Cardiff"),
        *("Coventry", "Derby", "Dundee", "Edinburgh", "Glasgow", "Leeds", "Leicester", "Liverpool", "London"),
        *("Manchester", "Newport", "Nottingham", "Oxford", "Plymouth", "Portsmouth", "Sheffield", "Southampton"),
        *("Sunderland", "Swansea", "Wakefield", "Wolverhampton", "York"),
    )
)
"""Cities that are districts of the same name as well."""


def _street(rest: list[str], form: Form, parts: Parts, text: str) -> None:
    if form.house_apart and len(rest) > 1:
        # "Via Roma, 10" and "10, rue de Rivoli": the house number is part of the first line.
        behind = _HOUSE.match(rest[1]) and not _DIGIT.search(rest[0])
        before = _HOUSE.match(rest[0]) and not _DIGIT.match(rest[1])
        if behind or before:
            rest = [f"{rest[0]}, {rest[1]}", *rest[2:]]
    if not rest:
        raise _unsure(text, "it has no street")
    if len(rest) > 2:
        raise _unsure(text, f"{len(rest)} parts stand before the city, at most two can be told apart")
    if len(rest) == 2 and _HOUSE.match(rest[1]) and not _DIGIT.search(rest[0]):
        raise _unsure(text, f"{rest[1]!r} may be a house number or a second line")
    parts["line1"] = rest[0]
    if len(rest) == 2:
        parts["line2"] = rest[1]


def _tidy_postal(postal: str, country: str) -> str:
    prefixed = _PREFIX.match(postal)
    if prefixed is not None and country not in ("US", "PT"):
        return str(prefixed.group(1))
    bare = postal.replace(" ", "").replace("-", "").upper()
    if country == "CA":
        return f"{bare[:3]} {bare[3:]}"
    if country == "GB":
        return f"{bare[:-3]} {bare[-3:]}"
    if country == "NL":
        return f"{bare[:4]} {bare[4:]}"
    return postal


def _city_line(parts: Mapping[str, str], form: Form) -> str:
    city, postal = parts.get("city", ""), parts.get("postal_code", "")
    state = short_state(parts["state"]) if parts.get("state") else ""
    if form.order == POSTAL_BEFORE:
        return " ".join(p for p in (postal, city, state if form.state == "after_city" else "") if p)
    behind = " ".join(p for p in (state if form.state else "", postal) if p)
    return ", ".join(p for p in (city, behind) if p)


def _unsure(text: str, why: str) -> TransformProblem:
    return TransformProblem(f"the address cannot be split for certain: {why}", text)
