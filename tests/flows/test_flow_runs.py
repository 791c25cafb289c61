"""Runs on a real PostgreSQL: items through every kind of node, one bad item, waits, joins, versions, replays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from flow_world import FlowInstallation

from isthmus.operate import runs as run_verbs
from isthmus.store.database import Database

SIMPLE = """
flow: simple
nodes:
  start: {type: manual, to: double}
  double:
    type: set
    fields: {n: "multiply(item.n, 2)"}
    to: check
  check:
    type: filter
    when: at_least(item.n, 10)
    to: {out: big, rest: small}
  big: {type: set, fields: {size: "'big'"}}
  small: {type: set, fields: {size: "'small'"}}
"""

LINES = """
flow: lines
nodes:
  start: {type: manual, to: lines}
  lines: {type: split, list: lines, to: {out: price, empty: after}}
  price:
    type: set
    fields: {sum: "multiply(item.price, item.quantity)"}
    to: good
  good:
    type: validate
    rules: [{name: positive, check: "at_least(item.sum, 0)", message: The line is negative.}]
    to: {out: together}
  together: {type: join, into: priced, to: after}
  after: {type: set, fields: {count: "has(item.priced) ? size(item.priced) : 0"}}
"""

WAITS = """
flow: waits
nodes:
  start: {type: manual, to: wait}
  wait: {type: wait, event: paid, key: item.order, timeout: 1h, into: payment, to: {out: paid, timeout: late}}
  paid: {type: set, fields: {state: "'paid'"}}
  late: {type: set, fields: {state: "'late'"}}
"""

ASKS = """
flow: asks
nodes:
  start: {type: manual, to: ask}
  ask:
    type: approval
    question: Pay it all the same?
    show: {Amount: item.amount}
    asked_of: accounts
    escalate: {after: 300ms, to: the boss}
    timeout: 700ms
    to: {approved: pay, rejected: drop, timeout: late}
  pay: {type: set, fields: {paid: "true"}}
  drop: {type: set, fields: {paid: "false"}}
  late: {type: set, fields: {late: "true"}}
