"""What can go wrong in the shop on purpose: the kinds of its fault switches."""

from __future__ import annotations

from typing import Literal

from ..parts import faults

Kind = Literal[
    "drop_after_commit", "reset", "delay", "status", "throttle", "truncate", "html", "graphql_throttle",
    "graphql_error", "webhook_duplicate", "webhook_reorder", "webhook_late", "webhook_lose",
]  # fmt: skip


class Fault(faults.Fault, forbid_unknown_fields=True, kw_only=True):
    """One switch of the shop; `match` is a part of the root fields' names (for webhooks: of the topic).

    `drop_after_commit` does the work, then cuts the connection; `reset` cuts it before. `delay` waits `seconds` before
    the work, or with `after` before answering. `status` answers `status` without doing the work (`after`: having done
    it), `throttle` 429 with `retry_after` or without. `truncate` sends half of the answer. `html` answers a page with
    `status` in place of JSON, `after` the work or without. `graphql_throttle` answers THROTTLED, `graphql_error` an
    INTERNAL_SERVER_ERROR, both with status 200 and without the work (`after`: having done it). `webhook_late` waits
    `seconds`, `webhook_reorder` lets later events pass first.
    """

    kind: Kind


class Faults(faults.Faults[Fault]):
    """The switches of one shop."""
