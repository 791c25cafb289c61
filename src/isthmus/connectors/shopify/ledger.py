"""Whose write a fulfilment or refund is: a note in the shop under our key, since these records carry no key of others.

The note is a metaobject, found by its handle at once. It is written in the same request just before the record
itself, and says what was there before; so after a lost answer the record that came to be is told apart from others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from isthmus.connectors.shopify.batching import Call
from isthmus.connectors.shopify.wire import Wire
from isthmus.sdk import Misconfigured

TYPE = "isthmus_write"
AT_ONCE = 20
_FIELDS = ("kind", "external_key", "order", "before", "print")


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What is to be made: the kind, for which order, what the order had before, and what tells the record apart."""

    kind: str
    external_key: str
    order: str
    before: tuple[str, ...]
    print: str


class Ledger:
    """The notes of this installation."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def find(self, keys: Sequence[str]) -> dict[str, Note]:
        """The notes under these external keys."""
        found: dict[str, Note] = {}
        for start in range(0, len(keys), AT_ONCE):
            part = keys[start : start + AT_ONCE]
            roots = " ".join(
                f'n{n}: metaobjectByHandle(handle: {{ type: "{TYPE}", handle: "{_name_of(key)}" }}) '
                "{ fields { key value } }"
                for n, key in enumerate(part)
            )
            data = await self._wire.ask(f"{{ {roots} }}", doing="looking for our notes of earlier writes")
            for n, key in enumerate(part):
                note = _note(data.get(f"n{n}"))
                if note is not None and note.external_key == key:
                    found[key] = note
        return found

    def call(self, note: Note) -> Call:
        """The mutation that keeps a note, or keeps it once more."""
        values = {
            "kind": note.kind,
            "external_key": note.external_key,
            "order": note.order,
            "before": json.dumps(note.before),
            "print": note.print,
        }
        fields = [{"key": name, "value": value} for name, value in values.items()]
        return Call(
            name="metaobjectUpsert",
            arguments={
                "handle": ("MetaobjectHandleInput!", {"type": TYPE, "handle": _name_of(note.external_key)}),
                "metaobject": ("MetaobjectUpsertInput!", {"fields": fields}),
            },
            wants="metaobject { id }",
            aside=True,
        )

    async def ready(self) -> bool:
        """Whether the shop knows what a note is."""
        data = await self._wire.ask(
            f'{{ metaobjectDefinitionByType(type: "{TYPE}") {{ id }} }}', doing="looking for our kind of notes"
        )
        return data["metaobjectDefinitionByType"] is not None

    async def prepare(self) -> None:
        """Tell the shop what a note is; done already is as good."""
        if await self.ready():
            return
        definition = {
            "type": TYPE,
            "name": "Isthmus: own writes",
            "fieldDefinitions": [{"key": name, "type": "single_line_text_field"} for name in _FIELDS[:3]]
            + [{"key": name, "type": "multi_line_text_field"} for name in _FIELDS[3:]],
        }
        query = (
            "mutation($definition: MetaobjectDefinitionCreateInput!) { metaobjectDefinitionCreate(definition: "
            "$definition) { metaobjectDefinition { id } userErrors { field message code } } }"
        )
        doing = "preparing the shop for notes of our writes"
        answer = await self._wire.send(query, {"definition": definition}, doing=doing, reads=False)
        for errors in answer.errors.values():
            raise self._wire.error_of(errors[0], doing, reads=False)
        refusals = answer.data["metaobjectDefinitionCreate"]["userErrors"]
        if refusals and not any(one["code"] == "TAKEN" for one in refusals):
            raise Misconfigured(doing, answered="; ".join(str(one["message"]) for one in refusals))


def fingerprint(told: Any) -> str:
    """What tells one record of an order from another, as one short text."""
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]


def _name_of(key: str) -> str:
    return "w-" + hashlib.sha256(key.encode()).hexdigest()[:40]


def _note(row: Mapping[str, Any] | None) -> Note | None:
    if not row:
        return None
    told = {one["key"]: one["value"] or "" for one in row["fields"]}
    try:
        before = tuple(json.loads(told.get("before") or "[]"))
    except ValueError:
        before = ()
    return Note(
        kind=told.get("kind", ""),
        external_key=told.get("external_key", ""),
        order=told.get("order", ""),
        before=before,
        print=told.get("print", ""),
    )
