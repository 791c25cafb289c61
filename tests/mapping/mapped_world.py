"""Two systems in memory kept in agreement through the Mappings that ship, with tables, rates and settings."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import yaml
from shipped import EVERYTHING, PAIRS, compiled, text_of

from isthmus.mapping.rates import Rates
from isthmus.model.clock import SystemClock
from isthmus.model.entities import ENTITIES
from isthmus.model.pairfile import EntityFile
from isthmus.model.policy import EntityPolicy, Side
from isthmus.operate.assemble import _foreign_policy, _siblings, owners_of, policy_of
from isthmus.sdk.connector import Hint
from isthmus.store.database import Database
from isthmus.sync import inbox
from isthmus.sync.lane import Lane
from isthmus.sync.pair import EntityBinding, PairRuntime, SideBinding
from isthmus.sync.settle import Tally
from isthmus.testing.memory import MemoryConnector, MemorySystem

SCOPES = {"vendor": {"supplier_rank": 1}}
"""What the scopes of the Mappings come down to here, where domains are not understood."""


class MappedWorld:
    """A pair of memory systems with the Entities of the pair template, in its order and with its Policies."""

    def __init__(
        self,
        db: Database,
        *names: str,
        settings: Mapping[str, Any] = EVERYTHING,
        rates: Rates | None = None,
        right: MemorySystem | None = None,
        template: str = "odoo-bng",
        owners: Mapping[str, Any] | None = None,
    ) -> None:
        self.db = db
        self.template, self.owners = template, owners
        self.settings, self.names = settings, names
        self.left = MemorySystem(prefix="", seed=1)
        self.right = right or MemorySystem(prefix="B", seed=2)
        self.connectors = {"left": MemoryConnector(self.left), "right": MemoryConnector(self.right)}
        self.cursors = {"left": 0, "right": 0}
        self.epoch = 0
        self.lane = Lane(db, SystemClock(), random.Random(1))
        self.pair = PairRuntime(id=1, name="main", environment="sandbox", version=1)
        self.use_rates(rates)

    def use_rates(self, rates: Rates | None) -> None:
        """Assemble the Entities with these rates, as happens when the table or the day changes."""
        file = yaml.safe_load(text_of("pairs", self.template))
        for name in self.names:
            given = {**file["entities"][name], **({"owners": self.owners} if self.owners else {})}
            told, canonical = EntityFile.model_validate(given), ENTITIES[name]
            sides = {side: self._side(side, name, n, rates, told) for n, side in enumerate(("left", "right"))}
            policy: EntityPolicy = policy_of(canonical, told)
            self.pair.entities[name] = EntityBinding(
                pair_id=1,
                pair="main",
                installation="t",
                name=name,
                canonical=canonical,
                left=sides["left"],
                right=sides["right"],
                policy=policy,
                shares=told.shares,
                foreign_policy=_foreign_policy(canonical, policy, told.shares),
                owners=owners_of(canonical, policy, told),
            )
        for name, binding in self.pair.entities.items():
            self.pair.entities[name] = replace(binding, siblings=_siblings(self.pair, binding))

    def _side(self, side: str, name: str, number: int, rates: Rates | None, told: EntityFile) -> SideBinding:
        mapping = compiled(PAIRS[name][number], settings=self.settings, dated=rates)
        which: Side = "left" if side == "left" else "right"
        return SideBinding(
            side=which,
            connection_id=number + 1,
            connection=side,
            connector=self.connectors[side],
            mapping=mapping,
            entity=mapping.system_entity,
            scope=SCOPES.get(name) if which == "left" else None,
            adopt=(told.left if which == "left" else told.right).adopt,
        )

    async def settle(self) -> Tally:
        """Notice what changed and drain the lanes until both sides have nothing more to say."""
        total = Tally()
        while True:
            before = dict(self.cursors)
            for side in ("left", "right"):
                await self._notice(side)
            for name in self.names:
                total.add(await self._drain(name))
            if self.cursors == before:
                return total

    async def look_again(self, name: str, side: Side, *keys: str) -> Tally:
        """Have records looked at although nothing changed, as a Sweep does."""
        entity = self.pair.entities[name].side(side).entity
        hints = [Hint(entity=entity, key=key) for key in keys]
        await self.db.run(inbox.accept, self.pair, side, hints, source="sweep", wake=lambda *_: None)
        return await self._drain(name)

    async def _notice(self, side: str) -> None:
        which: Side = "left" if side == "left" else "right"
        at = self.cursors[side]
        for system_entity in sorted({e.side(which).entity for e in self.pair.entities.values()}):
            async for page in self.connectors[side].changes(system_entity, str(at)):
                await self.db.run(inbox.accept, self.pair, which, page.hints, source="poll", wake=lambda *_: None)
                self.cursors[side] = int(page.cursor)

    async def _drain(self, name: str) -> Tally:
        total = Tally()
        self.epoch += 1
        while True:
            done = await self.lane.drain(
                self.pair.entities[name], epoch=self.epoch, fence=lambda conn: None, change_set=lambda conn: 1
            )
            total.add(done.tally)
            if done.halt is not None:
                raise done.halt
            if done.next_due is None:
                return total
            await asyncio.sleep(max(0.01, min(done.next_due, 0.3)))
