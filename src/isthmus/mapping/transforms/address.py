"""The address transforms: parts on paths of their own, an address object, or one text."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

from pydantic import Field

from isthmus.mapping.addresses import join_address, split_address
from isthmus.mapping.places import country_code, country_name, short_state, state_code
from isthmus.mapping.problem import TransformProblem, show
from isthmus.mapping.transform import Build, Example, Step, Transform
from isthmus.mapping.transforms.text import as_text
from isthmus.model.canonical import ADDRESS_PARTS

_KEYS = {
    "name": "Name",
    "line1": "Line1",
    "line2": "Line2",
    "city": "City",
    "state": "State",
    "postal_code": "PostalCode",
    "country": "CountryCode",
    "phone": "Phone",
}
_EXTRA = ("name", "phone")
"""Parts that only some systems know: where they are not told they stay as they are."""


class Country(Transform):
    """Reads a country given by code or name as ISO 3166 alpha-2; one that is not known is held."""

    name = "country"
    label = "Country"
    group = "addresses"
    main = "as_"
    examples = (
        Example(raw="Germany", value="DE", back="DE"),
        Example(raw="usa", value="US", back="United States", options={"as": "name"}),
        Example(raw="Atlantis", problem="no country is called"),
    )

    as_: Literal["code", "name"] = Field("code", alias="as", description="How it is written.")

    def build(self, at: Build) -> Step:
        by_name = self.as_ == "name"

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            text = as_text(value).strip()
            if not text:
                return None
            found = country_code(text)
            if found is None:
                raise TransformProblem(f"no country is called {show(text)!r}", text)
            return found

        def write(value: Any, record: Mapping[str, Any]) -> Any:
            code = read(value, record)
            return country_name(code) if by_name and code else code

        return self.step(read, write)


class State(Transform):
    """Reads a state or province given by code or name as ISO 3166-2 (`US-CA`); the country stands beside it."""

    name = "state"
    label = "State or province"
    group = "addresses"
    main = "country"
    examples = (
        Example(raw="California", value="US-CA", back="CA", record={"c": "US"}, options={"country": "c"}),
        Example(raw="BY", value="DE-BY", back="BY", record={"c": "Germany"}, options={"country": "c"}),
        Example(raw="Nowhere", problem="is no state of", record={"c": "US"}, options={"country": "c"}),
    )

    country: str = Field(description="Raw path that holds the country.")

    def build(self, at: Build) -> Step:
        path = self.country

        def read(value: Any, record: Mapping[str, Any]) -> Any:
            text, where = as_text(value).strip(), record.get(path)
            return iso_state(country_code(where) if isinstance(where, str) else None, text) if text else None

        return self.step(read, lambda value, _: short_state(as_text(value)), paths=(path,))


class Address(Transform):
    """Reads an address object, or one text that is split by the country's own form; an unsure split is held.

    A record that holds a text keeps holding a text. A text has no place for `name` and `phone`.
    """

    name = "address"
    label = "Address (object or one text)"
    group = "addresses"
    main = "form"
    examples = (
        Example(
            raw={"Line1": "1 Main St", "City": "Erie", "State": "IL", "PostalCode": "61250", "CountryCode": "US"},
            value={"line1": "1 Main St", "city": "Erie", "state": "US-IL", "postal_code": "61250", "country": "US"},
        ),
        Example(
            raw="Unter den Linden 1, 10117 Berlin, DE",
            value={"line1": "Unter den Linden 1", "city": "Berlin", "postal_code": "10117", "country": "DE"},
            record={"x": "somewhere"},
        ),
        Example(raw="Behind the church", problem="cannot be split for certain"),
    )  # fmt: skip

    form: Literal["object", "text"] = Field("object", description="Form of new addresses.")
    country: str | None = Field(None, description="Country of addresses that name none.")
    keys: dict[str, str] = Field(default_factory=dict, description="Other names for the parts of the object.")

    def build(self, at: Build) -> Step:
        keys = {part: self.keys.get(part, key) for part, key in _KEYS.items()}
        path, country, as_text_form = at.paths.get("", ""), self.country or None, self.form == "text"

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            if isinstance(value, str):
                return dict(_split(value, country)) or None
            if not isinstance(value, Mapping):
                raise TransformProblem(f"expected an address, got {show(value)}", value)
            parts = {part: text for part, key in keys.items() if (text := _clean(value.get(key)))}
            return _normal(parts, country)

        def write(value: Any, record: Mapping[str, Any]) -> Any:
            if value is None:
                return None
            now = record.get(path)
            _check(value)
            if (isinstance(now, str) and now.strip()) or (as_text_form and not isinstance(now, Mapping)):
                told = {k: v for k, v in value.items() if k not in _EXTRA}
                return _join(tuple(told.items()), isinstance(now, str) and "\n" in now.strip()) if told else None
            out = dict(now) if isinstance(now, Mapping) else {}
            for part, key in keys.items():
                told_part = value.get(part)
                if told_part:
                    out[key] = short_state(told_part) if part == "state" else told_part
                elif part not in _EXTRA and out.get(key):
                    out[key] = None
            return out

        return self.step(read, write)


class AddressParts(Transform):
    """Reads an address from parts on paths of their own: country as alpha-2, state as ISO 3166-2 (`US-CA`)."""

    name = "address_parts"
    label = "Address (parts)"
    group = "addresses"
    takes = "parts"
    examples = (
        Example(
            raw={"line1": "1 Main St", "city": "Erie", "state": "US-IL", "postal_code": "61250", "country": "US"},
            value={"line1": "1 Main St", "city": "Erie", "state": "US-IL", "postal_code": "61250", "country": "US"},
        ),
        Example(raw={"line1": None, "country": None}, value=None),
    )  # fmt: skip

    def build(self, at: Build) -> Step:
        parts = tuple(part for part in ADDRESS_PARTS if part in at.paths)
        unknown = set(at.paths) - set(ADDRESS_PARTS)
        if unknown:
            raise ValueError(f"from: an address has no part {', '.join(sorted(unknown))}")

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            out = {part: text for part in parts if (text := _clean(value[part]))}
            return out if len(out) > (1 if "name" in out else 0) else None

        def write(value: Any, record: Mapping[str, Any]) -> Any:
            if value is None:
                return dict.fromkeys(parts)
            _check(value)
            return {part: value.get(part) or (record.get(at.paths[part]) if part in _EXTRA else None) for part in parts}

        return self.step(read, write, sees_empty=True)


@lru_cache(maxsize=16_384)
def _split(text: str, country: str | None) -> tuple[tuple[str, str], ...]:
    return tuple(split_address(text, country).items())


@lru_cache(maxsize=16_384)
def _join(parts: tuple[tuple[str, str], ...], lines: bool) -> str:
    return join_address(dict(parts), lines=lines)


def _clean(value: Any) -> str | None:
    if value is None:
        return None
    text = as_text(value)
    return text if text.isprintable() and text[:1] != " " != text[-1:] and "  " not in text else _collapsed(text)


def _collapsed(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _normal(parts: dict[str, str], default: str | None) -> dict[str, str] | None:
    """Country as alpha-2 and state as ISO 3166-2; TransformProblem where they are not known."""
    if not any(part in parts for part in ("line1", "line2", "city", "state", "postal_code", "country")):
        return None
    country = parts.get("country")
    if country is None:
        country = default
    elif not (len(country) == 2 and country.isupper() and country.isascii()) or country_code(country) != country:
        found = country_code(country)
        if found is None:
            raise TransformProblem(f"no country is called {show(country)!r}", country)
        country = found
    if country is not None:
        parts["country"] = country
    state = parts.get("state")
    if state is not None:
        parts["state"] = iso_state(country, state)
    return parts


@lru_cache(maxsize=16_384)
def iso_state(country: str | None, state: str) -> str:
    """The ISO 3166-2 code of a state by code or name; TransformProblem where it is not known."""
    if country is None:
        raise TransformProblem(f"the state {show(state)!r} stands without a country", state)
    found = state_code(country, state)
    if found is not None:
        return found
    short = state.removeprefix(f"{country}-")
    if len(short) <= 3 and short.isascii() and short.isalnum():
        # Systems know codes that the ISO list does not (renamed or merged provinces).
        return f"{country}-{short.upper()}"
    raise TransformProblem(f"{show(state)!r} is no state of {country}", state)


def _check(value: Any) -> None:
    if not isinstance(value, Mapping):
        raise TransformProblem(f"expected an address, got {show(value)}", value)
    state, country = value.get("state"), value.get("country")
    if state and country and not state.startswith(f"{country}-"):
        raise TransformProblem(f"the state {state} is not in {country}", f"{state}, {country}")
