"""What every connector has to keep: each check is a sentence, played over a recording or against a running system."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from isthmus.errors import AuthFailed, Halt, IsthmusError, RateLimited, Reject, Unavailable
from isthmus.sdk.connector import (
    ByExternalKeys,
    ByKeys,
    Connector,
    Delete,
    Everything,
    Failed,
    Gone,
    Selection,
    Stale,
    Update,
    Written,
)
from isthmus.testing.contract.scenario import agree, sample_values
from isthmus.testing.contract.stage import Stage, closed_port, follow, is_unsure, read_all
from isthmus.testing.contract.wiretap import Fault

Run = Callable[..., Awaitable[None]]
WRITING = ("POST", "PUT", "PATCH")


@dataclass(frozen=True, slots=True)
class Check:
    """One promise. `per_entity` ones are tried on each Entity; those with `injected` answers need no recording."""

    name: str
    run: Run
    per_entity: bool

    @property
    def sentence(self) -> str:
        """What is promised, in words."""
        return self.name.replace("_", " ")


CHECKS: list[Check] = []


def _promise(*, per_entity: bool = True) -> Callable[[Run], Run]:
    def keep(run: Run) -> Run:
        CHECKS.append(Check(run.__name__, run, per_entity))
        return run

    return keep


def checks(scenario: Any) -> list[tuple[Check, str | None]]:
    """Every check with each Entity that it applies to."""
    entities = list(scenario.entities)
    return [(check, entity) for check in CHECKS for entity in (entities if check.per_entity else [None])]


def skipped(scenario: Any, check: Check, entity: str | None) -> str | None:
    """Why a check is left out, or None when it runs."""
    if check.name in scenario.skip:
        return str(scenario.skip[check.name])
    if entity is not None:
        told = scenario.entities[entity]
        if check.name in told.skip:
            return str(told.skip[check.name])
        if not told.sample:
            return "the scenario has no sample: this entity is only read"
        if check.run in _NEED_CHANGE and not told.change:
            return "the scenario has no change for this entity"
        if check.run in _NEED_BAD and not told.bad:
            return "the scenario knows no record that is refused"
    return None


@_promise(per_entity=False)
async def what_is_promised_is_there(stage: Stage) -> None:
    """The description and the code agree."""
    connector = stage.connector()
    described = {schema.name: schema for schema in await connector.describe()}
    missing = [name for name in stage.scenario.entities if name not in described]
    assert not missing, f"in the scenario but not described: {missing}"
    if connector.traits.can_delete:
        assert type(connector).delete is not Connector.delete, "traits say it deletes, the code does not"
    for name, told in stage.scenario.entities.items():
        fields = described[name].fields
        used = {path.split(".")[0] for path in (*told.sample, *told.change)}
        assert used <= set(fields), f"{name}: fields not described: {sorted(used - set(fields))}"
        assert not [path for path in told.sample if fields[path].readonly], f"{name}: the sample sets a read-only field"
    assert stage.kind.settings.model_json_schema()["properties"], "no settings are described"


@_promise(per_entity=False)
async def the_doctor_is_content(stage: Stage) -> None:
    """A good set-up has no problem, and at least one thing was looked at over the wire."""
    findings = await stage.connector().check()
    assert findings, "the doctor looked at nothing"
    problems = [finding for finding in findings if finding.status == "problem"]
    assert not problems, f"problems found: {problems}"
    assert stage.wiretap.heard, "the doctor did not call the system"


@_promise(per_entity=False)
async def a_refused_login_is_told_as_one(stage: Stage) -> None:
    """Wrong credentials: AuthFailed from a read, a problem with its fix from the doctor, never a traceback."""
    connector = stage.connector(secrets=stage.scenario.refused)
    entity = next(iter(stage.scenario.entities))
    error = await _raised(connector, entity, ByKeys([stage.entity(entity).missing_key]))
    assert isinstance(error, AuthFailed), f"a refused login was told as {error!r}"
    stage.shown.append(repr(error.as_dict()))
    findings = await connector.check()
    problems = [finding for finding in findings if finding.status == "problem"]
    assert problems, "the doctor says nothing about a refused login"
    assert all(finding.fix for finding in problems), "a problem without a fix"
    stage.shown.extend(f"{finding.message} {finding.fix} {dict(finding.facts)}" for finding in findings)


@_promise(per_entity=False)
async def an_unreachable_system_is_told_as_one(stage: Stage) -> None:
    """Nobody listens: a read raises Unavailable, the doctor finds a problem and says what to check."""
    connector = stage.connector(url=f"http://127.0.0.1:{closed_port()}")
    entity = next(iter(stage.scenario.entities))
    error = await _raised(connector, entity, ByKeys([stage.entity(entity).missing_key]))
    assert isinstance(error, Unavailable), f"an unreachable system was told as {error!r}"
    assert any(finding.status == "problem" and finding.fix for finding in await connector.check())


@_promise()
async def what_is_written_is_read_back(stage: Stage, entity: str) -> None:
    """A created record comes back with the same values, under exactly the paths asked for."""
    connector = stage.connector()
    item = await stage.item(connector, entity)
    made = stage.written((await connector.create(entity, [item]))[0])
    assert made.key, "a created record has no key"
    assert made.created, "a new record was called adopted"
    [record] = await read_all(connector, entity, ByKeys([made.key]), tuple(item.values))
    assert set(record.values) == set(item.values), "not exactly the paths asked for"
    lossy = stage.entity(entity).lossy
    differ = {
        p: (w, record.values[p]) for p, w in item.values.items() if p not in lossy and not agree(w, record.values[p])
    }
    assert not differ, f"written and read differ: {differ}"
    assert record.key == made.key


@_promise()
async def a_record_is_found_by_its_external_key(stage: Stage, entity: str) -> None:
    """The read-back after a lost answer: by the key we minted, nothing else, and the Record says which it carries."""
    connector = stage.connector()
    item = await stage.item(connector, entity)
    made = stage.written((await connector.create(entity, [item]))[0])
    found = await read_all(
        connector, entity, ByExternalKeys([item.external_key, "contract-nobody"]), ("@external_key",)
    )
    assert [(record.key, record.external_key) for record in found] == [(made.key, item.external_key)]


@_promise()
async def a_create_repeated_makes_one_record(stage: Stage, entity: str) -> None:
    """The same item sent twice ends in one record under one key."""
    connector = stage.connector()
    item = await stage.item(connector, entity)
    first = stage.written((await connector.create(entity, [item]))[0])
    again = stage.written((await connector.create(entity, [item]))[0])
    assert again.key == first.key, "a repeated create made a second record"
    found = await read_all(connector, entity, ByExternalKeys([item.external_key]), ())
    assert len(found) == 1, f"{len(found)} records carry one external key"


@_promise()
async def the_idempotency_key_goes_over_the_wire(stage: Stage, entity: str) -> None:
    """Both tries of one create carry the item's own key."""
    connector = stage.connector()
    item = await stage.item(connector, entity)
    for _ in range(2):
        stage.kept((await connector.create(entity, [item]))[0])
    carried = [
        heard
        for heard in stage.wiretap.heard
        if heard.method in WRITING
        and (item.idempotency_key in heard.headers.values() or item.idempotency_key.encode() in heard.raw)
    ]
    assert len(carried) == 2, f"the idempotency key was sent {len(carried)} times for two tries"


