"""What an Odoo exception means, decided by its name: the HTTP status says too little."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from isthmus.sdk import (
    AuthFailed,
    Contended,
    InvalidRecord,
    IsthmusError,
    Misconfigured,
    OutcomeUnknown,
    RefusedByTarget,
    SchemaDrift,
    Unavailable,
)

LONGEST = 400
_CONTENDED = re.compile(
    r"could not serialize access|deadlock detected|could not obtain lock|lock timeout|concurrent update", re.IGNORECASE
)
_TRACE = re.compile(r"Traceback \(most recent call last\)")
_FIELD = re.compile(r"[Ii]nvalid field:? ['\"]?([\w.]+)['\"]? (?:on|in) (?:model )?['\"]?([\w.]+)")
_UNKNOWN = re.compile(r"Object [\w.]+ doesn't exist|The method '[\w.]+' does not exist")
_RIGHTS = {"read": "read", "write": "write", "create": "create", "unlink": "delete"}
_CONTENTION_NAMES = (
    "SerializationFailure",
    "TransactionRollbackError",
    "DeadlockDetected",
    "LockNotAvailable",
    "ConcurrencyError",
)
_LOST_NAMES = ("OperationalError", "InterfaceError", "AdminShutdown", "DatabaseError", "CrashShutdown")
_RIGHT_OF_METHOD = {
    "create": "create",
    "load": "create",
    "write": "write",
    "unlink": "unlink",
    "action_archive": "write",
    "run": "write",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An exception that Odoo told us of: its dotted name and its message, never its traceback."""

    name: str
    message: str

    @property
    def short_name(self) -> str:
        """The class name alone, like `ValidationError`."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for when it was refused."""

    model: str
    method: str
    doing: str
    reads: bool


def clean(message: str) -> str:
    """One short line of Odoo's own words, without a traceback."""
    if _TRACE.search(message):
        message = next((line for line in reversed(message.strip().splitlines()) if line.strip()), "")
    text = re.sub(r"\s+", " ", message).strip()
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"


def is_contention(message: str) -> bool:
    """Whether a message tells of two transactions in each other's way."""
    return bool(_CONTENDED.search(message))


def is_missing(refusal: Refusal) -> bool:
    """Whether the refusal says that the record is not there."""
    return refusal.short_name == "MissingError"


def classify(refusal: Refusal, asked: Asked) -> IsthmusError:
    """The error of our tree for a refusal; a refused call has written nothing."""
    said = clean(refusal.message) or refusal.short_name or "an error without a word"
    facts = {"model": asked.model, "method": asked.method, "odoo_error": refusal.name}
    short = refusal.short_name
    if short in _CONTENTION_NAMES or is_contention(refusal.message):
        return Contended(asked.doing, answered=said, facts=facts)
    if short == "AccessDenied":
        return AuthFailed(
            asked.doing,
            answered=said,
            hint="Check login and API key; a key may have expired. `isthmus connection rotate` takes a new one.",
            facts=facts,
        )
    if short == "SessionExpiredException":
        return AuthFailed(asked.doing, answered=said, facts=facts)
    if short == "AccessError":
        return _no_right(asked, said, facts)
    if short == "MissingError":
        return RefusedByTarget(
            asked.doing,
            answered=said,
            hint="The record was deleted in Odoo meanwhile; it is looked at again.",
            facts={**facts, "missing": True},
        )
    if short == "PoolError":
        return Unavailable(asked.doing, answered="Odoo has no database connection left", facts=facts)
    if refusal.name.startswith("psycopg2") and short in _LOST_NAMES:
        kind = Unavailable if asked.reads else OutcomeUnknown
        return kind(asked.doing, answered="Odoo lost its database", facts=facts)
    return _programming(refusal, asked, said, facts)


def _no_right(asked: Asked, said: str, facts: dict[str, Any]) -> IsthmusError:
    right = "read" if asked.reads else _RIGHT_OF_METHOD.get(asked.method, "write")
    kind = Misconfigured if asked.reads else RefusedByTarget
    return kind(
        asked.doing,
        answered=said,
        hint=(
            f"Give the integration user the right to {_RIGHTS[right]} {asked.model} in this company, "
            "or leave the record out; `isthmus connection doctor` lists the rights."
        ),
        facts={**facts, "access": right},
    )


def _programming(refusal: Refusal, asked: Asked, said: str, facts: dict[str, Any]) -> IsthmusError:
    short = refusal.short_name
    if short in ("NotFound", "UnprocessableEntity", "BadRequest") or _UNKNOWN.match(refusal.message):
        # No such model or method, or wrong arguments: nobody's record is to blame.
        return Misconfigured(
            asked.doing,
            answered=said,
            hint=f"Check that the app bringing {asked.model} is installed and that its version is supported.",
            facts=facts,
        )
    if short in ("ValueError", "KeyError", "AttributeError", "TypeError"):
        field = _FIELD.search(refusal.message)
        if field or (asked.reads and short in ("ValueError", "KeyError")):
            return SchemaDrift(
                asked.doing, answered=said, facts={**facts, **({"field": field.group(1)} if field else {})}
            )
        if short == "KeyError" and asked.model in refusal.message:
            return SchemaDrift(asked.doing, answered=f"there is no model {asked.model}", facts=facts)
        return InvalidRecord(asked.doing, answered=said, facts=facts)
    return RefusedByTarget(asked.doing, answered=said, facts=facts)
