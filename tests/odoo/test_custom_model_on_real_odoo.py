"""Any model of Odoo and any Entity of another system agree by configuration alone: files, and not a line of Python."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestServer
from jointly import Joint, connect, ok

from joined import Service, Systems, isthmus
from real_odoo import OdooDatabases, RealOdoo

CONTRACT = Path(__file__).parents[1] / "contract"
sys.path.append(str(CONTRACT))
from acme import KEY, Acme  # noqa: E402

pytestmark = pytest.mark.odoo

PAIR = """
pair: main
left: odoo
right: acme
settings: {region: US}
entities:
  membership:
    left: {mapping: odoo-membership, poll_seconds: 0.5}
    right: {mapping: acme-person, poll_seconds: 0.5}
    rules: [membership-own]
"""
ENTITY = """
entity: membership
label: Membership
fields:
  name: {type: string, label: Name, required: true, help: "Whom it is for. Newest: both sides edit it."}
  mail: {type: string, label: E-mail, rule: ask, help: It identifies the member.}
  level: {type: enum, choices: {lead: Lead, client: Client}, rule: left, strict: true, help: Odoo decides.}
  fee: {type: decimal, scale: 2, rule: right, strict: true, help: The other side decides.}
  since: {type: date, rule: left, help: The first day.}
  country: {type: string, max_length: 2, rule: left, help: By code.}
  active: {type: boolean, help: False is archived.}
match: [{field: mail, normalise: email}]
"""
ODOO = """
mapping: odoo-membership
version: 1
summary: Memberships, a model made by hand.
system: odoo
system_entity: x_membership
canonical: membership
fields:
  name: {from: x_name, required: true}
  mail: {from: x_mail, steps: [text, email]}
  level: {from: x_level, steps: [{enum: {silver: lead, gold: client}}]}
  fee: {from: x_fee, steps: [{decimal: {scale: 2, empty: 0}}]}
  since: {from: x_since}
  country: {from: x_country_id.key, steps: [text, country]}
  active: {from: x_active, steps: [{boolean: {empty: true}}]}
"""
ACME = """
mapping: acme-person
version: 1
summary: People of Acme.
system: acme
system_entity: person
canonical: membership
fields:
  name: {from: name, required: true}
  mail: {from: mail, steps: [text, email], required: true}
  level: {from: kind, steps: [{enum: {Lead: lead, Client: client}}]}
  fee: {from: balance, steps: [{decimal: 2}]}
  since: {from: born}
  country: {from: home.town}
  active: {from: archived, steps: [{cases: [{raw: false, value: true}, {raw: true, value: false}]}]}
"""
RULES = """
rules: membership-own
version: 1
entity: membership
items:
  - {name: fee-small, field: fee, check: "fee == null || less(fee, 1000)", message: "{value} is more than a fee can be"}
"""


@pytest.fixture
async def acme() -> AsyncIterator[tuple[Acme, str]]:
    """Acme, and its address."""
    system = Acme()
    server = TestServer(system.app())
    await server.start_server()
    yield system, str(server.make_url("")).rstrip("/")
    await server.close()


def make_model(odoo: RealOdoo) -> None:
    """What an administrator clicks together in Odoo."""
    fields: list[dict[str, Any]] = [
        {"name": "x_name", "ttype": "char", "field_description": "Name"},
        {"name": "x_mail", "ttype": "char", "field_description": "E-mail"},
        {"name": "x_fee", "ttype": "float", "field_description": "Fee"},
        {"name": "x_since", "ttype": "date", "field_description": "Since"},
        {"name": "x_active", "ttype": "boolean", "field_description": "Active"},
        {"name": "x_country_id", "ttype": "many2one", "relation": "res.country", "field_description": "Country"},
        {"name": "x_level", "ttype": "selection", "field_description": "Level", "selection_ids": [
            [0, 0, {"value": "silver", "name": "Silver"}], [0, 0, {"value": "gold", "name": "Gold"}],
        ]},
    ]  # fmt: skip
    rights = {f"perm_{right}": True for right in ("read", "write", "create", "unlink")}
    model = {
        "name": "Membership", "model": "x_membership",
        "field_id": [[0, 0, {**one, "state": "manual"}] for one in fields],
        "access_ids": [[0, 0, {"name": "membership", **rights}]],
    }  # fmt: skip
    odoo.call("ir.model", "create", odoo.admin_key, vals_list=[model])


def write_pair(folder: Path) -> Path:
    """The pair's files."""
    for path, text in {
        "pair.yaml": PAIR, "entities/membership.yaml": ENTITY, "mappings/odoo-membership.yaml": ODOO,
        "mappings/acme-person.yaml": ACME, "rules/membership-own.yaml": RULES,
    }.items():  # fmt: skip
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text.lstrip())
    return folder


