"""The seven verbs over a place for files: its Entity `file` is read and watched; content is for the nodes of flows."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from isthmus.sdk import (
    ByKeys,
    ByValues,
    ChangePage,
    Connector,
    Create,
    EntitySchema,
    Everything,
    Failed,
    Field,
    FieldType,
    Finding,
    Hint,
    IsthmusError,
    Misconfigured,
    Outcome,
    Record,
    RefusedByTarget,
    Scope,
    Selection,
    Traits,
    Update,
)
from isthmus.sdk.files import FileFacts, FileStore

ENTITY = "file"

_FIELDS = {
    "path": Field(name="path", type=FieldType.STRING, label="Path", help="Where it is, below the folder."),
    "name": Field(name="name", type=FieldType.STRING, label="Name", help="The last part of the path."),
    "size": Field(name="size", type=FieldType.INTEGER, label="Size", help="How many bytes it has."),
    "modified": Field(name="modified", type=FieldType.DATETIME, label="Changed", help="When it was last changed."),
}


class FilesConnector(Connector, FileStore):
    """What a folder and an SFTP server have in common. A Record is a file of one folder; `scope` names which folder."""

    @property
    def traits(self) -> Traits:
        return Traits(parallel=1, ceiling_seconds=60.0, idempotent_creates=True)

    @abstractmethod
    async def look_around(self) -> Sequence[Finding]:
        """Findings on the way to the folder; the first problem ends them."""

    async def check(self) -> Sequence[Finding]:
        try:
            return await self.look_around()
        except IsthmusError as error:
            return [Finding(check="folder", status="problem", message=str(error), fix=error.hint)]

    async def describe(self, entities: Sequence[str] | None = None) -> Sequence[EntitySchema]:
        if entities is not None and ENTITY not in entities:
            return []
        return [EntitySchema(name=ENTITY, label="File", fields=_FIELDS, can_create=False, can_update=False)]

    async def read(
        self, entity: str, selection: Selection, paths: Sequence[str], scope: Scope | None = None
    ) -> AsyncIterator[Sequence[Record]]:
        _known(entity)
        if isinstance(selection, ByKeys):
            found = [facts for key in selection.keys if (facts := await self.facts(key)) is not None]
        elif isinstance(selection, Everything | ByValues):
            found = list(await self.listed(_folder(scope)))
        else:
            found = []  # a file carries no external key
        records = [_record(facts, paths) for facts in found]
        if isinstance(selection, ByValues):
            wanted = {str(value) for value in selection.values}
            records = [r for r, f in zip(records, found, strict=True) if str(_values(f).get(selection.path)) in wanted]
        if isinstance(selection, Everything) and selection.after:
            records = [r for r in records if r.key > selection.after]
        yield records

    async def changes(self, entity: str, cursor: str | None, scope: Scope | None = None) -> AsyncIterator[ChangePage]:
        _known(entity)
        now = {facts.path: _version(facts) for facts in await self.listed(_folder(scope))}
        before: Mapping[str, str] = now if cursor is None else json.loads(cursor)
        new = [Hint(entity=entity, key=path, version=now[path]) for path in now if before.get(path) != now[path]]
        gone = [Hint(entity=entity, key=path, gone=True) for path in before if path not in now]
        yield ChangePage(hints=[*new, *gone], cursor=json.dumps(now, sort_keys=True))

    async def exists(self, entity: str, keys: Sequence[str]) -> Mapping[str, bool]:
        _known(entity)
        return {key: await self.facts(key) is not None for key in keys}

    async def create(self, entity: str, items: Sequence[Create]) -> Sequence[Outcome]:
        return [_refused("creating") for _ in items]

    async def update(self, entity: str, items: Sequence[Update]) -> Sequence[Outcome]:
        return [_refused("updating") for _ in items]


def _known(entity: str) -> None:
    if entity != ENTITY:
        raise Misconfigured(f"looking for {entity} among files", answered="there is only the Entity file")


def _refused(doing: str) -> Failed:
    hint = "Write files with the node `file_write` of a flow."
    return Failed(error=RefusedByTarget(f"{doing} a file as a record", answered="it has no fields", hint=hint))


def _folder(scope: Scope | None) -> str:
    return str(scope.get("folder", "")) if isinstance(scope, Mapping) else ""


def _values(facts: FileFacts) -> dict[str, Any]:
    name = facts.path.rpartition("/")[2]
    return {"path": facts.path, "name": name, "size": facts.size, "modified": facts.modified}


def _version(facts: FileFacts) -> str:
    return f"{facts.size}@{facts.modified.isoformat()}"


def _record(facts: FileFacts, paths: Sequence[str]) -> Record:
    values = _values(facts)
    return Record(
        key=facts.path,
        values={path: values.get(path) for path in paths},
        version=_version(facts),
        changed_at=facts.modified,
    )
