"""Every failure the product acts on, grouped by what happens next.

* IsthmusError
  x Retry   by itself, later           RateLimited · Unavailable · Contended · DependencyMissing · OutcomeUnknown
  x Reject  this record needs a person InvalidRecord · RefusedByTarget · MappingFailed · Ambiguous · Conflicted
  x Halt    the flow needs a person    AuthFailed · Misconfigured · SchemaDrift · SafetyLimit

Anything that is not an IsthmusError is unknown; unknown errors halt, they never loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Literal

NextAction = Literal["retry", "reject", "halt"]


class IsthmusError(Exception):
    """A failure that says what was being done, with which record, what the system answered, and what to do.

    `doing` starts with a gerund and names the record ("writing customer 42 to Odoo").
    `answered` is the other side's own words, without secrets or tracebacks. `hint` is the next thing to do.
    `facts` are typed values stored with a DeadLetter (field names, ids, limits); never secrets.
    """

    action: ClassVar[NextAction] = "halt"
    default_hint: ClassVar[str] = "Read the message, then ask the maintainers with the trace of this record."

    def __init__(
        self,
        doing: str,
        *,
        record: str | None = None,
        answered: str | None = None,
        hint: str | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(doing)
        self.doing = doing
        self.record = record
        self.answered = answered
        self.hint = hint or self.default_hint
        self.facts: dict[str, Any] = dict(facts or {})

    def __str__(self) -> str:
        said = f": answered {self.answered}" if self.answered else ""
        return f"{self.doing}{said}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.as_dict())

    @property
    def kind(self) -> str:
        """The class name: the stable code shown to people and stored."""
        return type(self).__name__

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as stored with a DeadLetter and answered by the API."""
        return {
            "kind": self.kind,
            "action": self.action,
            "doing": self.doing,
            "record": self.record,
            "answered": self.answered,
            "hint": self.hint,
            "facts": self.facts,
        }


class Retry(IsthmusError):
    """Passes by itself later; nobody has to act."""

    action = "retry"
    default_hint = "Nothing to do: it is tried again by itself."


class RateLimited(Retry):
    """The other side asks us to slow down."""

    def __init__(self, doing: str, *, wait: timedelta | None = None, **more: Any) -> None:
        super().__init__(doing, **more)
        self.wait = wait
        if wait is not None:
            self.facts["wait_seconds"] = wait.total_seconds()


class Unavailable(Retry):
    """The other side cannot be reached or answers 5xx; the request surely had no effect or only read."""


class Contended(Retry):
    """Somebody else holds the record just now (lock, serialisation failure, version moved)."""


class DependencyMissing(Retry):
    """A record this one refers to is not linked yet; it is pulled first."""


class OutcomeUnknown(Retry):
    """A write was sent and no answer came: it is read back before anything is sent again."""


class Reject(IsthmusError):
    """This record cannot pass without a person; it becomes a DeadLetter and the others go on."""

    action = "reject"
    default_hint = "Correct the record in the system that owns it, then retry the dead letter."


class InvalidRecord(Reject):
    """The record breaks a rule that we check before writing."""


class RefusedByTarget(Reject):
    """The other system refused the record and said why."""


class MappingFailed(Reject):
    """A value cannot be expressed on the other side."""


class Ambiguous(Reject):
    """Several records could be the counterpart; a person has to choose."""


class Conflicted(Reject):
    """Both sides changed a field differently and its Policy is to ask."""


class Halt(IsthmusError):
    """The pair or flow stops until a person acts; nothing is lost meanwhile."""

    action = "halt"


class AuthFailed(Halt):
    """The other side does not accept our credentials."""

    default_hint = "Renew the credentials with `isthmus connection rotate`, then resume the pair."


class Misconfigured(Halt):
    """The set-up cannot work as written."""

    default_hint = "Correct the set-up as the message says; `isthmus connection doctor` checks it."


class SchemaDrift(Halt):
    """A field or entity that the mapping uses is not there (any more)."""

    default_hint = "Run `isthmus discover`, correct the mapping, then resume the pair."


class SafetyLimit(Halt):
    """More writes or deletes than the guard allows; nothing was written."""

    default_hint = "Look at the planned changes, then allow them once or raise the limit."


def _subclasses(root: type[IsthmusError]) -> dict[str, type[IsthmusError]]:
    found = {root.__name__: root}
    for child in root.__subclasses__():
        found.update(_subclasses(child))
    return found


def catalogue() -> dict[str, type[IsthmusError]]:
    """Every error class by its kind."""
    return _subclasses(IsthmusError)


def from_dict(stored: Mapping[str, Any]) -> IsthmusError:
    """The error that `as_dict` described; an unknown kind comes back as the bare IsthmusError (a Halt)."""
    kind = catalogue().get(str(stored.get("kind")), IsthmusError)
    error = kind.__new__(kind)
    IsthmusError.__init__(
        error,
        str(stored.get("doing", "")),
        record=stored.get("record"),
        answered=stored.get("answered"),
        hint=stored.get("hint"),
        facts=stored.get("facts"),
    )
    if isinstance(error, RateLimited):
        seconds = error.facts.get("wait_seconds")
        error.wait = None if seconds is None else timedelta(seconds=float(seconds))
    return error


def _rebuild(kind: type[IsthmusError], stored: Mapping[str, Any]) -> IsthmusError:
    return from_dict({**stored, "kind": kind.__name__})
