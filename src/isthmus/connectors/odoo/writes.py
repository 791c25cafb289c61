"""Plain writes and creates of a batch: equal values in one call, split where Odoo refuses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from isthmus.connectors.odoo.wire import Wire
from isthmus.sdk import Contended, Failed, Gone, IsthmusError, Misconfigured, Outcome, OutcomeUnknown, Unsure

_TRIES = 3
_PAUSE = 0.2


@dataclass(frozen=True, slots=True)
class Target:
    """Raw values for one record of the item `index`; for a creation `id` is the parent's."""

    index: int
    id: int
    values: dict[str, Any]


class Writes:
    """Sends them; only what went wrong is told, by the item's index."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def write(self, model: str, targets: Sequence[Target]) -> dict[int, Outcome]:
        """Write each target on its record."""
        groups: dict[str, list[Target]] = {}
        for target in targets:
            groups.setdefault(json.dumps(target.values, sort_keys=True, default=str), []).append(target)
        wrong: dict[int, Outcome] = {}
        for group in groups.values():
            await self._split(model, "write", group, wrong)
        return wrong

    async def create(self, model: str, targets: Sequence[Target]) -> dict[int, Outcome]:
        """Create a record of each target's values."""
        wrong: dict[int, Outcome] = {}
        if targets:
            await self._split(model, "create", targets, wrong)
        return wrong

    async def _split(self, model: str, method: str, group: Sequence[Target], wrong: dict[int, Outcome]) -> None:
        """One call for the group; halves of it where it is refused, down to the record that is to blame."""
        one = f"{model} {group[0].id}" if len(group) == 1 else f"{len(group)} {model}"
        doing = f"updating {one}" if method == "write" else f"creating child records of {one}"
        try:
            await self._send(model, method, group, doing)
        except IsthmusError as error:
            if error.facts.get("access"):
                error = await self._told_right(model, error)
            if error.action == "reject" and len(group) > 1:
                middle = len(group) // 2
                await self._split(model, method, group[:middle], wrong)
                await self._split(model, method, group[middle:], wrong)
                return
            for target in group:
                wrong[target.index] = _outcome(target, method, error)

    async def _send(self, model: str, method: str, group: Sequence[Target], doing: str) -> None:
        for attempt in range(1, _TRIES + 1):
            try:
                if method == "write":
                    ids = [target.id for target in group]
                    await self._wire.call(model, "write", doing=doing, ids=ids, vals=group[0].values)
                else:
                    await self._wire.call(model, "create", doing=doing, vals_list=[target.values for target in group])
                return
            except Contended:
                if attempt == _TRIES:
                    raise
                await asyncio.sleep(_PAUSE * 2**attempt)

    async def _told_right(self, model: str, error: IsthmusError) -> IsthmusError:
        """A right that is missing for the whole model is nobody's record's fault: it halts instead."""
        right = str(error.facts["access"])
        try:
            may = await self._wire.call(
                model,
                "has_access",
                doing=f"asking for the right to {right} {model}",
                ids=[],
                reads=True,
                operation=right,
            )
        except IsthmusError:
            return error
        if may:
            return error
        return Misconfigured(error.doing, answered=error.answered, hint=error.hint, facts=error.facts)


def _outcome(target: Target, method: str, error: IsthmusError) -> Outcome:
    if isinstance(error, OutcomeUnknown):
        return Unsure(error=error)
    if error.facts.get("missing") and method == "write":
        return Gone(key=str(target.id))
    return Failed(error=error)
