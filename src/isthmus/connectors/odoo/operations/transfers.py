"""Transfers of an order: goods that are shipped to a customer or received from a vendor, in parts where need be.

Two shipments of one order are two Acts. What tells them apart is a mark in the transfer's source document (`#` and
the shipment's reference, or the Act's key): a validated transfer that carries the mark is the one that this Act made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field

from isthmus.connectors.odoo.operations.desk import Row, number
from isthmus.connectors.odoo.operations.forms import Document, Form, Key, LineQuantity, Moved, document
from isthmus.connectors.odoo.operations.method import Method, Work
from isthmus.sdk import InvalidRecord, IsthmusError, Operation

PICKING, MOVE = "stock.picking", "stock.move"
STOCK = "Inventory: User"
_ENDED = ("done", "cancel")
_QUIET = {"skip_sms": True, "skip_backorder": True}
"""Without these, validating asks a question and answers 200 with the transfer as it was."""


class Delivery(Form):
    """Goods of a sales order that left the house."""

    order: Key = Field(description="The key of the sales order.")
    lines: tuple[LineQuantity, ...] = Field(
        default=(), description="What was shipped of which line; none: everything that is still open."
    )
    reference: str = Field(
        default="",
        max_length=64,
        pattern=r"^[^,#]*$",
        description="The shipment's own number; tells two shipments of an order apart. Unset: the key of the Act.",
    )
    tracking: str = Field(default="", description="The carrier's tracking number.")
    carrier: str = Field(default="", description="The carrier's name; goes to the notes of the delivery.")
    backorder: bool = Field(
        default=True, description="Whether what was not shipped stays open; else it is given up."
    )  # fmt: skip
    allow_over: bool = Field(default=False, description="Whether more than ordered may be shipped.")


class Receipt(Form):
    """Goods of a purchase order that arrived."""

    order: Key = Field(description="The key of the purchase order.")
    lines: tuple[LineQuantity, ...] = Field(
        default=(), description="What was received of which line; none: everything that is still open."
    )
    reference: str = Field(
        default="",
        max_length=64,
        pattern=r"^[^,#]*$",
        description="The receipt's own number; tells two receipts of an order apart. Unset: the key of the Act.",
    )
    backorder: bool = Field(default=True, description="Whether what did not arrive stays open; else it is given up.")
    allow_over: bool = Field(default=True, description="Whether more than ordered may be received.")
    cut: bool = Field(
        default=False, description="Whether what is more than ordered is left out: it was refused and goes back."
    )


class Transferred(Form):
    """What was moved, and what is still open."""

    order: Document = Field(description="The order.")
    transfers: tuple[Document, ...] = Field(description="The transfers that were validated.")
    backorders: tuple[Document, ...] = Field(description="Transfers of the order that are still open.")
    lines: tuple[Moved, ...] = Field(description="What was moved for which line by this Act.")


class Transfers(Method[Any]):
    """Validating the open transfers of an order, line by line."""

    ORDER: ClassVar[str]
    LINK: ClassVar[str]
    LINE: ClassVar[str]
    CODE: ClassVar[str]
    NOUN: ClassVar[str]
    CONFIRMED: ClassVar[tuple[str, ...]]

    def name(self, form: Any) -> str:
        return f"{self.NOUN} {form.order}"

    async def look(self, works: Sequence[Work[Any]]) -> None:
        ids = [int(work.form.order) for work in works]
        orders = await self.desk.rows(self.ORDER, ids, ["name", "state"], doing=f"reading {len(ids)} orders")
        found = await self.desk.search(
            PICKING,
            [[self.LINK, "in", list(orders)], ["return_id", "=", False]],
            ["name", "state", "origin", "picking_type_code", self.LINK],
            doing=f"reading the transfers of {len(ids)} orders",
        )
        moves = await self.desk.search(
            MOVE,
            [["picking_id", "in", [row["id"] for row in found]], ["state", "!=", "cancel"]],
            ["picking_id", "product_id", "product_uom_qty", "quantity", "picked", "state", self.LINE],
            doing=f"reading what is in {len(found)} transfers",
        )
        for work in works:
            order = orders.get(int(work.form.order))
            if order is None:
                work.block(
                    "there is no such order in this company, or the login may not see it",
                    "Check the key; it is the id that Odoo shows in the address of the order.",
                    missing=True,
                )
                continue
            work.called = f"{self.NOUN} {order['name']}"
            all_of_it = [row for row in found if row[self.LINK] == order["id"]]
            mine = [row for row in all_of_it if row["picking_type_code"] == self.CODE]
            before = [row for row in all_of_it if row["state"] not in _ENDED and row not in mine]
            work.facts["before"] = [row["name"] for row in before if self.CODE == "outgoing"]
            self._judge(work, order, mine, [m for m in moves if m["picking_id"] in {row["id"] for row in mine}])

    def _judge(self, work: Work[Any], order: Row, pickings: list[Row], moves: list[Row]) -> None:
        mark = self.mark(work)
        still = [row for row in pickings if row["state"] not in _ENDED]
        ours = [row for row in pickings if row["state"] == "done" and mark in _tokens(row["origin"])]
        if not ours and not work.form.lines and not still and not work.facts["before"]:
            ours = [row for row in pickings if row["state"] == "done"]  # everything is shipped: nothing else was asked
        work.facts.update(order=order, pickings=still, moves=[])
        if ours:
            ids = {row["id"] for row in ours}
            moved: dict[str, Decimal] = {}
            for move in moves:
                if move["picking_id"] in ids and move[self.LINE]:
                    line = str(move[self.LINE])
                    moved[line] = moved.get(line, Decimal(0)) + number(move["quantity"])
            work.result = {
                "order": document(order),
                "transfers": [document(row) for row in ours],
                "backorders": [document(row) for row in still],
                "lines": [{"line": line, "quantity": quantity} for line, quantity in sorted(moved.items())],
            }
            return
        if order["state"] not in self.CONFIRMED:
            work.block(
                f"its state is {order['state']}", "Confirm the order first; goods move for confirmed orders only."
            )
        elif not still and getattr(work.form, "cut", False):
            _nothing(work)
        elif work.facts["before"] and not still:
            _on_its_way(work)
        elif not still:
            said = "everything was moved before" if any(row["state"] == "done" for row in pickings) else "it has none"
            work.block(f"no transfer of it is open: {said}", "Look at the order in Odoo: was it delivered by hand?")
        else:
            ids = {row["id"] for row in still}
            work.facts["moves"] = [move for move in moves if move["picking_id"] in ids and move["state"] != "done"]
            self._allocate(work)

    def mark(self, work: Work[Any]) -> str:
        """What this Act leaves in the transfer's source document."""
        return f"#{work.form.reference.strip() or work.act.key.replace(',', ';')}"

    def _allocate(self, work: Work[Any]) -> None:
        """Spread the quantities of lines over the open moves, oldest first; the last one takes what is over."""
        moves = work.facts["moves"]
        waiting = [move for move in moves if move["state"] == "waiting"]
        if waiting and len(waiting) == len(moves):
            _on_its_way(work)
            return
        if not work.form.lines:
            work.facts["takes"] = {move["id"]: number(move["product_uom_qty"]) for move in moves}
            return
        cut = getattr(work.form, "cut", False)
        takes: dict[int, Decimal] = {}
        for line in work.form.lines:
            mine = [move for move in moves if str(move[self.LINE]) == line.line]
            left = line.quantity
            for n, move in enumerate(mine):
                free = number(move["product_uom_qty"]) - takes.get(move["id"], Decimal(0))
                last = n == len(mine) - 1 and work.form.allow_over and not cut
                take = left if last else min(left, max(free, Decimal(0)))
                if take > 0:
                    takes[move["id"]] = takes.get(move["id"], Decimal(0)) + take
                    left -= take
            if left > 0 and not cut:
                asked, there = number(line.quantity), number(line.quantity - left)
                said = f"line {line.line} has {there} open, {asked} were to be moved" if mine else (
                    f"line {line.line} is no open line of it"
                )  # fmt: skip
                work.block(said, "Correct the quantities, or set allow_over.", kind=InvalidRecord, line=line.line)
                return
        work.facts["takes"] = takes
        if cut and not takes:
            _nothing(work)

    async def act(self, works: Sequence[Work[Any]]) -> None:
        await self._write_quantities(works)
        await self._write_marks([_Piece(work, picking) for work in works for picking in self._touched(work)])
        for backorder in (True, False):

            async def call(todo: list[Work[Any]], backorder: bool = backorder) -> None:
                ids = [row["id"] for work in todo for row in self._touched(work)]
                context = _QUIET if backorder else {**_QUIET, "picking_ids_not_to_backorder": ids}
                doing = f"validating {len(ids)} transfers"
                await self.desk.call(PICKING, "button_validate", ids, context=context, doing=doing)

            await self.desk.each([work for work in works if work.form.backorder is backorder], call)

    def _touched(self, work: Work[Any]) -> list[Row]:
        takes = work.facts["takes"]
        ids = {move["picking_id"] for move in work.facts["moves"] if move["id"] in takes}
        return [row for row in work.facts["pickings"] if row["id"] in ids]

    async def _write_quantities(self, works: Sequence[Work[Any]]) -> None:
        """Say of each move how much of it goes; moves that say so already are left alone.

        They are written on the moves themselves: `load()` through the transfer would bind a move to it again that
        has gone to a backorder meanwhile.
        """
        wanted = {id(work): self._changes(work) for work in works if work.open}
        for take in sorted({take for moves in wanted.values() for take in moves}, key=str):

            async def call(todo: list[Work[Any]], take: Decimal | None = take) -> None:
                ids = [move for work in todo for move in wanted[id(work)][take]]
                values = {"picked": False} if take is None else {"quantity": take, "picked": True}
                await self.desk.call(
                    MOVE, "write", ids, vals=values, doing=f"writing the quantities of {len(ids)} moves"
                )

            await self.desk.each([work for work in works if take in wanted.get(id(work), ())], call)

    def _changes(self, work: Work[Any]) -> dict[Decimal | None, list[int]]:
        """Moves by what is to be written on them: a quantity, or None for those of which nothing goes."""
        out: dict[Decimal | None, list[int]] = {}
        for picking in self._touched(work):
            moves = [move for move in work.facts["moves"] if move["picking_id"] == picking["id"]]
            takes = {move["id"]: work.facts["takes"].get(move["id"]) for move in moves}
            if all(takes[move["id"]] == number(move["quantity"]) and not move["picked"] for move in moves):
                continue  # Odoo takes everything that is reserved when nothing is picked
            for move in moves:
                take = takes[move["id"]]
                if bool(move["picked"]) != (take is not None) or (
                    take is not None and take != number(move["quantity"])
                ):
                    out.setdefault(take, []).append(move["id"])
        return out

    async def _write_marks(self, pieces: Sequence[_Piece]) -> None:
        """The mark, with carrier and tracking number, on all transfers in one call; nothing moves yet."""
        tracked = bool(await self.desk.known(PICKING, "carrier_tracking_ref"))

        def sheet(piece: _Piece) -> list[dict[str, Any]]:
            head = {".id": piece.picking["id"], "origin": self._origin(piece.work, piece.picking)}
            return [{**head, **_shipping(piece.work.form, tracked)}]

        fresh = [piece for piece in pieces if self.mark(piece.work) not in _tokens(piece.picking["origin"])]
        await self.desk.load(fresh, PICKING, sheet, doing=f"writing on {len(fresh)} transfers what they are for")

    def _origin(self, work: Work[Any], picking: Row) -> str:
        """The source document with our mark; marks that a backorder took over from its first part go."""
        plain = [token for token in _tokens(picking["origin"]) if not token.startswith("#")]
        return ", ".join([*(plain or [work.facts["order"]["name"]]), self.mark(work)])