@_promise()
async def one_bad_record_stops_no_good_one(stage: Stage, entity: str) -> None:
    """Of three records the middle one is refused: the others are made, in order, and the refusal says why."""
    connector = stage.connector()
    good = [await stage.item(connector, entity) for _ in range(2)]
    bad = await stage.item(connector, entity, stage.entity(entity).bad)
    outcomes = await connector.create(entity, [good[0], bad, good[1]])
    assert len(outcomes) == 3, "not one outcome per item"
    first, refused, last = outcomes
    stage.written(first)
    stage.written(last)
    assert isinstance(refused, Failed), f"the bad record: {refused}"
    assert isinstance(refused.error, Reject), f"the bad record is no Reject: {refused.error!r}"
    assert refused.error.answered or refused.error.doing, "the refusal does not say why"
    for item, outcome in ((good[0], first), (good[1], last)):
        found = await read_all(connector, entity, ByExternalKeys([item.external_key]), ())
        assert [record.key for record in found] == [getattr(outcome, "key", None)], (
            "outcomes are not in the order of the items"
        )


@_promise()
async def an_update_changes_what_it_names_and_no_more(stage: Stage, entity: str) -> None:
    """The named fields change, the others stay, and the new version is told."""
    connector = stage.connector()
    item, made, change, before = await _ready_to_change(stage, connector, entity)
    outcome = stage.written((await connector.update(entity, [change]))[0])
    paths = tuple({**item.values, **change.values})
    [after] = await read_all(connector, entity, ByKeys([made.key]), paths)
    for path, value in change.values.items():
        assert agree(value, after.values[path]), f"{path} was not changed: {after.values[path]!r}"
    spoilt = {
        path: (before.values[path], after.values[path])
        for path in item.values
        if path not in change.values and path not in stage.entity(entity).lossy
        if not agree(before.values[path], after.values[path])
    }
    assert not spoilt, f"fields that nobody named changed: {spoilt}"
    if outcome.version is not None:
        assert outcome.version == after.version, "the version told is not the record's"


