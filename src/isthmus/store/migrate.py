"""Brings the database to the schema of this version: our tables and the engine's, by Alembic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from isthmus.errors import Misconfigured
from isthmus.store.database import Database

_LOCK = 7_204_195_301
"""Advisory lock: two processes that start at once migrate one after the other."""


def migrate(database: Database) -> None:
    """Apply every migration that is missing; does nothing, cheaply, when there is none."""
    with database.engine.connect() as conn:
        if _current(conn) == _script().get_current_head():
            return
    with database.transaction() as conn:
        conn.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        config = _config()
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


def _current(conn: Connection) -> str | None:
    return MigrationContext.configure(conn).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