async def made(home: Path, systems: Systems, odoo: RealOdoo, acme_url: str, folder: Path) -> Joint:
    """The custom model, the described system, and the pair between them."""
    make_model(odoo)
    (home / "connectors").mkdir(parents=True, exist_ok=True)
    (home / "connectors" / "acme.yaml").write_text((CONTRACT / "acme_crm" / "manifest.yaml").read_text())
    up = await connect(odoo, systems)
    loopback = ("--set", "allow_loopback=true", "--no-check")
    await ok("connection", "add", "acme", "--kind", "acme", "--url", acme_url, "--secret", f"api_key={KEY}", *loopback)
    await ok("pair", "apply", str(write_pair(folder)))
    return up


@pytest.mark.timeout(300)
async def test_a_model_made_by_hand_agrees_with_a_described_system_by_files_alone(
    home: Path, systems: Systems, odoo_db: OdooDatabases, acme: tuple[Acme, str], tmp_path: Path
) -> None:
    system, url = acme
    odoo = odoo_db()
    up = await made(home, systems, odoo, url, tmp_path / "pair")
    shown = (await ok("discover", "odoo", "x_membership", "--json")).json
    assert "x_level" in str(shown)

    [belgium] = odoo.call("res.country", "search", domain=[["code", "=", "BE"]])
    gold = up.new("x_membership", x_name="Ann", x_mail="ann@example.com", x_level="gold", x_since="2025-03-01",
                  x_country_id=belgium, x_active=True)  # fmt: skip
    known = up.new("x_membership", x_name="Bob", x_mail="BOB@example.com", x_level="silver", x_active=True)
    system.put(ref=None, mail="bob@example.com", name="Bob", kind="C", balance="7.50")
    system.put(ref=None, mail="cy@example.com", name="Cy", kind="L", balance="3.25", born="2024-01-02",
               home={"town": "NL"})  # fmt: skip

    told = (await ok("preview", "main", "membership", str(gold), "--json")).json
    assert (told["outcome"], told["payload"]["kind"], told["payload"]["born"]) == ("create", "Client", "2025-03-01")
    done = (await ok("load", "main", "--yes", "--json")).json["done"]["membership"]
    assert (done["created"], done["linked"], done["held"]) == (2, 1, 0)

    people = {row["mail"]: row for row in system.rows.values()}
    assert {n: people["ann@example.com"].get(n) for n in ("name", "kind", "born", "archived")} == {
        "name": "Ann", "kind": "C", "born": "2025-03-01", "archived": False,
    }  # fmt: skip
    assert people["ann@example.com"]["home"] == {"town": "BE"}
    assert people["bob@example.com"]["kind"] == "L"
    [cy] = odoo.call("x_membership", "search", domain=[["x_mail", "=", "cy@example.com"]])
    assert up.in_odoo("x_membership", cy, "x_name", "x_level", "x_fee", "x_since", "x_country_id", "x_active") == {
        "x_name": "Cy", "x_level": "silver", "x_fee": 3.25, "x_since": "2024-01-02", "x_country_id": "Netherlands",
        "x_active": True,
    }  # fmt: skip
    assert up.in_odoo("x_membership", known, "x_fee") == {"x_fee": 7.5}

    up.edit("x_membership", gold, x_level="silver", x_name="Ann Lee")
    system.edit(people["ann@example.com"]["id"], balance="12.25")
    up.edit("x_membership", known, x_active=False)
    system.edit(2, archived=True, kind="C")
    await up.settle("membership")
    assert up.in_odoo("x_membership", gold, "x_fee") == {"x_fee": 12.25}
    ann = system.rows[people["ann@example.com"]["id"]]
    assert (ann["name"], ann["kind"]) == ("Ann Lee", "L")
    assert system.rows[1]["archived"] is True
    assert up.in_odoo("x_membership", cy, "x_active", "x_level") == {"x_active": False, "x_level": "silver"}
    assert system.rows[2]["kind"] == "L"

    swept = (await ok("sweep", "main", "--json")).json
    assert (swept["differences"], swept["figure"]) == ([], 1.0)
    traced = (await ok("trace", f"left:{gold}", "--json")).out
    assert "membership" in traced
    assert "Ann Lee" in traced


