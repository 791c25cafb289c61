"""Brings the database to the schema of this version: our tables and the engine's, by Alembic."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from isthmus.errors import Misconfigured
from isthmus.store.database import Database

_MIGRATIONS = Path(__file__).parent / "migrations"

_LOCK = 7_204_195_301
"""Advisory lock: two processes that start at once migrate one after the other."""


def migrate(database: Database) -> None:
    """Apply every migration that is missing; does nothing, cheaply, when there is none.

    A database that a newer version has migrated already is left as it is: both run side by side during an upgrade.
    """
    with database.engine.connect() as conn:
        if (current(conn) or "") >= newest():
            return
    # Only now: importing Alembic takes longer than most commands.
    from alembic import command
    from alembic.config import Config

    with database.transaction() as conn:
        conn.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        config.attributes["connection"] = conn
        try:
            command.upgrade(config, "head")
        except ProgrammingError as error:
            if "permission denied" not in str(error):
                raise
            raise Misconfigured(
                "creating the tables",
                answered=str(error.orig).splitlines()[0],
                hint="Give the database user the right to create tables in its schema, then start again.",
            ) from error


def current(conn: Connection) -> str | None:
    """The revision a database is at; None before the first."""
    if conn.execute(text("select to_regclass('alembic_version')")).scalar() is None:
        return None
    found = conn.execute(text("select version_num from alembic_version")).scalar()
    return None if found is None else str(found)


def newest() -> str:
    """The revision of this version: the last of the files, whose names begin with their revisions (`r0002_…`)."""
    return max(path.name[1:5] for path in (_MIGRATIONS / "versions").glob("r*.py"))
