"""What can go wrong at the gateway on purpose: the kinds of its fault switches."""

from __future__ import annotations

from typing import Literal

from ..parts import faults

HttpKind = Literal[
    "drop_after_commit", "reset", "delay", "status", "throttle", "truncate", "html", "garbage", "rate_code"
]
WebhookKind = Literal["webhook_duplicate", "webhook_reorder", "webhook_late", "webhook_lose"]
Kind = Literal[HttpKind, WebhookKind]


class Fault(faults.Fault, forbid_unknown_fields=True, kw_only=True):
    """One switch of the gateway; when it fires is told by `rate`, `next`, `match` and `method`.

    `match` is a part of the path followed by what is asked for, like `transact.php sale` or `query.php`.
    `drop_after_commit` does the work, then cuts the connection; `reset` cuts it before. `delay` waits `seconds` before
    the work, or with `after` before answering. `status` answers `status` without doing the work (`after`: having done
    it), `throttle` 429 with `retry_after` or, when that is null, without. `truncate` sends half of the answer. `html`
    and `garbage` answer a page or rubbish in place of the answer, `after` the work or without. `rate_code` answers
    code 301 in the body without doing the work. `webhook_late` waits `seconds`, `webhook_reorder` lets later ones pass.
    """

    kind: Kind


class Faults(faults.Faults[Fault]):
    """The switches of one gateway."""
