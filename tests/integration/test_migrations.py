"""The schema: what migrations make is what the tables say."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from isthmus.store.database import Database
from isthmus.store.migrate import migrate
from isthmus.store.tables import metadata


def test_all_migrations_make_exactly_the_tables_as_described(database: Database) -> None:
    with database.engine.connect() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True})
        found = [str(change) for change in compare_metadata(context, metadata)]
    assert [change for change in found if "procrastinate" not in change and "alembic" not in change] == []


def test_migrating_again_changes_nothing(database: Database) -> None:
    migrate(database)
    with database.engine.connect() as conn:
        assert MigrationContext.configure(conn).get_current_revision() is not None
