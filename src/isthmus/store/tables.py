"""All tables of the sync core, described once; migrations are checked against this metadata."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from isthmus.store import clienttables as clienttables
from isthmus.store import flowtables as flowtables
from isthmus.store.columns import at as _at
from isthmus.store.columns import id_column as _id
from isthmus.store.columns import json as _json
from isthmus.store.columns import metadata as metadata

setting = Table(
    "setting",
    metadata,
    Column("name", Text, primary_key=True),
    _json("value", nullable=False),
    _at("updated_at"),
    comment="Facts of this installation: its id, its base URL.",
)

lease = Table(
    "lease",
    metadata,
    Column("key", Text, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    _at("taken_at"),
    comment="Who may act for a key: every take-over raises the epoch, which fences what ran before.",
)

rate_budget = Table(
    "rate_budget",
    metadata,
    Column("key", Text, primary_key=True),
    Column("tokens", Double, nullable=False),
    _at("filled_at"),
    _at("blocked_until", nullable=True),
    comment="The call budget of each Connection, shared by all workers.",
)

connection = Table(
    "connection",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("environment", Text, nullable=False, server_default="sandbox"),
    _json("settings", nullable=False),
    _json("fingerprint"),
    Column("state", Text, nullable=False, server_default="ok"),
    _json("state_reason"),
    _at("created_at"),
    _at("updated_at"),
    comment="One configured login to one system; secrets live in `secret`.",
)

secret = Table(
    "secret",
    metadata,
    Column("connection_id", BigInteger, ForeignKey("connection.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("key_id", BigInteger, nullable=False),
    _at("updated_at"),
    PrimaryKeyConstraint("connection_id", "name"),
    comment="Encrypted credentials and tokens, bound to their place.",
)

data_key = Table(
    "data_key",
    metadata,
    _id(),
    Column("wrapped", LargeBinary, nullable=False),
    Column("master_id", Text, nullable=False),
    _at("created_at"),
    _at("retired_at", nullable=True),
    comment="Data keys wrapped by a master key.",
)

api_token = Table(
    "api_token",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    _at("created_at"),
    _at("expires_at", nullable=True),
    _at("last_used_at", nullable=True),
    _at("revoked_at", nullable=True),
    comment="Bearer tokens of the management API; only digests are kept.",
)

pair = Table(
    "pair",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("left_id", BigInteger, ForeignKey("connection.id"), nullable=False),
    Column("right_id", BigInteger, ForeignKey("connection.id"), nullable=False),
    Column("environment", Text, nullable=False, server_default="sandbox"),
    Column("state", Text, nullable=False, server_default="active"),
    _json("state_reason"),
    Column("version", Integer, nullable=False, server_default="1"),
    _json("settings", nullable=False),
    _at("created_at"),
    _at("updated_at"),
    comment="Two Connections kept in agreement. `settings` is the pair file (entities, policies, guards).",
)

pair_version = Table(
    "pair_version",
    metadata,
    Column("pair_id", BigInteger, ForeignKey("pair.id", ondelete="CASCADE"), nullable=False),
    Column("version", Integer, nullable=False),
    _json("files", nullable=False),
    Column("author", Text, nullable=False, server_default="system"),
    _at("created_at"),
    PrimaryKeyConstraint("pair_id", "version"),
    comment="Every applied configuration of a pair, as files.",
)

lookup = Table(
    "lookup",
    metadata,
    Column("pair_id", BigInteger, ForeignKey("pair.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("system", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("canonical", Text, nullable=False),
    Column("position", Integer, nullable=False, server_default="0"),
    PrimaryKeyConstraint("pair_id", "name", "system", "value"),
    comment="Look-up tables that the user edits: a system's value and its canonical value, in the user's order.",
)

rate = Table(
    "rate",
    metadata,
    Column("pair_id", BigInteger, ForeignKey("pair.id", ondelete="CASCADE"), nullable=False),
    Column("base", Text, nullable=False),
    Column("quote", Text, nullable=False),
    Column("valid_from", Date, nullable=False),
    Column("rate", Numeric, nullable=False),
    PrimaryKeyConstraint("pair_id", "base", "quote", "valid_from"),
    comment="Dated exchange rates: one unit of `base` is worth `rate` of `quote` from that day on.",
)

delivery = Table(
    "delivery",
    metadata,
    _id(),
    Column("connection_id", BigInteger, ForeignKey("connection.id", ondelete="CASCADE"), nullable=False),
    Column("delivery_key", Text, nullable=True),
    _at("received_at"),
    _json("headers", nullable=False),
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("connection_id", "delivery_key"),
    comment="Raw webhook deliveries, kept for replay and de-duplicated by the sender's id.",
)

event = Table(
    "event",
    metadata,
    _id(),
    Column("pair_id", BigInteger, nullable=False),
    Column("entity", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("change_id", BigInteger, nullable=False),
    Column("coalesced", Boolean, nullable=False),
    Column("delivery_id", BigInteger, nullable=True),
    _at("occurred_at", nullable=True),
    _at("received_at"),
    Index("ix_event_record", "pair_id", "entity", "side", "key"),
    comment="Every accepted Event, and the Change it became or joined.",
)

change = Table(
    "change",
    metadata,
    _id(),
    Column("pair_id", BigInteger, nullable=False),
    Column("entity", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("lane", SmallInteger, nullable=False, server_default="0"),
    Column("seq", Integer, nullable=False, server_default="1"),
    Column("claimed_seq", Integer, nullable=True),
    Column("state", Text, nullable=False, server_default="pending"),
    Column("outcome", Text, nullable=True),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("epoch", BigInteger, nullable=True),
    _json("reason"),
    _at("first_at"),
    _at("last_at"),
    _at("not_before"),
    _at("closed_at", nullable=True),
    Index(
        "uq_change_open",
        "pair_id",
        "entity",
        "side",
        "key",
        unique=True,
        postgresql_where=text("state <> 'closed'"),
    ),
    Index(
        "ix_change_lane",
        "pair_id",
        "entity",
        "lane",
        "not_before",
        postgresql_where=text("state <> 'closed'"),
    ),
    comment="The durable, coalesced note that a Record needs a look; pending, claimed, then closed with an outcome.",
)

link = Table(
    "link",
    metadata,
    _id(),
    Column("pair_id", BigInteger, nullable=False),
    Column("entity", Text, nullable=False),
    Column("left_key", Text, nullable=True),
    Column("right_key", Text, nullable=True),
    Column("state", Text, nullable=False, server_default="active"),
    _json("left_base", nullable=False),
    _json("right_base", nullable=False),
    Column("left_version", Text, nullable=True),
    Column("right_version", Text, nullable=True),
    _at("left_seen_at", nullable=True),
    _at("right_seen_at", nullable=True),
    _at("left_created_at", nullable=True),
    _at("right_created_at", nullable=True),
    Column("generation", Integer, nullable=False, server_default="1"),
    Column("our_writes", Integer, nullable=False, server_default="0"),
    _at("our_writes_since", nullable=True),
    _json("note"),
    _at("created_at"),
    _at("agreed_at"),
    Index("uq_link_left", "pair_id", "entity", "left_key", unique=True, postgresql_where=text("state <> 'tombstone'")),
    Index(
        "uq_link_right", "pair_id", "entity", "right_key", unique=True, postgresql_where=text("state <> 'tombstone'")
    ),
    Index("ix_link_left_key", "left_key"),
    Index("ix_link_right_key", "right_key"),
    comment="The tie between a left and a right Record, with the Base per field and per side as read there.",
)

MATCH_FIELDS = ("tax_id", "email", "sku", "barcode")
"""Canonical match keys that ship: new records look for linked ones that hold the same, among any number of Links."""

for _side in ("left", "right"):
    for _field in MATCH_FIELDS:
        _value = f"({_side}_base ->> '{_field}')"
        Index(
            f"ix_link_{_side}_{_field}",
            link.c.pair_id,
            link.c.entity,
            text(_value),
            postgresql_where=text(f"{_value} IS NOT NULL"),
        )

link_alias = Table(
    "link_alias",
    metadata,
    Column("pair_id", BigInteger, nullable=False),
    Column("entity", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("link_id", BigInteger, ForeignKey("link.id", ondelete="CASCADE"), nullable=False),
    _at("created_at"),
    PrimaryKeyConstraint("pair_id", "entity", "side", "key"),
    comment="Keys of records that were merged away; they lead to the survivor's Link.",
)

expected_link = Table(
    "expected_link",
    metadata,
    Column("pair_id", BigInteger, nullable=False),
    Column("entity", Text, nullable=False),
    Column("left_key", Text, nullable=False),
    Column("right_key", Text, nullable=False),
    _json("why", nullable=False),
    _at("created_at"),
    PrimaryKeyConstraint("pair_id", "entity", "left_key"),
    Index("uq_expected_link_right", "pair_id", "entity", "right_key", unique=True),
    comment="Two Records said to be counterparts before the lane has linked them; gone once it has.",
)

change_set = Table(
    "change_set",
    metadata,
    _id(),
    Column("pair_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False, server_default="system"),
    Column("undoes", BigInteger, nullable=True),
    Column("state", Text, nullable=False, server_default="open"),
    _json("summary", nullable=False),
    _at("created_at"),
    _at("closed_at", nullable=True),
    comment="Writes that belong together and can be undone together: a load, a sweep, a day of live sync.",
)

intent = Table(
    "intent",
    metadata,
    _id(),
    Column("pair_id", BigInteger, nullable=False),
    Column("entity", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("key", Text, nullable=True),
    Column("source_key", Text, nullable=True),
    Column("link_id", BigInteger, nullable=True),
    Column("change_id", BigInteger, nullable=True),
    Column("change_set_id", BigInteger, nullable=True),
    Column("external_key", Text, nullable=True),
    Column("idempotency_key", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="planned"),
    _json("payload", nullable=False),
    _json("expect"),
    _json("fields", nullable=False),
    _json("before", nullable=False),
    _json("bases", nullable=False),
    Column("version", Text, nullable=True),
    _json("error"),
    Column("epoch", BigInteger, nullable=True),
    _at("planned_at"),
    _at("sent_at", nullable=True),
    _at("ended_at", nullable=True),
    Index(
        "ix_intent_open", "pair_id", "entity", "state", postgresql_where=text("state in ('planned','sent','unknown')")
    ),
    Index("ix_intent_set", "change_set_id"),
    Index("ix_intent_record", "pair_id", "entity", "side", "key"),
    comment="A planned write, stored before it is sent: planned, sent, confirmed, unknown, refused, dropped.",
)

conflict = Table(
    "conflict",
    metadata,
    _id(),
    Column("pair_id", BigInteger, nullable=False),
    Column("entity", Text, nullable=False),
    Column("link_id", BigInteger, ForeignKey("link.id", ondelete="CASCADE"), nullable=False),
    Column("field", Text, nullable=False),
    _json("left_value"),
    _json("right_value"),
    _json("left_base"),
    _json("right_base"),
    Column("state", Text, nullable=False, server_default="open"),
    Column("choice", Text, nullable=True),
    Column("settled_by", Text, nullable=True),
    _at("opened_at"),
    _at("settled_at", nullable=True),
    Index("uq_conflict_open", "link_id", "field", unique=True, postgresql_where=text("state <> 'closed'")),
    comment="A field both sides changed differently, waiting for a person; that field only is held.",
)

dead_letter = Table(
    "dead_letter",
    metadata,
    _id(),
    Column("pair_id", BigInteger, nullable=False),
    Column("entity", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("link_id", BigInteger, nullable=True),
    Column("change_id", BigInteger, nullable=True),
    Column("kind", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    _json("error", nullable=False),
    _json("payload", nullable=False),
    _json("override"),
    Column("state", Text, nullable=False, server_default="open"),
    Column("seen", Integer, nullable=False, server_default="1"),
    _at("opened_at"),
    _at("last_at"),
    _at("closed_at", nullable=True),
    Column("closed_by", Text, nullable=True),
    Column("run_item_id", BigInteger, nullable=True),
    Index("ix_dead_letter_item", "run_item_id", postgresql_where=text("run_item_id is not null")),
    Index(
        "uq_dead_letter_open",
        "pair_id",
        "entity",
        "side",
        "key",
        unique=True,
        postgresql_where=text("state = 'open'"),
    ),
    Index("ix_dead_letter_group", "pair_id", "kind", "fingerprint"),
    comment="What cannot pass without a person, with payload, error and suggested fix.",
)

cursor = Table(
    "cursor",
    metadata,
    Column("pair_id", BigInteger, nullable=False),
    Column("side", Text, nullable=False),
    Column("entity", Text, nullable=False),
    Column("value", Text, nullable=False),
    _at("advanced_at"),
    PrimaryKeyConstraint("pair_id", "side", "entity"),
    comment="How far polling has safely read.",
)

audit = Table(
    "audit",
    metadata,
    _id(),
    _at("at"),
    Column("pair_id", BigInteger, nullable=True),
    Column("entity", Text, nullable=True),
    Column("link_id", BigInteger, nullable=True),
    Column("side", Text, nullable=True),
    Column("key", Text, nullable=True),
    Column("action", Text, nullable=False),
    Column("actor", Text, nullable=False, server_default="system"),
    _json("why", nullable=False),
    _json("before"),
    _json("after"),
    Column("intent_id", BigInteger, nullable=True),
    Column("change_set_id", BigInteger, nullable=True),
    Index("ix_audit_record", "pair_id", "entity", "side", "key"),
    Index("ix_audit_link", "link_id"),
    comment="Append-only: every change of data and of configuration, with before, after and why.",
)

load = Table(
    "load",
    metadata,
    _id(),
    Column("pair_id", BigInteger, nullable=False),
    Column("state", Text, nullable=False, server_default="reading"),
    _json("figures", nullable=False),
    Column("change_set_id", BigInteger, nullable=True),
    _at("created_at"),
    _at("committed_at", nullable=True),
    comment="One initial load: read, predicted, then committed.",
)

staged = Table(
    "staged",
    metadata,
    Column("load_id", BigInteger, ForeignKey("load.id", ondelete="CASCADE"), nullable=False),
    Column("entity", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("key", Text, nullable=False),
    _json("record", nullable=False),
    Column("prediction", Text, nullable=True),
    Column("partner_key", Text, nullable=True),
    _json("detail"),
    Column("done", Boolean, nullable=False, server_default=text("false")),
    PrimaryKeyConstraint("load_id", "entity", "side", "key"),
    comment="Records as read for an initial load, and what would happen to each.",
)

report = Table(
    "report",
    metadata,
    _id(),
    Column("pair_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    _json("figures", nullable=False),
    _json("differences", nullable=False),
    _at("started_at"),
    _at("ended_at", nullable=True),
    comment="Stored results of Sweeps and Reconciliations.",
)
