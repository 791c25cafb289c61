"""Counted quantities: an inventory adjustment, in one transaction with the count itself.

Counts of one place may arrive out of order. Each adjustment is named after the moment it was true, so that an older
count never overwrites a newer one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pydantic import AwareDatetime, Field

from isthmus.connectors.odoo.operations.desk import Row, number
from isthmus.connectors.odoo.operations.forms import Form, Key
from isthmus.connectors.odoo.operations.method import Method, Work
from isthmus.connectors.odoo.operations.transfers import MOVE
from isthmus.sdk import Operation

QUANT = "stock.quant"
_NAME = re.compile(r"as of (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) \[(.*)\]$")


class Count(Form):
    """What was counted of one product."""

    product: Key = Field(description="The key of the product variant.")
    quantity: Annotated[Decimal, Field(ge=0)] = Field(description="How much is there, in the product's own unit.")


class Counted(Form):
    """What was counted at one place."""

    location: Key = Field(description="The key of the stock location.")
    counts: tuple[Count, ...] = Field(min_length=1, description="What was counted.")
    as_of: AwareDatetime = Field(description="When this was true, with its zone.")
    reference: str = Field(default="Count", max_length=60, description="What the adjustment is called in Odoo.")


class Level(Form):
    """How much of a product there is now."""

    product: str = Field(description="The key of the product variant.")
    quantity: Decimal = Field(description="How much is there now.")


class Adjusted(Form):
    """The quantities after the adjustment."""

    levels: tuple[Level, ...] = Field(description="How much there is of each product.")
    superseded: tuple[str, ...] = Field(description="Products that a newer count spoke of before; left as they are.")


class ApplyInventory(Method[Any]):
    """Sets the quantities of products at a place to what was counted."""

    GERUND = "counting"
    ABOUT: ClassVar[Operation] = Operation(
        name="apply_inventory",
        label="Apply counted quantities",
        summary="Adjusts the stock of a location to what was counted; an older count never overwrites a newer one.",
        input=Counted,
        result=Adjusted,
        lease={"location": "stock.location"},
        batch=20,
        needs=("Inventory: Administrator",),
    )

    def name(self, form: Any) -> str:
        return f"location {form.location}"

    async def look(self, works: Sequence[Work[Any]]) -> None:
        places = sorted({int(work.form.location) for work in works})
        products = sorted({int(count.product) for work in works for count in work.form.counts})
        there = await self.desk.rows("stock.location", places, ["complete_name", "usage"], doing="reading locations")
        quants = await self.desk.search(
            QUANT,
            [["location_id", "in", places], ["product_id", "in", products]],
            ["product_id", "location_id", "quantity"],
            doing=f"reading the stock of {len(products)} products",
        )
        known = await self.desk.rows(
            "product.product", products, ["display_name", "is_storable"], doing="reading what was counted"
        )
        moves = await self.desk.search(
            MOVE,
            [["is_inventory", "=", True], ["product_id", "in", products], ["inventory_name", "like", "as of "],
             "|", ["location_id", "in", places], ["location_dest_id", "in", places]],
            ["product_id", "location_id", "location_dest_id", "inventory_name"],
            doing="reading earlier counts",
        )  # fmt: skip
        for work in works:
            place = there.get(int(work.form.location))
            if place is None:
                work.block(
                    "there is no such location in this company, or the login may not see it",
                    "Check the key; Inventory > Configuration > Locations lists them.",
                    missing=True,
                )
                continue
            work.called = f"location {place['complete_name']}"
            bad = [
                count.product for count in work.form.counts if not known.get(int(count.product), {}).get("is_storable")
            ]
            if bad:
                work.block(
                    f"product {', '.join(bad)} is not there, or its stock is not tracked",
                    "Leave it out, or switch on Track Inventory for it in Odoo.",
                )
                continue
            self._judge(work, place["id"], quants, moves)

    def _judge(self, work: Work[Any], place: int, quants: Sequence[Row], moves: Sequence[Row]) -> None:
        now: dict[int, Decimal] = {}
        for row in quants:
            if row["location_id"] == place:
                now[row["product_id"]] = now.get(row["product_id"], Decimal(0)) + number(row["quantity"])
        as_of, ours, newer = _moment(work.form.as_of), set(), set()
        for move in moves:
            found = _NAME.search(str(move["inventory_name"]))
            if found and place in (move["location_id"], move["location_dest_id"]):
                if found[2] == work.act.key:
                    ours.add(move["product_id"])
                elif found[1] > as_of:
                    newer.add(move["product_id"])
        newer -= ours
        left = [
            count
            for count in work.form.counts
            if int(count.product) not in ours | newer and now.get(int(count.product), Decimal(0)) != count.quantity
        ]
        work.facts["left"] = left
        if not left:
            work.result = {
                "levels": [
                    {"product": count.product, "quantity": now.get(int(count.product), Decimal(0))}
                    for count in work.form.counts
                ],
                "superseded": sorted(count.product for count in work.form.counts if int(count.product) in newer),
            }

    async def act(self, works: Sequence[Work[Any]]) -> None:
        for work in works:

            async def call(todo: list[Work[Any]]) -> None:
                [one] = todo
                values = [
                    {
                        "product_id": int(count.product),
                        "location_id": int(one.form.location),
                        "inventory_quantity_auto_apply": count.quantity,
                    }
                    for count in one.facts["left"]
                ]
                name = f"{one.form.reference} as of {_moment(one.form.as_of)} [{one.act.key}]"
                await self.desk.call(
                    QUANT, "create", None, vals_list=values, doing=one.doing,
                    context={"inventory_mode": True, "inventory_name": name},
                )  # fmt: skip

            await self.desk.each([work], call)


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
