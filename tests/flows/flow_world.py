"""A small installation for tests of flows: real PostgreSQL, systems in memory behind the real connectors' verbs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from sqlalchemy import text

from isthmus.engine.lease import take
from isthmus.flows.definition import parse
from isthmus.operate import flows as verbs
from isthmus.operate.runtime import Runtime
from isthmus.security.vault import KeyRing, MasterKey
from isthmus.store import flows
from isthmus.store.database import Database
from isthmus.testing.memory import MemoryConnector, MemorySystem


class FlowInstallation:
    """A Runtime whose Connections are systems in memory, by name."""

    def __init__(self, db: Database, *, connectors: Mapping[str, Any] | None = None) -> None:
        self.db = db
        self.runtime = Runtime(db, KeyRing(MasterKey.from_hex("11" * 32, "the test")), seed=1)
        self.systems: dict[str, MemorySystem] = {}
        self.connectors: dict[str, Any] = dict(connectors or {})
        self._numbers: dict[int, Any] = {}
        self.runtime.connector = self._connector  # type: ignore[method-assign]

    async def _connector(self, row: Any) -> Any:
        return self.connectors[row.name]

    def system(self, name: str, connector: Any = None, **given: Any) -> MemorySystem:
        """A system in memory under a Connection of this name."""
        found = self.systems[name] = MemorySystem(prefix=name[0].upper(), **given)
        self.connectors[name] = connector or MemoryConnector(found)
        with self.db.transaction() as conn:
            sql = "insert into connection (name, kind) values (:name, 'memory') on conflict do nothing"
            conn.execute(text(sql), {"name": name})
        return found

    async def publish(self, file: str, **bindings: str) -> int:
        """Import and publish a flow; roles are bound to Connections of the same name unless said otherwise."""
        parsed = parse(file)
        bound = {**{role: role for role in parsed.connections}, **bindings}
        await verbs.bring_in(self.runtime, file, bindings=bound, actor="test")
        await verbs.publish(self.runtime, parsed.flow, actor="test")
        with self.db.transaction() as conn:
            return int(flows.get(conn, parsed.flow).id)

    async def trigger(self, flow: str, data: Mapping[str, Any], key: str = "K1") -> None:
        """Begin a Run by hand."""
        await verbs.begin(self.runtime, flow, [(key, dict(data))], actor="test")

    async def drain(self, *flow_ids: int, seconds: float = 20.0) -> None:
        """Work the flows off until nothing is due within a moment."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            waits = []
            for flow_id in flow_ids or self.flow_ids():
                lease = await self.db.run(take, f"flow:{flow_id}")
                state = self.one("select state from flow where id = :id", id=flow_id)
                if state == "active":
                    waits.append(await self.runtime.flows.drain(flow_id, lease))
            soon = [w for w in waits if w is not None and w < 5.0]
            pending = self.one("select count(*) from flow_event where state = 'pending'")
            active = self.one("select count(*) from flow where state = 'active'")
            due = self.one(
                """select count(*) from run_item i join flow f on f.id = i.flow_id and f.state = 'active'
                   where i.state in ('ready', 'waiting') and i.due_at <= now()"""
            )
            if (not soon and not due and not (pending and active)) or asyncio.get_running_loop().time() > deadline:
                return
            await asyncio.sleep(min(soon, default=0.0))

    def flow_ids(self) -> list[int]:
        with self.db.transaction() as conn:
            return [int(r.id) for r in conn.execute(text("select id from flow order by id"))]

    def one(self, sql: str, **given: Any) -> Any:
        with self.db.transaction() as conn:
            return conn.execute(text(sql), given).scalar()

    def rows(self, sql: str, **given: Any) -> list[Any]:
        with self.db.transaction() as conn:
            return list(conn.execute(text(sql), given))

    def ended(self, node: str) -> list[dict[str, Any]]:
        """The data of the items that ended at a node, by key."""
        sql = "select data from run_item where node = :node and state = 'done' order by key, id"
        return [r.data for r in self.rows(sql, node=node)]

    def states(self) -> dict[str, int]:
        """How many Runs are in each state."""
        return {r.state: r.n for r in self.rows("select state, count(*) as n from run group by 1")}

    async def close(self) -> None:
        await self.runtime.close()
