"""Transforms of contact data: e-mail, phone, tax id and web address, normalised by libraries."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import urlsplit

import re2
from pydantic import Field

from isthmus.mapping.problem import Noted, TransformProblem, show
from isthmus.mapping.transform import Build, Example, Step, Transform, no_change
from isthmus.mapping.transforms.text import as_text

_E164 = re2.compile(r"^\+[1-9][0-9]{6,14}$")
_PERSON_BEFORE = re2.compile(r'^"?[^<>"]*"?\s*<([^<>]+)>$')


class Email(Transform):
    """Reads an e-mail address in lower case without outer spaces; whether it is a good one is for the rules."""

    name = "email"
    label = "E-mail"
    group = "contact"
    examples = (
        Example(raw=" Mary@Example.COM ", value="mary@example.com", back="mary@example.com"),
        Example(raw='"Mary" <mary@example.com>', value="mary@example.com", back="mary@example.com"),
    )

    def build(self, at: Build) -> Step:
        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            text = as_text(value).strip().removeprefix("mailto:")
            if text.endswith(">"):
                wrapped = _PERSON_BEFORE.match(text)
                text = wrapped.group(1) if wrapped else text
            return " ".join(text.lower().split()) or None

        return self.step(read, no_change)


@lru_cache(maxsize=65_536)
def normal_phone(text: str, region: str | None) -> str:
    """The E.164 form of a number (an extension stays behind it), or the text itself where it is none."""
    import phonenumbers

    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return text
    if not phonenumbers.is_possible_number(number):
        return text
    plain = str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    return f"{plain} ext. {number.extension}" if number.extension else plain


class Phone(Transform):
    """Reads a phone number as E.164 where it is one (`+15551234567`); other text stays as it is."""

    name = "phone"
    label = "Phone number"
    group = "contact"
    main = "region"
    examples = (
        Example(raw="(650) 253-0000", value="+16502530000", back="+16502530000", options={"region": "US"}),
        Example(raw="+49 30 901820", value="+4930901820", back="+4930901820"),
        Example(raw="+1 650 253 0000 ext 5", value="+16502530000 ext. 5", back="+16502530000 ext. 5"),
        Example(raw="ask reception", value="ask reception"),
    )

    region: str | None = Field(None, description="Country of numbers without a country code, like US.")
    unclear: Literal["keep", "hold"] = Field("keep", description="What happens to text that is no phone number.")

    def build(self, at: Build) -> Step:
        region, unclear = self.region or None, self.unclear

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            text = as_text(value)
            if _E164.match(text):
                return text
            text = " ".join(text.split())
            if not text:
                return None
            found = normal_phone(text, region)
            if unclear == "hold" and not found.startswith("+"):
                raise TransformProblem(f"{show(text)!r} is not a phone number", text)
            return found

        return self.step(read, no_change)


@lru_cache(maxsize=65_536)
def normal_tax_id(text: str) -> str:
    """A tax id without the separators people type, in capitals."""
    from stdnum.util import clean

    return str(clean(text, " -./,:'")).strip().upper()


def _tax_module(country: str | None) -> Any:
    from stdnum import get_cc_module

    return get_cc_module(country, "vat") if country and country.isalpha() and len(country) == 2 else None


@lru_cache(maxsize=65_536)
def valid_tax_id(number: str, country: str | None) -> bool | None:
    """Whether a normalised tax id is well formed; None where nobody can tell (unknown country)."""
    prefix = number[:2] if number[:2].isalpha() else None
    module = _tax_module(country) or _tax_module(prefix)
    return None if module is None else bool(module.is_valid(number))


class TaxId(Transform):
    """Reads a VAT or tax id without separators, in capitals; `check` looks at its check digits by country."""

    name = "tax_id"
    label = "Tax id"
    group = "contact"
    main = "check"
    examples = (
        Example(raw="de 136,695 976", value="DE136695976", back="DE136695976"),
        Example(raw="BE0477.47.27.01", value="BE0477472701", back="BE0477472701"),
        Example(raw="DE 136,695 970", problem="not a valid tax id", options={"check": "hold"}),
    )

    check: Literal["no", "warn", "hold"] = Field("no", description="What happens to an id with wrong check digits.")
    country: str | None = Field(None, description="Raw path that holds the country, to check ids without prefix.")

    def build(self, at: Build) -> Step:
        check, country = self.check, self.country

        def read(value: Any, record: Mapping[str, Any]) -> Any:
            number = normal_tax_id(as_text(value))
            if not number:
                return None
            if check != "no":
                place = record.get(country) if country else None
                if valid_tax_id(number, place if isinstance(place, str) else None) is False:
                    message = f"{show(number)!r} is not a valid tax id"
                    if check == "hold":
                        raise TransformProblem(message, number)
                    return Noted(number, message)
            return number

        return self.step(read, no_change, paths=(country,) if country else ())


def with_scheme(address: str, scheme: str) -> str:
    """The address with a scheme, put there the way Odoo does: only where none can be told."""
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise TransformProblem(f"{show(address)!r} is not a web address", address) from error
    if parts.scheme:
        return address
    return f"{scheme}:{address}" if parts.netloc else f"{scheme}://{address}"


class Website(Transform):
    """Reads a web address; `scheme` writes it as systems that insist on `http://` store it."""

    name = "website"
    label = "Web address"
    group = "contact"
    main = "scheme"
    examples = (
        Example(raw="example.com", value="http://example.com", back="http://example.com", options={"scheme": "http"}),
        Example(raw="https://example.com", value="https://example.com", options={"scheme": "http"}),
        Example(raw=" example.com ", value="example.com", back="example.com"),
    )

    scheme: Literal["keep", "http", "https"] = Field("keep", description="Scheme put before an address without one.")

    def build(self, at: Build) -> Step:
        scheme = self.scheme

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            text = "".join(as_text(value).split())
            return (text if scheme == "keep" else with_scheme(text, scheme)) if text else None

        return self.step(read, read if scheme != "keep" else no_change)
