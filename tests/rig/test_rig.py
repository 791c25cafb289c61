"""Proves that the rig gives a real Odoo 19 as the other tests take it for granted."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from real_odoo import RIG, OdooDatabases, OdooRefused, RealOdoo

QUIET = {"tracking_disable": True}


def rig(*arguments: str, script: str = "", env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(RIG), *arguments]
    return subprocess.run(command, input=script, env=env, capture_output=True, text=True, check=False)


def database_uuid(odoo: RealOdoo) -> str:
    with psycopg.connect(odoo.dsn) as connection:
        row = connection.execute("SELECT value FROM ir_config_parameter WHERE key = 'database.uuid'").fetchone()
    assert row is not None
    return str(row[0])


def test_up_again_changes_nothing_and_is_quick(odoo_server: RealOdoo) -> None:
    before = json.loads(rig("status", "--json").stdout)
    again = json.loads(rig("up", "--json").stdout)
    after = json.loads(rig("status", "--json").stdout)
    assert (again["url"], again["api_key"]) == (odoo_server.url, odoo_server.api_key)
    assert after["pid"] == before["pid"]
    assert again["seconds"] < 5


def test_two_ups_at_once_agree(odoo_server: RealOdoo) -> None:
    with ThreadPoolExecutor(2) as pool:
        answers = [json.loads(done.stdout) for done in pool.map(lambda _: rig("up", "--json"), range(2))]
    assert {answer["url"] for answer in answers} == {odoo_server.url}


def test_the_integration_user_creates_a_partner_over_json_2(real_odoo: RealOdoo) -> None:
    (partner,) = real_odoo.call("res.partner", "create", vals_list=[{"name": "Fjord Ltd"}], context=QUIET)
    (read,) = real_odoo.call("res.partner", "read", ids=[partner], fields=["name"])
    assert read["name"] == "Fjord Ltd"


def test_the_low_privilege_user_is_refused(real_odoo: RealOdoo) -> None:
    with pytest.raises(OdooRefused) as refusal:
        real_odoo.call("res.partner", "create", with_key=real_odoo.low_key, vals_list=[{"name": "No"}])
    assert (refusal.value.status, refusal.value.name) == (403, "odoo.exceptions.AccessError")


def test_the_integration_user_is_no_administrator(real_odoo: RealOdoo) -> None:
    with pytest.raises(OdooRefused) as refusal:
        real_odoo.call("ir.model.access", "search_count", domain=[])
    assert refusal.value.status == 403
    assert real_odoo.call("ir.model.access", "search_count", with_key=real_odoo.admin_key, domain=[]) > 0


def test_a_wrong_key_is_refused(real_odoo: RealOdoo) -> None:
    with pytest.raises(OdooRefused) as refusal:
        real_odoo.call("res.partner", "search_count", with_key="0" * 40, domain=[])
    assert refusal.value.status == 401


def test_two_fresh_databases_know_nothing_of_each_other(odoo_db: OdooDatabases) -> None:
    first, second = odoo_db(), odoo_db()
    first.call("res.partner", "create", vals_list=[{"name": "Only Here"}], context=QUIET)
    only_here = [["name", "=", "Only Here"]]
    assert first.call("res.partner", "search_count", domain=only_here) == 1
    assert second.call("res.partner", "search_count", domain=only_here) == 0
    assert database_uuid(first) != database_uuid(second)


def test_a_database_made_again_under_its_name_is_clean_for_every_worker(odoo_db: OdooDatabases) -> None:
    odoo = odoo_db()
    stale = [["name", "=", "Stale"]]

    def look(_: int) -> tuple[int, str]:
        count = odoo.call("res.partner", "search_count", domain=stale)
        uuid = odoo.call("ir.config_parameter", "get_param", with_key=odoo.admin_key, key="database.uuid")
        return count, uuid

    odoo.call("res.partner", "create", vals_list=[{"name": "Stale"}], context=QUIET)
    with ThreadPoolExecutor(4) as pool:
        before = set(pool.map(look, range(12)))  # so that both workers cached the first database
        assert rig("fresh", odoo.database).returncode == 0
        after = set(pool.map(look, range(12)))
    assert [count for count, _ in before] == [1]
    assert after == {(0, database_uuid(odoo))}
    assert before.isdisjoint(after)


def test_french_and_the_euro_are_there_beside_english_and_the_dollar(real_odoo: RealOdoo) -> None:
    (product,) = real_odoo.call("product.template", "create", vals_list=[{"name": "Chair"}])
    french = {"lang": "fr_FR"}
    real_odoo.call("product.template", "write", ids=[product], vals={"name": "Chaise"}, context=french)
    names = [
        real_odoo.call("product.template", "read", ids=[product], fields=["name"], context={"lang": lang})[0]["name"]
        for lang in ("en_US", "fr_FR")
    ]
    assert names == ["Chair", "Chaise"]
    currencies = real_odoo.call("res.currency", "search_read", domain=[], fields=["name"])
    assert {currency["name"] for currency in currencies} == {"USD", "EUR"}
    (company,) = real_odoo.call("res.company", "search_read", domain=[], fields=["currency_id", "country_id"])
    assert company["currency_id"][1] == "USD"
    assert company["country_id"][1] == "United States"


def test_a_script_runs_inside_the_server_and_a_failing_one_is_an_error(odoo_db: OdooDatabases) -> None:
    odoo = odoo_db()
    odoo.run_on_server("env['res.partner'].create({'name': 'Inside'})\nenv.cr.commit()")
    assert odoo.call("res.partner", "search_count", domain=[["name", "=", "Inside"]]) == 1
    failed = rig("shell-exec", odoo.database, "-", script="raise ValueError('planted')")
    assert failed.returncode == 1
    assert "planted" in failed.stderr


def test_a_database_with_a_replication_slot_reports_changes_and_can_still_be_dropped(
    odoo_db: OdooDatabases,
) -> None:
    odoo = odoo_db()
    slot = f"slot_of_{odoo.database}"
    with psycopg.connect(odoo.dsn, autocommit=True) as connection:
        connection.execute("CREATE PUBLICATION partners FOR TABLE res_partner")
        connection.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot])
        odoo.call("res.partner", "create", vals_list=[{"name": "Seen"}], context=QUIET)
        changes = connection.execute(
            "SELECT data FROM pg_logical_slot_peek_binary_changes(%s, NULL, NULL,"
            " 'proto_version', '1', 'publication_names', 'partners')",
            [slot],
        ).fetchall()
    assert any(b"Seen" in data for (data,) in changes)
    assert rig("drop", odoo.database).returncode == 0
    assert odoo.database not in json.loads(rig("status", "--json").stdout)["databases"]


def test_a_machine_without_the_package_is_told_so_and_purge_leaves_nothing(tmp_path: Path) -> None:
    home = tmp_path / "rig"
    told = rig("up", "--home", str(home), env={"PATH": "/nonexistent", "HOME": str(tmp_path)})
    assert told.returncode == 3
    assert "dpkg-deb" in told.stderr
    assert "Traceback" not in told.stderr
    cluster = Path(json.loads(rig("status", "--json", "--home", str(home)).stdout)["cluster"])
    assert cluster.exists()
    assert rig("purge", "--home", str(home)).returncode == 0
    assert not home.exists()
    assert not cluster.exists()


def test_what_needs_the_rig_up_says_so_when_it_is_not(tmp_path: Path) -> None:
    told = rig("fresh", "some_name", "--home", str(tmp_path / "rig"))
    assert told.returncode == 1
    assert "it is not up; run" in told.stderr
