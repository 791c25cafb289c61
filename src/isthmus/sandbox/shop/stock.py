"""How much of what is where: levels per item and location, and what sales, shipments and returns do to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from .errors import Refused
from .store import Doc, Store, gid, number_of

NAMES = ("available", "on_hand", "committed", "incoming", "reserved", "damaged", "quality_control", "safety_stock")
Told = Callable[[str, Doc], None]
"""Tells of an event: its topic and the document."""


class Stock:
    """The levels of one shop. `on_hand` is always what is available, committed, reserved, damaged and so on."""

    def __init__(self, store: Store, tell: Told) -> None:
        self._store = store
        self._tell = tell

    def level(self, item: str, location: str) -> Doc | None:
        """The level of an item at a location, when it is stocked there."""
        return self._store.get(_level_id(item, location))

    def levels_of(self, item: str) -> list[Doc]:
        """Where an item is stocked."""
        return [level for level in self._store.all("InventoryLevel") if level["item"] == item]

    def activate(self, item: str, location: str, available: int = 0) -> Doc:
        """Stock an item at a location."""
        found = self.level(item, location)
        if found is not None:
            return found
        counts = dict.fromkeys(NAMES, 0) | {"available": available, "on_hand": available}
        values = {"item": item, "location": location, "counts": counts}
        level = self._store.add("InventoryLevel", values, text=_level_id(item, location))
        self._tell("INVENTORY_LEVELS_CONNECT", level)
        return level

    def available(self, item: str) -> int:
        """What may still be sold, over all locations."""
        return sum(level["counts"]["available"] for level in self.levels_of(item))

    def move(self, item: str, location: str, **deltas: int) -> Doc:
        """Change counts of a level; `on_hand` follows."""
        level = self.level(item, location) or self.activate(item, location)
        counts = dict(level["counts"])
        for name, delta in deltas.items():
            counts[name] += delta
            if name not in ("on_hand", "incoming"):
                counts["on_hand"] += delta
        changed = self._store.changed(level, counts=counts)
        self._tell("INVENTORY_LEVELS_UPDATE", changed)
        return changed

    def set(self, name: str, rows: Sequence[Mapping[str, object]]) -> list[Doc]:
        """Set absolute counts where they still are as compared; all or none."""
        refused: Refused | None = None
        done: list[Doc] = []
        for place, row in enumerate(rows):
            try:
                done.append(self._set_one(name, row, str(place)))
            except Refused as error:
                refused = error if refused is None else refused.and_also(error)
        if refused is not None:
            raise refused
        return done

    def _set_one(self, name: str, row: Mapping[str, object], place: str) -> Doc:
        told = ("input", "quantities", place)
        if name not in ("available", "on_hand"):
            raise Refused(
                "The quantity name must be either 'available' or 'on_hand'.", "input", "name", code="INVALID_NAME"
            )
        item, location, wanted = str(row["inventoryItemId"]), str(row["locationId"]), row["quantity"]
        if self._store.get(item) is None:
            raise Refused(
                "The specified inventory item could not be found.",
                *told,
                "inventoryItemId",
                code="INVALID_INVENTORY_ITEM",
            )
        if self._store.get(location) is None:
            raise Refused("The specified location could not be found.", *told, "locationId", code="INVALID_LOCATION")
        level = self.level(item, location)
        if level is None:
            raise Refused(
                "The specified inventory item is not stocked at the location.",
                *told,
                "locationId",
                code="ITEM_NOT_STOCKED_AT_LOCATION",
            )
        assert isinstance(wanted, int)  # the schema says so
        if wanted < 0 and name == "on_hand":
            raise Refused("The quantity can't be negative.", *told, "quantity", code="INVALID_QUANTITY_NEGATIVE")
        if wanted > 1_000_000_000:
            raise Refused(
                "The quantity can't be higher than 1,000,000,000.", *told, "quantity", code="INVALID_QUANTITY_TOO_HIGH"
            )
        here = level["counts"][name]
        expected = row.get("changeFromQuantity")
        if expected is not None and expected != here:
            raise Refused(
                "The changeFromQuantity argument no longer matches the persisted quantity.",
                *told, "changeFromQuantity", code="CHANGE_FROM_QUANTITY_STALE",
            )  # fmt: skip
        return self.move(item, location, available=wanted - here)

    def adjust(self, name: str, rows: Sequence[Mapping[str, object]]) -> list[Doc]:
        """Change counts by deltas, where they still are as compared."""
        done = []
        for place, row in enumerate(rows):
            level = self.level(str(row["inventoryItemId"]), str(row["locationId"]))
            told = ("input", "changes", str(place))
            if level is None:
                raise Refused(
                    "The specified inventory item is not stocked at the location.",
                    *told,
                    "locationId",
                    code="ITEM_NOT_STOCKED_AT_LOCATION",
                )
            if name not in NAMES or name == "on_hand":
                raise Refused("The specified quantity name is invalid.", "input", "name", code="INVALID_QUANTITY_NAME")
            expected = row.get("changeFromQuantity")
            if expected is not None and expected != level["counts"][name]:
                raise Refused(
                    "The changeFromQuantity argument no longer matches the persisted quantity.",
                    *told,
                    "changeFromQuantity",
                    code="CHANGE_FROM_QUANTITY_STALE",
                )
            delta = row["delta"]
            assert isinstance(delta, int)  # the schema says so
            done.append(self.move(level["item"], level["location"], **{name: delta}))
        return done

    def place_of(self, item: str | None, quantity: int) -> str:
        """The location a sale is taken from: the first with enough, else the first it is stocked at, else the first."""
        levels = self.levels_of(item) if item else []
        enough = [level for level in levels if level["counts"]["available"] >= quantity]
        if enough or levels:
            return str((enough or levels)[0]["location"])
        return str(self._store.all("Location")[0]["id"])


def _level_id(item: str, location: str) -> str:
    return gid("InventoryLevel", f"{number_of(location)}?inventory_item_id={number_of(item)}")
