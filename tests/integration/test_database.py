"""The store's locks across workers."""

from __future__ import annotations

import asyncio

from isthmus.store.database import Database


async def test_only_one_holder_at_a_time_has_an_exclusive_lock(database: Database) -> None:
    other = Database(database.url)
    inside = 0
    most = 0

    async def hold(db: Database) -> None:
        nonlocal inside, most
        for _ in range(5):
            async with db.exclusive("create:1"):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0.005)
                inside -= 1

    await asyncio.gather(hold(database), hold(other), hold(database))
    other.close()
    assert (most, inside) == (1, 0)


async def test_locks_of_different_names_do_not_wait_for_each_other(database: Database) -> None:
    async with database.exclusive("create:1"), asyncio.timeout(5), database.exclusive("create:2"):
        pass