@_promise()
async def a_record_that_moved_is_not_overwritten(stage: Stage, entity: str) -> None:
    """A second update on the basis of the first reading is Stale and writes nothing."""
    connector = stage.connector()
    _, made, change, before = await _ready_to_change(stage, connector, entity)
    stage.written((await connector.update(entity, [change]))[0])
    late = Update(
        key=made.key,
        values=sample_values(stage.entity(entity).change, stage.number("late"), await stage.schema(entity)),
        expect={path: before.values[path] for path in change.values},
        version=before.version,
        idempotency_key="late" + change.idempotency_key[4:],
    )
    [outcome] = await connector.update(entity, [late])
    assert isinstance(outcome, Stale), f"an edit in between was overwritten: {outcome}"
    [after] = await read_all(connector, entity, ByKeys([made.key]), tuple(change.values))
    for path, value in change.values.items():
        assert agree(value, after.values[path]), f"{path} was overwritten: {after.values[path]!r}"


@_promise()
async def an_update_of_a_missing_record_is_gone(stage: Stage, entity: str) -> None:
    """Gone, as a value: no exception, no new record."""
    connector = stage.connector()
    key = await _missing_key(stage, connector, entity)
    values = sample_values(stage.entity(entity).change, "gone", await stage.schema(entity))
    change = Update(key=key, values=values, expect={}, version="1", idempotency_key="contract-gone")
    outcomes = await connector.update(entity, [change])
    assert outcomes == [Gone(key=key)], f"updating what is not there: {outcomes}"


@_promise()
async def what_is_not_there_is_left_out(stage: Stage, entity: str) -> None:
    """Reading by key leaves a missing record out; its absence can be proven."""
    connector = stage.connector()
    key = await _missing_key(stage, connector, entity)
    [made] = await stage.make(connector, entity)
    records = await read_all(connector, entity, ByKeys([made.key, key]), ())
    assert [record.key for record in records] == [made.key]
    assert all(record.values == {} for record in records), "paths that nobody asked for"
    assert await connector.exists(entity, [made.key, key]) == {made.key: True, key: False}


@_promise()
async def everything_is_read(stage: Stage, entity: str) -> None:
    """More records than a page holds: each comes exactly once."""
    connector = stage.connector()
    made = {written.key for written in await stage.make(connector, entity, 5)}
    keys = [record.key for record in await read_all(connector, entity, Everything(), ())]
    assert made <= set(keys), f"not read: {sorted(made - set(keys))}"
    assert len(keys) == len(set(keys)), "a record came twice"
    assert set(await connector.all_keys(entity)) == set(keys)