async def test_a_rule_of_its_own_holds_a_record_and_an_edited_letter_lets_it_pass(
    home: Path, systems: Systems, odoo_db: OdooDatabases, acme: tuple[Acme, str], tmp_path: Path
) -> None:
    system, url = acme
    up = await made(home, systems, odoo_db(), url, tmp_path / "pair")
    up.new("x_membership", x_name="Dear", x_mail="dear@example.com", x_fee=1000, x_active=True)
    await up.settle("membership")
    assert system.rows == {}
    [held] = await up.held()
    assert "more than a fee can be" in str(held)
    said = await isthmus("deadletters", "edit", str(held["id"]), "--set", "fees=5", "--no-retry")
    assert said.code != 0
    assert "country, fee, level" in said.err
    await ok("deadletters", "edit", str(held["id"]), "--set", "fee=999", "--no-retry")
    await up.settle("membership")
    assert [row["balance"] for row in system.rows.values()] == [999]


@pytest.mark.timeout(120)
async def test_the_service_keeps_it_in_agreement_by_polling(
    home: Path, systems: Systems, odoo_db: OdooDatabases, service: Service, acme: tuple[Acme, str], tmp_path: Path
) -> None:
    import asyncio

    system, url = acme
    up = await made(home, systems, odoo_db(), url, tmp_path / "pair")
    await ok("load", "main", "--yes")
    key = up.new("x_membership", x_name="Eve", x_mail="eve@example.com", x_active=True)
    while not system.rows:
        await asyncio.sleep(0.1)
    [row] = system.rows.values()
    system.edit(row["id"], balance="4.75", name="Eve Ray")
    while up.in_odoo("x_membership", key, "x_name", "x_fee") != {"x_name": "Eve Ray", "x_fee": 4.75}:
        await asyncio.sleep(0.1)
    assert Decimal(str(row["balance"])) == Decimal("4.75")


async def test_the_files_come_back_as_they_went_in_and_errors_name_their_line(
    home: Path, systems: Systems, odoo_db: OdooDatabases, acme: tuple[Acme, str], tmp_path: Path
) -> None:
    _, url = acme
    await made(home, systems, odoo_db(), url, tmp_path / "pair")
    out = tmp_path / "out"
    await ok("pair", "export", "main", str(out))
    assert (out / "entities" / "membership.yaml").read_text() == ENTITY.lstrip()
    assert (await ok("pair", "diff", str(out))).out.strip() in ("", "Nothing would change.")
    told = out / "entities" / "membership.yaml"
    told.write_text(ENTITY.lstrip().replace("scale: 2", "scale: two"))
    said = await isthmus("pair", "apply", str(out))
    assert said.code != 0
    assert "entities/membership.yaml: line 7, fields.fee.scale" in said.err
    told.write_text(ENTITY.lstrip().replace("type: date", "type: string"))
    changed = await isthmus("pair", "diff", str(out))
    assert changed.code == 3
    assert "+  since: {type: string" in changed.out
    told.unlink()
    said = await isthmus("pair", "apply", str(out))
    assert "Describe one of your own in entities/membership.yaml" in said.err
