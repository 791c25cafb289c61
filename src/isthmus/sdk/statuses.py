"""What an HTTP status means for the caller, as a table that a connector changes by row."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Meaning(StrEnum):
    """What happens next after an answer of some status."""

    OK = "ok"  # done
    RETRY = "retry"  # nothing happened or may be repeated: again by itself, later
    UNKNOWN = "unknown"  # a write may have taken place: read back first
    SLOW_DOWN = "slow_down"  # too many calls: wait as long as the answer says
    REJECT = "reject"  # this record is refused; a person has to look
    DUPLICATE = "duplicate"  # there is such a record already
    STALE = "stale"  # the record moved since we read it
    CLASH = "clash"  # either a duplicate or a moved record: the answer's code or the verb decides
    GONE = "gone"  # no such record
    CONTENDED = "contended"  # somebody else holds it just now
    RENEW = "renew"  # the token is not accepted: renew it once, then it is a refused login
    FORBIDDEN = "forbidden"  # the login lacks a right
    SET_UP = "set_up"  # the set-up cannot be right (wrong path, method, media type)


STATUSES: Mapping[int, Meaning] = {
    400: Meaning.REJECT,
    401: Meaning.RENEW,
    402: Meaning.FORBIDDEN,
    403: Meaning.FORBIDDEN,
    404: Meaning.GONE,
    405: Meaning.SET_UP,
    406: Meaning.SET_UP,
    408: Meaning.RETRY,
    409: Meaning.CLASH,
    410: Meaning.GONE,
    411: Meaning.SET_UP,
    412: Meaning.STALE,
    413: Meaning.REJECT,
    415: Meaning.SET_UP,
    422: Meaning.REJECT,
    423: Meaning.CONTENDED,
    425: Meaning.RETRY,
    428: Meaning.SET_UP,
    429: Meaning.SLOW_DOWN,
    501: Meaning.SET_UP,
    503: Meaning.RETRY,
}


def meaning(status: int, *, writing: bool, rows: Mapping[int, Meaning] | None = None) -> Meaning:
    """What `status` means; `rows` override the table.

    A 5xx while writing is UNKNOWN: a gateway in between may have lost the answer of a write that took place.
    Only 503 says that the request was not taken. Anything the table does not know is a matter of set-up.
    """
    if rows and status in rows:
        return rows[status]
    if 200 <= status < 300:
        return Meaning.OK
    known = STATUSES.get(status)
    if known is not None:
        return known
    if status >= 500:
        return Meaning.UNKNOWN if writing else Meaning.RETRY
    return Meaning.REJECT if 400 <= status < 500 else Meaning.SET_UP