@_promise()
async def changes_are_complete_keyed_and_ordered(stage: Stage, entity: str) -> None:
    """Everything made since a Cursor is hinted at, with its key, in the order of the changes; nothing is invented."""
    connector = stage.connector()
    _, begin = await follow(connector, entity, None)
    assert len(begin) >= 1, "changes without a cursor gave none to begin with"
    made = {written.key for written in await stage.make(connector, entity, 5)}
    pages, cursors = await follow(connector, entity, begin[-1])
    hints = [hint for page in pages for hint in page]
    assert all(hint.key and hint.entity == entity for hint in hints), "a hint without key or of another entity"
    assert made <= {hint.key for hint in hints}, f"missed: {sorted(made - {hint.key for hint in hints})}"
    times = [hint.occurred_at for hint in hints if hint.occurred_at]
    assert times == sorted(times), "hints are not in the order of the changes"
    assert len(cursors) == len(pages)
    assert all(cursors), "a page without a cursor"


@_promise()
async def changes_resume_from_the_middle(stage: Stage, entity: str) -> None:
    """From a Cursor in the middle nothing later is missed; from the last one nothing comes back."""
    connector = stage.connector()
    _, begin = await follow(connector, entity, None)
    await stage.make(connector, entity, 5)
    pages, cursors = await follow(connector, entity, begin[-1])
    filled = [number for number, page in enumerate(pages) if page]
    assert len(filled) >= 2, "one page only: make the pages of the scenario smaller, or the middle cannot be tried"
    middle = filled[len(filled) // 2 - 1]
    later = {hint.key for page in pages[middle + 1 :] for hint in page}
    resumed, _ = await follow(connector, entity, cursors[middle])
    found = {hint.key for page in resumed for hint in page}
    assert later <= found, f"a change was lost behind the cursor: {sorted(later - found)}"
    past = {hint.key for page in pages[: middle + 1] for hint in page} - later
    assert not past & found, f"the cursor was ignored: {sorted(past & found)}"
    ended, _ = await follow(connector, entity, cursors[-1])
    assert not [hint for page in ended for hint in page], "what was read comes again"


@_promise()
async def an_edit_after_the_cursor_is_seen(stage: Stage, entity: str) -> None:
    """A Cursor that has seen a record still sees its next edit."""
    connector = stage.connector()
    _, begin = await follow(connector, entity, None)
    _, made, change, _ = await _ready_to_change(stage, connector, entity)
    _, cursors = await follow(connector, entity, begin[-1])
    stage.written((await connector.update(entity, [change]))[0])
    pages, _ = await follow(connector, entity, cursors[-1])
    assert made.key in {hint.key for page in pages for hint in page}, "the edit was missed"


@_promise()
async def too_many_calls_wait_as_long_as_asked(stage: Stage, entity: str) -> None:
    """429 with Retry-After: Failed with RateLimited and that very wait; nothing is sent again meanwhile."""
    connector = stage.connector()
    item = await stage.item(connector, entity)
    writes = _writes(stage)
    fault = Fault("answer", status=429, headers={"Retry-After": "77"}, when=writes, times=99)
    stage.wiretap.faults.append(fault)
    before = len(stage.wiretap.heard)
    [outcome] = await connector.create(entity, [item])
    stage.kept(outcome)
    assert isinstance(outcome, Failed), f"too many calls: {outcome}"
    assert isinstance(outcome.error, RateLimited), f"too many calls is no RateLimited: {outcome.error!r}"
    assert outcome.error.wait is not None
    assert outcome.error.wait.total_seconds() == 77, f"asked for 77 s, waits {outcome.error.wait}"
    sent = [heard for heard in stage.wiretap.heard[before:] if writes(heard.method, heard.path)]
    assert len(sent) == 1, f"sent {len(sent)} times although asked to wait"


@_promise()
async def a_lost_answer_is_unsure_and_sent_once(stage: Stage, entity: str) -> None:
    """The answer to a create breaks off after it took effect: Unsure, one request, and the record is found."""
    kinds: tuple[Literal["lose", "cut"], ...] = ("lose", "cut")
    writes = _writes(stage)
    for kind in kinds:
        connector = stage.connector()
        item = await stage.item(connector, entity)
        before = len(stage.wiretap.heard)
        stage.wiretap.faults.append(Fault(kind, when=writes))
        [outcome] = await connector.create(entity, [item])
        stage.kept(outcome)
        assert is_unsure(outcome), f"a lost answer was called {outcome}"
        sent = [heard for heard in stage.wiretap.heard[before:] if writes(heard.method, heard.path)]
        assert len(sent) == 1, f"a write was sent {len(sent)} times unseen"
        found = await read_all(connector, entity, ByExternalKeys([item.external_key]), ())
        assert len(found) == 1, "the record is not found by its external key"


@_promise()
async def a_server_error_on_a_write_is_unsure(stage: Stage, entity: str) -> None:
    """502 from something in between: the write may have taken place."""
    connector = stage.connector()
    item = await stage.item(connector, entity)
    stage.wiretap.faults.append(
        Fault("answer", status=502, body="<html><h1>Bad Gateway</h1></html>", when=_writes(stage))
    )
    [outcome] = await connector.create(entity, [item])
    stage.kept(outcome)
    assert is_unsure(outcome), f"a 502 was called {outcome}"


@_promise()
async def a_web_page_instead_of_data_is_a_set_up_matter(stage: Stage, entity: str) -> None:
    """HTML with status 200 on a read: a Halt that tells where to look, never an empty answer."""
    connector = stage.connector()
    await connector.describe([entity])
    await stage.make(connector, entity)  # logged in by now
    page = "<!doctype html><html><title>Welcome</title></html>"
    headers = {"Content-Type": "text/html"}
    stage.wiretap.faults.append(Fault("answer", status=200, headers=headers, body=page, times=99))
    error = await _raised(connector, entity, Everything())
    assert isinstance(error, Halt), f"a web page instead of data was told as {error!r}"
    assert error.hint, "no next step is told"


@_promise()
async def a_deleted_record_is_gone(stage: Stage, entity: str) -> None:
    """Where the connector deletes: once Written, then Gone, and its absence is proven."""
    connector = stage.connector()
    if not connector.traits.can_delete:
        return
    [made] = await stage.make(connector, entity)
    removal = Delete(key=made.key, version=made.version, idempotency_key="contract-delete")
    assert isinstance((await connector.delete(entity, [removal]))[0], Written)
    assert await connector.delete(entity, [removal]) == [Gone(key=made.key)]
    assert await connector.exists(entity, [made.key]) == {made.key: False}


async def _ready_to_change(stage: Stage, connector: Connector, entity: str) -> tuple[Any, Written, Update, Any]:
    """A fresh record, read as it is, and the update that the scenario has for it."""
    item = await stage.item(connector, entity)
    made = stage.written((await connector.create(entity, [item]))[0])
    values = sample_values(stage.entity(entity).change, stage.number("changed"), await stage.schema(entity))
    [before] = await read_all(connector, entity, ByKeys([made.key]), tuple({**item.values, **values}))
    change = Update(
        key=made.key,
        values=values,
        expect={path: before.values[path] for path in values},
        version=before.version,
        idempotency_key="upd-" + item.idempotency_key[4:],
    )
    return item, made, change, before


async def _raised(connector: Connector, entity: str, selection: Selection) -> IsthmusError | None:
    """What reading raises, if anything."""
    try:
        await read_all(connector, entity, selection, ())
    except IsthmusError as error:
        return error
    return None


async def _missing_key(stage: Stage, connector: Connector, entity: str) -> str:
    told = stage.entity(entity)
    if "{parent}" not in told.missing_key:
        return told.missing_key
    [made] = await stage.make(connector, next(iter(told.needs.values())))
    return told.missing_key.replace("{parent}", made.key)


def _writes(stage: Stage) -> Callable[[str, str], bool]:
    """Whether a request by this method to this path writes: log-ins and what the scenario says only reads do not."""
    reads = tuple(stage.scenario.reads)

    def writes(method: str, path: str) -> bool:
        return method in WRITING and "token" not in path and "oauth" not in path and path not in reads

    return writes


_NEED_CHANGE = (
    an_update_changes_what_it_names_and_no_more,
    a_record_that_moved_is_not_overwritten,
    an_update_of_a_missing_record_is_gone,
    an_edit_after_the_cursor_is_seen,
)
_NEED_BAD = (one_bad_record_stops_no_good_one,)
