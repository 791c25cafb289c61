"""Bank statement lines of a settlement: what a gateway paid out, with its fee as a line of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date as day
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from isthmus.connectors.odoo.external import external_id
from isthmus.connectors.odoo.operations.desk import made_key, number
from isthmus.connectors.odoo.operations.forms import Form, Key
from isthmus.connectors.odoo.operations.journals import journals
from isthmus.connectors.odoo.operations.method import Method, Work
from isthmus.sdk import Conflicted, Operation

STATEMENT_LINE = "account.bank.statement.line"


class Settled(Form):
    """One movement of a settlement."""

    label: str = Field(min_length=1, max_length=200, description="What it is, like the number of the payment.")
    amount: Decimal = Field(description="Positive for money that came in, negative for refunds and chargebacks.")
    partner: Key | None = Field(default=None, description="The key of the contact it is from or for.")


class Settlement(Form):
    """A settlement batch as a gateway tells it."""

    reference: str = Field(min_length=1, max_length=64, description="The number of the batch.")
    date: day = Field(description="When it was paid out.")
    journal: str = Field(default="", description="Code, name or key of a bank journal; unset: the first one.")
    lines: tuple[Settled, ...] = Field(min_length=1, description="Its movements, before fees.")
    fee: Annotated[Decimal, Field(ge=0)] = Field(default=Decimal(0), description="What the gateway kept.")
    total: Decimal | None = Field(default=None, description="What was paid out; must be the lines less the fee.")

    @model_validator(mode="after")
    def _adds_up(self) -> Settlement:
        found = sum((line.amount for line in self.lines), -self.fee)
        if self.total is not None and found != self.total:
            raise ValueError(f"the lines less the fee come to {found}, the batch says {self.total}")
        return self


class Booked(Form):
    """The statement lines of the batch."""

    lines: tuple[str, ...] = Field(description="Their keys: the movements in order, the fee last.")
    total: Decimal = Field(description="What they sum up to.")


class BookSettlement(Method[Any]):
    """Each movement is a statement line under an External ID of ours; all of a batch, or none."""

    GERUND = "booking"
    ABOUT: ClassVar[Operation] = Operation(
        name="book_settlement",
        label="Book a settlement batch",
        summary="Books a gateway's payout as bank statement lines, its fee as a line of its own.",
        input=Settlement,
        result=Booked,
        lease={},
        money=True,
        batch=5,
        needs=("Show Full Accounting Features",),
    )

    def name(self, form: Any) -> str:
        return f"settlement {form.reference}"

    async def look(self, works: Sequence[Work[Any]]) -> None:
        keys = {key: work for work in works for key in self._keys(work)}
        found = await self.desk.external.find(STATEMENT_LINE, list(keys))
        told = await self.desk.search(
            STATEMENT_LINE,
            [["id", "in", list(found.values())]],
            ["amount"],
            doing=f"reading {len(keys)} statement lines",
        )
        rows = {row["id"]: row for row in told}
        for work in works:
            mine = [found[key] for key in self._keys(work) if found.get(key) in rows]
            if len(mine) == len(self._keys(work)):
                booked = sum((number(rows[one]["amount"]) for one in mine), Decimal(0))
                wanted = number(sum((amount for _, amount, _ in _movements(work.form)), Decimal(0)))
                if booked != wanted:
                    work.block(
                        f"its statement lines come to {booked}, not {wanted}",
                        "The same batch was booked with other amounts before: compare it with the statement in Odoo.",
                        kind=Conflicted,
                    )
                    continue
                work.result = {"lines": [str(one) for one in mine], "total": booked}

    async def act(self, works: Sequence[Work[Any]]) -> None:
        chosen = await journals(self.desk, works)

        def sheet(work: Work[Any]) -> list[dict[str, Any]]:
            rows = []
            for key, (label, amount, partner) in zip(self._keys(work), _movements(work.form), strict=True):
                rows.append(
                    {
                        "id": external_id(key),
                        "journal_id/.id": chosen[work.form.journal],
                        "date": work.form.date.isoformat(),
                        "payment_ref": label,
                        "ref": work.form.reference,
                        "amount": amount,
                        "partner_id/.id": partner or "",
                    }
                )
            return rows

        for work in works:
            if work.open:
                await self.desk.load_all(work, STATEMENT_LINE, sheet(work))

    def _keys(self, work: Work[Any]) -> list[str]:
        """The external key of each statement line."""
        whole = made_key(self.ABOUT.name, work.act.key)
        return [f"{whole}.{n}" for n in range(1, len(_movements(work.form)) + 1)]


def _movements(form: Settlement) -> list[tuple[str, Decimal, str | None]]:
    """Label, amount and contact of each line; the fee last."""
    told = [(line.label, line.amount, line.partner) for line in form.lines]
    return [*told, (f"{form.reference}: fee", -form.fee, None)] if form.fee else list(told)
