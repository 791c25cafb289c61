"""Stock that somebody else counts: the sum of a product in a warehouse is set by an inventory adjustment of Odoo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from isthmus.connectors.odoo import codec
from isthmus.connectors.odoo.fields import Fields
from isthmus.connectors.odoo.grouped import Grouping
from isthmus.connectors.odoo.natural import NaturalKeys
from isthmus.connectors.odoo.reading import Reader, Row
from isthmus.connectors.odoo.wire import Wire
from isthmus.sdk import (
    Create,
    Failed,
    InvalidRecord,
    IsthmusError,
    Misconfigured,
    Outcome,
    OutcomeUnknown,
    Stale,
    Unsure,
    Update,
    Written,
)

QUANT, PRODUCT, WAREHOUSE = "stock.quant", "product.product", "stock.warehouse"
STOCK = Grouping(QUANT, ("product_id", "warehouse_id"))
"""The one grouping whose sums can be written."""

QUANTITY, UNIT = "quantity", "product_id.uom_id.key"
WRITABLE = (*STOCK.by, QUANTITY)
_COUNT = {"inventory_mode": True}


def writable(found: Grouping) -> tuple[str, ...]:
    """The fields of a grouping that can be written; of most groupings none."""
    return WRITABLE if found == STOCK else ()


class Counting:
    """Sets the stock of a product in a warehouse: what is missing or too much is put right at its stock location."""

    def __init__(self, wire: Wire, fields: Fields, reader: Reader, natural: NaturalKeys) -> None:
        self._wire = wire
        self._fields = fields
        self._reader = reader
        self._natural = natural

    async def update(self, found: Grouping, items: Sequence[Update]) -> list[Outcome]:
        """Count where the sum is still what was read."""
        return [await self._settled(found, item.values, item.key, item.expect.get(QUANTITY)) for item in items]

    async def create(self, found: Grouping, items: Sequence[Create]) -> list[Outcome]:
        """Count what was never counted; a repeated call counts the same again and changes nothing."""
        return [await self._settled(found, item.values, None, None) for item in items]

    async def _settled(self, found: Grouping, values: Mapping[str, Any], key: str | None, expected: Any) -> Outcome:
        try:
            if found != STOCK:
                raise Misconfigured(
                    f"writing sums of {found.model}: they only tell what its rows add up to",
                    hint="Let the other side be told (direction: to_right), or map the model itself.",
                )
            ids = found.ids(key) if key is not None else await self._placed(values)
            if ids is None:
                raise InvalidRecord(f"counting {found.model} {key}: this is no key of a product and a warehouse")
            return await self._count(ids, values, expected)
        except OutcomeUnknown as error:
            return Unsure(error=error)
        except IsthmusError as error:
            return Failed(error=error)

    async def _placed(self, values: Mapping[str, Any]) -> tuple[int, int]:
        product = values.get("product_id")
        code = values.get("warehouse_id.key")
        place = values.get("warehouse_id")
        if place is None and code is not None:
            described = (await self._fields.model(QUANT)).get("warehouse_id")
            place = (await self._natural.ids(described, [str(code)])).get(str(code))
        if not product or not place:
            raise InvalidRecord(
                f"counting stock: Odoo has no {'product for it' if not product else f'warehouse {code}'}",
                hint="Create it in Odoo, or map it to one that is there (look-up table warehouse).",
            )
        return int(product), int(place)

    async def _count(self, ids: tuple[int, ...], values: Mapping[str, Any], expected: Any) -> Outcome:
        product, warehouse = ids
        key = f"{product}-{warehouse}"
        doing = f"counting product {product} in warehouse {warehouse}"
        about = await self._about(product, warehouse, doing)
        field = (await self._fields.model(QUANT)).get(QUANTITY)
        wanted = Decimal(values.get(QUANTITY) or 0)
        unit = values.get(UNIT)
        if unit is not None and unit != about["unit"]:
            wanted = await self._in_unit(wanted, str(unit), int(about["unit_id"]), doing)
        wanted = codec.encode(field, wanted)
        rows = await self._reader.rows(
            QUANT,
            [["product_id", "=", product], ["warehouse_id", "=", warehouse], ["location_id.usage", "=", "internal"]],
            ["location_id", "lot_id", "package_id", "owner_id", QUANTITY],
        )
        now = sum((row.values[QUANTITY] or Decimal(0) for row in rows), Decimal(0))
        if expected is not None and not codec.raw_equal(field, now, expected):
            return Stale(key=key)
        if now != wanted or not rows:
            free = sum((r.values[QUANTITY] for r in rows if _is_free(r, about["location"])), Decimal(0))
            left = wanted - (now - free)
            if left < 0:
                raise InvalidRecord(
                    doing,
                    record=key,
                    answered=f"{wanted} were counted, but {now - free} lie in other places, lots or packages of it",
                    hint="Count those in Odoo by hand; then this closes by itself.",
                )
            await self._wire.call(
                QUANT, "create", doing=doing, context=_COUNT,
                vals_list=[{"product_id": product, "location_id": about["location"],
                            "inventory_quantity_auto_apply": left}],
            )  # fmt: skip
        return Written(key=key)

    async def _about(self, product: int, warehouse: int, doing: str) -> Mapping[str, Any]:
        found = await self._reader.by_ids(PRODUCT, [product], ["tracking", "is_storable", "uom_id", "uom_id.key"])
        place = await self._reader.by_ids(WAREHOUSE, [warehouse], ["lot_stock_id"])
        if product not in found or warehouse not in place:
            raise InvalidRecord(doing, record=f"{product}-{warehouse}", answered="one of the two is not there")
        told = found[product].values
        if told["tracking"] not in (None, "none"):
            raise InvalidRecord(
                doing,
                record=f"{product}-{warehouse}",
                answered="the product is tracked by lots or serial numbers; a sum does not say which were counted",
                hint="Count it in Odoo by lot, or let Odoo own this warehouse (owners in pair.yaml).",
            )
        if not told["is_storable"]:
            raise InvalidRecord(
                doing, record=f"{product}-{warehouse}", answered="Odoo does not keep stock of this product",
                hint="Set Track Inventory on the product in Odoo.",
            )  # fmt: skip
        return {"location": place[warehouse].values["lot_stock_id"], "unit": told["uom_id.key"],
                "unit_id": told["uom_id"]}  # fmt: skip

    async def _in_unit(self, quantity: Decimal, unit: str, own: int, doing: str) -> Decimal:
        """The quantity in the product's own unit, by Odoo's own factors."""
        described = (await self._fields.model(PRODUCT)).get("uom_id")
        told = (await self._natural.ids(described, [unit])).get(unit)
        rows = await self._reader.by_ids("uom.uom", [one for one in (told, own) if one], ["factor", "parent_path"])
        if told not in rows or own not in rows or _root(rows[told].values) != _root(rows[own].values):
            raise InvalidRecord(doing, answered=f"a quantity in {unit} cannot be turned into the product's own unit")
        return quantity * Decimal(rows[told].values["factor"]) / Decimal(rows[own].values["factor"])


def _root(values: Mapping[str, Any]) -> str:
    return str(values["parent_path"] or "").split("/")[0]


def _is_free(row: Row, location: int) -> bool:
    """Whether this is the row that an adjustment of plain stock changes."""
    values = row.values
    return values["location_id"] == location and not (values["lot_id"] or values["package_id"] or values["owner_id"])
