"""Watching for files: each one that is complete begins one Run, never two, whenever the worker is killed.

A file that stays is taken in one transaction: its row and the trigger. One that is moved is noted first with its new
path, then moved, then taken; whoever finds such a note later looks where the file is and goes on from there.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from isthmus.errors import IsthmusError
from isthmus.flows.files import file_store
from isthmus.flows.nodes.arrivals import FIRST_BYTES, FileArrived, file_item
from isthmus.model.card import holds_card_number, mask
from isthmus.sdk.files import FileFacts, FileStore
from isthmus.store import auditlog, flowfiles, flows

if TYPE_CHECKING:
    from isthmus.operate.runtime import Runtime

FILES_JOB = "flow files"
LOOK_SECONDS = 5.0
"""How often every place that is watched is looked at."""
AT_ONCE = 200
"""Files that are taken in one turn; the next turn takes more."""

_LOG = logging.getLogger(__name__)


class FileWatch:
    """The job that looks for files on behalf of the triggers of published flows."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        runtime.engine.job(FILES_JOB, self._job)

    def register_chores(self) -> None:
        """Have every place that is watched looked at again and again; whichever worker comes first takes the turn."""

        async def looks() -> None:
            await self._runtime.db.run(self.ask)

        self._runtime.engine.every(FILES_JOB, LOOK_SECONDS, looks)

    def ask(self, conn: Connection) -> None:
        """Ask for a look on behalf of every trigger."""
        for flow_id, node in flowfiles.watches(conn, flows.LISTENS):
            self._runtime.engine.wake(conn, FILES_JOB, f"{flow_id}:{node}", {"flow": flow_id, "node": node})

    async def _job(self, args: dict[str, Any]) -> None:
        try:
            await self.look(int(args["flow"]), str(args["node"]))
        except IsthmusError as error:
            _LOG.warning("%s; it is looked for files again at the next turn", error)

    async def look(self, flow_id: int, node: str) -> int:
        """Look once for one trigger; returns how many files began a Run."""
        row = await self._runtime.db.run(flows.by_id, flow_id)
        if row is None or row.version is None or row.state not in flows.LISTENS:
            return 0
        flow, world = await self._runtime.flows.version(flow_id, row.version)
        trigger = flow.nodes.get(node)
        if not isinstance(trigger, FileArrived):
            return 0
        watch = _Watch(self._runtime, flow_id, flow.name, node, trigger)
        watch.store = await file_store(world, trigger.connection)
        taken = await watch.go_on()
        return taken + await watch.take_new()


