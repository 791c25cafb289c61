"""Credit limits: what a customer owes already, with the order that is to be confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field

from isthmus.connectors.odoo.operations.desk import number
from isthmus.connectors.odoo.operations.forms import Document, Form, Key, document
from isthmus.connectors.odoo.operations.invoices import BILLING
from isthmus.connectors.odoo.operations.method import Work
from isthmus.connectors.odoo.operations.sales import ORDER, SALES, SalesOrders
from isthmus.sdk import Conflicted, Operation

PARTNER = "res.partner"


class CreditQuestion(Form):
    """A sales order that is to be confirmed on account."""

    order: Key = Field(description="The key of the sales order.")
    refuse: bool = Field(default=False, description="Whether it is refused when the limit would be exceeded.")


class CreditStands(Form):
    """How the customer would stand with the order."""

    order: Document = Field(description="The order.")
    customer: str = Field(description="The company that owes, by name.")
    limit: Decimal = Field(description="Its credit limit, in the company's currency; 0 where there is none.")
    owed: Decimal = Field(description="What it owes, with what was ordered and is not invoiced yet.")
    adds: Decimal = Field(description="What this order adds, in the company's currency; 0 once it is confirmed.")
    exceeded: bool = Field(description="Whether the limit would be exceeded.")


class CheckCredit(SalesOrders):
    """Reads only; as Odoo warns on the screen: owed and not invoiced yet, and this order, against the limit."""

    GERUND = "checking the credit for"
    ABOUT: ClassVar[Operation] = Operation(
        name="check_credit",
        label="Check a customer's credit",
        summary="Tells whether an order would exceed the customer's credit limit; refuses it where told. Only reads.",
        input=CreditQuestion,
        result=CreditStands,
        lease={},
        batch=50,
        needs=(SALES, BILLING),
    )

    async def look(self, works: Sequence[Work[Any]]) -> None:
        await self.read(works)
        ids = [int(work.form.order) for work in works if work.facts["order"]]
        heads = await self.desk.rows(
            ORDER, ids, ["partner_invoice_id", "currency_rate"], doing=f"reading the customers of {len(ids)} orders"
        )
        asked = await self.desk.rows(
            PARTNER,
            [row["partner_invoice_id"] for row in heads.values()],
            ["commercial_partner_id"],
            doing="reading the companies of customers",
        )
        known = await self.desk.known(PARTNER, "credit_limit", "show_credit_limit", "credit", "credit_to_invoice")
        companies = await self.desk.rows(
            PARTNER,
            [row["commercial_partner_id"] for row in asked.values()],
            ["name", *known],
            doing="reading the credit of customers",
        )
        before: dict[int, Decimal] = {}  # orders that are asked about together are confirmed together
        for work in works:
            order = work.facts["order"]
            if order is None:
                continue
            head = heads[order["id"]]
            company = companies[asked[head["partner_invoice_id"]]["commercial_partner_id"]]
            limit = number(company.get("credit_limit")) if company.get("show_credit_limit") else Decimal(0)
            owed = number(company.get("credit")) + number(company.get("credit_to_invoice"))
            rate = number(head["currency_rate"]) or Decimal(1)
            adds = Decimal(0) if order["state"] == "sale" else round(number(order["amount_total"]) / rate, 2)
            owed += before.get(company["id"], Decimal(0))
            exceeded = limit > 0 and owed + adds > limit
            if not exceeded:
                before[company["id"]] = before.get(company["id"], Decimal(0)) + adds
            if exceeded and work.form.refuse:
                work.block(
                    f"{company['name']} owes {owed}, it adds {adds}, and the credit limit is {limit}",
                    "Collect what is owed or raise the limit in Odoo, then try again.",
                    kind=Conflicted,
                    limit=str(limit),
                    owed=str(owed),
                    adds=str(adds),
                )
                continue
            work.result = {
                "order": document(order),
                "customer": company["name"],
                "limit": limit,
                "owed": owed,
                "adds": adds,
                "exceeded": exceeded,
            }

    async def act(self, works: Sequence[Work[Any]]) -> None:
        """Nothing: it only reads."""
