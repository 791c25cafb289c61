"""Operations tried by hand, by command line and by API: listed, looked at, called, called again."""

from __future__ import annotations

from pathlib import Path

import pytest
from operating import Floor

from joined import Service, isthmus
from real_odoo import OdooDatabases

pytestmark = pytest.mark.odoo


@pytest.fixture
async def floor(odoo_db: OdooDatabases, home: Path) -> Floor:
    """A shop floor whose Odoo is the Connection `erp` of a fresh installation."""
    odoo = odoo_db()
    made = ["connection", "add", "erp", "--kind", "odoo", "--url", odoo.url, "--no-check"]
    made += ["--set", f"database={odoo.database}", "--set", f"login={odoo.login}", "--set", "allow_loopback=true"]
    said = await isthmus(*made, "--secret", f"api_key={odoo.api_key}")
    assert said.code == 0, said
    return Floor(odoo)


async def test_an_operation_is_listed_looked_at_and_called_once_by_command(floor: Floor) -> None:
    listed = (await isthmus("connection", "operations", "erp", "--json")).json
    assert {one["name"] for one in listed} >= {"confirm_sales_order", "register_payment", "apply_inventory"}
    said = await isthmus("connection", "operations", "erp", "--operation", "validate_delivery")
    assert "tracking number" in said.out
    order = floor.quotation()
    call = ("connection", "call", "erp", "confirm_sales_order", "--input", f'{{"order": {order}}}')
    said = await isthmus(*call, "--dry-run")
    assert "not done; nothing stands in its way" in said.out
    assert floor.row("sale.order", order, "state")["state"] == "draft"
    told = (await isthmus(*call, "--json")).json
    assert (told["state"], told["repeated"], told["result"]["total"]) == ("done", False, "165.0")
    assert floor.row("sale.order", order, "state")["state"] == "sale"
    again = (await isthmus(*call, "--json")).json
    assert (again["repeated"], again["key"]) == (True, told["key"])
    said = await isthmus(*call)
    assert "done before" in said.out


async def test_what_is_refused_is_told_with_document_and_fix(floor: Floor) -> None:
    invoice = floor.draft()
    call = ("connection", "call", "erp", "register_payment", "--input", f'{{"invoice": {invoice}}}')
    said = await isthmus(*call)
    assert said.code == 1
    assert f"draft invoice {invoice}" in said.err
    assert "post_invoice" in said.err
    said = await isthmus(*call, "--dry-run")
    assert said.code == 0
    assert "not done" in said.out
    assert "post_invoice" in said.out
    said = await isthmus("connection", "call", "erp", "confirm_order", "--input", "{}")
    assert said.code == 1
    assert "confirm_sales_order" in said.err
    said = await isthmus("connection", "call", "erp", "confirm_sales_order", "--input", "{")
    assert said.code == 2


async def test_the_api_calls_the_same_operations(floor: Floor, service: Service) -> None:
    path = "/api/v1/connections/erp/operations"
    status, listed = await service.call("GET", path)
    assert status == 200
    assert all(one["summary"] and one["input"]["properties"] for one in listed)
    invoice = floor.invoice()
    body = {"input": {"invoice": invoice, "amount": "33.10", "reference": "PSP-1"}, "key": "gateway-1"}
    status, told = await service.call("POST", f"{path}/register_payment", {**body, "dry_run": True})
    assert (status, told["state"], told["blocked"]) == (200, "not_done", None)
    for repeated in (False, True):
        status, told = await service.call("POST", f"{path}/register_payment", body)
        assert (status, told["repeated"]) == (200, repeated)
        assert (told["result"]["amount"], told["result"]["residual"]) == ("33.1", "65.9")
    status, told = await service.call("POST", f"{path}/register_payment", {"input": {"invoice": invoice, "amount": 0}})
    assert status == 422
    assert "amount" in told["error"]["answered"]
    assert len(floor.rows("account.payment", [])) == 1
