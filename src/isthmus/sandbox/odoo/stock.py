"""A thin stock: goods by place, what of them is set aside, and transfers: made, reserved, split and validated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from . import crud
from .database import Row
from .environment import Behaviour, Env, Values
from .errors import UserError
from .records import Records
from .values import round_half_up

PICKING, MOVE, QUANT, LOCATION, KIND = (
    "stock.picking",
    "stock.move",
    "stock.quant",
    "stock.location",
    "stock.picking.type",
)
ENDED = ("done", "cancel")
WAREHOUSE = 1
_LINES = {"sale_line_id": "sale.order.line", "purchase_line_id": "purchase.order.line"}
_ORDERS = {"sale_id": "sale.order", "_purchase": "purchase.order"}
_NOTHING = (
    "Transfer trouble alert! Validating a zero quantity transfer? You're not moving invisible goods around are you?\n"
    "Set some quantities and let's get moving!"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Goods that an order line wants moved, in the line's own unit."""

    line: int
    product: int
    quantity: float
    unit: int
    sequence: int = 10


def moves_of(env: Env, field: str, key: int) -> list[Row]:
    """The moves of a transfer or of an order line, oldest first."""
    table = env.database.table(MOVE)
    return [table.rows[i] for i in table.having(field, (key,)) or ()]


def goods(env: Env, product: int | None) -> bool:
    """Whether a product is moved at all; services are not."""
    return _template(env, product).get("type") != "service"


def moved(env: Env, field: str, line: int) -> float:
    """How much of an order line was moved, in the line's unit."""
    return round_half_up(sum(m.get("quantity") or 0.0 for m in moves_of(env, field, line) if m["state"] == "done"), 6)


def status_of(env: Env, pickings: Iterable[Row]) -> str | None:
    """How far an order's transfers are: pending, partial or full; None where there are none."""
    live = [row["state"] for row in pickings if row["state"] != "cancel"]
    if not live:
        return None
    if all(state == "done" for state in live):
        return "full"
    return "partial" if "done" in live else "pending"


def _template(env: Env, product: int | None) -> Row:
    variant = env.row("product.product", product) or {}
    return env.row("product.template", variant.get("product_tmpl_id")) or {}


# -- goods by place ----------------------------------------------------------------------------------------------------


def _quant(env: Env, product: int, place: int) -> Row:
    table = env.database.table(QUANT)
    for i in table.having("product_id", (product,)) or ():
        if table.rows[i]["location_id"] == place:
            return table.rows[i]
    values = {"product_id": product, "location_id": place}
    return table.rows[crud.create(env.sudo().with_context(inventory_mode=False), QUANT, [values])[0]]


def _change(env: Env, product: int, place: int, *, quantity: float = 0.0, reserved: float = 0.0) -> None:
    if not _template(env, product).get("is_storable"):
        return
    row = _quant(env, product, place)
    crud.patch(
        env,
        QUANT,
        row["id"],
        {
            "quantity": round_half_up((row.get("quantity") or 0.0) + quantity, 6),
            "reserved_quantity": round_half_up((row.get("reserved_quantity") or 0.0) + reserved, 6),
        },
    )


def _factor(env: Env, move: Row) -> float:
    """How many of the product's own unit one of the move's unit is."""
    units = env.database.table("uom.uom").rows
    own = units.get(_template(env, move["product_id"]).get("uom_id") or 0, {})
    told = units.get(move.get("product_uom") or 0, own)
    return float(told.get("factor") or 1.0) / float(own.get("factor") or 1.0)


def _from_stock(env: Env, move: Row) -> bool:
    source = env.row(LOCATION, move["location_id"]) or {}
    return source.get("usage") == "internal" and bool(_template(env, move["product_id"]).get("is_storable"))


def _set_quantity(env: Env, move: Row, quantity: float, **more: Any) -> None:
    """Say how much of a move goes or is set aside; the goods are reserved with it."""
    before, demand = move.get("quantity") or 0.0, move.get("product_uom_qty") or 0.0
    if _from_stock(env, move):
        _change(env, move["product_id"], move["location_id"], reserved=(quantity - before) * _factor(env, move))
    state = "assigned" if quantity >= demand else "partially_available" if quantity > 0 else "confirmed"
    crud.patch(env, MOVE, move["id"], {"quantity": quantity, "state": state, **more})


def _assign(env: Env, move: Row) -> None:
    """Set aside what is there of an open move; what is set aside already stays."""
    if move["state"] in ENDED or move.get("picked"):
        return
    demand, held = move.get("product_uom_qty") or 0.0, move.get("quantity") or 0.0
    if not _from_stock(env, move):
        _set_quantity(env, move, max(demand, held))
        return
    row = _quant(env, move["product_id"], move["location_id"])
    there = (row.get("quantity") or 0.0) - (row.get("reserved_quantity") or 0.0)
    _set_quantity(env, move, held + max(0.0, min(demand - held, there / _factor(env, move))))


