"""Creates and changes records: checks, locks, derives, stores, and hands the events over, in one transaction."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ..parts.database import stamp_text
from . import lines
from .derived import derive, effects
from .errors import ApiError, Problem, duplicate, invalid, not_found, version_conflict
from .events import events_of
from .lines import settle, stamp_lines
from .rules import Rules
from .schema import Catalogue, Doc, Entity
from .settings import Switches
from .store import Store, column_value
from .validation import checker

Origin = Literal["api", "people"]
"""Whether a write comes through the API or from people at BNG's own screens, who need no ExternalID."""


class Outbox(Protocol):
    """Where events go."""

    def put(self, event_type: str, entity: Entity, key: str, version: int, occurred: str, raw: bytes) -> None:
        """Keep an event for delivery; part of the transaction that is open."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A stored write: the record as JSON."""

    key: str
    version: int
    raw: bytes


class Writer:
    """All writes of records go through here."""

    def __init__(self, known: Catalogue, store: Store, outbox: Outbox, switches: Switches) -> None:
        self._known = known
        self._store = store
        self._outbox = outbox
        self._switches = switches
        self._rules = Rules(known, store, lambda: self._switches.closed_through)
        self.counts: Counter[str] = Counter()
        self.quiet = False

    def create(self, entity: Entity, body: Any, *, origin: Origin = "api", key: str | None = None) -> Saved:
        """Add a record; raises ApiError with all problems. `key` fixes its id, for seeds."""
        with self._store.transaction():
            problems: list[Problem] = []
            waived = {"ExternalID"} if origin == "people" and entity.external == "born_here" else set()
            doc = checker(entity.name).whole(body, "", problems, waived=frozenset(waived))
            if doc:
                self._rules.presence(entity, doc, problems)
            if problems:
                raise invalid(problems)
            doc[entity.id] = key or self._store.new_id()
            self._admit(entity, doc, None)
            saved = self._save(entity, doc, None)
            effects(self._store, self, entity.name, doc, None)
            return saved

    def update(
        self, entity: Entity, key: str, body: Any, *, if_match: int | None = None, origin: Origin = "api"
    ) -> Saved:
        """Change a record by the `put` switch; people always change the named fields only."""
        with self._store.transaction():
            old = self.current(entity, key)
            self._check_version(old, body, if_match)
            partial = origin == "people" or self._switches.put == "partial"
            problems: list[Problem] = []
            changes = self._changes(entity, body, old, partial, origin, problems)
            doc = lines.without_stale_twin({**old, **changes}, changes)
            if not problems:
                self._rules.presence(entity, doc, problems)
            if problems:
                raise invalid(problems)
            self._admit(entity, doc, old)
            saved = self._save(entity, doc, old)
            effects(self._store, self, entity.name, doc, old)
            return saved

    def current(self, entity: Entity, key: str) -> Doc:
        """The record that a write is about; 404 if there is none."""
        found = self._store.get(entity.name, key)
        if found is None:
            raise not_found(entity.label, key, self._store.merged_into(entity.name, key))
        return found

    def rewrite(self, entity: str, old: Doc, new: Doc) -> None:
        """Store a change that BNG makes by itself; it is not checked."""
        with self._store.transaction():
            self._save(self._known.entities[entity], new, old)

    def change_items(self, entity: Entity, old: Doc, new: Doc) -> Saved:
        """Store a document whose items were changed one by one, checked like any other write."""
        with self._store.transaction():
            self._admit(entity, new, old)
            saved = self._save(entity, new, old)
            effects(self._store, self, entity.name, new, old)
            return saved

    @staticmethod
    def _check_version(old: Doc, body: Any, if_match: int | None) -> None:
        current = old["Version"]
        if if_match is not None and if_match != current:
            raise version_conflict(412, if_match, current)
        given = body.get("Version") if isinstance(body, dict) else None
        if given is None:
            return
        if type(given) is not int:
            raise invalid([Problem("Version", "WrongType", "must be an integer")])
        if given != current:
            raise version_conflict(409, given, current)

    def _changes(
        self, entity: Entity, body: Any, old: Doc, partial: bool, origin: Origin, problems: list[Problem]
    ) -> Doc:
        check = checker(entity.name)
        if isinstance(body, dict):
            given = body.get(entity.id)
            if given is not None and given != old[entity.id]:
                problems.append(Problem(entity.id, "Mismatch", f"{given!r} is not the id in the path"))
            free = entity.external == "born_here" and (origin == "people" or old["ExternalID"] is None)
            if partial and free and body.get("ExternalID", "") is None:
                body = {name: value for name, value in body.items() if name != "ExternalID"}
                return {"ExternalID": None, **check.part(body, "", problems)}
            if not partial and free:
                whole = check.whole(body, "", problems, waived=frozenset({"ExternalID"}))
                return {name: value for name, value in whole.items() if not entity.fields[name].readonly}
        if partial:
            return check.part(body, "", problems)
        whole = check.whole(body, "", problems)
        return {name: value for name, value in whole.items() if not entity.fields[name].readonly}

    def _admit(self, entity: Entity, doc: Doc, old: Doc | None) -> None:
        """Raise unless the well-formed document may be stored beside the others."""
        problems: list[Problem] = []
        items = lines.items_field(entity)
        if items is not None and (old is None or doc[items.name] is not old[items.name]):
            settle(self._known, self._store, entity, doc, old, problems)
        if entity.name == "inventory_item":
            lines.fill_product(self._store, doc, "", problems)
        self._rules.check(entity, doc, old, problems)
        if problems:
            raise invalid(problems)
        self._check_unique(entity, doc, old)

    def _check_unique(self, entity: Entity, doc: Doc, old: Doc | None) -> None:
        key = doc[entity.id]
        for field in entity.fields.values():
            if field.name != "ExternalID" and not field.unique:
                continue
            value = doc[field.name]
            if value is None or (old is not None and old[field.name] == value):
                continue
            existing = self._store.id_where(entity.name, field.name, column_value(field, value))
            if existing is not None and existing != key:
                raise duplicate(entity.label, field.name, value, existing)
        if entity.unique_together:
            self._check_together(entity, doc)

    def _check_together(self, entity: Entity, doc: Doc) -> None:
        names = entity.unique_together
        wanted = [doc[name] for name in names]
        for other in self._store.docs_where(entity.name, names[0], doc[names[0]]):
            if other[entity.id] != doc[entity.id] and [other[name] for name in names] == wanted:
                existing = other[entity.id]
                shown = ", ".join(f"{name} {value}" for name, value in zip(names, wanted, strict=True) if value)
                message = f"{entity.label} {existing} is about {shown} already."
                problem = Problem(names[0], "Duplicate", message, ExistingID=existing)
                code = f"Duplicate{entity.label.replace(' ', '')}"
                raise ApiError(409, code, message, [problem], ExistingID=existing)

    def _save(self, entity: Entity, doc: Doc, old: Doc | None) -> Saved:
        stamp = self._store.stamp()
        moment = stamp_text(stamp)
        if doc.get("LineItems"):
            doc["LineItems"] = [dict(item) for item in doc["LineItems"]]  # `old` may hold the same ones
        derive(self._store, entity.name, doc)
        stamp_lines(entity, doc, old, stamp)
        doc["Version"] = old["Version"] + 1 if old is not None else 1
        doc["UpdatedAt"] = moment
        key = doc[entity.id]
        if old is None:
            doc["CreatedAt"] = moment
            raw = self._store.insert(entity.name, key, doc, stamp)
        else:
            raw = self._store.update(entity.name, key, doc, stamp)
        if entity.name in ("sales_order", "purchase_order"):
            before = {item["LineItemID"] for item in old["LineItems"]} if old is not None else set()
            added = [item["LineItemID"] for item in doc["LineItems"] if item["LineItemID"] not in before]
            self._store.keep_lines(entity.name, key, added)
        self.counts[f"{entity.name}.{'created' if old is None else 'updated'}"] += 1
        if not self.quiet:
            for event_type in events_of(entity, doc, old):
                self._outbox.put(event_type, entity, key, doc["Version"], moment, raw)
        return Saved(key, doc["Version"], raw)