class _Watch:
    """One look on behalf of one trigger."""

    store: FileStore
    _masked: frozenset[str] | set[str] = frozenset()

    def __init__(self, runtime: Runtime, flow_id: int, flow: str, node: str, trigger: FileArrived) -> None:
        self._db = runtime.db
        self._flows = runtime.flows
        self._flow_id = flow_id
        self._flow = flow
        self._node = node
        self._trigger = trigger

    async def go_on(self) -> int:
        """Finish the moves that a worker before began."""
        rows = await self._db.run(flowfiles.moving, self._flow_id, self._node)
        return sum([await self._moved(row, row.path, row.moves_to, row.digest) for row in rows])

    async def take_new(self) -> int:
        """Take what is complete and was not taken yet."""
        trigger = self._trigger
        listed = await self.store.listed(trigger.folder)
        names = {_name(one.path) for one in listed}
        meant = [one for one in listed if trigger.wants(_name(one.path))]
        if trigger.marker is not None:
            meant = [one for one in meant if f"{_name(one.path)}{trigger.marker}" in names]
        seen = [(mask(one.path), one.size, one.modified.isoformat()) for one in meant]
        self._masked = {mask(one.path) for one in meant if holds_card_number(one.path)}
        ripe = await self._db.run(flowfiles.note, self._flow_id, self._node, seen, trigger.rest())
        return sum([await self._take(row) for row in ripe[:AT_ONCE]])

    async def _take(self, row: Any) -> int:
        if row.path in self._masked:
            return await self._db.run(self._refuse, row, "its name holds a card number")
        digest, head = await self._looked_inside(row.path)
        now = await self.store.facts(row.path)
        if now is None or _seen(now) != (row.path, row.size, row.modified):
            return 0  # somebody is still at it; the next look sees it anew
        wrong = self._trigger.wrong(head)
        if wrong:
            return await self._db.run(self._refuse, row, wrong)
        if digest is not None:
            before = await self._db.run(flowfiles.taken_by_content, self._flow_id, self._node, digest)
            if before is not None:
                return await self._db.run(self._same, row, digest, before)
        if self._trigger.then == "move":
            to = f"{self._trigger.move_to}/{_mark(row)}-{_name(row.path)[-200:]}"
            await self._db.run(flowfiles.move_to, row.id, to, digest)
            return await self._moved(row, row.path, to, digest)
        item = file_item(now, digest, row.path, self._trigger.media_type(head))
        return await self._db.run(self._begin, row, "new", item, digest)

    async def _looked_inside(self, path: str) -> tuple[str | None, bytes]:
        """The digest of the content, where that counts, and its first bytes."""
        if self._trigger.known_by == "name" and not self._trigger.looks_inside():
            return None, b""
        summed, head = hashlib.sha256(), b""
        async for piece in self.store.content(path):
            summed.update(piece)
            head = head or piece[:FIRST_BYTES]
        return summed.hexdigest(), head

    async def _moved(self, row: Any, path: str, to: str, digest: str | None) -> int:
        """Move a file whose move is noted, unless it is done, and begin its Run."""
        there = await self.store.facts(to)
        if there is None:
            if await self.store.facts(path) is None:
                return await self._db.run(self._lose, row)
            await self.store.move(path, to)
            there = await self.store.facts(to)
            if there is None:
                return 0  # it is looked at again at the next turn
        head = b""
        if self._trigger.looks_inside():
            async for piece in self.store.content(to):
                head = piece[:FIRST_BYTES]
                break
        item = file_item(there, digest, path, self._trigger.media_type(head))
        return await self._db.run(self._begin, row, "moving", item, digest)

    # -- in a transaction ----------------------------------------------------------------------------------------

    def _begin(self, conn: Connection, row: Any, before: str, item: dict[str, Any], digest: str | None) -> int:
        if not flowfiles.end(conn, row.id, "taken", before=before, digest=digest):
            return 0
        key = str(item["file"]["path"])
        trigger = flows.NewTrigger(flow_id=self._flow_id, node=self._node, key=key, data=item)
        self._flows.wake_all(conn, flows.accept(conn, [trigger]))
        return 1

    def _refuse(self, conn: Connection, row: Any, why: str) -> int:
        if flowfiles.end(conn, row.id, "refused", before="new", reason=why):
            told = {"flow": self._flow, "node": self._node, "file": row.path, "reason": why}
            auditlog.append(conn, [auditlog.Entry(action="refuse file", why=told)])
            _LOG.warning("the file %s is not taken by %s.%s: %s", row.path, self._flow, self._node, why)
        return 0

    def _same(self, conn: Connection, row: Any, digest: str, before: str) -> int:
        flowfiles.end(conn, row.id, "known", before="new", digest=digest, reason=f"the content of {before}")
        return 0

    def _lose(self, conn: Connection, row: Any) -> int:
        if flowfiles.end(conn, row.id, "lost", before="moving", reason="it was taken away while it was to be moved"):
            _LOG.warning("the file %s was taken away before %s.%s could move it", row.path, self._flow, self._node)
        return 0


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _seen(facts: FileFacts) -> flowfiles.Seen:
    return facts.path, facts.size, facts.modified.isoformat()


def _mark(row: Any) -> str:
    """What tells a moved file from earlier ones of its name; the same whenever it is made."""
    told = f"{row.path}|{row.size}|{row.modified}"
    return hashlib.sha256(told.encode()).hexdigest()[:8]
