"""Test tokens: what the gateway's own form would have made of a card, and how that card behaves."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Literal, get_args

import msgspec

from .replies import Refused

Behaviour = Literal[
    "approve", "ach", "decline", "insufficient", "expired", "error", "unclear", "timeout", "lost", "late"
]
_TOKEN = re.compile(r"test-(?P<behaviour>[a-z]+)-(?P<label>[A-Za-z0-9_.-]{1,60})")
_BRANDS = ("visa", "mastercard", "amex", "discover")


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """A card or account as the gateway knows it. A token `test-BEHAVIOUR-LABEL` stands for one and is used
    once; labels that are equal up to the first dot are the same card. No number is ever stored: there is none.

    `approve` and `ach` are charged. `decline`, `insufficient`, `expired` are declined by the issuer, `error` fails at
    the processor, `unclear` is charged or not and the gateway does not know. `timeout` is charged but the answer takes
    `hang_seconds`; `lost` is not charged and takes as long; `late` is charged only after that time.
    """

    behaviour: Behaviour
    fingerprint: str
    brand: str
    last4: str

    @property
    def shown(self) -> dict[str, str]:
        """What may be shown of it, in the words of the query API."""
        if self.behaviour == "ach":
            return {"transaction_type": "ck", "check_account": f"xxxxx{self.last4}"}
        return {
            "transaction_type": "cc",
            "cc_number": f"4xxxxxxxxxxx{self.last4}",
            "cc_exp": "1230",
            "cc_type": self.brand,
        }

    def refuse(self) -> None:
        """Raise what its issuer answers; nothing when it approves."""
        match self.behaviour:
            case "decline":
                raise Refused("DECLINE", 200, 2)
            case "insufficient":
                raise Refused("Insufficient funds", 202, 2)
            case "expired":
                raise Refused("Expired card", 223, 2)
            case "error":
                raise Refused("Transaction error returned by processor", 400)
            case "unclear":
                raise Refused("Communication error", 420)


def instrument(token: str) -> Instrument:
    """What a token stands for; Refused when it is none."""
    found = _TOKEN.fullmatch(token)
    if found is None or found["behaviour"] not in get_args(Behaviour):
        raise Refused("Invalid Payment Token")
    behaviour: Any = found["behaviour"]
    card = f"{behaviour} {found['label'].partition('.')[0]}"
    digest = hashlib.sha256(card.encode()).digest()
    last4 = f"{int.from_bytes(digest[:2], 'big') % 10000:04d}"
    return Instrument(behaviour=behaviour, fingerprint=digest.hex()[:16], brand=_BRANDS[digest[2] % 4], last4=last4)
