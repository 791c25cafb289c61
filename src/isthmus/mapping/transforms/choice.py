"""Transforms that choose: enum maps, cases over several values, flags, defaults and constants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from isthmus.mapping.problem import TransformProblem, show
from isthmus.mapping.transform import Build, Example, Step, Transform


class Enum(Transform):
    """Maps fixed words one to one; a word that is not listed is held, never guessed."""

    name = "enum"
    label = "Fixed words"
    group = "choices"
    main = "words"
    examples = (
        Example(raw="Inbound", value="in", options={"words": {"Inbound": "in", "Outbound": "out"}}),
        Example(raw="Sideways", problem="none of", options={"words": {"Inbound": "in", "Outbound": "out"}}),
    )

    words: dict[str, str] = Field(min_length=1, description="Raw word to canonical word.")

    def build(self, at: Build) -> Step:
        to = {raw.casefold(): canonical for raw, canonical in self.words.items()}
        back: dict[str, str] = {}
        for raw, canonical in self.words.items():
            back.setdefault(canonical, raw)

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            found = to.get(str(value).strip().casefold())
            if found is None:
                raise TransformProblem(f"{show(value)!r} is none of {', '.join(self.words)}", value)
            return found

        def write(value: Any, _record: Mapping[str, Any]) -> Any:
            if value not in back:
                raise TransformProblem(f"{show(value)!r} is none of {', '.join(back)}", value)
            return back[value]

        return self.step(read, write)


class Case(BaseModel):
    """One line of `cases`: what stands on the raw side and what it means."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    raw: Any = Field(description="The raw value, or a part → value mapping where several paths are read.")
    value: Any = Field(description="The canonical value, or a field → value mapping for several fields.")


class Cases(Transform):
    """Maps combinations: the first line whose raw side fits is read.

    Writing takes a line whose values fit; where several do, the one the record has already, else the first. A field
    that a line does not mention is not told by it and keeps what was agreed before.
    """

    name = "cases"
    label = "Conditional on values"
    group = "choices"
    main = "lines"
    takes = "either"
    examples = (
        Example(
            raw="OnHold",
            value={"active": True, "on_hold": True},
            options={
                "lines": [
                    {"raw": "Active", "value": {"active": True, "on_hold": False}},
                    {"raw": "OnHold", "value": {"active": True, "on_hold": True}},
                    {"raw": "Inactive", "value": {"active": False}},
                ]
            },
        ),
        Example(
            raw={"type": "consu", "is_storable": True},
            value="stocked",
            options={
                "lines": [
                    {"raw": {"type": "consu", "is_storable": True}, "value": "stocked"},
                    {"raw": {"type": "service"}, "value": "service"},
                ]
            },
        ),
        Example(raw="Odd", problem="is none of", options={"lines": [{"raw": "A", "value": "a"}]}),
    )

    lines: list[Case] = Field(min_length=1, description="The lines, most usual first.")
    empty: Any = Field(None, description="The raw value that an empty one means.")

    def build(self, at: Build) -> Step:
        lines = [(line.raw, line.value) for line in self.lines]
        empty = self.empty
        many = isinstance(lines[0][0], dict)
        path = at.paths.get("", "")
        direct = {raw: value for raw, value in lines if not isinstance(raw, dict | list)} if not many else {}

        def unknown(value: Any) -> TransformProblem:
            names = ", ".join(show(raw) for raw, _ in lines)
            return TransformProblem(f"{show(value)!r} is none of {names}", value)

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            if value is None or value == "":
                value = empty
                if value is None:
                    return None
            if not many:
                try:
                    return direct[value]
                except (KeyError, TypeError):
                    raise unknown(value) from None
            if isinstance(value, dict):
                if empty is not None and all(v is None for v in value.values()):
                    value = empty
                for raw, meaning in lines:
                    if all(value.get(part) == wanted for part, wanted in raw.items()):
                        return meaning
                if all(v is None for v in value.values()):
                    return None
            raise unknown(value)

        def write(value: Any, record: Mapping[str, Any]) -> Any:
            if value is None:
                return {part: None for part in at.paths} if many else None
            fitting = [raw for raw, meaning in lines if _fits(meaning, value)]
            if not fitting:
                raise TransformProblem(f"{show(value)!r} is none of {', '.join(show(m) for _, m in lines)}", value)
            if len(fitting) > 1:
                now = {part: record.get(p) for part, p in at.paths.items()} if many else record.get(path)
                for raw in fitting:
                    if (isinstance(now, dict) and raw.items() <= now.items()) if many else raw == now:
                        return raw
            return fitting[0]

        return self.step(read, write, sees_empty=True)


def _fits(meaning: Any, given: Any) -> bool:
    if isinstance(meaning, dict) and isinstance(given, dict):
        return all(given.get(name) in (None, wanted) for name, wanted in meaning.items())
    return bool(meaning == given)


class Flag(Transform):
    """Yes when the raw value is a certain one; no leaves any other value alone."""

    name = "flag"
    label = "Is it this value?"
    group = "choices"
    main = "value"
    examples = (
        Example(raw="Tax Exempt", value=True, options={"value": "Tax Exempt"}),
        Example(raw="EU B2B", value=False, back="EU B2B", record={"x": "EU B2B"}, options={"value": "Tax Exempt"}),
        Example(raw=None, value=False, options={"value": "Tax Exempt"}),
    )

    value: str = Field(description="The raw value that means yes.")

    def build(self, at: Build) -> Step:
        wanted, path = self.value, at.paths.get("", "")

        def write(value: Any, record: Mapping[str, Any]) -> Any:
            if value:
                return wanted
            now = record.get(path)
            return None if now == wanted else now

        return self.step(lambda value, _: value == wanted, write, sees_empty=True)


class Default(Transform):
    """Gives an empty value a meaning: `read` for what is read, `write` for what is written."""

    name = "default"
    label = "Default"
    group = "choices"
    main = "read"
    examples = (
        Example(raw=None, value="EA", back="EA", options={"read": "EA"}),
        Example(raw="DZ", value="DZ", options={"read": "EA"}),
        Example(raw=None, value=None, back="Active", options={"write": "Active"}),
    )

    read: Any = Field(None, description="What an empty raw value is read as.")
    write: Any = Field(None, description="What an empty canonical value is written as.")

    def build(self, at: Build) -> Step:
        on_read, on_write = self.read, self.write
        return self.step(
            lambda value, _: on_read if value is None or value == "" else value,
            lambda value, _: on_write if value is None or value == "" else value,
            sees_empty=True,
        )


class Constant(Transform):
    """Always the same value, whatever is there: `read` on reading, `write` on writing."""

    name = "constant"
    label = "Constant"
    group = "choices"
    main = "read"
    examples = (Example(raw="anything", value="wholesale", back="wholesale", options={"read": "wholesale"}),)

    read: Any = Field(None, description="The value read.")
    write: Any = Field(None, description="The value written; default: the same.")

    def build(self, at: Build) -> Step:
        on_read, on_write = self.read, self.read if self.write is None else self.write
        return self.step(lambda value, _: on_read, lambda value, _: on_write, sees_empty=True)
