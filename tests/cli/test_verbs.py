"""The command line, used as a new user would: connect, pair, load, look, decide, take back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from isthmus.cli.main import COMMANDS, EXIT_CODES
from joined import CUSTOMERS, Said, Systems, command, isthmus


async def done(*arguments: str, code: int = 0) -> Said:
    """A command that ends with this code."""
    said = await isthmus(*arguments)
    assert said.code == code, f"{arguments}: {said}"
    return said


def test_help_lists_every_command_with_its_sentence_and_the_exit_codes() -> None:
    said = command("--help")
    assert said.code == 0
    for name, (_, summary) in COMMANDS.items():
        assert f"  {name}" in said.out
        assert " ".join(summary.split()[:4]) in said.out
    assert all(str(code) in said.out for code in EXIT_CODES)


def test_help_loads_neither_database_nor_connectors() -> None:
    import subprocess
    import sys

    program = (
        "import sys; sys.argv = ['isthmus', '--help']\n"
        "from isthmus.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'sqlalchemy', 'aiohttp', 'rich', 'pydantic', 'fastapi', 'alembic'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself(name: str) -> None:
    said = command(name, "--help")
    assert said.code == 0
    assert "Usage:" in said.out


def test_a_command_that_does_not_exist_ends_with_2() -> None:
    assert command("nosuch").code == 2


async def test_an_empty_installation_says_what_to_do_next(home: Path) -> None:
    assert "isthmus connection add" in (await done("status")).out
    assert "connection add" in (await done("connection", "list")).out
    assert "pair add" in (await done("pair", "list")).out
    assert "Nothing waits for a person." in (await done("deadletters", "list")).out
    assert (await done("status", "--json")).json == []


async def test_an_error_is_one_block_and_the_same_in_json(home: Path) -> None:
    said = await done("load", "nowhere", "--dry-run", code=1)
    assert [line.split()[0] for line in said.err.splitlines() if line.startswith("  ")] == ["doing", "answered", "next"]
    assert "Traceback" not in said.err + said.out
    told = (await done("load", "nowhere", "--dry-run", "--json", code=1)).json["error"]
    assert told["kind"] == "Misconfigured"
    assert told["hint"]


async def test_what_nobody_foresaw_is_one_block_and_its_story_a_file(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("seven by nought")

    monkeypatch.setattr("isthmus.store.connections.listing", broken)
    said = await done("connection", "list", code=1)
    assert "seven by nought" in said.err
    assert "Traceback" not in said.err
    assert "Traceback" in (home / "last-error.txt").read_text()
    assert (home / "last-error.txt").stat().st_mode & 0o077 == 0


async def test_a_database_that_is_not_there_is_a_sentence(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody:nothing@127.0.0.1:1/none")
    said = await done("status", code=1)
    assert "Traceback" not in said.err
    assert "DATABASE_URL" in said.err
    assert "nothing" not in said.err


async def test_a_secret_on_a_failing_command_line_is_not_repeated(home: Path) -> None:
    said = await done("connection", "add", "x", "--kind", "nosuch", "--secret", "api_key=hunter2hunter2", code=1)
    assert "hunter2" not in said.err + said.out


async def test_a_missing_secret_file_is_a_sentence(home: Path) -> None:
    said = await done("connection", "add", "x", "--kind", "bng", "--secret", "client_secret=@/no/such/file", code=1)
    assert "/no/such/file" in said.err
    assert "Traceback" not in said.err


async def test_from_nothing_to_agreement_and_back(joined: Systems, tmp_path: Path) -> None:
    predicted = (await done("load", "main", "--dry-run", "--json")).json["predicted"]["customer"]
    assert predicted["create"] == CUSTOMERS - CUSTOMERS // 2
    assert await joined.bng_customers() != []
    assert len(await joined.bng_customers()) == CUSTOMERS // 2, "a dry run wrote"

    loaded = (await done("load", "main", "--yes", "--json")).json
    assert loaded["done"]["customer"]["created"] == CUSTOMERS - CUSTOMERS // 2
    assert loaded["done"]["customer"]["linked"] == CUSTOMERS // 2
    assert len(await joined.bng_customers()) == CUSTOMERS

    again = (await done("load", "main", "--yes", "--json")).json["done"]["customer"]
    assert again["writes"] == 0, "a second load wrote"

    status = (await done("status", "main", "--json")).json
    assert status["links"] == CUSTOMERS
    assert status["balanced"] is True

    key = str(joined.customers[-1])
    told = (await done("trace", f"left:{key}", "--json")).json
    (wrote,) = [moment for moment in told[0]["moments"] if moment["what"] == "wrote create"]
    assert set(wrote["detail"]["why"]["fields"].values()) == {"new: there is no counterpart on the right"}
    assert f"left {key}" in (await done("trace", f"left:{key}")).out

    would = (await done("undo", "main", str(loaded["change_set"]), "--dry-run", "--json")).json
    assert would["writes"]
    await done("undo", "main", str(loaded["change_set"]), "--yes")
    active = [c for c in await joined.bng_customers() if c.get("Status", "Active") == "Active"]
    assert len(active) == CUSTOMERS // 2


async def test_a_sweep_that_finds_a_difference_ends_with_3(joined: Systems) -> None:
    await done("load", "main", "--yes")
    await joined.in_odoo("res.partner", "write", ids=[joined.customers[0]], vals={"website": "https://new.example"})
    said = await done("sweep", "main", "--no-repair", "--json", code=3)
    assert said.json["differences"]
    would = (await done("sync", "main", f"left:{joined.customers[0]}", "--dry-run", "--json")).json
    assert would["predicted"]["customer"] == {"update": 1}
    asked = (await done("sync", "main", f"left:{joined.customers[0]}", "--json")).json
    assert asked["events"] == 1


async def test_a_pair_travels_as_files_and_comes_back_the_same(joined: Systems, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    await done("pair", "export", "main", str(one))
    (one / "lookups").mkdir(exist_ok=True)
    (one / "lookups" / "payment_terms.csv").write_bytes(
        b"system,value,canonical\nodoo,30 Days,NET30\nbng,net_30,NET30\n"
    )
    (one / "rates.csv").write_bytes(b"valid_from,base,quote,rate\n2026-01-01,EUR,USD,1.1\n")
    assert "payment_terms" in (await done("pair", "diff", str(one), code=3)).out
    await done("pair", "apply", str(one))
    assert (await done("pair", "diff", str(one))).out.strip() == "Nothing would change."
    await done("pair", "export", "main", str(two))
    read = [{p.relative_to(f).as_posix(): p.read_bytes() for p in f.rglob("*") if p.is_file()} for f in (one, two)]
    assert read[0] == read[1]
    assert not any(secret.encode() in text for text in read[0].values() for secret in joined.secrets.values())


async def test_files_that_do_not_fit_leave_the_pair_as_it_was(joined: Systems, tmp_path: Path) -> None:
    await done("pair", "export", "main", str(tmp_path))
    before = (await done("pair", "list", "--json")).json
    path = tmp_path / "pair.yaml"
    path.write_text(path.read_text().replace("odoo-customer", "odoo-nosuch"))
    said = await done("pair", "apply", str(tmp_path), code=1)
    assert "odoo-nosuch" in said.err
    assert (await done("pair", "list", "--json")).json == before


async def test_pausing_and_resuming_are_told(joined: Systems) -> None:
    await done("pair", "pause", "main")
    assert (await done("status", "main", "--json")).json["state"] == "paused"
    await done("pair", "resume", "main")
    assert (await done("status", "main", "--json")).json["state"] == "active"


async def test_a_held_record_is_shown_edited_and_retried(joined: Systems) -> None:
    (made,) = await joined.in_odoo(
        "res.partner", "create", vals_list=[{"name": "No Mail", "is_company": True, "customer_rank": 1}]
    )
    await done("load", "main", "--yes")
    letters = (await done("deadletters", "list", "main", "--json")).json
    (letter,) = [one for one in letters if one["key"] == str(made)]
    shown = (await done("deadletters", "show", str(letter["id"]))).out
    assert "e-mail" in shown
    assert "No Mail" in shown
    await done("deadletters", "edit", str(letter["id"]), "--set", "nosuch=1", code=1)
    await done("deadletters", "edit", str(letter["id"]), "--set", "email=found@example.com")
    assert (await done("deadletters", "show", str(letter["id"]), "--json")).json["override"] == {
        "email": "found@example.com"
    }
    await done("deadletters", "discard", str(letter["id"]), "--why", "not a customer")
    await done("deadletters", "retry", str(letter["id"]), code=1)
    assert (await done("deadletters", "retry", code=2)).code == 2


async def test_discover_and_doctor_speak_of_both_systems(joined: Systems) -> None:
    for name in ("odoo", "bng"):
        assert (await done("discover", name, "--json")).json
        findings = (await done("connection", "doctor", name, "--json")).json
        assert all({"check", "status", "message", "fix"} <= finding.keys() for finding in findings)
    assert "CompanyName" in (await done("discover", "bng", "customer")).out


async def test_a_refused_rotation_keeps_the_old_secret(joined: Systems) -> None:
    said = await done("connection", "rotate", "bng", "--secret", "client_secret=wrong", code=1)
    assert "stay in use" in said.err
    findings = (await done("connection", "doctor", "bng", "--json")).json
    assert not [finding for finding in findings if finding["status"] == "problem"]


async def test_a_token_is_shown_once_and_ends_when_revoked(home: Path) -> None:
    made = (await done("token", "add", "ann", "--role", "operator", "--json")).json["token"]
    listed = (await done("token", "list", "--json")).out
    assert made not in listed
    assert json.loads(listed)[0]["state"] == "valid"
    await done("token", "revoke", "ann")
    assert (await done("token", "list", "--json")).json[0]["state"] == "revoked"
    assert "roles are" in (await done("token", "add", "ann", "--role", "emperor", code=1)).err
