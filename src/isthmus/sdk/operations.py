"""Operations: what a system can be asked to do with a document, beyond writing its fields.

An Operation confirms an order, validates a delivery, captures an amount. One thing to be done is an Act: the input
and a key that stays the same however often it is tried. The contract of `Connector.perform` and `Connector.verify`:

* `verify` only reads. It decides from the documents' state, and by the Act's key where several are possible.
* `perform` verifies first and does only what is not done; afterwards it verifies again, so that a lost answer or an
  answer that promises too much is seen through. Performing an Act again never does it twice.
* After an `Unsure` the caller comes back with the same key, never with another one.
* One bad Act never stops a good one; outcomes stand in the order of the Acts.
* Leases are the caller's: it holds `Operation.leases(input)` so that different Acts on one document take turns. The
  same Act from two callers at once is safe without them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from isthmus.errors import InvalidRecord, IsthmusError
from isthmus.sdk.connector import Failed, Unsure


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What can be asked for: its name, its forms, and what has to be held meanwhile.

    `input` and `result` are forms whose fields carry their sentence; amounts are Decimal, keys of documents are text.
    `lease` maps a field of the input to the Entity whose Record it names: that Record is to be held. `money` says that
    it moves or books money: its Acts need a key that is stored before the first try. `batch` is how many Acts one call
    of `perform` serves best. `needs` are roles, in the system's own words, that the login must have.
    """

    name: str
    label: str
    summary: str
    input: type[BaseModel]
    result: type[BaseModel]
    lease: Mapping[str, str] = field(default_factory=dict)
    money: bool = False
    batch: int = 20
    needs: tuple[str, ...] = ()

    def parse(self, given: Mapping[str, Any]) -> Any:
        """The filled-in form; InvalidRecord names every field that is wrong."""
        try:
            return self.input.model_validate(dict(given))
        except ValidationError as error:
            problems = [_problem(one) for one in error.errors(include_url=False, include_input=False)]
            raise InvalidRecord(
                f"reading the input of {self.name}",
                answered="; ".join(problems),
                hint=f"Its fields are: {', '.join(self.input.model_fields)}.",
                facts={"problems": problems},
            ) from None

    def leases(self, given: Mapping[str, Any]) -> tuple[str, ...]:
        """The business keys to hold while an Act with this input is performed, in the order in which to take them."""
        held = set()
        for name, entity in self.lease.items():
            value = given.get(name)
            keys = value if isinstance(value, list | tuple) else [value]
            held |= {f"{entity}:{key}" for key in keys if key not in (None, "")}
        return tuple(sorted(held))


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One thing to be done. `key` is unique per thing, not per try, and is kept in the system where it has a place."""

    key: str
    input: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """It is done. `result` are the values of the Operation's result form; `repeated`: it was done before this call."""

    result: Mapping[str, Any] = field(default_factory=dict)
    repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NotDone:
    """It is not done, as far as the system's state tells; performing it is safe.

    `blocked` is what would refuse it as things stand, where reading alone tells.
    """

    blocked: IsthmusError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided:
    """The state does not tell, or could not be read; `error` says why. Nothing may be sent on the strength of it."""

    error: IsthmusError


Verdict = Done | NotDone | Undecided
"""What `verify` says of one Act."""

Performed = Done | Failed | Unsure
"""What became of one Act: done; surely not done, with a Retry, Reject or Halt; or nobody knows yet."""


def _problem(found: Any) -> str:
    where = ".".join(str(part) for part in found["loc"])
    return f"{where}: {found['msg']}" if where else str(found["msg"])
