"""Transforms of text: plain text, case, replace, patterns, joining, cutting and prefixes."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

import re2
from pydantic import Field, field_validator

from isthmus.mapping.problem import TransformProblem, show
from isthmus.mapping.transform import Build, Example, Step, Transform
from isthmus.model.canonical import plain_decimal

_QUIET = re2.Options()
_QUIET.log_errors = False  # what is wrong with a pattern is told to its author, not to the log
_CONTROL = re2.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BREAKS = re2.compile(r"[\t\r\n\x0b\x0c]+")


def as_text(value: Any) -> str:
    """A scalar as text; lists, objects and truth values are refused."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | dict | list | tuple | set | bytes):
        raise TransformProblem(f"expected text, got {show(value)}", value)
    if isinstance(value, Decimal):
        return plain_decimal(value)
    return str(value)


class Text(Transform):
    """Reads any scalar as text without outer spaces and control characters; empty text is an empty value."""

    name = "text"
    label = "Text"
    group = "text"
    main = "lines"
    examples = (
        Example(raw="  Azure Interior ", value="Azure Interior", back="Azure Interior"),
        Example(raw=42, value="42", back="42"),
        Example(raw="   ", value=None),
        Example(raw={"a": 1}, problem="expected text"),
    )

    lines: bool = Field(False, description="Keep line breaks; otherwise they become spaces.")

    def build(self, at: Build) -> Step:
        keep = self.lines

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            if type(value) is not str:
                value = as_text(value)
            if not value.isprintable():
                value = value.replace("\r\n", "\n").replace("\r", "\n") if keep else _BREAKS.sub(" ", value)
                value = _CONTROL.sub("", value).encode("utf-8", "replace").decode("utf-8")
            return value.strip() or None

        return self.step(read, read)


class Trim(Transform):
    """Takes outer spaces away and makes every run of spaces and line breaks inside one space; writing does the same."""

    name = "trim"
    label = "Trim spaces"
    group = "text"
    main = "inside"
    examples = (
        Example(raw="  Azure   Interior\n", value="Azure Interior", back="Azure Interior"),
        Example(raw=" a  b ", value="a  b", back="a  b", options={"inside": False}),
        Example(raw=" \t ", value=None),
    )

    inside: bool = Field(True, description="Runs of spaces inside become one space as well.")

    def build(self, at: Build) -> Step:
        inside = self.inside

        def trim(value: Any, _record: Mapping[str, Any]) -> Any:
            text = as_text(value)
            return (" ".join(text.split()) if inside else text.strip()) or None

        return self.step(trim, trim)


class Case(Transform):
    """Changes the case of text when it is read; writing leaves it."""

    name = "case"
    label = "Upper, lower or title case"
    group = "text"
    main = "to"
    examples = (
        Example(raw="usd", value="USD", back="USD", options={"to": "upper"}),
        Example(raw="New York", value="new york", back="new york", options={"to": "lower"}),
    )

    to: Literal["upper", "lower", "title"] = Field(description="The case wanted.")

    def build(self, at: Build) -> Step:
        change = {"upper": str.upper, "lower": str.lower, "title": str.title}[self.to]
        return self.step(lambda value, _: change(as_text(value)), lambda value, _: value)


class Replace(Transform):
    """Replaces a text by another wherever it stands; `back` replaces it the other way on writing."""

    name = "replace"
    label = "Replace text"
    group = "text"
    examples = (
        Example(raw="A / B", value="A > B", options={"find": " / ", "by": " > ", "back": True}),
        Example(raw="a-b", value="ab", back="ab", options={"find": "-", "by": ""}),
    )

    find: str = Field(min_length=1, description="The text to look for.")
    by: str = Field("", description="What stands there instead.")
    back: bool = Field(False, description="Replace the other way round on writing.")

    def build(self, at: Build) -> Step:
        find, by = self.find, self.by
        if self.back and by:
            return self.step(
                lambda value, _: as_text(value).replace(find, by), lambda value, _: as_text(value).replace(by, find)
            )
        return self.step(lambda value, _: as_text(value).replace(find, by) or None, lambda value, _: value)


