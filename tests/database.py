"""Fixtures: one embedded PostgreSQL per run, one fresh migrated database per test."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from isthmus.store.database import Database
from isthmus.store.migrate import migrate
from isthmus.store.postgres import as_psycopg, start_embedded, stop_embedded


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The test run's own PostgreSQL: TEST_DATABASE_URL, else an embedded one that never syncs to disk."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
        return
    os.environ["ISTHMUS_POSTGRES_UNSAFE_FAST"] = "1"
    with tempfile.TemporaryDirectory(prefix="isthmus-test-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # the embedded server drops root, and must still reach its folder
        yield start_embedded(Path(folder) / "data")
        stop_embedded(Path(folder) / "data")


@pytest.fixture(scope="session")
def template_database(postgres_url: str) -> str:
    """A migrated database that tests copy."""
    name = f"template_{uuid.uuid4().hex[:8]}"
    _admin(postgres_url, f'create database "{name}"')
    database = Database(as_psycopg(postgres_url).set(database=name))
    migrate(database)
    database.close()
    return name


@pytest.fixture
def database(postgres_url: str, template_database: str) -> Iterator[Database]:
    """A fresh database of this version."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    _admin(postgres_url, f'create database "{name}" template "{template_database}"')
    found = Database(as_psycopg(postgres_url).set(database=name))
    yield found
    found.close()
    _admin(postgres_url, f'drop database "{name}" with (force)')


def _admin(url: str, statement: str) -> None:
    engine = create_engine(as_psycopg(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        conn.execute(text(statement))
    engine.dispose()
