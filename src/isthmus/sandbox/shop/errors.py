"""What a mutation refuses: user errors, told inside the answer."""

from __future__ import annotations

from typing import Any

from graphql import GraphQLError


class Refused(Exception):
    """A mutation that changes nothing; `errors` become its userErrors."""

    def __init__(self, message: str, *field: str, code: str | None = None) -> None:
        super().__init__(message)
        self.errors: list[dict[str, Any]] = [{"field": list(field) or None, "message": message, "code": code}]

    def and_also(self, other: Refused) -> Refused:
        """Both at once."""
        self.errors.extend(other.errors)
        return self


class Unavailable(Exception):
    """A checkout that cannot be done, in words for the shopper."""


def top_level(message: str, code: str) -> GraphQLError:
    """An error beside the data."""
    return GraphQLError(message, extensions={"code": code})
