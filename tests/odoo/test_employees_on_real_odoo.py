"""Employees between a real Odoo and BNG: work data travels, nothing private is ever asked for; rings of managers."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from aiohttp import web
from jointly import Joint, joint, ok

from isthmus.store.database import Database
from isthmus.testing.fault_proxy import FaultProxy
from joined import Systems, isthmus
from real_odoo import OdooDatabases, RealOdoo

pytestmark = pytest.mark.odoo

WORK: dict[str, Any] = {
    "name": "Mary Ann Smith", "work_email": "Mary.Smith@example.com", "work_phone": "+1 650-253-0000",
    "mobile_phone": "+1 650-253-0001", "job_title": "Head of Sales", "employee_type": "freelance", "barcode": "E0042",
}  # fmt: skip
PRIVATE: dict[str, Any] = {
    "private_street": "Planted Street 7", "private_phone": "+15550102030", "private_email": "home@planted.example",
    "birthday": "1981-02-03", "place_of_birth": "Plantedville", "ssnid": "999-88-7777", "passport_id": "PLANTED99",
    "emergency_contact": "Planted Uncle", "marital": "married", "pin": "4711471", "identification_id": "PLANTED-ID",
}  # fmt: skip


class Overheard(FaultProxy):
    """A way to Odoo on which everything asked and answered is kept."""

    heard = ""

    async def _forward(self, request: web.Request, body: bytes) -> tuple[int, dict[str, str], bytes]:
        status, headers, answer = await super()._forward(request, body)
        self.heard += f"{request.path_qs}\n{body.decode(errors='replace')}\n{answer.decode(errors='replace')}\n"
        return status, headers, answer


def everything(odoo: RealOdoo) -> int:
    """An employee who has all work data and whose private data is known to Odoo."""
    [user] = odoo.call("res.users", "search", odoo.admin_key, domain=[["login", "=", odoo.login]])
    [partner] = odoo.call("res.partner", "create", vals_list=[{"name": "Mary's bank"}])
    [bank] = odoo.call("res.partner.bank", "create", odoo.admin_key, vals_list=[
        {"acc_number": "BE71096123456769", "partner_id": partner},
    ])  # fmt: skip
    [department] = odoo.call("hr.department", "create", vals_list=[{"name": "Sales"}])
    [place] = odoo.call("hr.work.location", "create", odoo.admin_key, vals_list=[
        {"name": "Ghent office", "location_type": "office", "address_id": partner},
    ])  # fmt: skip
    values = {
        **WORK, **PRIVATE, "department_id": department, "work_location_id": place, "user_id": user,
        "bank_account_ids": [[6, 0, [bank]]],
    }  # fmt: skip
    [made] = odoo.call("hr.employee", "create", odoo.admin_key, vals_list=[values])
    odoo.call("hr.employee", "write", odoo.admin_key, ids=[made], vals={"contract_date_start": "2025-03-01"})
    return int(made)


async def adjusted(up: Joint, tmp_path: Any, **entity: Any) -> None:
    """The pair with other settings for employees, by its files."""
    await ok("pair", "export", "main", str(tmp_path / "pair"))
    path = tmp_path / "pair" / "pair.yaml"
    told = yaml.safe_load(path.read_text())
    told["settings"]["badge_is_number"] = True
    told["entities"] = {"employee": {**told["entities"]["employee"], **entity}}
    path.write_text(yaml.safe_dump(told, sort_keys=False))
    await ok("pair", "apply", str(tmp_path / "pair"))


@pytest.mark.timeout(240)
async def test_work_data_travels_whole_and_private_data_is_never_asked_for(
    home: Any, systems: Systems, odoo_db: OdooDatabases, tmp_path: Any, database: Database
) -> None:
    odoo = odoo_db()
    key = everything(odoo)
    async with Overheard(odoo.url).running() as way:
        up = await joint(odoo, systems, url=way.url)
        await adjusted(up, tmp_path)
        done = await up.settle("employee")
        assert done["employee"]["created"] >= 1
        mary = (await up.at_bng("employee", "WorkEmail"))["mary.smith@example.com"]
        assert {name: mary[name] for name in mary if name not in ("Version", "CreatedAt", "UpdatedAt")} == {
            "EmployeeID": mary["EmployeeID"], "ExternalID": mary["ExternalID"], "EmployeeNumber": "E0042",
            "FirstName": "Mary Ann", "LastName": "Smith", "WorkEmail": "mary.smith@example.com",
            "WorkPhone": "+16502530000", "MobilePhone": "+16502530001", "JobTitle": "Head of Sales",
            "Department": "Sales", "ManagerID": None, "Location": "Ghent office", "EmploymentType": "Contractor",
            "HireDate": "2025-03-01", "TerminationDate": None, "UserName": odoo.login, "Status": "Active",
            "CustomFields": mary["CustomFields"],
        }  # fmt: skip
        assert mary["ExternalID"].endswith(f"-employee-{key}-1")

        up.edit("hr.employee", key, job_title="Director", work_phone="+1 650-253-0009", employee_type="trainee")
        await up.settle("employee")
        mary = (await up.at_bng("employee", "WorkEmail"))["mary.smith@example.com"]
        assert (mary["JobTitle"], mary["WorkPhone"], mary["EmploymentType"]) == ("Director", "+16502530009", "Intern")

        up.edit("hr.employee", key, active=False)
        await up.settle("employee")
        assert (await up.at_bng("employee"))[mary["ExternalID"]]["Status"] == "Inactive"
        up.edit("hr.employee", key, departure_date="2026-06-30")
        await up.settle("employee")
        left = (await up.at_bng("employee"))[mary["ExternalID"]]
        assert (left["Status"], left["TerminationDate"]) == ("Terminated", "2026-06-30")
        up.edit("hr.employee", key, active=True)
        await up.settle("employee")
        assert (await up.at_bng("employee"))[mary["ExternalID"]]["Status"] == "Active"

        swept = (await isthmus("sweep", "main", "--json")).json
        assert [one for one in swept["differences"] if one["name"] != "Administrator"] == []
        shown = (await ok("discover", "odoo", "hr.employee", "--json")).out
        heard = way.heard
    assert "work_email" in shown
    assert "mary.smith@example.com" in heard.lower()
    everywhere = "\n".join((heard, shown, str(await up.at_bng("employee")), rows_of(database)))
    asked = [line for line in heard.splitlines() if '"fields":' in line and "fields_get" not in line]
    for name, value in {**PRIVATE, "bank_account_ids": "BE71096123456769"}.items():
        assert value == "married" or value not in everywhere, value
        assert not any(f'"{name}"' in line for line in asked), name


def rows_of(database: Database) -> str:
    """Everything that rests in our own database about the employee."""
    from sqlalchemy import text

    with database.engine.connect() as conn:
        found = [
            str(row)
            for table in ("link", "intent", "audit", "dead_letter", "change")
            for row in conn.execute(text(f"select row_to_json(t)::text from {table} t")).scalars()
        ]
    assert any("mary.smith@example.com" in row for row in found)
    return "\n".join(found)


async def test_a_mapping_that_names_private_data_is_refused(
    home: Any, systems: Systems, odoo_db: OdooDatabases, tmp_path: Any
) -> None:
    up = await joint(odoo_db(), systems)
    await adjusted(up, tmp_path)
    folder = tmp_path / "pair" / "mappings"
    folder.mkdir(exist_ok=True)
    from importlib import resources

    shipped = (resources.files("isthmus") / "templates" / "mappings" / "odoo-employee.yaml").read_text()
    for private in ("private_street", "birthday", "bank_account_ids"):
        (folder / "odoo-employee.yaml").write_text(shipped.replace("from: job_title", f"from: {private}"))
        said = await isthmus("pair", "apply", str(tmp_path / "pair"))
        assert said.code != 0
        assert private in said.err
        assert "private" in said.err


async def test_a_ring_of_managers_follows_in_a_second_pass(
    home: Any, systems: Systems, odoo_db: OdooDatabases, tmp_path: Any
) -> None:
    odoo = odoo_db()
    up = await joint(odoo, systems)
    await adjusted(up, tmp_path)
    boss, clerk, both, other = (
        up.new("hr.employee", name=f"{name} Ray", work_email=f"{name}@example.com")
        for name in ("boss", "clerk", "both", "other")
    )
    up.edit("hr.employee", clerk, parent_id=boss)
    up.edit("hr.employee", both, parent_id=other)
    up.edit("hr.employee", other, parent_id=both)
    await up.settle("employee")
    await up.settle("employee")
    found = await up.at_bng("employee", "WorkEmail")
    managers = {mail.partition("@")[0]: row["ManagerID"] for mail, row in found.items() if mail != "None"}
    ids = {mail.partition("@")[0]: row["EmployeeID"] for mail, row in found.items()}
    assert managers["clerk"] == ids["boss"]
    assert managers["boss"] is None
    assert (managers["both"], managers["other"]) == (ids["other"], ids["both"])


async def test_nothing_comes_back_unless_the_pair_allows_it(
    home: Any, systems: Systems, odoo_db: OdooDatabases, tmp_path: Any
) -> None:
    odoo = odoo_db()
    up = await joint(odoo, systems)
    await adjusted(up, tmp_path)
    key = up.new("hr.employee", name="Ann Lee", work_email="ann@example.com", work_phone="+1 650-253-0000")
    await up.settle("employee")
    ann = (await up.at_bng("employee", "WorkEmail"))["ann@example.com"]
    await up.edit_bng("employee", ann["EmployeeID"], WorkPhone="+16502530007", JobTitle="Clerk")
    await systems.in_bng("POST", "seed", entity="employee", records=[
        {"ExternalID": "hr-1", "FirstName": "New", "LastName": "Hire", "WorkEmail": "new@example.com",
         "Department": "Stores", "EmploymentType": "Intern", "MobilePhone": "+16502530002", "Location": None},
    ])  # fmt: skip
    await up.settle("employee")
    assert up.in_odoo("hr.employee", key, "work_phone", "job_title") == {
        "work_phone": "+1 650-253-0000", "job_title": False,
    }  # fmt: skip
    assert (await up.at_bng("employee", "WorkEmail"))["ann@example.com"]["WorkPhone"] == "+16502530000"
    assert odoo.call("hr.employee", "search_count", domain=[["work_email", "=", "new@example.com"]]) == 0

    up.new("hr.department", name="Stores")
    back = {"rule": "newest", "strict": False, "direction": "both"}
    names = ("name", "work_email", "work_phone", "mobile_phone", "job_title", "department", "employment_type", "active",
             "location", "number", "manager")  # fmt: skip
    await adjusted(up, tmp_path, create_left=True, fields={name: back for name in names})
    await up.edit_bng("employee", ann["EmployeeID"], WorkPhone="+16502530007", JobTitle="Clerk")
    await up.settle("employee")
    assert up.in_odoo("hr.employee", key, "work_phone", "job_title") == {
        "work_phone": "+16502530007", "job_title": "Clerk",
    }  # fmt: skip
    [made] = odoo.call("hr.employee", "search", domain=[["work_email", "=", "new@example.com"]])
    assert up.in_odoo(
        "hr.employee", made, "name", "department_id", "employee_type", "mobile_phone", "active"
    ) == {
        "name": "New Hire", "department_id": "Stores", "employee_type": "trainee", "mobile_phone": "+16502530002",
        "active": True,
    }  # fmt: skip
    new = (await up.at_bng("employee", "WorkEmail"))["new@example.com"]
    await up.edit_bng("employee", new["EmployeeID"], ManagerID=ann["EmployeeID"], Status="Inactive")
    await up.settle("employee")
    assert up.in_odoo("hr.employee", made, "active", "parent_id") == {"active": False, "parent_id": "Ann Lee"}


async def test_an_employee_is_found_again_by_work_email_and_one_with_one_name_is_held(
    home: Any, systems: Systems, odoo_db: OdooDatabases, tmp_path: Any
) -> None:
    odoo = odoo_db()
    up = await joint(odoo, systems)
    await adjusted(up, tmp_path)
    await systems.in_bng("POST", "seed", entity="employee", records=[
        {"ExternalID": "hr-2", "FirstName": "Jan", "LastName": "Peeters", "WorkEmail": "jan@example.com"},
    ])  # fmt: skip
    up.new("hr.employee", name="Jan Peeters", work_email="JAN@example.com", job_title="Buyer")
    up.new("hr.employee", name="Cher", work_email="cher@example.com")
    await up.settle("employee")
    assert (await up.at_bng("employee", "WorkEmail"))["jan@example.com"]["JobTitle"] == "Buyer"
    held = {one["payload"]["left"]["name"] for one in await up.held() if "one word" in str(one)}
    assert held == {"Cher", "Administrator"}