class Pattern(Transform):
    """Finds a pattern (RE2, which always ends quickly) and rewrites it, or takes its first group."""

    name = "pattern"
    label = "Regular expression"
    group = "text"
    main = "find"
    examples = (
        Example(raw="SO-00042", value="00042", back="00042", options={"find": "^SO-([0-9]+)$"}),
        Example(raw="INV 7", problem="does not match", options={"find": "^SO-([0-9]+)$"}),
        Example(raw="a1b2", value="a#b#", back="a#b#", options={"find": "[0-9]", "by": "#"}),
    )

    find: str = Field(max_length=1000, description="The pattern, in RE2 syntax.")
    by: str | None = Field(None, description="Replacement with \\1 … for groups; without it the first group is taken.")
    otherwise: Literal["hold", "keep", "empty"] = Field("hold", description="What happens where it does not match.")

    @field_validator("find")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re2.compile(value, _QUIET)
        except re2.error as error:
            raise ValueError(f"not a pattern that RE2 knows: {error}") from error
        return value

    def build(self, at: Build) -> Step:
        found = re2.compile(self.find, _QUIET)
        by, otherwise = self.by, self.otherwise

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            text = as_text(value)
            if by is not None:
                return found.sub(by, text) or None
            match = found.search(text)
            if match is not None:
                return (match.group(1) if found.groups else match.group(0)) or None
            if otherwise == "hold":
                raise TransformProblem(f"{show(text)!r} does not match {self.find}", text)
            return text if otherwise == "keep" else None

        return self.step(read, lambda value, _: value)


class Affix(Transform):
    """Adds a prefix or suffix on reading and takes it off on writing."""

    name = "affix"
    label = "Prefix and suffix"
    group = "text"
    main = "prefix"
    examples = (
        Example(raw="42", value="TMPL-42", options={"prefix": "TMPL-"}),
        Example(raw=7, value="7%", back="7", options={"suffix": "%"}),
    )

    prefix: str = Field("", description="Stands before the text.")
    suffix: str = Field("", description="Stands behind the text.")

    def build(self, at: Build) -> Step:
        prefix, suffix = self.prefix, self.suffix
        return self.step(
            lambda value, _: f"{prefix}{as_text(value)}{suffix}",
            lambda value, _: as_text(value).removeprefix(prefix).removesuffix(suffix) or None,
        )


class Cut(Transform):
    """Shortens text to a length; what is cut off stays on the side that has it."""

    name = "cut"
    label = "Cut to a length"
    group = "text"
    main = "length"
    examples = (Example(raw="abcdef", value="abc", back="abc", options={"length": 3}),)

    length: int = Field(ge=1, description="Characters kept.")

    def build(self, at: Build) -> Step:
        length = self.length

        def cut(value: Any, _record: Mapping[str, Any]) -> Any:
            return as_text(value)[:length].rstrip() or None

        return self.step(cut, cut)


class Join(Transform):
    """Joins several raw parts into one text and splits it again at the separator."""

    name = "join"
    label = "Concatenate and split"
    group = "text"
    takes = "parts"
    examples = (
        Example(raw={"a": "AB", "b": "12"}, value="AB-12", options={"parts": ["a", "b"], "separator": "-"}),
        Example(raw={"a": "AB", "b": None}, value="AB", options={"parts": ["a", "b"], "separator": "-"}),
        Example(raw={"a": "A-B", "b": "1"}, problem="contains", options={"parts": ["a", "b"], "separator": "-"}),
    )

    parts: list[str] = Field(min_length=2, description="The parts in order, as named under `from`.")
    separator: str = Field(" ", min_length=1, description="What stands between the parts.")

    def build(self, at: Build) -> Step:
        parts, separator = tuple(self.parts), self.separator

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            texts = [as_text(v).strip() for p in parts if (v := value.get(p)) not in (None, "")]
            torn = next((t for t in texts[:-1] if separator in t), None)
            if torn is not None:
                raise TransformProblem(f"{show(torn)!r} contains the separator {separator!r}", torn)
            return separator.join(texts) or None

        def write(value: Any, _record: Mapping[str, Any]) -> Any:
            texts = [] if value is None else as_text(value).split(separator, len(parts) - 1)
            return {part: (texts[i].strip() or None) if i < len(texts) else None for i, part in enumerate(parts)}

        return self.step(read, write, sees_empty=True)


class Split(Transform):
    """Splits one text into named parts for several canonical fields and joins them again."""

    name = "split"
    label = "Split and concatenate"
    group = "text"
    examples = (Example(raw="AB-12", value={"a": "AB", "b": "12"}, options={"parts": ["a", "b"], "separator": "-"}),)

    parts: list[str] = Field(min_length=2, description="The canonical fields in order.")
    separator: str = Field(" ", min_length=1, description="What stands between the parts.")

    def build(self, at: Build) -> Step:
        joined = Join(parts=self.parts, separator=self.separator).build(at)
        assert joined.write is not None
        return self.step(joined.write, joined.read, sees_empty=True)
