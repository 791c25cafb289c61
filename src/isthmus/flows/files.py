"""Reaching files for nodes: the place that a role is bound to, a local copy of one file, how it differs."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from isthmus.errors import InvalidRecord, Misconfigured
from isthmus.flows.surroundings import Surroundings
from isthmus.sdk.files import FileFacts, FileStore

IN_MEMORY = 4_000_000
"""Bytes of a file that are held in memory; the rest of a larger one lies on the disk while it is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFile:
    """A copy of a file that can be read back and forth."""

    path: str
    size: int
    file: BinaryIO


async def file_store(world: Surroundings, role: str) -> FileStore:
    """The place for files that a role is bound to; Misconfigured when its Connection is none."""
    bound = await world.connection(role)
    if not isinstance(bound.connector, FileStore):
        raise Misconfigured(
            f"reaching files by the role {role}",
            answered=f"the connection {bound.name} is a {bound.connector.key}, no place for files",
            hint="Bind a connection of the kind folder or sftp.",
        )
    return bound.connector


async def unchanged(store: FileStore, path: str, told: Any) -> FileFacts:
    """A file as it stands, which is still the one an item refers to; InvalidRecord otherwise."""
    facts = await store.facts(path)
    if facts is None:
        hint = "Look whether it was moved; retry when it is back."
        raise InvalidRecord(f"reading {path}", record=path, answered="there is no such file", hint=hint)
    if isinstance(told, Mapping) and told.get("path") == path:
        before = (told.get("size", facts.size), told.get("modified", facts.modified.isoformat()))
        if before != (facts.size, facts.modified.isoformat()):
            raise InvalidRecord(
                f"reading {path}",
                record=path,
                answered=f"it has changed since it was taken: {before[0]} bytes then, {facts.size} now",
                hint="Let the trigger move files, or have them written under a new name each time.",
            )
    return facts


@asynccontextmanager
async def fetched(store: FileStore, path: str, told: Any, most: int) -> AsyncIterator[LocalFile]:
    """A local copy of a file while it is read. InvalidRecord for one that is too large or not the same any more."""
    facts = await unchanged(store, path, told)
    if facts.size > most:
        raise _too_large(path, facts.size, most)
    digest = told.get("digest") if isinstance(told, Mapping) and told.get("path") == path else None
    summed, size = hashlib.sha256(), 0
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as copy:
        async for piece in store.content(path):
            size += len(piece)
            if size > most:
                raise _too_large(path, size, most)
            summed.update(piece)
            copy.write(piece)
        if digest is not None and summed.hexdigest() != digest:
            hint = "Let the trigger move files, so that nobody changes them."
            raise InvalidRecord(f"reading {path}", record=path, answered="its content is not what was taken", hint=hint)
        copy.seek(0)
        yield LocalFile(path=path, size=size, file=cast(BinaryIO, copy))


async def stretch(store: FileStore, path: str, start: int, end: int) -> bytes:
    """Some bytes of a file."""
    out = bytearray()
    async for piece in store.content(path, start):
        out += piece
        if len(out) >= end - start:
            break
    return bytes(out[: end - start])


def _too_large(path: str, size: int, most: int) -> InvalidRecord:
    return InvalidRecord(
        f"reading {path}",
        record=path,
        answered=f"it has {size:,} bytes; {most:,} are allowed",
        hint="Raise max_bytes of the node if the file is as it should be.",
    )
