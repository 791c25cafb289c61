"""Kept broken connectors: each breaks one promise in a way that has happened somewhere, and must be caught."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Any

from isthmus.connectors.rest import RestConnector
from isthmus.connectors.rest.manifest import Idempotency
from isthmus.sdk import (
    AuthFailed,
    ChangePage,
    Create,
    Delete,
    Failed,
    Finding,
    Gone,
    Misconfigured,
    Outcome,
    RateLimited,
    Record,
    RefusedByTarget,
    Unavailable,
    Unsure,
    Update,
    Written,
)

_numbers = itertools.count(1)


class StopsAfterPageOne(RestConnector):
    async def read(self, entity: str, selection: Any, paths: Sequence[str], scope: Any = None) -> AsyncIterator[Any]:
        async for page in super().read(entity, selection, paths, scope):
            yield page
            return


class IgnoresTheCursor(RestConnector):
    async def changes(self, entity: str, cursor: str | None, scope: Any = None) -> AsyncIterator[ChangePage]:
        async for page in super().changes(entity, "2020-01-01T00:00:00Z" if cursor else None, scope):
            yield page


class CursorPassesWhatWasNotSeen(RestConnector):
    async def changes(self, entity: str, cursor: str | None, scope: Any = None) -> AsyncIterator[ChangePage]:
        pages = [page async for page in super().changes(entity, cursor, scope)]
        for page in pages:
            yield dataclasses.replace(page, cursor=pages[-1].cursor)


class LosesTheLastHint(RestConnector):
    async def changes(self, entity: str, cursor: str | None, scope: Any = None) -> AsyncIterator[ChangePage]:
        async for page in super().changes(entity, cursor, scope):
            yield dataclasses.replace(page, hints=page.hints[:-1])


class DropsTheIdempotencyKey(RestConnector):
    def __init__(self, manifest: Any, settings: Any, services: Any) -> None:
        told = manifest.model_copy(update={"idempotency": Idempotency(header=None)})
        super().__init__(told, settings, services)


class SendsAgainBlindly(RestConnector):
    async def create(self, entity: str, items: Sequence[Create]) -> Sequence[Outcome]:
        outcomes = await super().create(entity, items)
        return await super().create(entity, items) if any(isinstance(o, Unsure) for o in outcomes) else outcomes


class CallsTheUnknownFailed(RestConnector):
    async def create(self, entity: str, items: Sequence[Create]) -> Sequence[Outcome]:
        outcomes = await super().create(entity, items)
        return [Failed(error=Unavailable(str(o.error))) if isinstance(o, Unsure) else o for o in outcomes]


class OverwritesWhatMoved(RestConnector):
    async def update(self, entity: str, items: Sequence[Update]) -> Sequence[Outcome]:
        return await super().update(entity, [dataclasses.replace(item, expect={}, version=None) for item in items])


class FailsOnWhatIsGone(RestConnector):
    async def update(self, entity: str, items: Sequence[Update]) -> Sequence[Outcome]:
        outcomes = await super().update(entity, items)
        return [Failed(error=RefusedByTarget("updating: 404")) if isinstance(o, Gone) else o for o in outcomes]


class MintsItsOwnKeys(RestConnector):
    async def create(self, entity: str, items: Sequence[Create]) -> Sequence[Outcome]:
        mine = [
            dataclasses.replace(item, external_key=f"{item.external_key[:40]}-{n}", idempotency_key=f"k{n}")
            for item, n in zip(items, _numbers, strict=False)
        ]
        return await super().create(entity, mine)


class OneBadRecordStopsAll(RestConnector):
    async def create(self, entity: str, items: Sequence[Create]) -> Sequence[Outcome]:
        outcomes = await super().create(entity, items)
        bad = next((o for o in outcomes if isinstance(o, Failed)), None)
        return [bad] * len(items) if bad else outcomes


class MixesUpTheOrder(RestConnector):
    async def create(self, entity: str, items: Sequence[Create]) -> Sequence[Outcome]:
        outcomes = await super().create(entity, items)
        return sorted(outcomes, key=lambda o: isinstance(o, Failed))


class RoundsMoney(RestConnector):
    async def create(self, entity: str, items: Sequence[Create]) -> Sequence[Outcome]:
        rounded = [
            dataclasses.replace(
                item, values={p: round(v, 0) if isinstance(v, Decimal) else v for p, v in item.values.items()}
            )
            for item in items
        ]
        return await super().create(entity, rounded)


class ForgetsTheWait(RestConnector):
    async def create(self, entity: str, items: Sequence[Create]) -> Sequence[Outcome]:
        outcomes = await super().create(entity, items)
        slow = [isinstance(o, Failed) and isinstance(o.error, RateLimited) for o in outcomes]
        return [Failed(error=Unavailable("busy")) if s else o for s, o in zip(slow, outcomes, strict=True)]


class HidesARefusedLogin(RestConnector):
    async def read(self, entity: str, selection: Any, paths: Sequence[str], scope: Any = None) -> AsyncIterator[Any]:
        try:
            async for page in super().read(entity, selection, paths, scope):
                yield page
        except AuthFailed:
            return


class DoctorThatNeverLooks(RestConnector):
    async def check(self) -> Sequence[Finding]:
        return [Finding(check="all", status="ok", message="fine")]


class TellsTheSecret(RestConnector):
    async def read(self, entity: str, selection: Any, paths: Sequence[str], scope: Any = None) -> AsyncIterator[Any]:
        try:
            async for page in super().read(entity, selection, paths, scope):
                yield page
        except AuthFailed as error:
            key = self.settings.api_key.reveal() if self.settings.api_key else ""
            raise AuthFailed(f"reading with {key}") from error


class ReadsAWebPageAsNothing(RestConnector):
    async def read(self, entity: str, selection: Any, paths: Sequence[str], scope: Any = None) -> AsyncIterator[Any]:
        try:
            async for page in super().read(entity, selection, paths, scope):
                yield page
        except Misconfigured:
            return


class AnswersMoreThanAsked(RestConnector):
    async def read(self, entity: str, selection: Any, paths: Sequence[str], scope: Any = None) -> AsyncIterator[Any]:
        async for page in super().read(entity, selection, [*paths, "mail"], scope):
            yield page


class ProvesNothing(RestConnector):
    async def exists(self, entity: str, keys: Sequence[str]) -> dict[str, bool]:
        return dict.fromkeys(keys, True)


class PretendsToDelete(RestConnector):
    async def delete(self, entity: str, items: Sequence[Delete]) -> Sequence[Outcome]:
        return [Written(key=item.key) for item in items]


class AnswersWithoutKeys(RestConnector):
    async def create(self, entity: str, items: Sequence[Create]) -> Sequence[Outcome]:
        outcomes = await super().create(entity, items)
        return [dataclasses.replace(o, key="") if isinstance(o, Written) else o for o in outcomes]


class WritesMoreThanNamed(RestConnector):
    async def update(self, entity: str, items: Sequence[Update]) -> Sequence[Outcome]:
        wide = [dataclasses.replace(item, values={**item.values, "balance": Decimal(0)}) for item in items]
        return await super().update(entity, wide)


class FindsByAnything(RestConnector):
    async def read(self, entity: str, selection: Any, paths: Sequence[str], scope: Any = None) -> AsyncIterator[Any]:
        async for page in super().read(entity, selection, paths, scope):
            yield [dataclasses.replace(record, external_key=None) for record in page if isinstance(record, Record)]


MUTANTS: dict[type[RestConnector], str] = {
    StopsAfterPageOne: "everything_is_read",
    IgnoresTheCursor: "changes_resume_from_the_middle",
    CursorPassesWhatWasNotSeen: "changes_resume_from_the_middle",
    LosesTheLastHint: "changes_are_complete_keyed_and_ordered",
    DropsTheIdempotencyKey: "the_idempotency_key_goes_over_the_wire",
    SendsAgainBlindly: "a_lost_answer_is_unsure_and_sent_once",
    CallsTheUnknownFailed: "a_server_error_on_a_write_is_unsure",
    OverwritesWhatMoved: "a_record_that_moved_is_not_overwritten",
    FailsOnWhatIsGone: "an_update_of_a_missing_record_is_gone",
    MintsItsOwnKeys: "a_create_repeated_makes_one_record",
    OneBadRecordStopsAll: "one_bad_record_stops_no_good_one",
    MixesUpTheOrder: "one_bad_record_stops_no_good_one",
    RoundsMoney: "what_is_written_is_read_back",
    ForgetsTheWait: "too_many_calls_wait_as_long_as_asked",
    HidesARefusedLogin: "a_refused_login_is_told_as_one",
    DoctorThatNeverLooks: "the_doctor_is_content",
    TellsTheSecret: "a_refused_login_is_told_as_one",
    ReadsAWebPageAsNothing: "a_web_page_instead_of_data_is_a_set_up_matter",
    AnswersMoreThanAsked: "what_is_not_there_is_left_out",
    ProvesNothing: "what_is_not_there_is_left_out",
    PretendsToDelete: "a_deleted_record_is_gone",
    AnswersWithoutKeys: "what_is_written_is_read_back",
    WritesMoreThanNamed: "an_update_changes_what_it_names_and_no_more",
    FindsByAnything: "a_record_is_found_by_its_external_key",
}
"""Each broken connector and the promise it breaks."""
