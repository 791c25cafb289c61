"""The tables of clients of the canonical API: who they are, their tokens, their writes and what they were answered."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from isthmus.store.columns import at, id_column, json, metadata

client = Table(
    "client",
    metadata,
    id_column(),
    Column("name", Text, nullable=False),
    Column("client_id", Text, nullable=False, unique=True),
    Column("digest", LargeBinary, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("pair_id", BigInteger, ForeignKey("pair.id", ondelete="CASCADE"), nullable=False),
    Column("side", Text, nullable=False),
    Column("per_minute", Integer, nullable=False),
    Column("tokens", Double, nullable=False),
    at("filled_at"),
    at("created_at"),
    at("last_used_at", nullable=True),
    at("revoked_at", nullable=True),
    Index("uq_client_name", "name", unique=True, postgresql_where=text("revoked_at is null")),
    comment="A system without a connector that speaks the canonical API: its scopes, its side of a pair, its pace.",
)

client_token = Table(
    "client_token",
    metadata,
    Column("digest", LargeBinary, nullable=False),
    Column("client_id", BigInteger, ForeignKey("client.id", ondelete="CASCADE"), nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    at("created_at"),
    at("expires_at", default=False),
    PrimaryKeyConstraint("digest"),
    Index("ix_client_token_expires_at", "expires_at"),
    comment="Short-lived bearer tokens of clients; only digests are kept.",
)

client_intent = Table(
    "client_intent",
    metadata,
    id_column(),
    Column("client_id", BigInteger, ForeignKey("client.id", ondelete="CASCADE"), nullable=False),
    Column("pair_id", BigInteger, nullable=False),
    Column("entity", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("reference", Text, nullable=True),
    Column("key", Text, nullable=True),
    Column("external_key", Text, nullable=True),
    Column("idempotency_key", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("state", Text, nullable=False, server_default="sent"),
    Column("sends", Integer, nullable=False, server_default="1"),
    json("payload", nullable=False),
    json("fields", nullable=False),
    json("before", nullable=False),
    json("error"),
    at("planned_at"),
    at("sent_at"),
    at("ended_at", nullable=True),
    Index("ix_client_intent_open", "sent_at", postgresql_where=text("state in ('sent','unknown')")),
    Index(
        "uq_client_intent_reference",
        "client_id",
        "entity",
        "reference",
        unique=True,
        postgresql_where=text("reference is not null and state in ('sent','unknown','confirmed')"),
    ),
    Index("ix_client_intent_record", "client_id", "entity", "key"),
    comment="A client's write, stored before it is sent: sent, confirmed, unknown, refused, dropped.",
)

client_answer = Table(
    "client_answer",
    metadata,
    Column("client_id", BigInteger, ForeignKey("client.id", ondelete="CASCADE"), nullable=False),
    Column("key", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("status", Integer, nullable=True),
    json("body"),
    json("headers", nullable=False),
    at("created_at"),
    PrimaryKeyConstraint("client_id", "key"),
    Index("ix_client_answer_created_at", "created_at"),
    comment="What a request with an Idempotency-Key was answered, so that its repeat is answered the same.",
)
