"""What can go wrong in BNG on purpose: the kinds of its fault switches."""

from __future__ import annotations

from typing import Literal

from isthmus.sandbox.parts import faults

HttpKind = Literal["drop_after_commit", "reset", "delay", "status", "throttle", "truncate", "html", "expire_token"]
WebhookKind = Literal["webhook_duplicate", "webhook_reorder", "webhook_late", "webhook_lose"]
Kind = Literal[HttpKind, WebhookKind]


class Fault(faults.Fault, forbid_unknown_fields=True, kw_only=True):
    """One switch of BNG; when it fires is told by `rate`, `next`, `match` and `method`.

    `drop_after_commit` does the work, then cuts the connection; `reset` cuts it before. `delay` waits `seconds` before
    the work, or with `after` before answering. `status` answers `status` without doing the work (`after`: having done
    it), `throttle` 429 with `retry_after` or, when that is null, without. `truncate` sends half of the answer. `html`
    answers a page with `status` in place of JSON, `after` the work or without. `expire_token` answers 401 once per
    hit and forgets the token. `webhook_late` waits `seconds`, `webhook_reorder` lets later events pass first.
    """

    kind: Kind


class Faults(faults.Faults[Fault]):
    """The switches of one BNG."""
