"""`kill -9` anywhere: no effect takes place twice, no step is skipped, and any worker goes on from the rows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from flow_worker import ORDER, STEPS
from flow_world import FlowInstallation
from kept_system import KeptConnector

from isthmus.engine.lease import LeaseLost, take
from isthmus.errors import AuthFailed
from isthmus.operate import flows as flow_verbs
from isthmus.operate import runs as run_verbs
from isthmus.store.database import Database

HERE = Path(__file__).parent
GIVEN = {"number": "S1", "total": "12.50", "lines": [{"sku": "A"}, {"sku": "B"}]}


@pytest.fixture
def worker(database: Database) -> Iterator[subprocess.Popen[str]]:
    found = subprocess.Popen(
        [sys.executable, str(HERE / "flow_worker.py"), database.conninfo],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield found
    found.communicate(timeout=20)


def ask(worker: subprocess.Popen[str], at: int) -> str:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(f"{at}\n")
    worker.stdin.flush()
    return worker.stdout.readline().strip()


@pytest.fixture
async def house(database: Database) -> AsyncIterator[FlowInstallation]:
    found = FlowInstallation(database)
    for name in ("books", "till"):
        found.system(name, KeptConnector(database.conninfo))
    yield found
    for name in ("books", "till"):
        await found.connectors[name].close()
    await found.close()


@pytest.mark.slow
async def test_a_worker_killed_at_any_point_leaves_nothing_twice_and_nothing_out(
    house: FlowInstallation, worker: subprocess.Popen[str]
) -> None:
    await house.publish(ORDER)
    kills = 0
    for at in range(1, 400):
        key = f"K{at}"
        await house.trigger("order", {**GIVEN, "number": key}, key=key)
        ended = ask(worker, at)
        if ended.startswith("killed"):
            kills += 1
            assert ask(worker, 0).startswith("done")
        steps = house.rows(
            """select s.node from run_step s join run r on r.id = s.run_id where r.key = :key
               and s.outcome in ('passed', 'ended') order by s.id""",
            key=key,
        )
        assert [s.node for s in steps] == STEPS, f"killed at point {at}"
        if ended.startswith("done"):
            break
    assert kills > 20, "there were fewer points than a flow of this length has"
    runs = house.one("select count(*) from run")
    assert house.states() == {"done": runs}
    assert house.one("select count(*) from outside where entity = 'order'") == runs
    assert house.one("select count(*) from outside where entity = 'line'") == 2 * runs
    assert house.one("select count(distinct document) from outside_act") == runs
    assert house.one("select count(*) from outside_act") == runs
    assert house.one("select count(*) from outside where entity = 'order' and values ->> 'paid' = 'yes'") == runs
    assert house.one("select count(*) from run_intent where state <> 'confirmed'") == 0


@pytest.mark.parametrize("system", ["books", "till"])
async def test_a_lost_answer_is_seen_through_and_nothing_is_sent_twice(house: FlowInstallation, system: str) -> None:
    await house.publish(ORDER)
    house.connectors[system].lose = 1
    await house.trigger("order", GIVEN)
    await house.drain()
    assert house.states() == {"done": 1}
    assert house.one("select count(*) from outside where entity = 'order'") == 1
    assert house.one("select count(*) from outside_act") == 1
    assert house.one("select sum(sends) from run_intent where node in ('document', 'capture')") == 2


async def test_a_second_run_of_the_same_key_makes_nothing_again(house: FlowInstallation) -> None:
    await house.publish(ORDER)
    for total in ("12.50", "13.00"):
        await house.trigger("order", {**GIVEN, "total": total})
        await house.drain()
    assert house.states() == {"done": 2}
    assert house.one("select count(*) from outside") == 3
    assert house.one("select count(*) from outside_act") == 1
    assert house.one("select values ->> 'total' from outside where entity = 'order'") == "13.00"


async def test_items_that_mean_the_same_record_make_it_once(house: FlowInstallation) -> None:
    file = ORDER.replace("    values: {number: item.number, total: item.total}\n",
                         "    values: {number: item.number}\n    id: item.number\n")  # fmt: skip
    await house.publish(file)
    for n in range(30):
        await house.trigger("order", {**GIVEN, "number": f"S{n % 3}"}, key=f"K{n}")
    await house.drain()
    assert house.states() == {"done": 30}
    assert house.one("select count(*) from outside where entity = 'order'") == 3
    assert house.one("select count(*) from outside_act") == 3


async def test_a_run_cancelled_during_an_effect_stays_cancelled_and_the_effect_is_recorded(
    house: FlowInstallation,
) -> None:
    await house.publish(ORDER)
    till = house.connectors["till"]
    perform = till.perform

    async def slow(operation: str, acts: Any) -> Any:
        found = await perform(operation, acts)
        await house.db.run(run_verbs.cancel, house.runtime.flows, house.one("select id from run"), "ada")
        return found

    till.perform = slow
    await house.trigger("order", GIVEN)
    await house.drain()
    assert house.states() == {"cancelled": 1}
    assert house.one("select count(*) from outside_act") == 1
    assert house.one("select state from run_intent where node = 'capture'") == "confirmed"
    assert house.one("select count(*) from outside where entity = 'line'") == 0


async def test_a_second_worker_takes_over_and_the_first_sends_nothing_more(house: FlowInstallation) -> None:
    flow = await house.publish(ORDER)
    books = house.connectors["books"]
    create = books.create

    async def slow(entity: str, items: Any) -> Any:
        found = await create(entity, items)
        await house.db.run(take, f"flow:{flow}")
        return found

    books.create = slow
    await house.trigger("order", GIVEN)
    lease = await house.db.run(take, f"flow:{flow}")
    with pytest.raises(LeaseLost):
        await house.runtime.flows.drain(flow, lease)
    assert house.one("select node from run_item") == "document"
    books.create = create
    await house.drain()
    assert house.states() == {"done": 1}
    assert house.one("select count(*) from outside where entity = 'order'") == 1


CALLS = """
flow: calls
connections: {till: {}}
nodes:
  start: {type: manual, to: capture}
  capture:
    type: call
    connection: till
    operation: capture
    input: {document: item.number, amount: "'1.00'"}
    to: end
  end: {type: filter, when: "true"}