# -- transfers ---------------------------------------------------------------------------------------------------------


def launch(env: Env, code: str, order: Row, link: str, partner: int, demands: Sequence[Demand]) -> None:
    """Make the transfer of an order and reserve it; goods join one that is still open."""
    env = env.sudo()
    if not demands:
        return
    open_one = next((row for row in transfers(env, link, order["id"]) if row["state"] not in ENDED), None)
    picking = open_one["id"] if open_one else _picking(env, code, order, link, partner)
    field = "sale_line_id" if code == "outgoing" else "purchase_line_id"
    for demand in demands:
        mine = [m for m in moves_of(env, field, demand.line) if m.get("picking_id") == picking]
        if mine:
            more = (mine[0].get("product_uom_qty") or 0.0) + demand.quantity
            crud.patch(env, MOVE, mine[0]["id"], {"product_uom_qty": more})
            _assign(env, env.database.table(MOVE).rows[mine[0]["id"]])
        else:
            _move(env, picking, field, demand)
    _restate(env, picking)


def transfers(env: Env, link: str, order: int) -> list[Row]:
    """The transfers of an order, latest first."""
    table = env.database.table(PICKING)
    return [table.rows[i] for i in reversed(table.having(link, (order,)) or [])]


def _picking(env: Env, code: str, order: Row, link: str, partner: int, **more: Any) -> int:
    kind = next(r for r in env.database.table(KIND).rows.values() if r["code"] == code and r.get("active"))
    values = {
        "picking_type_id": kind["id"],
        "location_id": kind["default_location_src_id"],
        "location_dest_id": kind["default_location_dest_id"],
        "partner_id": partner,
        "origin": order.get("name") or False,
        "company_id": env.company,
        **more,
    }
    made = crud.create(env, PICKING, [values])[0]
    # The transfer of a purchase order is found through its moves in Odoo; here it is kept as a column.
    crud.patch(env, PICKING, made, {link: order["id"]})
    return made


def _move(env: Env, picking: int, field: str, demand: Demand) -> int:
    row = env.database.table(PICKING).rows[picking]
    values = {
        "picking_id": picking,
        "product_id": demand.product,
        "product_uom": demand.unit,
        "product_uom_qty": demand.quantity,
        "sequence": demand.sequence,
        "origin": row.get("origin") or False,
        "location_id": row["location_id"],
        "location_dest_id": row["location_dest_id"],
        "picking_type_id": row["picking_type_id"],
        "company_id": env.company,
    }
    made = crud.create(env, MOVE, [values])[0]
    told = {"reference": row["name"], field: demand.line, "state": "confirmed"}
    crud.patch(env, MOVE, made, told)
    _assign(env, env.database.table(MOVE).rows[made])
    return made


def _restate(env: Env, picking: int) -> None:
    """A transfer's state follows from its moves; the order that it belongs to has changed with it."""
    row = env.database.table(PICKING).rows[picking]
    states = {move["state"] for move in moves_of(env, "picking_id", picking)}
    if states and states <= {"cancel"}:
        state = "cancel"
    elif states and states <= {"done", "cancel"}:
        state = "done"
    else:
        state = "assigned" if states & {"assigned", "partially_available"} else "confirmed" if states else "draft"
    ended = {"date_done": env.now[:19]} if state == "done" and not row.get("date_done") else {}
    if state != row.get("state") or ended:
        crud.patch(env, PICKING, picking, {"state": state, **ended})


def give_up(env: Env, picking: int) -> None:
    """Cancel what is open of a transfer; goods that were set aside are free again."""
    for move in moves_of(env, "picking_id", picking):
        if move["state"] not in ENDED:
            _drop(env, move)
    _restate(env, picking)


def _drop(env: Env, move: Row) -> None:
    _set_quantity(env, move, 0.0)
    crud.patch(env, MOVE, move["id"], {"state": "cancel", "picked": None})


def action_assign(records: Records) -> bool:
    """Set aside what is there for the open moves of transfers."""
    for picking in records.ids:
        for move in moves_of(records.env, "picking_id", picking):
            _assign(records.env, move)
        _restate(records.env, picking)
    return True


def action_cancel(records: Records) -> bool:
    """Cancel transfers of which nothing has moved."""
    for picking in records.ids:
        if any(move["state"] == "done" for move in moves_of(records.env, "picking_id", picking)):
            raise UserError(
                "You cannot cancel a stock move that has been set to 'Done'. Create a return in order to reverse the "
                "moves which took place."
            )
        give_up(records.env.sudo(), picking)
    return True


