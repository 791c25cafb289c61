"""The schema: what migrations make is what the tables say."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from isthmus.store.database import Database
from isthmus.store.migrate import current, migrate, newest
from isthmus.store.tables import metadata


def test_all_migrations_make_exactly_the_tables_as_described(database: Database) -> None:
    with database.engine.connect() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True})
        found = [str(change) for change in compare_metadata(context, metadata)]
    assert [change for change in found if "procrastinate" not in change and "alembic" not in change] == []


def test_a_migrated_database_is_at_the_newest_revision_and_stays_there(database: Database) -> None:
    migrate(database)
    with database.engine.connect() as conn:
        assert MigrationContext.configure(conn).get_current_revision() == newest() == current(conn)


def test_a_database_that_a_newer_version_migrated_is_left_alone(database: Database) -> None:
    with database.transaction() as conn:
        conn.execute(text("update alembic_version set version_num = '9999'"))
    migrate(database)
    with database.engine.connect() as conn:
        assert current(conn) == "9999"
