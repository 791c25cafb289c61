"""The doctor and key renewal against a real Odoo: what is right is said to be, and what is not comes with its fix."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from installing import settings

from isthmus.connectors.odoo import OdooConnector
from isthmus.connectors.odoo.ailments import groups_in
from isthmus.errors import Misconfigured
from isthmus.sdk import Finding, NetworkPolicy, Secret, SystemClock, local_services
from real_odoo import RealOdoo

pytestmark = pytest.mark.odoo
URL = "http://127.0.0.1:1/hooks/erp/secret"


@asynccontextmanager
async def opened(odoo: RealOdoo, **more: Any) -> AsyncIterator[OdooConnector]:
    services = local_services(network=NetworkPolicy(allow_loopback=True, allow_private=True), connection="erp")
    connector = OdooConnector(settings(odoo, **more), services)
    try:
        yield connector
    finally:
        await connector.close()


async def check(odoo: RealOdoo, *models: str, **more: Any) -> dict[str, Finding]:
    async with opened(odoo, **more) as connector:
        if models:
            connector.uses(dict.fromkeys(models, ()))
        findings = await connector.check()
    assert all(finding.fix for finding in findings if finding.status == "problem"), "every problem has its fix"
    return {finding.check: finding for finding in findings}


def as_admin(odoo: RealOdoo) -> dict[str, Any]:
    return {"admin_key": Secret(odoo.admin_key), "admin_login": Secret(odoo.admin_login)}


async def test_a_good_connection_is_called_good_and_what_could_be_better_is_told(real_odoo: RealOdoo) -> None:
    found = await check(real_odoo)
    good = {name for name, finding in found.items() if finding.status == "ok"}
    assert {"address", "version", "login", "key", "user", "company", "language", "calls", "res.partner"} <= good
    assert found["version"].facts["protocol"] == "json2"
    assert "would be overwritten" in found["guarded write"].message
    assert "isthmus connection hooks erp --base-url" in found["guarded write"].fix
    assert "found by polling" in found["automations"].message


async def test_what_is_installed_is_found_installed(real_odoo: RealOdoo) -> None:
    admin = {"with_key": real_odoo.admin_key}
    async with opened(real_odoo, **as_admin(real_odoo)) as connector:
        await connector.install_hooks(["crm.tag"], URL)
        found = await check(real_odoo, "res.partner")
        assert (found["guarded write"].status, found["automations"].status) == ("ok", "ok")
        assert found["automations"].message == "2 automations tell us of changes at once."
        rules = real_odoo.call("base.automation", "search", domain=[], **admin)
        real_odoo.call("base.automation", "write", ids=rules[:1], vals={"active": False}, **admin)
        assert (
            "1 of our 2 automations are switched off" in (await check(real_odoo, "res.partner"))["automations"].message
        )
        await connector.remove_hooks(URL)


@pytest.mark.parametrize("protocol", ["jsonrpc", "xmlrpc"])
async def test_an_old_protocol_on_a_new_odoo_is_warned_about(real_odoo: RealOdoo, protocol: str) -> None:
    found = await check(real_odoo, "res.partner", protocol=protocol)
    assert found["version"].status == "warning"
    assert "Odoo 20 will not understand" in found["version"].message
    assert found["res.partner"].status == "ok"
    wrong = await check(real_odoo, protocol=protocol, api_key=Secret("wrong"))
    assert [finding.status for finding in wrong.values()][-1] == "problem"
    assert "does not accept the API key" in wrong["key"].message


async def test_missing_rights_are_named_with_the_groups_that_have_them(real_odoo: RealOdoo) -> None:
    found = await check(real_odoo, "res.partner", "sale.order", "crm.lead", api_key=Secret(real_odoo.low_key))
    assert found["res.partner"].status == "warning"
    assert found["res.partner"].message == "The login may not create, write res.partner, only read it."
    assert "Creation" in found["res.partner"].fix
    assert found["sale.order"].status == "problem"
    assert "Sales" in found["sale.order"].fix


async def test_a_missing_app_is_named_by_what_people_click_on(real_odoo: RealOdoo) -> None:
    found = await check(real_odoo, "mrp.production", "x_anything")
    assert found["mrp.production"].status == "problem"
    assert "Install the app Manufacturing (mrp)" in found["mrp.production"].fix
    assert "app that brings it is not installed" in found["x_anything"].message


async def test_an_administrator_s_key_is_warned_about(real_odoo: RealOdoo) -> None:
    found = await check(real_odoo, "res.partner", api_key=Secret(real_odoo.admin_key))
    assert found["user"].status == "warning"


@pytest.mark.parametrize(
    ("field", "value", "check_name", "said"),
    [
        ("language", "xx_XX", "language", "fr_FR are"),
        ("company", 77, "company", "may not work in company 77"),
        ("company", "Nobody Ltd", "company", "none that this user may see"),
    ],
)
async def test_company_and_language_that_are_not_there_are_problems(
    real_odoo: RealOdoo, field: str, value: Any, check_name: str, said: str
) -> None:
    found = await check(real_odoo, "res.partner", **{field: value})
    problems = [finding for finding in found.values() if finding.status == "problem"]
    assert problems
    assert any(said in finding.message for finding in problems), problems


async def test_a_key_that_ends_soon_is_warned_about_with_14_days_left(real_odoo: RealOdoo) -> None:
    try:
        for days, status in ((13.9, "warning"), (16.5, "ok")):
            expire(real_odoo, days)
            key = (await check(real_odoo, "res.lang"))["key"]
            assert (key.status, key.facts["days_left"]) == (status, int(days))
            assert f"expires in {int(days)} days" in key.message
    finally:
        expire(real_odoo, None)


@contextmanager
def low_keys_kept(odoo: RealOdoo) -> Iterator[None]:
    """Whatever happens to the keys of the low user, the first one is back afterwards."""
    whose = "where user_id = (select id from res_users where login = %s)"
    with psycopg.connect(odoo.dsn, autocommit=True) as conn:
        conn.execute(f"create table kept_keys as select * from res_users_apikeys {whose}", (odoo.low_login,))
        try:
            yield
        finally:
            conn.execute(f"delete from res_users_apikeys {whose}", (odoo.low_login,))
            conn.execute("insert into res_users_apikeys select * from kept_keys")
            conn.execute("drop table kept_keys")


async def test_a_key_is_renewed_by_password_and_the_old_one_ends(real_odoo: RealOdoo) -> None:
    who = {"login": real_odoo.low_login, "api_key": Secret(real_odoo.low_key)}
    proof = {"password": Secret(real_odoo.low_password)}
    with low_keys_kept(real_odoo):
        async with opened(real_odoo, protocol="jsonrpc", **who) as connector:
            with pytest.raises(Misconfigured, match="making a new API key") as caught:
                await connector.renew({})
            assert "My Preferences > Security > Add API Key" in caught.value.hint
            with pytest.raises(Misconfigured, match="password is not right"):
                await connector.renew({"password": Secret("wrong")})
            new = await connector.renew(proof)
            assert await connector.wire.uid(), "the old key goes on working"
            assert (await connector.retire({})).startswith("Delete the old API key 'rig' in Odoo")
            assert await connector.retire(proof) == "The old API key 'rig' is removed from Odoo."
            assert "nothing is left to do" in await connector.retire(proof)
        found = await check(real_odoo, "res.lang", **{**who, **new})
        assert found["login"].status == "ok"
        assert found["key"].facts["days_left"] in (88, 89, 90)


def test_groups_are_read_out_of_odoo_s_refusal() -> None:
    said = (
        "You are not allowed to create 'Contact' (res.partner) records. This operation is allowed for the following "
        "groups: - Contact/Creation - Sales/User: Own Documents Only Contact your administrator to request access."
    )
    assert groups_in(said) == ["Contact/Creation", "Sales/User: Own Documents Only"]
    assert groups_in("Something else") == []


def expire(odoo: RealOdoo, days: float | None) -> None:
    """Let every key of the integration user end in so many days, or never."""
    at = None if days is None else (SystemClock().now() + timedelta(days=days)).replace(tzinfo=None)
    sql = """update res_users_apikeys set expiration_date = %s
             where user_id = (select id from res_users where login = %s)"""
    with psycopg.connect(odoo.dsn) as conn:
        conn.execute(sql, (at, odoo.login))
