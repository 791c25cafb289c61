"""Turns the checks into a test class, records them once, and runs them as a function for anything else."""

from __future__ import annotations

import inspect
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from isthmus.sdk.registry import ConnectorKind, Live, find
from isthmus.testing.contract.checks import Check, checks, skipped
from isthmus.testing.contract.scenario import Scenario, load_scenario
from isthmus.testing.contract.stage import on_stage
from isthmus.testing.contract.tape import Tape, leaks, load_tape

Start = Callable[[], AbstractAsyncContextManager[Live]]
"""Starts a running system and stops it afterwards."""

RECORD = "ISTHMUS_RECORD"
"""Set in the environment, the suite over recordings makes them anew from the running system."""


def contract(
    key: str | ConnectorKind,
    folder: Path,
    *,
    live: Start | Literal["stand-in"] | None = None,
    record: Start | None = None,
    only: Sequence[str] = (),
) -> type:
    """A test class that holds a connector to its contract: `TestAcme = contract("acme", folder)`.

    `folder` holds `scenario.yaml` and the recordings. Without `live` the recordings are played; with it, the same
    checks run against a system that is started for each of them; "stand-in" is the one the connector brings. With
    `record` and the environment variable ISTHMUS_RECORD=1 the recordings are made anew. `only` names the Entities to
    try; none: all of the scenario.
    """
    kind = key if isinstance(key, ConnectorKind) else find(key)
    scenario = load_scenario(folder / "scenario.yaml")
    if live == "stand-in":
        assert kind.stand_in is not None, f"{kind.name} brings no stand-in"
        live = kind.stand_in
    if live is None and record is not None and os.environ.get(RECORD):
        live, keep = record, folder
    else:
        keep = None
    namespace: dict[str, Any] = {"__doc__": f"The contract of {kind.name}.", "__module__": _caller()}
    tried = [(check, entity) for check, entity in checks(scenario) if not only or entity is None or entity in only]
    for check in dict.fromkeys(check for check, _ in tried):
        entities = [entity for found, entity in tried if found is check]
        namespace[f"test_{check.name}"] = _test(kind, scenario, check, entities, folder, live, keep)
    if live is None:
        namespace["test_no_recording_is_left_over"] = _left_over(scenario, tried, folder)
        namespace["test_no_recording_holds_a_secret"] = _no_secret(scenario, folder)
    return type(f"Test{kind.key.title().replace('_', '')}Contract", (), namespace)


async def run_check(
    kind: ConnectorKind,
    scenario: Scenario,
    check: Check,
    entity: str | None,
    *,
    folder: Path | None = None,
    live: Live | None = None,
    keep: Path | None = None,
) -> None:
    """Run one check; raises AssertionError (or what the connector raised) when it is not kept.

    Over a recording, calls that are not in it fail, and so do recorded calls that nobody asked for.
    """
    name = check.name if entity is None else f"{check.name}.{entity}"
    tape = Tape() if live is not None or folder is None else load_tape(_path(folder, name))
    async with on_stage(kind, scenario, name.replace(".", "-"), tape, live, record=keep is not None) as stage:
        try:
            await (check.run(stage) if entity is None else check.run(stage, entity))
        finally:
            unknown = stage.wiretap.unknown
        assert not unknown, f"asked for, but not in the recording: {unknown}"
        told = "\n".join(stage.shown)
        shown = [secret for secret in stage.secret_values() if len(secret) >= 6 and secret in told]
        assert not shown, "a secret stands in what people are shown"
        if live is None:
            assert not tape.unused(), f"recorded, but never asked for: {tape.unused()}"
    if keep is not None:
        tape.save(_path(keep, name), stage.secret_values())


async def broken_promises(
    kind: ConnectorKind, scenario: Scenario, start: Start, *, only: tuple[str, ...] = ()
) -> Mapping[str, str]:
    """Which checks a connector does not keep against a running system, and how: for trying out and for mutants."""
    out: dict[str, str] = {}
    for check, entity in checks(scenario):
        if skipped(scenario, check, entity) or (only and check.name not in only):
            continue
        async with start() as live:
            try:
                await run_check(kind, scenario, check, entity, live=live)
            except Exception as error:  # whatever a broken connector does is a broken promise
                out[check.name] = f"{type(error).__name__}: {error}"
    return out


def _test(
    kind: ConnectorKind,
    scenario: Scenario,
    check: Check,
    entities: Sequence[str | None],
    folder: Path,
    live: Start | None,
    keep: Path | None,
) -> Any:
    async def test(self: Any, entity: str | None) -> None:
        reason = skipped(scenario, check, entity)
        if reason:
            pytest.skip(reason)
        async with _started(live) as running:
            await run_check(kind, scenario, check, entity, folder=folder, live=running, keep=keep)

    test.__doc__ = inspect.getdoc(check.run)
    test.__name__ = f"test_{check.name}"
    return pytest.mark.parametrize("entity", entities, ids=[entity or "system" for entity in entities])(test)


def _left_over(scenario: Scenario, tried: Sequence[tuple[Check, str | None]], folder: Path) -> Any:
    def test(self: Any) -> None:
        """Every recording belongs to a check that is played."""
        wanted = {
            _path(folder, check.name if entity is None else f"{check.name}.{entity}")
            for check, entity in tried
            if not skipped(scenario, check, entity)
        }
        assert sorted(set(folder.glob("recordings/*.yaml")) - wanted) == []

    return test


def _no_secret(scenario: Scenario, folder: Path) -> Any:
    def test(self: Any) -> None:
        """Recordings go to git: none may hold what looks like a secret."""
        known = [*scenario.secrets.values(), *scenario.refused.values()]
        found = {p.name: leaks(p.read_text(encoding="utf-8"), known) for p in folder.glob("recordings/*.yaml")}
        assert {name: why for name, why in found.items() if why} == {}

    return test


@asynccontextmanager
async def _started(live: Start | None) -> AsyncIterator[Live | None]:
    if live is None:
        yield None
        return
    async with live() as running:
        yield running


def _path(folder: Path, name: str) -> Path:
    return folder / "recordings" / f"{name}.yaml"


def _caller() -> str:
    frame = inspect.currentframe()
    outer = frame.f_back.f_back if frame and frame.f_back else None
    return str(outer.f_globals.get("__name__", __name__)) if outer else __name__