def button_validate(records: Records) -> Any:
    """Move what is picked, or all that is set aside; what is not moved becomes a backorder, or is given up if told."""
    env = records.env
    rows = env.database.table(PICKING).rows
    todo = [i for i in records.ids if rows[i]["state"] not in ENDED]
    going = {i: _going(env, i) for i in todo}
    if any(not taken for taken in going.values()):
        raise UserError(_NOTHING)
    dropped = set(env.context.get("picking_ids_not_to_backorder") or ())
    short = [i for i in todo if _short(env, i, going[i])]
    if short and not env.context.get("skip_backorder"):
        asked = {"pick_ids": [[4, i] for i in short]}
        return {
            "type": "ir.actions.act_window",
            "name": "Create Backorder?",
            "res_model": "stock.backorder.confirmation",
            "view_mode": "form",
            "target": "new",
            "context": {**env.context, **{f"default_{name}": value for name, value in asked.items()}},
        }
    for picking in todo:
        _carry_out(env.sudo(), picking, going[picking], backorder=picking not in dropped)
    return True


def _going(env: Env, picking: int) -> list[Row]:
    live = [move for move in moves_of(env, "picking_id", picking) if move["state"] not in ENDED]
    picked = [move for move in live if move.get("picked")]
    return [move for move in picked or live if (move.get("quantity") or 0.0) > 0]


def _short(env: Env, picking: int, going: Sequence[Row]) -> bool:
    ids = {move["id"] for move in going}
    live = [move for move in moves_of(env, "picking_id", picking) if move["state"] not in ENDED]
    return any(m["id"] not in ids or (m.get("quantity") or 0.0) < (m.get("product_uom_qty") or 0.0) for m in live)


def _carry_out(env: Env, picking: int, going: Sequence[Row], *, backorder: bool) -> None:
    ids = {move["id"] for move in going}
    rest = [m for m in moves_of(env, "picking_id", picking) if m["id"] not in ids and m["state"] not in ENDED]
    over: list[tuple[Row, float]] = []
    for move in going:
        quantity, demand = move.get("quantity") or 0.0, move.get("product_uom_qty") or 0.0
        if quantity < demand:
            over.append((move, demand - quantity))
        amount = quantity * _factor(env, move)
        reserved = -amount if _from_stock(env, move) else 0.0
        _change(env, move["product_id"], move["location_id"], quantity=-amount if reserved else 0.0, reserved=reserved)
        destination = env.row(LOCATION, move["location_dest_id"]) or {}
        if destination.get("usage") in ("internal", "customer"):
            _change(env, move["product_id"], move["location_dest_id"], quantity=amount)
        done = {
            "state": "done",
            "picked": True,
            "date": env.now[:19],
            "product_uom_qty": min(quantity, demand) or demand,
        }
        crud.patch(env, MOVE, move["id"], done)
    if backorder and (rest or over):
        _backorder(env, picking, rest, over)
    else:
        for move in rest:
            _drop(env, move)
    _restate(env, picking)
    _tell_order(env, picking, {move["id"] for move in going})


def _backorder(env: Env, picking: int, rest: Sequence[Row], over: Sequence[tuple[Row, float]]) -> None:
    row = env.database.table(PICKING).rows[picking]
    link = next(name for name in _ORDERS if row.get(name))
    code = (env.row(KIND, row["picking_type_id"]) or {})["code"]
    order = {"id": row[link], "name": row.get("origin")}
    made = _picking(env, code, order, link, row["partner_id"], backorder_id=picking)
    name = env.database.table(PICKING).rows[made]["name"]
    for move in rest:
        crud.patch(env, MOVE, move["id"], {"picking_id": made, "reference": name, "picked": None})
    for move, quantity in over:
        field = next(name for name in _LINES if move.get(name))
        _move(
            env,
            made,
            field,
            Demand(
                line=move[field],
                product=move["product_id"],
                quantity=quantity,
                unit=move["product_uom"],
                sequence=move.get("sequence") or 10,
            ),
        )
    _restate(env, made)


def _tell_order(env: Env, picking: int, done: set[int]) -> None:
    """Lines and orders carry what has moved: they have changed."""
    for move in moves_of(env, "picking_id", picking):
        for field, model in _LINES.items():
            if move["id"] in done and env.row(model, move.get(field)):
                crud.patch(env, model, move[field], {})
    row = env.database.table(PICKING).rows[picking]
    for field, model in _ORDERS.items():
        order = env.row(model, row.get(field))
        if order is not None:
            crud.patch(env, model, order["id"], {"effective_date": order.get("effective_date") or env.now[:19]})


