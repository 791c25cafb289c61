"""Secrets are planted wherever a user gives one, real work is done, and then nothing that rests holds any of them."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from sqlalchemy import text

from isthmus.store.database import Database
from joined import Service, Systems, command, isthmus


def everything_in(database: Database) -> str:
    """Every row of every table of every schema, as text; what is binary as hexadecimal digits."""
    out = []
    with database.engine.connect() as conn:
        tables = conn.execute(
            text(
                """select quote_ident(table_schema) || '.' || quote_ident(table_name) from information_schema.tables
                   where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')"""
            )
        ).scalars()
        for table in list(tables):
            out.extend(str(row) for row in conn.execute(text(f"select row_to_json(t)::text from {table} t")).scalars())
    return "\n".join(out)


def forms(secret: str) -> set[str]:
    """A secret as it is, in hexadecimal digits and in base 64: how it could rest in a column or a header."""
    import base64

    raw = secret.encode()
    return {secret, raw.hex(), base64.b64encode(raw).decode().rstrip("=")}


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    """Everything that any logger of this process says, from DEBUG on."""
    kept = io.StringIO()
    catcher = logging.StreamHandler(kept)
    root = logging.getLogger()
    level = root.level
    root.addHandler(catcher)
    root.setLevel(logging.DEBUG)
    yield kept
    root.removeHandler(catcher)
    root.setLevel(level)


async def work(systems: Systems, folder: Path) -> list[str]:
    """A load, a held record, a conflict, a refused rotation, an undo and an export; returns what was said."""
    said = []
    await systems.in_odoo("res.partner", "create", vals_list=[{"name": "No Mail", "customer_rank": 1}])
    for arguments in (
        ["load", "main", "--yes"],
        ["sweep", "main"],
        ["connection", "rotate", "bng", "--secret", "client_secret=planted-wrong-client-secret"],
        ["connection", "doctor", "odoo"],
        ["deadletters", "list"],
        ["deadletters", "show", "1"],
        ["trace", f"left:{systems.customers[0]}", "--json"],
        ["undo", "main", "1", "--yes"],
        ["pair", "export", "main", str(folder)],
        ["connection", "add", "broken", "--kind", "nosuch", "--secret", "api_key=planted-on-a-broken-command"],
    ):
        answer = await isthmus(*arguments)
        said.append(answer.out + answer.err)
    return said


async def test_no_secret_rests_in_database_logs_files_or_answers(
    joined: Systems, database: Database, home: Path, tmp_path: Path, logs: io.StringIO
) -> None:
    planted = {
        **joined.secrets,
        "a refused secret": "planted-wrong-client-secret",
        "a secret of a command that failed": "planted-on-a-broken-command",
    }
    token = (await isthmus("token", "add", "ann", "--role", "admin", "--json")).json["token"]
    said = "\n".join(await work(joined, tmp_path / "pair"))
    planted["an API token"] = token
    planted["the master key"] = (home / "master.key").read_text().strip()

    rows = await asyncio.to_thread(everything_in, database)
    assert "Customer 1" in rows, "the dump shows nothing"
    files = "\n".join(p.read_text(errors="replace") for p in (tmp_path / "pair").rglob("*") if p.is_file())
    kept = "\n".join(p.read_text(errors="replace") for p in home.rglob("*.txt"))
    places = {"database": rows, "answers": said, "logs": logs.getvalue(), "exported files": files, "home": kept}
    found = [
        f"{name} in the {place}"
        for name, secret in planted.items()
        for place, told in places.items()
        if any(form in told for form in forms(secret))
    ]
    assert not found, "\n".join(found)


async def test_access_tokens_that_a_connector_got_rest_encrypted(
    joined: Systems, database: Database, home: Path
) -> None:
    await isthmus("load", "main", "--yes")
    from isthmus.operate.opening import opened
    from isthmus.store import secrets

    async with opened() as runtime:
        stored = await runtime.db.run(secrets.get_all, runtime.keys, 2)
        tokens = [value.reveal() for name, value in stored.items() if name.startswith("token:")]
    assert tokens, "no access token was kept"
    import json

    access = [json.loads(token)["access"] for token in tokens]
    rows = await asyncio.to_thread(everything_in, database)
    assert not [token for token in access if any(form in rows for form in forms(token))]


async def test_the_service_never_answers_with_a_secret(joined: Systems, service: Service) -> None:
    for path in (
        "/connections",
        "/connections/odoo/doctor",
        "/connections/bng/doctor",
        "/pairs/main/files",
        "/connectors",
    ):
        _, told = await service.call("GET", f"/api/v1{path}")
        assert not [name for name, secret in joined.secrets.items() if secret in str(told)], path
    _, told = await service.call(
        "POST", "/api/v1/connections/bng/rotate", {"secrets": {"client_secret": "planted-new"}}
    )
    assert "planted-new" not in str(told)


async def test_the_master_key_rotates_while_a_service_works(
    joined: Systems, service: Service, database: Database, home: Path
) -> None:
    _, before = await service.call("GET", "/api/v1/key")
    rotated = (await isthmus("key", "rotate", "--json")).json
    assert rotated["current"] != before["current"]
    assert rotated["rewrapped"] > 0
    # The service was started with the old key; it has to open what is wrapped by the new one.
    await isthmus("connection", "add", "bng", *_again(joined))
    status, findings = await service.call("GET", "/api/v1/connections/bng/doctor")
    assert status == 200
    assert not [finding for finding in findings if finding["status"] == "problem"]
    # Nothing needs the old key any more.
    (home / "master.key.old").unlink()
    assert (await isthmus("connection", "doctor", "bng")).code == 0
    status, told = await service.call("POST", "/api/v1/pairs/main/load", {})
    assert status == 200, told


def _again(systems: Systems) -> list[str]:
    """The rest of the command that stores the BNG Connection once more, with its secrets sealed anew."""
    from joined import connect_bng

    return [*connect_bng(systems)[3:]]


def test_a_lost_master_key_is_a_sentence_that_says_which_one(home: Path) -> None:
    made = command("connection", "add", "bng", "--kind", "bng", "--url", "https://bng.example", "--set", "client_id=x",
                   "--secret", "client_secret=planted", "--no-check")  # fmt: skip
    assert made.code == 0, made
    (home / "master.key").unlink()
    said = command("connection", "doctor", "bng")
    assert "master key" in said.out + said.err
    assert "Traceback" not in said.out + said.err


def test_secrets_are_not_repeated_on_a_screen() -> None:
    from isthmus.cli.unexpected import without_secrets

    given = ["connection", "add", "--secret", "api_key=abc", "--admin=api_key=def", "--url", "https://x"]
    shown = " ".join(without_secrets(given))
    assert "abc" not in shown
    assert "def" not in shown
    assert "https://x" in shown


def test_what_is_printed_by_accident_is_hidden() -> None:
    from isthmus.model.secret import Secret

    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        print(Secret("planted"), f"{Secret('planted')}", repr([Secret("planted")]), {"x": Secret("planted")})
    assert "planted" not in out.getvalue()