class _Piece(Work[Any]):
    """One transfer of a work; what goes wrong with it goes wrong with the work."""

    __slots__ = ("picking", "work")

    def __init__(self, work: Work[Any], picking: Row) -> None:
        super().__init__(work.act, work.form, work.gerund, work.called)
        self.work = work
        self.picking = picking

    @property
    def open(self) -> bool:
        return self.work.open

    def fail(self, error: IsthmusError) -> None:
        self.work.fail(error)


def _nothing(work: Work[Any]) -> None:
    """Say that all of it was too much, so that nothing is to be moved."""
    work.result = {
        "order": document(work.facts["order"]),
        "transfers": [],
        "backorders": [document(row) for row in work.facts["pickings"]],
        "lines": [],
    }


def _on_its_way(work: Work[Any]) -> None:
    named = f": {', '.join(work.facts['before'])}" if work.facts["before"] else ""
    work.block(
        f"its goods are still on their way through the warehouse{named}",
        "Validate the transfers before it (picking, packing) in Odoo first.",
    )


def _tokens(origin: Any) -> list[str]:
    return [part.strip() for part in str(origin or "").split(",") if part.strip()]


def _shipping(form: Any, tracked: bool) -> Mapping[str, Any]:
    """Carrier and tracking number: in their own field where the app for carriers is there, else in the notes."""
    tracking, carrier = getattr(form, "tracking", ""), getattr(form, "carrier", "")
    out: dict[str, Any] = {}
    if tracking and tracked:
        out["carrier_tracking_ref"] = tracking
    noted = [text for text in (carrier, "" if tracked else tracking) if text]
    if noted:
        out["note"] = " ".join(noted)
    return out