# -- what the models add -----------------------------------------------------------------------------------------------


class Picking(Behaviour):
    """stock.picking: numbered by its kind; its state follows from its moves."""

    def defaults(self, env: Env) -> Values:
        return {"state": "draft", "move_type": "direct", "priority": "0", "scheduled_date": env.now[:19]}

    def after_create(self, env: Env, ids: Sequence[int], given: Sequence[Values]) -> None:
        table = env.database.table(PICKING)
        for i in ids:
            kind = env.row(KIND, table.rows[i].get("picking_type_id")) or {}
            number = len(table.having("picking_type_id", (kind.get("id"),)) or ())
            crud.patch(env, PICKING, i, {"name": f"WH/{kind.get('sequence_code')}/{number:05d}"})

    computed = {"purchase_id": lambda env, row: row.get("_purchase")}
    methods = {"action_assign": action_assign, "action_cancel": action_cancel, "button_validate": button_validate}


class Move(Behaviour):
    """stock.move: what is written as its quantity is set aside with it."""

    def defaults(self, env: Env) -> Values:
        return {"state": "draft", "date": env.now[:19], "procure_method": "make_to_stock", "sequence": 10}

    def after_write(self, env: Env, ids: Sequence[int], values: Values, before: Sequence[Row]) -> None:
        if not {"quantity", "product_uom_qty"} & values.keys():
            return
        for old in before:
            row = env.database.table(MOVE).rows[old["id"]]
            if row["state"] not in (*ENDED, "draft"):
                _set_quantity(env.sudo(), {**row, "quantity": old.get("quantity")}, row.get("quantity") or 0.0)
                if row.get("picking_id"):
                    _restate(env.sudo(), row["picking_id"])

    def display_name(self, env: Env, row: Row) -> str | None:
        product = env.row("product.product", row.get("product_id")) or {}
        places = (env.row(LOCATION, row.get(end)) or {} for end in ("location_id", "location_dest_id"))
        path = ">".join(str(place.get("name") or "") for place in places)
        code = f"{product.get('default_code')}: " if product.get("default_code") else ""
        return f"{row['origin']}/{code}{path}" if row.get("origin") else f"{code}{path}"


class Quant(Behaviour):
    """stock.quant: counted goods are booked at once where told so, against the place of adjustments."""

    def defaults(self, env: Env) -> Values:
        return {"quantity": 0.0, "reserved_quantity": 0.0, "in_date": env.now[:19]}

    def before_create(self, env: Env, values: Values) -> Values:
        table = env.database.table(QUANT)
        same = [table.rows[i] for i in table.having("product_id", (values.get("product_id"),)) or ()]
        if any(row["location_id"] == values.get("location_id") for row in same):
            raise UserError("The quant of this product and place is there already: write its counted quantity instead.")
        return values

    def display_name(self, env: Env, row: Row) -> str | None:
        return str((env.row(LOCATION, row.get("location_id")) or {}).get("complete_name") or "")

    computed = {
        "available_quantity": lambda env, row: (row.get("quantity") or 0.0) - (row.get("reserved_quantity") or 0.0),
        "inventory_quantity_auto_apply": lambda env, row: row.get("quantity") or 0.0,
    }
    inverses = {"inventory_quantity_auto_apply": lambda env, i, value: _count(env.sudo(), i, float(value or 0.0))}


def _count(env: Env, quant: int, quantity: float) -> None:
    row = env.database.table(QUANT).rows[quant]
    adjustment = next(r for r in env.database.table(LOCATION).rows.values() if r.get("usage") == "inventory")
    delta = quantity - (row.get("quantity") or 0.0)
    _change(env, row["product_id"], row["location_id"], quantity=delta)
    _change(env, row["product_id"], adjustment["id"], quantity=-delta)


class Warehouse(Behaviour):
    """stock.warehouse: kept in use unless told."""

    def defaults(self, env: Env) -> Values:
        return {"active": True}


class Kind(Behaviour):
    """stock.picking.type: called by its warehouse."""

    def defaults(self, env: Env) -> Values:
        return {"active": True}

    def display_name(self, env: Env, row: Row) -> str | None:
        house = env.row("stock.warehouse", row.get("warehouse_id"))
        return f"{house['name']}: {row['name']}" if house else str(row["name"])


class Place(Behaviour):
    """stock.location: called by its whole path."""

    def defaults(self, env: Env) -> Values:
        return {"active": True, "usage": "internal"}

    def display_name(self, env: Env, row: Row) -> str | None:
        return str(row.get("complete_name") or row.get("name") or "")