"""


@pytest.fixture
async def house(database: Database) -> AsyncIterator[FlowInstallation]:
    found = FlowInstallation(database)
    yield found
    await found.close()


async def test_items_take_the_ways_that_conditions_say(house: FlowInstallation) -> None:
    await house.publish(SIMPLE)
    for n in range(12):
        await house.trigger("simple", {"n": n}, key=f"K{n:02}")
    await house.drain()
    assert [d["n"] for d in house.ended("small")] == [str(2 * n) for n in range(5)]
    assert [d["size"] for d in house.ended("big")] == ["big"] * 7
    assert house.states() == {"done": 12}
    trail = house.rows("select node, port, outcome from run_step where run_id = 12 order by id")
    assert [tuple(s) for s in trail] == [
        ("start", "out", "passed"), ("double", "out", "passed"), ("check", "out", "passed"), ("big", "out", "ended"),
    ]  # fmt: skip


async def test_a_bad_item_is_held_and_the_good_ones_go_on(house: FlowInstallation) -> None:
    await house.publish(SIMPLE)
    await house.trigger("simple", {"n": "no number"}, key="bad")
    await house.trigger("simple", {"n": 9}, key="good")
    await house.drain()
    assert house.states() == {"done": 1, "held": 1}
    letter = house.rows("select * from dead_letter")[0]
    assert (letter.entity, letter.side, letter.kind, letter.state) == ("simple", "double", "MappingFailed", "open")
    assert "not a number" in letter.error["answered"]


async def test_a_held_item_is_edited_and_retried_from_where_it_stands(house: FlowInstallation) -> None:
    await house.publish(SIMPLE)
    await house.trigger("simple", {"n": "no number", "note": "kept"}, key="bad")
    await house.drain()
    letter = house.rows("select * from dead_letter")[0]
    await house.db.run(run_verbs.edit_letter, letter.id, {"n": 7}, "ada")
    await house.db.run(run_verbs.retry_letter, house.runtime.flows, letter.id, "ada")
    await house.drain()
    assert house.ended("big") == [{"n": "14", "note": "kept", "size": "big"}]
    assert house.states() == {"done": 1}
    assert house.one("select state from dead_letter") == "closed"


async def test_a_later_success_of_the_same_key_closes_what_an_earlier_run_left_held(house: FlowInstallation) -> None:
    await house.publish(SIMPLE)
    await house.trigger("simple", {"n": "no number"}, key="K")
    await house.drain()
    await house.trigger("simple", {"n": 1}, key="K")
    await house.drain()
    assert house.states() == {"done": 1, "cancelled": 1}
    assert house.one("select state from dead_letter") == "closed"


async def test_lines_are_split_worked_on_and_joined_in_their_order(house: FlowInstallation) -> None:
    await house.publish(LINES)
    lines = [{"price": f"{n}.10", "quantity": n} for n in range(5)]
    await house.trigger("lines", {"order": "S1", "lines": lines})
    await house.trigger("lines", {"order": "S2", "lines": []}, key="K2")
    await house.drain()
    one, two = house.ended("after")
    assert [p["sum"] for p in one["priced"]] == ["0", "1.1", "4.2", "9.3", "16.4"]
    assert (one["order"], one["count"], two["order"]) == ("S1", 5, "S2")
    assert house.states() == {"done": 2}


async def test_a_held_line_keeps_the_join_waiting_until_a_person_has_helped(house: FlowInstallation) -> None:
    await house.publish(LINES)
    await house.trigger("lines", {"lines": [{"price": 1, "quantity": 1}, {"price": -1, "quantity": 1}]})
    await house.drain()
    assert house.ended("after") == []
    letter = house.rows("select * from dead_letter")[0]
    assert letter.error["answered"] == "The line is negative."
    await house.db.run(run_verbs.edit_letter, letter.id, {"sum": "2"}, "ada")
    await house.db.run(run_verbs.retry_letter, house.runtime.flows, letter.id, "ada")
    await house.drain()
    [done] = house.ended("after")
    assert [p["sum"] for p in done["priced"]] == ["1", "2"]


async def test_an_item_waits_as_one_row_and_goes_on_when_its_event_comes(house: FlowInstallation) -> None:
    await house.publish(WAITS)
    for n in range(3):
        await house.trigger("waits", {"order": f"S{n}"}, key=f"K{n}")
    await house.drain()
    assert house.one("select count(*) from run_item where state = 'waiting'") == 3
    assert await house.db.run(run_verbs.signal, house.runtime.flows, "paid", "S1", {"amount": "5.00"}) == 1
    await house.drain()
    assert house.ended("paid") == [{"order": "S1", "payment": {"amount": "5.00"}, "state": "paid"}]


async def test_an_event_that_comes_before_the_wait_is_not_missed(house: FlowInstallation) -> None:
    file = WAITS.replace("start: {type: manual, to: wait}", "start: {type: manual, to: rest}\n"
                         "  rest: {type: wait, for: 300ms, to: wait}")  # fmt: skip
    await house.publish(file)
    await house.trigger("waits", {"order": "S1"})
    work = asyncio.create_task(house.drain())
    while not house.one("select count(*) from run_item where state = 'waiting'"):
        await asyncio.sleep(0.01)
    await house.db.run(run_verbs.signal, house.runtime.flows, "paid", "S1", {"amount": "5.00"})
    await work
    assert [d["state"] for d in house.ended("paid")] == ["paid"]


async def test_a_person_decides_and_the_item_goes_on_by_that_port(house: FlowInstallation) -> None:
    await house.publish(ASKS.replace("    timeout: 700ms\n", "").replace("after: 300ms", "after: 1h"))
    await house.trigger("asks", {"amount": "12.00"})
    await house.drain()
    [asked] = await house.db.run(run_verbs.approvals, "open")
    assert (asked["question"], asked["shown"], asked["asked_of"]) == (
        "Pay it all the same?", {"Amount": "12.00"}, "accounts",
    )  # fmt: skip
    await house.db.run(run_verbs.decide, house.runtime.flows, asked["id"], "approved", "ada", "agreed by telephone")
    await house.drain()
    [paid] = house.ended("pay")
    assert paid["decision"]["by"] == "ada"
    assert paid["decision"]["note"] == "agreed by telephone"
    assert house.one("select state from approval") == "decided"


async def test_a_question_nobody_answers_is_put_to_the_next_one(house: FlowInstallation) -> None:
    await house.publish(ASKS.replace("after: 300ms", "after: 1ms").replace("timeout: 700ms", "timeout: 1h"))
    await house.trigger("asks", {"amount": "12.00"})
    await house.drain()
    [asked] = await house.db.run(run_verbs.approvals, "open")
    assert asked["asked_of"] == "the boss"
    assert asked["escalated_at"] is not None
    await house.db.run(run_verbs.decide, house.runtime.flows, asked["id"], "rejected", "bob")
    await house.drain()
    assert house.ended("drop")[0]["decision"]["by"] == "bob"


async def test_a_question_that_stays_without_answer_leaves_by_timeout(house: FlowInstallation) -> None:
    await house.publish(ASKS.replace("timeout: 700ms", "timeout: 1ms"))
    await house.trigger("asks", {"amount": "12.00"})
    await house.drain()
    assert house.ended("late")
    assert house.one("select state from approval") == "expired"


async def test_events_during_a_run_make_one_more_run_after_it(house: FlowInstallation) -> None:
    await house.publish(WAITS)
    for n in range(4):
        await house.trigger("waits", {"order": "S1", "n": n}, key="K")
        await house.drain()
    assert house.states() == {"active": 1}
    assert [tuple(r) for r in house.rows("select events, state from flow_event")] == [(3, "parked")]
    await house.db.run(run_verbs.signal, house.runtime.flows, "paid", "S1", {})
    await house.drain()
    assert house.states() == {"done": 1, "active": 1}
    assert house.one("select data -> 'n' from run_item where state = 'waiting'") == 3
    assert house.one("select sum(events) from run") == 4


async def test_a_run_keeps_its_version_while_a_new_one_is_published(house: FlowInstallation) -> None:
    await house.publish(WAITS)
    await house.trigger("waits", {"order": "S1"}, key="old")
    await house.drain()
    await house.publish(WAITS.replace("'paid'", "'paid twice'"))
    await house.trigger("waits", {"order": "S1"}, key="new")
    await house.drain()
    await house.db.run(run_verbs.signal, house.runtime.flows, "paid", "S1", {})
    await house.drain()
    assert {(r.key, r.version) for r in house.rows("select key, version from run")} == {("old", 1), ("new", 2)}
    assert sorted(d["state"] for d in house.ended("paid")) == ["paid", "paid twice"]


async def test_a_cancelled_run_moves_no_more_and_lets_the_next_one_begin(house: FlowInstallation) -> None:
    await house.publish(WAITS)
    await house.trigger("waits", {"order": "S1"}, key="K")
    await house.drain()
    await house.trigger("waits", {"order": "S2"}, key="K")
    number = house.one("select id from run")
    await house.db.run(run_verbs.cancel, house.runtime.flows, number, "ada", "not wanted")
    await house.drain()
    assert house.states() == {"cancelled": 1, "active": 1}
    assert house.one("select data ->> 'order' from run_item where state = 'waiting'") == "S2"


async def test_a_run_is_replayed_from_any_step_with_what_it_saw(house: FlowInstallation) -> None:
    await house.publish(SIMPLE)
    await house.trigger("simple", {"n": 6}, key="K")
    await house.drain()
    step = house.one("select id from run_step where node = 'check'")
    again = await house.db.run(run_verbs.replay, house.runtime.flows, step, "ada")
    await house.drain()
    steps = house.rows("select node, input from run_step where run_id = :id order by id", id=again)
    assert [(s.node, s.input["n"]) for s in steps] == [("check", "12"), ("big", "12")]
    told = await house.db.run(run_verbs.show, again)
    assert told["replay_of"] == 1
    assert told["state"] == "done"


async def test_a_run_is_shown_with_the_path_of_each_item(house: FlowInstallation) -> None:
    await house.publish(LINES)
    await house.trigger("lines", {"order": "S1", "lines": [{"price": 1, "quantity": 2}]})
    await house.drain()
    told = await house.db.run(run_verbs.show, 1)
    assert [s["node"] for s in told["steps"]] == ["start", "lines", "price", "good", "together", "after"]
    assert told["steps"][2]["input"] == {"price": 1, "quantity": 2}
    assert told["steps"][2]["output"] == {"price": 1, "quantity": 2, "sum": "2"}
    assert {i["state"] for i in told["items"]} == {"done", "joined"}


SUB = """
flow: parent
nodes:
  start: {type: manual, to: call}
  call: {type: sub_flow, flow: simple, key: item.k, into: answer, to: end}
  end: {type: set, fields: {said: "item.answer[0].size"}}
