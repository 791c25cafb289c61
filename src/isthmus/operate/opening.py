"""Opening an installation: its database brought up to date, its keys, its runtime."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from isthmus.operate.runtime import Runtime
from isthmus.security.vault import load_keys
from isthmus.store.database import Database
from isthmus.store.migrate import migrate
from isthmus.store.postgres import database_url, home


def open_database() -> Database:
    """The database, reachable and migrated; raises Misconfigured with a sentence otherwise."""
    database = Database(database_url())
    database.check()
    migrate(database)
    return database


@asynccontextmanager
async def opened() -> AsyncIterator[Runtime]:
    """The runtime of this installation, closed again at the end."""
    database = await asyncio.to_thread(open_database)
    try:
        runtime = Runtime(database, load_keys(home(), os.environ))
        try:
            yield runtime
        finally:
            await runtime.close()
    finally:
        await asyncio.to_thread(database.close)
