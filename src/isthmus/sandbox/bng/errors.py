"""The errors of the API and the one body they are told in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class Problem:
    """One complaint about one field; `facts` are further members of the detail, like ExistingID."""

    __slots__ = ("code", "facts", "field", "message")

    def __init__(self, field: str, code: str, message: str, **facts: Any) -> None:
        self.field = field
        self.code = code
        self.message = message
        self.facts = facts

    def told(self) -> dict[str, Any]:
        """As it stands in the body."""
        return {"Field": self.field, "Code": self.code, "Message": self.message, **self.facts}


class ApiError(Exception):
    """A refusal: HTTP status, code, sentence, details and headers. Nothing was written."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        problems: Sequence[Problem] = (),
        *,
        headers: Mapping[str, str] | None = None,
        **facts: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.problems = problems
        self.headers = dict(headers or {})
        self.facts = facts

    def body(self, request_id: str) -> dict[str, Any]:
        """The body `{"Error": {...}}` of the contract."""
        details = [problem.told() for problem in self.problems]
        error = {"Code": self.code, "Message": self.message, "RequestID": request_id, "Details": details}
        return {"Error": error | self.facts}


def invalid(problems: Sequence[Problem]) -> ApiError:
    """400 with every problem found."""
    first = problems[0]
    more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
    return ApiError(400, "ValidationFailed", f"{first.field}: {first.message}{more}", problems)


def bad_parameter(name: str, message: str, code: str = "InvalidParameter") -> ApiError:
    """400 for a query parameter."""
    return ApiError(400, code, f"{name}: {message}", [Problem(name, code, message)])


def not_found(label: str, key: str, merged_into: str | None = None) -> ApiError:
    """404; tells where a record went that was merged into another."""
    if merged_into is not None:
        return ApiError(
            404, "NotFound", f"{label} {key} was merged into {merged_into}.", Merged=True, MergedInto=merged_into
        )
    return ApiError(404, "NotFound", f"There is no {label} {key}.")


def duplicate(label: str, field: str, value: str, existing: str) -> ApiError:
    """409 that names the record which has the value already."""
    message = f"{label} {existing} has the {field} {value!r} already."
    problem = Problem(field, "Duplicate", message, ExistingID=existing)
    return ApiError(409, f"Duplicate{field}", message, [problem], ExistingID=existing)


def version_conflict(status: int, given: int, current: int) -> ApiError:
    """409 for a Version in the body, 412 for one in If-Match."""
    message = f"The record is at version {current}, the write was based on version {given}. Read it again."
    return ApiError(
        status, "VersionConflict", message, [Problem("Version", "Conflict", message)], CurrentVersion=current
    )
