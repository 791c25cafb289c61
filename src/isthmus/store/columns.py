"""What all tables are made of: one metadata with its naming, and the columns that come again and again."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Identity, MetaData, text
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def id_column() -> Column[int]:
    """The number of a row, given by the database."""
    return Column("id", BigInteger, Identity(always=False), primary_key=True)


def at(name: str, *, nullable: bool = False, default: bool = True) -> Column[object]:
    """An instant, UTC; now unless it may be empty."""
    server_default = text("now()") if default and not nullable else None
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=server_default)


def json(name: str, *, nullable: bool = True) -> Column[object]:
    """A JSON value; an empty object unless it may be empty."""
    return Column(name, JSONB, nullable=nullable, server_default=None if nullable else text("'{}'::jsonb"))