"""


class PowerCut(BaseException):
    """What a test has instead of a kill."""


async def test_after_a_kill_only_what_may_have_been_sent_waits_for_the_ceiling(house: FlowInstallation) -> None:
    till = house.connectors["till"]
    till._ceiling = 600.0
    await house.publish(CALLS)
    for n in range(60):
        await house.trigger("calls", {"number": f"D{n}"}, key=f"K{n}")
    perform, calls = till.perform, []

    async def cut(operation: str, acts: Any) -> Any:
        calls.append(len(acts))
        if len(calls) == 2:
            raise PowerCut
        return await perform(operation, acts)

    till.perform = cut
    with pytest.raises(PowerCut):
        await house.drain()
    assert calls == [25, 25]
    assert house.one("select count(*) from run_intent where state = 'sent'") == 50
    await house.drain(seconds=5)
    assert house.states() == {"active": 25, "done": 35}
    [done] = house.rows("select count(*) as acts, count(distinct document) as documents from outside_act")
    assert (done.acts, done.documents) == (35, 35)
    late = "select count(*) from run_item where state = 'waiting' and due_at > now() + interval '9 minutes'"
    assert house.one(late) == 25


async def test_what_stops_a_flow_stops_it_before_the_rest_is_sent(house: FlowInstallation) -> None:
    till = house.connectors["till"]
    await house.publish(CALLS)
    for n in range(60):
        await house.trigger("calls", {"number": f"D{n}"}, key=f"K{n}")
    perform, calls = till.perform, []

    async def refused(operation: str, acts: Any) -> Any:
        calls.append(len(acts))
        raise AuthFailed("capturing", answered="the key was revoked")

    till.perform = refused
    await house.drain()
    assert calls == [25]
    assert house.one("select state from flow") == "halted"
    assert house.one("select count(*) from run_intent") == 25
    till.perform = perform
    await house.db.run(flow_verbs.set_state, house.runtime, "calls", "active", "ada")
    await house.drain()
    assert house.states() == {"done": 60}
    assert house.one("select count(*) from outside_act") == 60
