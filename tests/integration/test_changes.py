"""The inbox: Events become or join Changes, and the books always balance."""

from __future__ import annotations

import random

from sqlalchemy import text

from isthmus.store import changes
from isthmus.store.changes import Close, NewEvent
from isthmus.store.database import Database


def event(key: str, side: str = "left") -> NewEvent:
    return NewEvent(pair_id=1, entity="customer", side=side, key=key, source="test")


def claim(db: Database, epoch: int = 1, most: int = 100) -> list[int]:
    with db.transaction() as conn:
        return [int(row.id) for row in changes.claim(conn, 1, "customer", 0, epoch, most)]


def close(db: Database, *closes: Close) -> dict[int, str]:
    with db.transaction() as conn:
        return changes.close(conn, closes)


def accept(db: Database, *events: NewEvent) -> tuple[int, int]:
    with db.transaction() as conn:
        return changes.accept(conn, events)


def test_events_on_one_record_join_its_open_change(database: Database) -> None:
    assert accept(database, event("1"), event("1"), event("2")) == (3, 1)
    assert accept(database, event("1")) == (1, 1)
    assert len(claim(database)) == 2


def test_an_event_that_arrives_mid_work_is_looked_at_again(database: Database) -> None:
    accept(database, event("1"))
    [change] = claim(database)
    accept(database, event("1"))
    assert close(database, Close(change_id=change, outcome="applied")) == {change: "pending"}
    assert claim(database) == [change]
    assert close(database, Close(change_id=change, outcome="unchanged")) == {change: "closed"}


def test_a_change_put_back_waits_for_its_delay_unless_a_new_event_comes(database: Database) -> None:
    accept(database, event("1"))
    [change] = claim(database)
    close(database, Close(change_id=change, outcome=None, delay=60))
    assert claim(database) == []
    with database.transaction() as conn:
        assert 50 < (changes.seconds_until_due(conn, 1, "customer", 0) or 0) <= 60
    accept(database, event("1"))
    assert claim(database) == [change]


def test_what_a_dead_runner_had_claimed_is_taken_back_by_the_next(database: Database) -> None:
    accept(database, event("1"), event("2"))
    first = claim(database, epoch=1)
    assert claim(database, epoch=2) == []
    with database.transaction() as conn:
        assert changes.reclaim(conn, 1, "customer", 0, 2) == 2
    assert claim(database, epoch=2) == first


def test_two_sides_and_many_claims_are_oldest_first(database: Database) -> None:
    accept(database, *(event(str(n), side) for n in range(20) for side in ("left", "right")))
    first = claim(database, most=15)
    assert len(first) == 15
    assert first == sorted(first)


def test_the_books_balance_after_any_sequence(database: Database) -> None:
    rng = random.Random(7)
    for _ in range(60):
        accept(
            database, *(event(str(rng.randrange(12)), rng.choice(("left", "right"))) for _ in range(rng.randrange(9)))
        )
        for change in claim(database, most=rng.randrange(1, 9)):
            outcome = rng.choice(("applied", "unchanged", "held", None))
            if rng.random() < 0.9:
                close(database, Close(change_id=change, outcome=outcome))
        with database.transaction() as conn:
            books = changes.balance(conn, 1)
        assert books["events"] == books["coalesced"] + books["changes"]
        done = books["applied"] + books["unchanged"] + books["held"]
        assert books["changes"] == done + books["in_flight"]
    with database.transaction() as conn:
        assert conn.execute(text("select count(*) from event")).scalar_one() == books["events"]


def test_what_is_overdue_is_due_now_and_never_earlier(database: Database) -> None:
    accept(database, event("1"))
    with database.transaction() as conn:
        assert changes.seconds_until_due(conn, 1, "customer", 0) == 0.0
    claim(database)
    with database.transaction() as conn:
        assert changes.seconds_until_due(conn, 1, "customer", 0) is None
