"""One physical record on the left, two on the right: customer and vendor of the same company, a lane for each."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

from isthmus.engine.lease import take
from isthmus.mapping.compiled import compile_mapping, load_mapping
from isthmus.model.canonical import CanonicalEntity
from isthmus.model.clock import SystemClock
from isthmus.model.policy import EntityPolicy, FieldPolicy, Rule, Side
from isthmus.store import changes, letters
from isthmus.store.database import Database
from isthmus.sync import inbox
from isthmus.sync.lane import Lane
from isthmus.sync.load import Loader
from isthmus.sync.pair import EntityBinding, PairRuntime, SideBinding
from isthmus.sync.settle import Context
from isthmus.sync.sweep import repairs
from isthmus.testing.memory import MemorySystem
from rough import RoughConnector
from sync_world import ENTITY, LEFT, RIGHT

SIDES: tuple[Side, Side] = ("left", "right")


class SharedWorld:
    """Partners on the left serve accounts and suppliers on the right; the customer owns what both have."""

    def __init__(self, db: Database, seed: int = 1) -> None:
        self.db, self.rng = db, random.Random(seed)
        self.left = MemorySystem(prefix="L", seed=seed)
        self.right = MemorySystem(prefix="R", seed=seed + 1, active_path="Active")
        self.connectors = {"left": RoughConnector(self.left), "right": RoughConnector(self.right)}
        self.cursors = {("left", "partner"): 0, ("right", "account"): 0, ("right", "supplier"): 0}
        customer = self._binding("customer", ENTITY, "account")
        vendor = self._binding("vendor", replace(ENTITY, name="vendor"), "supplier")
        owned = dict.fromkeys(ENTITY.fields, FieldPolicy(rule=Rule.LEFT, otherwise=Rule.LEFT, strict=True))
        vendor = replace(vendor, shares="customer", foreign_policy=replace(vendor.policy, fields=owned))
        self.pair = PairRuntime(
            id=1,
            name="main",
            environment="sandbox",
            version=1,
            entities={"customer": customer, "vendor": vendor},
        )

    def _binding(self, name: str, canonical: CanonicalEntity, right: str) -> EntityBinding:
        sides = {
            side: SideBinding(
                side=side,
                connection_id=n,
                connection=side,
                connector=self.connectors[side],
                mapping=compile_mapping(
                    load_mapping(told.replace("canonical: customer", f"canonical: {name}")), entity=canonical
                ),
                entity=entity,
                scope={name: True} if side == "left" else None,
            )
            for n, (side, told, entity) in enumerate(
                (("left", LEFT + f"on_create: {{{name}: true}}\n", "partner"), ("right", RIGHT, right)), 1
            )
        }
        return EntityBinding(
            pair_id=1,
            pair="main",
            installation="t",
            name=name,
            canonical=canonical,
            left=sides["left"],
            right=sides["right"],
            policy=EntityPolicy(fields={}),
            crowded=True,
        )

    async def _notice(self) -> None:
        for (side, entity), at in list(self.cursors.items()):
            async for page in self.connectors[side].changes(entity, str(at)):
                which: Side = "left" if side == "left" else "right"
                await self.db.run(inbox.accept, self.pair, which, page.hints, source="poll", wake=lambda *_: None)
                self.cursors[side, entity] = int(page.cursor)

    async def lane(self, name: str) -> None:
        lease = await self.db.run(take, f"lane:1:{name}")
        lane = Lane(self.db, SystemClock(), self.rng)
        while True:
            done = await lane.drain(
                self.pair.entities[name], epoch=lease.epoch, fence=lease.fence, change_set=lambda conn: 1
            )
            if done.halt is not None:
                raise done.halt
            if done.next_due is None:
                return
            await asyncio.sleep(min(0.05, max(0.01, done.next_due)))

    async def settle(self) -> None:
        """Both lanes at once, until nobody has anything more to say."""
        while True:
            before = dict(self.cursors)
            await self._notice()
            await asyncio.gather(*(self.lane(name) for name in self.pair.entities))
            [[pending]] = self._rows("select count(*) from change where state <> 'closed'")
            if self.cursors == before and not pending:
                return

    async def load(self, name: str) -> None:
        loader = Loader(self.db, SystemClock(), self.rng)
        lease = await self.db.run(take, f"lane:1:{name}")
        context = Context(fence=lease.fence, epoch=lease.epoch, change_set_id=1, why={"source": "load"})
        _, plans = await loader.look(self.pair.entities[name], lambda *_: None)
        await loader.commit(self.pair.entities[name], plans, context, lambda *_: None)

    async def found_by_sweep(self) -> list[changes.NewEvent]:
        loader, out = Loader(self.db, SystemClock(), self.rng), []
        waiting = await self.db.run(letters.waiting, 1)
        for entity in self.pair.entities.values():
            _, plans = await loader.look(entity, lambda *_: None)
            out.extend(repairs(entity, plans, waiting))
        return out

    def _rows(self, sql: str) -> list[tuple[object, ...]]:
        from sqlalchemy import text

        with self.db.transaction() as conn:
            return [tuple(row) for row in conn.execute(text(sql))]

    def held(self) -> list[tuple[object, ...]]:
        return self._rows("select entity, side, key, error from dead_letter where state = 'open'")

    def values(self, field: str, right: str) -> dict[str, list[object]]:
        """What each system entity says in a field, in the order of keys."""
        tables = {"partner": self.left.rows, "account": self.right.rows, "supplier": self.right.rows}
        return {
            name: [
                row.values.get(field if name == "partner" else right) for _, row in sorted(rows.get(name, {}).items())
            ]
            for name, rows in tables.items()
        }