class ValidateDelivery(Transfers):
    """Goods leave the stock; what was not shipped becomes a backorder."""

    GERUND = "delivering"
    ORDER, LINK, LINE, CODE, NOUN = "sale.order", "sale_id", "sale_line_id", "outgoing", "sales order"
    CONFIRMED = ("sale",)
    ABOUT: ClassVar[Operation] = Operation(
        name="validate_delivery",
        label="Ship goods of a sales order",
        summary="Validates deliveries with the quantities shipped, tracking and carrier; the rest becomes a backorder.",
        input=Delivery,
        result=Transferred,
        lease={"order": "sale.order"},
        batch=20,
        needs=(STOCK, "Sales: User: All Documents"),
    )


class ReceivePurchaseOrder(Transfers):
    """Goods enter the stock; what did not arrive becomes a backorder."""

    GERUND = "receiving goods of"
    ORDER, LINK, LINE, CODE, NOUN = "purchase.order", "purchase_id", "purchase_line_id", "incoming", "purchase order"
    CONFIRMED = ("purchase", "done")
    ABOUT: ClassVar[Operation] = Operation(
        name="receive_purchase_order",
        label="Receive goods of a purchase order",
        summary="Validates receipts with the quantities that arrived, more or less than ordered; the rest stays open.",
        input=Receipt,
        result=Transferred,
        lease={"order": "purchase.order"},
        batch=20,
        needs=(STOCK, "Purchase: User"),
    )
