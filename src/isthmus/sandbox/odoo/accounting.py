"""What the sandbox does not keep: accounting. It says so in a sentence instead of pretending."""

from __future__ import annotations

from collections.abc import Sequence

from .environment import Behaviour, Env, Values
from .errors import UserError

REAL_ONLY = frozenset(
    {
        "account.move.line",
        "account.payment",
        "account.payment.register",
        "account.move.reversal",
        "account.journal",
        "account.account",
        "account.partial.reconcile",
        "account.bank.statement.line",
        "sale.advance.payment.inv",
    }
)
"""Models of a real Odoo with accounting that the sandbox leaves out."""
SENTENCE = "this sandbox keeps no accounting; invoices, bills and payments take a real Odoo"


class Entries(Behaviour):
    """account.move: other models refer to it, and it can be read; it is always empty."""

    def before_create(self, env: Env, values: Values) -> Values:
        raise UserError(f"An entry cannot be made: {SENTENCE}.")

    def before_write(self, env: Env, ids: Sequence[int], values: Values) -> Values:
        raise UserError(f"An entry cannot be changed: {SENTENCE}.")


def absent(model: str) -> str:
    """What is said of a model that is not there."""
    told = f"the model {model!r} does not exist"
    return f"{told}: {SENTENCE}" if model in REAL_ONLY else told
