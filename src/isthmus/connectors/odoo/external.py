"""External IDs: how our external keys are kept in Odoo, and how records are found by them without any right on them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from isthmus.connectors.odoo.fields import Fields
from isthmus.connectors.odoo.natural import KEPT_SECONDS
from isthmus.connectors.odoo.wire import Wire
from isthmus.sdk import InvalidRecord, IsthmusError, Misconfigured, SchemaDrift
from isthmus.sdk.together import together

MODULE = "__isthmus__"
"""The namespace of our External IDs; no module can have this name, so no upgrade ever removes them."""

_DATA = "ir.model.data"
_FEW = 25
_WINDOW = 2000
_SPECIAL = re.compile(r"[^A-Za-z0-9_-]")


def external_id(key: str) -> str:
    """The External ID of an external key; characters that Odoo gives a meaning are escaped as `=XX`."""
    return f"{MODULE}.{_SPECIAL.sub(_escaped, key)}"


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"={b:02X}" for b in found[0].encode())


def external_key(xid: object) -> str | None:
    """The external key of an External ID, or None when it is not one of ours."""
    prefix = f"{MODULE}."
    if not isinstance(xid, str) or not xid.startswith(prefix):
        return None
    raw = re.sub(rb"=([0-9A-F]{2})", lambda found: bytes([int(found[1], 16)]), xid[len(prefix) :].encode())
    return raw.decode("utf-8", "replace")


class GivenIds:
    """External IDs that records like countries and taxes carry, whoever gave them; kept for a while.

    `load()` looks a record that is named by its database id up for every row, one named by its External ID once.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._known: dict[str, dict[int, str]] = {}
        self._read_at: dict[str, float] = {}

    async def of(self, model: str, ids: Collection[int]) -> Mapping[int, str]:
        """The External ID of each record that has one."""
        now = self._wire.clock.monotonic()
        if now - self._read_at.get(model, now) > KEPT_SECONDS:
            del self._known[model], self._read_at[model]
        known = self._known.setdefault(model, {})
        missing = sorted(set(ids) - known.keys())
        if missing:
            self._read_at.setdefault(model, now)
            told = await self._wire.call(
                model, "get_external_id", doing=f"reading the External IDs of {model}", reads=True, ids=missing
            )
            known.update({one: "" for one in missing} | {int(one): str(xid or "") for one, xid in told.items()})
        return {one: known[one] for one in ids if known[one]}


class ExternalIds:
    """Looks External IDs up; needs the right to read the records, none on External IDs themselves."""

    def __init__(self, wire: Wire, fields: Fields) -> None:
        self._wire = wire
        self._fields = fields
        self._may_read: bool | None = None

    async def of(self, model: str, ids: Sequence[int]) -> dict[int, str]:
        """Our external key of each record that has one."""
        if not ids:
            return {}
        if await self._readable():
            rows = await self._wire.call(
                _DATA,
                "search_read",
                doing=f"reading the External IDs of {model}",
                reads=True,
                domain=[["module", "=", MODULE], ["model", "=", model], ["res_id", "in", list(ids)]],
                fields=["name", "res_id"],
                order="id desc",
            )
            found = {int(row["res_id"]): external_key(f"{MODULE}.{row['name']}") for row in rows}
            return {one: key for one, key in found.items() if key}
        told = await self._wire.call(
            model, "get_external_id", doing=f"reading the External IDs of {model}", reads=True, ids=list(ids)
        )
        keys = {int(one): external_key(xid) for one, xid in told.items()}
        return {one: key for one, key in keys.items() if key}

    async def find(self, model: str, keys: Sequence[str]) -> dict[str, int]:
        """The record that carries each external key; a key that is left out surely is on no record.

        Who may read External IDs gets them in one call. Otherwise our newest records are asked for theirs, and what
        is not among them is looked up key by key.
        """
        wanted = sorted(set(keys))
        if not wanted:
            return {}
        if await self._readable():
            return await self._search(model, wanted)
        found: dict[str, int] = {}
        if len(wanted) > _FEW:
            found = await self._among_ours(model, wanted, most=max(_WINDOW, 2 * len(wanted)))
        rest = [key for key in wanted if key not in found]
        doubtful = []
        for key, one in zip(rest, await together(*(self._one(model, key) for key in rest)), strict=True):
            if one:
                found[key] = one
            elif one is None:
                doubtful.append(key)
        if doubtful:
            found.update(await self._among_ours(model, doubtful))
        return found

    async def _search(self, model: str, keys: Sequence[str]) -> dict[str, int]:
        names = {external_id(key).partition(".")[2]: key for key in keys}
        rows = await self._wire.call(
            _DATA,
            "search_read",
            doing=f"looking for {model} by External ID",
            reads=True,
            domain=[["module", "=", MODULE], ["model", "=", model], ["name", "in", sorted(names)]],
            fields=["name", "res_id"],
        )
        return {names[row["name"]]: int(row["res_id"]) for row in rows if row["res_id"]}

    async def _among_ours(self, model: str, keys: Sequence[str], *, most: int | None = None) -> dict[str, int]:
        """Ask the records that our user made for their External IDs, newest first; all of them unless `most`."""
        wanted, found = set(keys), dict[str, int]()
        domain: list[Any] = [["create_uid", "=", await self._wire.uid()]]
        looked = 0
        while wanted and (most is None or looked < most):
            newest = await self._wire.call(
                model,
                "search",
                doing=f"looking for the {model} made last",
                reads=True,
                domain=domain,
                order="id desc",
                limit=_WINDOW,
            )
            for one, key in (await self.of(model, newest)).items():
                if key in wanted:
                    wanted.remove(key)
                    found[key] = one
            looked += len(newest)
            if len(newest) < _WINDOW:
                break
            domain = [domain[0], ["id", "<", newest[-1]]]
        return found

    async def _one(self, model: str, key: str) -> int | None:
        """The record of one key, 0 when there surely is none, None when Odoo's answer proves nothing.

        Odoo answers from a memory that a refused `load` leaves wrong ids in; only "never heard of" and a record that
        is there can be believed.
        """
        module, _, name = external_id(key).partition(".")
        try:
            told = await self._wire.call(
                _DATA,
                "check_object_reference",
                doing=f"looking for the {model} of {key}",
                reads=True,
                module=module,
                xml_id=name,
            )
        except (SchemaDrift, InvalidRecord):
            return 0  # Odoo raises a ValueError for an External ID that does not exist
        except Misconfigured:
            return None  # an Odoo that does not answer this at all
        if not told or told[0] != model:
            return 0
        return int(told[1]) if told[1] else None

    async def _readable(self) -> bool:
        if self._may_read is None:
            try:
                self._may_read = await self._fields.may(_DATA, "read")
            except IsthmusError as error:
                if error.action == "retry":
                    raise
                self._may_read = False
        return self._may_read
