"""The schema: what migrations make is what the tables say."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from isthmus.store import links
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


def test_linked_records_with_a_match_key_are_found_by_an_index(database: Database) -> None:
    with database.transaction() as conn:
        conn.execute(
            text(
                """insert into link (pair_id, entity, left_key, right_key, left_base, right_base)
                   select 1, 'customer', 'l' || n, 'r' || n, jsonb_build_object('tax_id', 'T' || n), '{}'
                   from generate_series(1, 5000) n"""
            )
        )
        conn.execute(text("analyze link"))
        assert links.holding(conn, 1, "customer", "left", "tax_id", ["T7", "T4001", "none"]) == {"l7", "l4001"}
        plan = conn.execute(
            text(
                """explain select left_key from link where pair_id = 1 and entity = 'customer' and state <> 'tombstone'
                   and (left_base ->> 'tax_id') = any(array['T7', 'T8'])"""
            )
        ).scalars()
        assert "ix_link_left_tax_id" in "\n".join(plan)