"""


async def test_a_sub_flow_is_run_and_its_end_awaited(house: FlowInstallation) -> None:
    await house.publish(SIMPLE)
    await house.publish(SUB)
    await house.trigger("parent", {"k": "x", "n": 50})
    await house.drain()
    [done] = house.ended("end")
    assert done["said"] == "big"
    assert house.states() == {"done": 2}


AGGREGATE = """
flow: sums
nodes:
  start: {type: manual, to: each}
  each: {type: for_each, list: entries, to: sums}
  sums:
    type: aggregate
    by: {account: item.account}
    figures: {total: {of: item.amount, how: sum}, count: {how: count}}
    to: out
  out: {type: filter, when: item.count > 0}
"""


async def test_groups_are_summed_exactly(house: FlowInstallation) -> None:
    await house.publish(AGGREGATE)
    entries = [{"account": str(n % 3), "amount": "0.10"} for n in range(300)]
    await house.trigger("sums", {"entries": entries})
    await house.drain()
    assert house.ended("out") == [{"account": str(n), "total": "10", "count": 100} for n in range(3)]


async def test_a_flow_that_cannot_go_on_halts_and_resumes_without_loss(house: FlowInstallation) -> None:
    file = SIMPLE.replace("fields: {size: \"'big'\"}}", "fields: {size: \"'big'\"}, to: call}\n"
                          "  call: {type: sub_flow, flow: nowhere}")  # fmt: skip
    await house.publish(file)
    await house.trigger("simple", {"n": 6}, key="K")
    await house.drain()
    assert house.one("select state from flow") == "halted"
    assert "nowhere" in house.one("select state_reason ->> 'doing' from flow")
    await house.publish(SIMPLE.replace("flow: simple", "flow: nowhere"))
    from isthmus.operate import flows as verbs

    await house.db.run(verbs.set_state, house.runtime, "simple", "active", "ada")
    await house.drain()
    assert house.states() == {"done": 2}


async def test_a_discarded_line_lets_its_order_go_on_without_it(house: FlowInstallation) -> None:
    await house.publish(LINES)
    await house.trigger("lines", {"lines": [{"price": 1, "quantity": 1}, {"price": -1, "quantity": 1}]})
    await house.drain()
    letter = house.one("select id from dead_letter")
    await house.db.run(run_verbs.discard_letter, house.runtime.flows, letter, "ada", "not sold any more")
    await house.drain()
    [done] = house.ended("after")
    assert [p["sum"] for p in done["priced"]] == ["1"]
    assert house.states() == {"done": 1}
    assert house.one("select state from dead_letter") == "discarded"


async def test_an_outage_is_waited_out_however_often_it_is_tried(house: FlowInstallation) -> None:
    books = house.system("books")
    books.faults.unavailable = 1.0
    await house.publish(
        """
flow: reads
retry: {times: 1, first: 5ms, most: 20ms}
connections: {books: {}}
nodes:
  start: {type: manual, to: read}
  read: {type: read, connection: books, entity: order, key: item.k, paths: [n], to: {missing: end}}
  end: {type: filter, when: "true"}
"""
    )
    await house.trigger("reads", {"k": "1"})
    await house.drain(seconds=1)
    assert house.one("select attempts from run_item") > 5
    assert house.states() == {"active": 1}
    books.faults.unavailable = 0.0
    await house.drain()
    assert house.states() == {"done": 1}


async def test_what_postgresql_cannot_hold_stops_nobody(house: FlowInstallation) -> None:
    await house.publish(SIMPLE)
    await house.trigger("simple", {"n": 1, "note": "a\x00b \ud800 \\u0000"}, key="odd")
    await house.trigger("simple", {"n": 1}, key="usual")
    await house.drain()
    assert house.states() == {"done": 2}
    assert house.ended("small")[0]["note"] == "ab ? \\u0000"
