"""A lead that is won in a real Odoo becomes a customer at BNG, and the lead is given the contact it became."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jointly import Joint, joint, ok

from joined import Systems
from real_odoo import OdooDatabases, RealOdoo

pytestmark = pytest.mark.odoo


async def selling(odoo: RealOdoo, systems: Systems, folder: Path) -> Joint:
    """Customers and won leads only."""
    up = await joint(odoo, systems)
    await ok("pair", "export", "main", str(folder))
    told = yaml.safe_load((folder / "pair.yaml").read_text())
    told["entities"] = {name: told["entities"][name] for name in ("customer", "won_lead")}
    (folder / "pair.yaml").write_text(yaml.safe_dump(told, sort_keys=False))
    await ok("pair", "apply", str(folder))
    return up


def stage(up: Joint, won: bool) -> int:
    """A stage of the pipeline."""
    found = up.odoo.call("crm.stage", "search", up.odoo.admin_key, domain=[["is_won", "=", won]], order="id", limit=1)
    return int(found[0])


async def test_a_lead_becomes_a_customer_when_it_is_won_and_only_once(
    home: Any, systems: Systems, odoo_db: OdooDatabases, tmp_path: Path
) -> None:
    odoo = odoo_db()
    up = await selling(odoo, systems, tmp_path / "pair")
    [belgium] = odoo.call("res.country", "search", domain=[["code", "=", "BE"]])
    lead = up.new(
        "crm.lead", name="Desks for Azure", type="opportunity", partner_name="Azure", contact_name="Mary Smith",
        email_from="Info@azure.example.com", phone="+1 650-253-0000", website="https://azure.example.com",
        street="Kaai 7", city="Gent", zip="9000", country_id=belgium, stage_id=stage(up, False),
    )  # fmt: skip
    await up.settle("customer", "won_lead")
    assert "Azure" not in await up.at_bng("customer", "CompanyName")

    up.edit("crm.lead", lead, stage_id=stage(up, True))
    await up.settle("won_lead")
    azure = (await up.at_bng("customer", "CompanyName"))["Azure"]
    assert {name: azure[name] for name in ("Email", "Phone", "Website", "Status", "FirstName")} == {
        "Email": "info@azure.example.com", "Phone": "+16502530000", "Website": "https://azure.example.com",
        "Status": "Active", "FirstName": None,
    }  # fmt: skip
    assert azure["BillingAddress"]["Line1"] == "Kaai 7"
    assert azure["BillingAddress"]["CountryCode"] == "BE"
    assert f"-won_lead-{lead}-" in azure["ExternalID"]

    await up.settle("customer")
    await up.settle("won_lead")
    [partner] = odoo.call("res.partner", "search", domain=[["name", "=", "Azure"], ["is_company", "=", True]])
    assert up.in_odoo("res.partner", partner, "email", "phone", "customer_rank") == {
        "email": "info@azure.example.com", "phone": "+16502530000", "customer_rank": 1,
    }  # fmt: skip
    [told] = odoo.call("crm.lead", "read", ids=[lead], fields=["partner_id"])
    assert told["partner_id"][0] == partner

    up.edit("crm.lead", lead, partner_name="Azure of old", website="https://elsewhere.example.com")
    await up.edit_bng("customer", azure["CustomerID"], Phone="+16502530009")
    await up.settle("customer", "won_lead")
    assert list((await up.at_bng("customer", "CompanyName")).keys()).count("Azure") == 1
    assert "Azure of old" not in await up.at_bng("customer", "CompanyName")
    assert up.in_odoo("res.partner", partner, "phone") == {"phone": "+16502530009"}
    assert odoo.call("res.partner", "search_count", domain=[["name", "ilike", "azure"], ["is_company", "=", True]]) == 1
    swept = (await ok("sweep", "main", "--json")).json
    assert swept["differences"] == []


async def test_a_lead_whose_mail_a_customer_has_already_is_held_for_a_person(
    home: Any, systems: Systems, odoo_db: OdooDatabases, tmp_path: Path
) -> None:
    odoo = odoo_db()
    up = await selling(odoo, systems, tmp_path / "pair")
    await systems.in_bng("POST", "seed", entity="customer", records=[
        {"CompanyName": "Zebra", "Email": "z@example.com"},
    ])  # fmt: skip
    up.new("crm.lead", name="More", type="opportunity", partner_name="Zebra Ltd", email_from="z@example.com",
           stage_id=stage(up, True))  # fmt: skip
    await up.settle("customer", "won_lead")
    [held] = await up.held()
    assert held["entity"] == "won_lead"
    assert "alone never links" in str(held)
    assert len([row for row in (await up.at_bng("customer")).values() if row["Email"] == "z@example.com"]) == 1
