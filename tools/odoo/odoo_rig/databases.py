"""Initialises the template database and makes and drops clean copies of it."""

import hashlib
import json
import os
import re
import shutil
import time
import uuid
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from odoo_rig.layout import Layout
from odoo_rig.odoo import Odoo
from odoo_rig.outcome import RigError, say
from odoo_rig.postgres import ODOO_ROLE, Cluster

TEMPLATE = "erp_template"
DEFAULT = "erp"
LANGUAGE = "fr_FR"
MODULES = "contacts,sale_management,stock,sale_stock,purchase,purchase_stock,account,l10n_us,crm,hr,base_automation"
PROVISION = Path(__file__).parent.parent / "provision"
_UNFINISHED = f"{TEMPLATE}_unfinished"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,48}")
_STALE_TEST = re.compile(r"test_([0-9a-f]{8})_\w+")
_STALE_AFTER_S = 24 * 3600
_TEMPLATE_BUSY_TRIES = 50


class Databases:
    """The databases of one rig: the template, the default one and the copies tests ask for."""

    def __init__(self, layout: Layout, cluster: Cluster, odoo: Odoo) -> None:
        self.layout = layout
        self.cluster = cluster
        self.odoo = odoo

    def ensure_template(self, version: str) -> None:
        """Has a template made by exactly these provision scripts on this Odoo; takes minutes if not."""
        wanted = self._recipe(version)
        recorded = self._recorded_recipe()
        if recorded == wanted and self.exists(TEMPLATE) and self.layout.keys_file.exists():
            return
        if recorded is not None:
            say("the recipe of the template changed: making it again (older copies keep their old keys)")
        self.layout.template_file.unlink(missing_ok=True)
        for name in (TEMPLATE, _UNFINISHED, DEFAULT):
            self._drop(name)
        self.odoo.write_config(port=0, internal_port=0)
        self.layout.initialise_log.unlink(missing_ok=True)
        self._server_statement("CREATE DATABASE {} OWNER {}", _UNFINISHED, ODOO_ROLE)
        say("initialising Odoo's base (about half a minute)")
        self.odoo.run_once(_UNFINISHED, "-i", "base")
        self.odoo.run_script(_UNFINISHED, (PROVISION / "company.py").read_text())
        say("installing the modules and the second language (about a minute and a half)")
        self.odoo.run_once(_UNFINISHED, "-i", MODULES, f"--load-language={LANGUAGE}")
        say("making the users and their keys")
        self._write_keys(self.odoo.run_script(_UNFINISHED, (PROVISION / "users.py").read_text()))
        with self.cluster.connect(_UNFINISHED) as connection:
            connection.execute("VACUUM ANALYZE")
        self._server_statement("ALTER DATABASE {} RENAME TO {}", _UNFINISHED, TEMPLATE)
        # closed to connections: nothing changes it, and Odoo neither lists nor opens it
        self._server_statement("ALTER DATABASE {} WITH IS_TEMPLATE true ALLOW_CONNECTIONS false", TEMPLATE)
        made = self.layout.filestore(_UNFINISHED)
        if made.exists():
            made.rename(self.layout.filestore(TEMPLATE))
        self.layout.template_file.write_text(json.dumps({"recipe": wanted}))

    def fresh(self, name: str, base_url: str) -> None:
        """Makes `name` a clean copy of the template, replacing what had that name.

        Keys and passwords are the template's; `database.uuid` and the signing secret are its own.
        """
        _require_name(name)
        self._drop(name)
        for attempt in range(_TEMPLATE_BUSY_TRIES):
            try:
                self._server_statement("CREATE DATABASE {} TEMPLATE {} OWNER {}", name, TEMPLATE, ODOO_ROLE)
                break
            except psycopg.errors.ObjectInUse:
                if attempt == _TEMPLATE_BUSY_TRIES - 1:
                    raise
                time.sleep(0.1)
        source = self.layout.filestore(TEMPLATE)
        if source.exists():
            # Odoo names stored files by their content and never rewrites one, so links are safe copies
            shutil.copytree(source, self.layout.filestore(name), copy_function=os.link)
        with self.cluster.connect(name) as connection:
            self._make_distinct(connection, base_url)

    def drop(self, name: str) -> bool:
        """Drops `name` with its files, ending its connections; returns whether it was there."""
        _require_name(name)
        return self._drop(name)

    def names(self) -> list[str]:
        """The databases Odoo serves, in alphabetical order."""
        with self.cluster.connect("postgres") as connection:
            rows = connection.execute(
                "SELECT datname FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba"
                " WHERE rolname = %s AND datallowconn ORDER BY datname",
                [ODOO_ROLE],
            ).fetchall()
        return [row[0] for row in rows]

    def exists(self, name: str) -> bool:
        """Whether there is a database of that name, the template included."""
        with self.cluster.connect("postgres") as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        return found is not None

    def drop_stale_tests(self, now: float) -> None:
        """Drops test databases (`test_<hexadecimal unix time>_...`) that a killed run left a day ago."""
        for name in self.names():
            stale = _STALE_TEST.fullmatch(name)
            if stale and now - int(stale.group(1), 16) > _STALE_AFTER_S:
                say(f"dropping {name}, left by an earlier test run")
                self._drop(name)

    def keys(self) -> dict[str, dict[str, str]]:
        """`{login: {"password": ..., "key": ...}}` of the users every copy has."""
        keys: dict[str, dict[str, str]] = json.loads(self.layout.keys_file.read_text())
        return keys

    def _make_distinct(self, connection: psycopg.Connection[tuple[Any, ...]], base_url: str) -> None:
        own = {
            "database.uuid": str(uuid.uuid4()),
            "database.secret": str(uuid.uuid4()),
            "web.base.url": base_url,
            "web.base.url.freeze": "True",
        }
        with connection.transaction():
            connection.execute("DELETE FROM ir_config_parameter WHERE key = ANY(%s)", [list(own)])
            for key, value in own.items():
                connection.execute(
                    "INSERT INTO ir_config_parameter (key, value, create_uid, write_uid, create_date, write_date)"
                    " VALUES (%s, %s, 1, 1, now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC')",
                    [key, value],
                )
            # a worker that knew an earlier database of this name must drop all it cached: Odoo compares
            # the highest id of these tables, and the database's oid never repeats
            tables = connection.execute(
                "SELECT tablename FROM pg_tables WHERE tablename LIKE 'orm\\_signaling\\_%'"
            ).fetchall()
            for (table,) in tables:
                connection.execute(
                    "SELECT setval(pg_get_serial_sequence(%s, 'id'),"
                    " (SELECT oid::bigint FROM pg_database WHERE datname = current_database()))",
                    [table],
                )
                connection.execute(sql.SQL("INSERT INTO {} DEFAULT VALUES").format(sql.Identifier(table)))

    def _drop(self, name: str) -> bool:
        there = self.exists(name)
        if there:
            if name == TEMPLATE:
                self._server_statement("ALTER DATABASE {} WITH IS_TEMPLATE false", name)
            self._drop_replication_slots(name)
            self._server_statement("DROP DATABASE {} WITH (FORCE)", name)
        shutil.rmtree(self.layout.filestore(name), ignore_errors=True)
        return there

    def _drop_replication_slots(self, name: str) -> None:
        """A test of change data capture may leave slots behind, and they forbid dropping the database."""
        with self.cluster.connect("postgres") as connection:
            slots = connection.execute(
                "SELECT slot_name, active_pid FROM pg_replication_slots WHERE database = %s", [name]
            ).fetchall()
            for slot, reader in slots:
                if reader is not None:
                    connection.execute("SELECT pg_terminate_backend(%s, 5000)", [reader])
                connection.execute("SELECT pg_drop_replication_slot(%s)", [slot])

    def _server_statement(self, statement: str, *names: str) -> None:
        with self.cluster.connect("postgres") as connection:
            connection.execute(sql.SQL(statement).format(*(sql.Identifier(name) for name in names)))

    def _recipe(self, version: str) -> str:
        digest = hashlib.sha256(f"{version} {MODULES} {LANGUAGE}".encode())
        for script in sorted(PROVISION.glob("*.py")):
            digest.update(script.read_bytes())
        return digest.hexdigest()

    def _recorded_recipe(self) -> str | None:
        try:
            return str(json.loads(self.layout.template_file.read_text())["recipe"])
        except (FileNotFoundError, ValueError, KeyError):
            return None

    def _write_keys(self, printed: str) -> None:
        line = next((line for line in printed.splitlines() if "KEYS=" in line), None)
        if line is None:
            raise RigError(f"making the users: no keys came out; see {self.layout.initialise_log}")
        keys = json.loads(line.partition("KEYS=")[2])
        descriptor = os.open(self.layout.keys_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(keys, file, indent=1)


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name in (TEMPLATE, _UNFINISHED, "postgres"):
        raise RigError(
            f"choosing the database name {name!r}: use a lower-case letter followed by lower-case letters,"
            f" digits and underscores, at most 49 in all, and not {TEMPLATE}"
        )
