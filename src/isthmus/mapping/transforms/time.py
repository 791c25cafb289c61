"""Transforms of dates and instants: formats and time zones."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from isthmus.mapping.problem import TransformProblem, show
from isthmus.mapping.transform import Build, Example, Step, Transform


class Date(Transform):
    """Reads a calendar day; a day never passes through an instant, so no time zone can move it."""

    name = "date"
    label = "Date"
    group = "time"
    main = "format"
    examples = (
        Example(raw="2026-03-01", value=date(2026, 3, 1)),
        Example(raw="03/31/2026", value=date(2026, 3, 31), options={"format": "%m/%d/%Y"}),
        Example(raw="31.02.2026", problem="is not a date", options={"format": "%d.%m.%Y"}),
    )

    format: str | None = Field(None, description="How the raw text is written (strftime); default: YYYY-MM-DD.")
    as_text: bool = Field(True, description="Write text; otherwise a date value.")

    def build(self, at: Build) -> Step:
        form, as_text = self.format, self.as_text

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            if isinstance(value, datetime):
                raise TransformProblem(f"{show(value)} is an instant; say which zone's day is meant", value)
            if isinstance(value, date):
                return value
            text = str(value).strip()
            try:
                if form:
                    return datetime.strptime(text, form).date()  # noqa: DTZ007  # a day has no zone
                return date.fromisoformat(text)
            except ValueError as error:
                raise TransformProblem(f"{show(value)!r} is not a date ({form or 'YYYY-MM-DD'})", value) from error

        def write(value: Any, record: Mapping[str, Any]) -> Any:
            day = read(value, record) if not isinstance(value, date) else value
            if not as_text:
                return day
            return day.strftime(form) if form else day.isoformat()

        return self.step(read, write)


class Instant(Transform):
    """Reads a moment into UTC; a text without zone is taken to be in `zone`."""

    name = "instant"
    label = "Date and time"
    group = "time"
    main = "zone"
    examples = (
        Example(raw="2026-03-01T12:00:00Z", value=datetime(2026, 3, 1, 12, tzinfo=UTC)),
        Example(
            raw="2026-07-01 12:00:00",
            value=datetime(2026, 7, 1, 10, tzinfo=UTC),
            options={"zone": "Europe/Berlin", "format": "%Y-%m-%d %H:%M:%S"},
        ),
        Example(raw="yesterday", problem="is not a moment"),
    )

    zone: str = Field("UTC", description="Zone of texts that name none.")
    format: str | None = Field(None, description="How the raw text is written (strftime); default: RFC 3339 in UTC.")
    as_text: bool = Field(True, description="Write text; otherwise an aware UTC value.")

    @field_validator("zone")
    @classmethod
    def _known(cls, value: str) -> str:
        if value.startswith("$"):
            return value
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"no time zone is called {value!r}") from error
        return value

    def build(self, at: Build) -> Step:
        zone, form, as_text = ZoneInfo(self.zone), self.format, self.as_text

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            if isinstance(value, datetime):
                moment = value
            else:
                try:
                    text = str(value).strip()
                    moment = datetime.strptime(text, form) if form else datetime.fromisoformat(text)  # noqa: DTZ007  # its zone is set below
                except ValueError as error:
                    raise TransformProblem(f"{show(value)!r} is not a moment ({form or 'RFC 3339'})", value) from error
            try:
                return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
            except OverflowError as error:
                raise TransformProblem(f"{show(value)!r} is not a moment ({form or 'RFC 3339'})", value) from error

        def write(value: Any, record: Mapping[str, Any]) -> Any:
            moment = read(value, record)
            if not as_text:
                return moment
            if form:
                return moment.astimezone(zone).strftime(form)
            return moment.isoformat().replace("+00:00", "Z")

        return self.step(read, write)


class DayOf(Transform):
    """Takes the calendar day of a moment in a zone; there is no way back to the moment."""

    name = "day_of"
    label = "Day of a moment"
    group = "time"
    main = "zone"
    examples = (
        Example(raw="2026-03-01T23:30:00Z", value=date(2026, 3, 2), options={"zone": "Europe/Berlin"}, one_way=True),
    )

    zone: str = Field("UTC", description="The zone whose calendar counts.")

    def build(self, at: Build) -> Step:
        zone = ZoneInfo(self.zone)
        instant = Instant.model_validate({}).build(at)
        return self.step(lambda value, record: instant.read(value, record).astimezone(zone).date())
