"""Writing Records: in batches where there are any, singly elsewhere; one bad record never stops a good one."""

from __future__ import annotations

import asyncio
import copy
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from isthmus.connectors.rest.codec import EntityCodec, Row, same
from isthmus.connectors.rest.manifest import Batch, Manifest, Verb
from isthmus.connectors.rest.outcome import Job, failed, refused, settle, unreadable, written_as
from isthmus.connectors.rest.reading import Reader, split_key
from isthmus.connectors.rest.wire import Answer, Wire, address, record_in
from isthmus.sdk import (
    Contended,
    Create,
    Delete,
    Failed,
    Gone,
    InvalidRecord,
    IsthmusError,
    Misconfigured,
    Outcome,
    Stale,
    Update,
)
from isthmus.sdk.answers import dig
from isthmus.sdk.statuses import Meaning

Send = Callable[[Job], Awaitable[None]]


class Writer:
    """Writes the Entities of one manifest."""

    def __init__(self, manifest: Manifest, wire: Wire, reader: Reader) -> None:
        self._manifest = manifest
        self._wire = wire
        self._reader = reader
        self._batchless: set[tuple[str, str]] = set()

    async def create(self, entity: str, items: Sequence[Create]) -> list[Outcome]:
        """One Outcome per item, in order."""
        codec = self._reader.codec(entity)
        verb = codec.spec.create
        jobs = [Job(item, f"creating {entity} {item.external_key} in {self._manifest.name}") for item in items]
        if verb is None:
            return [self._not_offered(job, entity, "creates") for job in jobs]
        for job in jobs:
            self._prepare(job, lambda job: self._fill_create(job, codec, verb))
        await self._send(codec, jobs, verb, codec.spec.batch_create, "create")
        await self._adopt(codec, [job for job in jobs if job.clash is not None])
        return _outcomes(jobs)

    async def update(self, entity: str, items: Sequence[Update]) -> list[Outcome]:
        """One Outcome per item, in order; Stale where the record moved, Gone where it is not there."""
        codec = self._reader.codec(entity)
        verb = codec.spec.update
        jobs = [Job(item, f"updating {entity} {item.key} in {self._manifest.name}") for item in items]
        if verb is None:
            return [self._not_offered(job, entity, "updates") for job in jobs]
        await self._look_first(codec, jobs, verb)
        await self._send(codec, jobs, verb, codec.spec.batch_update, "update")
        return _outcomes(jobs)

    async def delete(self, entity: str, items: Sequence[Delete]) -> list[Outcome]:
        """One Outcome per item, in order."""
        codec = self._reader.codec(entity)
        verb = codec.spec.delete
        jobs = [Job(item, f"deleting {entity} {item.key} in {self._manifest.name}") for item in items]
        if verb is None:
            return [self._not_offered(job, entity, "deletions") for job in jobs]
        for job in jobs:
            self._address(job, codec, verb)
            job.version = getattr(job.item, "version", None)
        await self._send(codec, jobs, verb, None, "delete")
        return _outcomes(jobs)

    def _fill_create(self, job: Job, codec: EntityCodec, verb: Verb) -> None:
        item = job.item
        assert isinstance(item, Create)  # only creates come here
        body = codec.body(item.values, job.doing)
        if codec.spec.external_key:
            body[codec.wire(codec.spec.external_key)] = item.external_key
        if codec.spec.parent:
            job.parent = str(item.values.get(codec.spec.parent.field) or "")
            if not job.parent:
                raise InvalidRecord(f"{job.doing}: it has no {codec.spec.parent.field}", record=job.name)
        job.body = body
        job.path = address(verb.path or codec.spec.path, parent=job.parent)

    async def _look_first(self, codec: EntityCodec, jobs: Sequence[Job], verb: Verb) -> None:
        """Fill in the updates; read the record just before, where the write would replace more than it means to."""

        async def fill(job: Job) -> None:
            item = job.item
            assert isinstance(item, Update)  # only updates come here
            self._address(job, codec, verb)
            job.version = item.version
            row: Row | None = None
            locked = self._manifest.locking is not None and codec.spec.version is not None and item.version is not None
            dotted = any("." in path for path in item.values)
            if verb.style == "full" or dotted or (item.expect and not locked):
                row = await self._fresh(codec, job, item)
                if row is None:
                    return
            body = codec.body(item.values, job.doing, below=row)
            job.body = {**codec.overlay(row), **body} if verb.style == "full" and row is not None else body

        async def guarded(job: Job) -> None:
            try:
                await fill(job)
            except IsthmusError as error:
                job.outcome = Failed(error=error)  # nothing but reads took place so far

        await asyncio.gather(*(guarded(job) for job in jobs))

    async def _fresh(self, codec: EntityCodec, job: Job, item: Update) -> Row | None:
        """The record as it is now, or None with the Outcome filled in when it is gone or not as expected."""
        answer, row = await self._reader.row(codec.name, item.key, job.doing)
        if answer.meaning is Meaning.GONE:
            job.outcome = Gone(key=item.key)
            return None
        if answer.meaning is not Meaning.OK or row is None:
            error = self._wire.failure(answer, job.doing, record=item.key) if answer.error else None
            job.outcome = Failed(error=error or Misconfigured(f"{job.doing}: reading it first brought no record"))
            return None
        now = codec.values(row, tuple(item.expect))
        version = codec.version_of(row)
        moved = any(not same(now[path], value) for path, value in item.expect.items())
        if moved or (not item.expect and item.version is not None and version != item.version):
            job.outcome = Stale(key=item.key)
            return None
        job.version = version
        return row

    def _address(self, job: Job, codec: EntityCodec, verb: Verb) -> None:
        assert not isinstance(job.item, Create)  # a create has no key yet
        job.parent, own = split_key(codec.spec, job.item.key)
        job.path = address(verb.path or codec.spec.path + "/{key}", own, job.parent)

    def _prepare(self, job: Job, fill: Callable[[Job], None]) -> None:
        try:
            fill(job)
        except IsthmusError as error:
            error.record = error.record or job.name
            job.outcome = Failed(error=error)

    async def _send(self, codec: EntityCodec, jobs: Sequence[Job], verb: Verb, batch: Batch | None, what: str) -> None:
        """Send what is open: in batches first, then singly what a batch could not tell apart."""
        todo = [job for job in jobs if job.open]
        if batch is not None and len(todo) > 1 and (codec.name, what) not in self._batchless:
            groups: dict[str, list[Job]] = {}
            for job in todo:
                groups.setdefault(address(batch.path or codec.spec.path + "/batch", parent=job.parent), []).append(job)
            parts = [
                (path, group[start : start + batch.max])
                for path, group in groups.items()
                for start in range(0, len(group), batch.max)
            ]
            await asyncio.gather(*(self._send_batch(codec, path, part, batch, what) for path, part in parts))
        await asyncio.gather(*(self._send_one(codec, job, verb) for job in jobs if job.open))

    async def _send_one(self, codec: EntityCodec, job: Job, verb: Verb) -> None:
        try:
            answer = await self._wire.call(
                verb.method,
                job.path,
                doing=job.doing,
                body=self._wrapped(self._locked_body(job)) if job.body is not None else None,
                headers={**self._lock_header(job), **self._idempotency(job.item.idempotency_key, job)},
            )
        except IsthmusError as error:
            job.outcome = failed(job, error)
            return
        settle(job, answer, record_in(answer, self._manifest), codec, self._wire)

    async def _send_batch(self, codec: EntityCodec, path: str, jobs: Sequence[Job], batch: Batch, what: str) -> None:
        """One call for many records. A batch refused as a whole is halved until the bad record stands alone."""
        verb = jobs[0].doing.partition(" ")[0]
        doing = f"{verb} {len(jobs)} {codec.name} records in {self._manifest.name}, {jobs[0].name} first"
        items = [self._batch_item(job, batch) for job in jobs]
        headers = self._idempotency(_joint_key(jobs), jobs[0]) if batch.header else {}
        try:
            answer = await self._wire.call(
                batch.method, path, doing=doing, body={batch.items: items} if batch.items else items, headers=headers
            )
        except IsthmusError as error:
            for job in jobs:
                job.outcome = failed(job, _copy(error))
            return
        if answer.meaning is Meaning.OK:
            self._distribute(codec, jobs, batch, answer)
        elif answer.meaning in (Meaning.GONE, Meaning.SET_UP):
            self._batchless.add((codec.name, what))  # there is no such endpoint: the records go singly from now on
        elif answer.meaning in (Meaning.REJECT, Meaning.CLASH, Meaning.DUPLICATE, Meaning.STALE):
            if len(jobs) > 1:
                middle = len(jobs) // 2
                halves = (jobs[:middle], jobs[middle:])
                await asyncio.gather(*(self._send_batch(codec, path, half, batch, what) for half in halves if half[1:]))
            # A batch of one is sent singly: that answer speaks about the record itself.
        else:
            for job in jobs:
                why = self._wire.failure(answer, job.doing, record=job.name, scope=codec.spec.scopes.get("write"))
                job.outcome = failed(job, why)

    def _batch_item(self, job: Job, batch: Batch) -> Mapping[str, Any]:
        body = dict(job.body or {})
        item: dict[str, Any] = {batch.item_record: body} if batch.item_record else body
        if batch.item_idempotency:
            item[batch.item_idempotency] = job.item.idempotency_key
        if batch.item_key and not isinstance(job.item, Create):
            item[batch.item_key] = job.item.key
        if batch.item_version and job.version is not None:
            item[batch.item_version] = _number_or_text(job.version)
        return item

    def _distribute(self, codec: EntityCodec, jobs: Sequence[Job], batch: Batch, answer: Answer) -> None:
        """Give each job its own result; a job without a readable one is Unsure."""
        found = dig(answer.decoded, batch.results)
        results = [entry for entry in found if isinstance(entry, Mapping)] if isinstance(found, list) else []
        by_place = len(results) == len(jobs)
        for place, entry in enumerate(results):
            number = dig(entry, batch.result_index) if batch.result_index else None
            index = number if isinstance(number, int) else (place if by_place else -1)
            status = dig(entry, batch.result_status)
            if not 0 <= index < len(jobs) or not isinstance(status, int) or not jobs[index].open:
                continue
            record = dig(entry, batch.result_record)
            error = dig(entry, batch.result_error) if batch.result_error else entry
            wrapped = {batch.result_error: error} if batch.result_error else error
            one = self._wire.item_answer(answer.response, status, record, wrapped)
            settle(jobs[index], one, record if isinstance(record, Mapping) else None, codec, self._wire)
        for job in jobs:
            if job.open:
                job.outcome = unreadable(job, "the answer to the batch does not tell")

    async def _adopt(self, codec: EntityCodec, jobs: Sequence[Job]) -> None:
        """A create met an existing record: ours if, and only if, it carries the very external key that we minted."""
        if not jobs:
            return
        found: dict[str, Row] = {}
        try:
            doing = f"looking for {codec.name} records of ours in {self._manifest.name}"
            found = await self._reader.by_external_key(codec, [job.name for job in jobs], doing)
        except IsthmusError as error:
            for job in jobs:
                job.outcome = Failed(error=error)  # the create itself was refused, so surely nothing was written
            return
        for job in jobs:
            row = found.get(job.name)
            assert job.clash is not None  # only clashes come here
            if row is not None:
                job.outcome = written_as(row, codec, job, created=False)
            elif self._names_external_key(job.clash, codec):
                said = job.clash.error.said if job.clash.error else None
                job.outcome = Failed(error=Contended(job.doing, record=job.name, answered=said))
            else:
                job.outcome = refused(job, job.clash)

    def _names_external_key(self, answer: Answer, codec: EntityCodec) -> bool:
        name = codec.spec.external_key
        return bool(name and answer.error and answer.error.names(name, codec.wire(name)))

    def _idempotency(self, key: str, job: Job) -> dict[str, str]:
        told = self._manifest.idempotency
        if told.header is None or not (told.on_updates or isinstance(job.item, Create)):
            return {}
        return {told.header: key}

    def _lock_header(self, job: Job) -> dict[str, str]:
        told = self._manifest.locking
        if told is None or told.header is None or job.version is None or isinstance(job.item, Create):
            return {}
        return {told.header: f'"{job.version}"' if told.quoted else job.version}

    def _locked_body(self, job: Job) -> Mapping[str, Any]:
        told = self._manifest.locking
        body = job.body or {}
        if told is None or told.field is None or job.version is None or isinstance(job.item, Create):
            return body
        return {**body, told.field: _number_or_text(job.version)}

    def _wrapped(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return {self._manifest.wording.body: body} if self._manifest.wording.body else body

    def _not_offered(self, job: Job, entity: str, what: str) -> Outcome:
        return Failed(
            error=Misconfigured(
                f"{job.doing}: {self._manifest.name} takes no {what} of {entity}",
                record=job.name,
                hint="Let this entity flow the other way only, or correct the manifest.",
            )
        )


def _outcomes(jobs: Sequence[Job]) -> list[Outcome]:
    return [job.outcome or unreadable(job, "nothing came of it") for job in jobs]


def _joint_key(jobs: Sequence[Job]) -> str:
    """One key for a batch: the same records give the same key, any others another."""
    return hashlib.sha256("\n".join(job.item.idempotency_key for job in jobs).encode()).hexdigest()


def _copy(error: IsthmusError) -> IsthmusError:
    """Each record gets its own error, so that each can name itself."""
    return copy.copy(error)


def _number_or_text(version: str) -> int | str:
    return int(version) if version.isdigit() else version
