"""Each class of error provoked for real in an order: classified, retried or held, helped by a person, closed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cash_world import CashWorld, cashing

from isthmus.testing.fault_proxy import FaultProxy, Plan
from joined import Systems, isthmus
from real_odoo import OdooDatabases

pytestmark = pytest.mark.odoo
SMALL = "4006381333931"
LARGE = "4006381333948"


async def letter(world: CashWorld, entity: str, words: str) -> dict[str, Any]:
    """The one open dead letter of an Entity or flow that says this, as a person is shown it."""
    found = []
    for row in (await isthmus("deadletters", "list", "--json")).json:
        told = (await isthmus("deadletters", "show", str(row["id"]), "--json")).json
        if told["entity"] == entity and words in str(told["error"]["answered"]):
            found.append(told)
    assert len(found) == 1, (entity, words, world.held())
    assert found[0]["error"]["hint"]
    return dict(found[0])


async def helped(number: int, **fields: str) -> None:
    """A person edits what is held, and it is tried again; or it is only tried again."""
    told = [word for name, value in fields.items() for word in ("--set", f"{name}={json.dumps(value)}")]
    said = await isthmus("deadletters", *(("edit", str(number), *told) if told else ("retry", str(number))))
    assert said.code == 0, said


def closed(world: CashWorld, number: int) -> bool:
    """Whether a dead letter has closed because its record passed."""
    return bool(world.one("select state = 'closed' from dead_letter where id = :id", id=number))


def again(world: CashWorld) -> set[str]:
    """The kinds of errors after which steps of flows were tried again."""
    return {row[0] for row in world.rows("select distinct error ->> 'kind' from run_step where outcome = 'again'")}


async def test_every_class_of_error_in_an_order_is_classified_then_passes_or_is_helped_and_closes(
    home: Any, systems: Systems, odoo_db: OdooDatabases
) -> None:
    odoo = odoo_db()
    proxy = FaultProxy(odoo.url, plan=Plan(rate=0.0))
    async with proxy.running(), cashing(odoo, systems, url=proxy.url) as world:
        trade, line = world.trade, world.trade.line
        made = {"Name": "Crate", "ProductType": "Stocked", "UnitOfMeasure": "EA", "ListPrice": "10.0000",
                "CurrencyCode": "USD"}  # fmt: skip

        # Odoo's ValidationError: a packaging has the barcode of a product that an order needs
        [unit] = trade.odoo.call("uom.uom", "search", domain=[], limit=1)
        trade.new("product.uom", product_id=trade.variants["CHAIR"], uom_id=unit, barcode=SMALL)
        [trade.products["CRATE"]] = await trade.seed("product", {**made, "SKU": "CRATE", "Barcode": SMALL})
        refused = await world.order(line(1, "CRATE", "2", "10.00"))
        # a duplicate record: two products of Odoo have the number that an order names
        twins = [trade.new("product.product", name=f"Bench {n}", default_code="BENCH", list_price=10) for n in (1, 2)]
        [trade.products["BENCH"]] = await trade.seed("product", {**made, "SKU": "BENCH", "Name": "Bench"})
        double = await world.order(line(1, "BENCH", "1", "10.00"))
        # a data mismatch: Odoo's tax comes to another total
        differs = await world.order(line(1, "CHAIR", "2", "40", TaxCode="7%", TaxAmount="5.61"))
        # BNG's 400: it refuses the invoice of an order
        await systems.in_bng("POST", "faults", kind="status", status=400, match="invoices", method="POST", next=6)
        long = await world.order(line(1, "LAMP", "2", "12.50"))
        await world.ship(long)
        await world.work(2)
        # a rate limit at BNG, and a network that breaks before Odoo: both pass by themselves
        limited = await world.order(line(1, "CHAIR", "1", "40.00"))
        broken = await world.order(line(1, "TABLE", "1", "99.50"))
        await world.poll()
        throttle = {"kind": "throttle", "match": "sales_orders", "method": "GET", "retry_after": 1, "next": 4}
        await systems.in_bng("POST", "faults", **throttle)
        proxy.dice.turn(Plan(rate=0.2, kinds=("reset",)))
        await world.work(1, polls=False)
        proxy.dice.turn(Plan(rate=0.0))
        await world.work(2)

        for key in (limited, broken):
            assert world.in_odoo(key)["state"] == "sale"
        assert proxy.counts["reset"] >= 1
        assert again(world) <= {"RateLimited", "Unavailable", "OutcomeUnknown", "Contended"}

        crate = await letter(world, "product", "packaging already uses the barcode")
        assert crate["kind"] == "RefusedByTarget"
        sql = "select id, kind from dead_letter where state = 'open' and error ->> 'answered' like :said"
        doubles = world.rows(sql, said="%carry the same sku%")
        assert {kind for _, kind in doubles} == {"Ambiguous"}
        cents = await letter(world, "sales_order", "total 85.61 in bng, 85.6 in odoo")
        assert cents["kind"] == "InvalidRecord"
        numbers = world.rows("select id, kind, error ->> 'answered' from dead_letter where state = 'open' "
                             "and entity = 'invoice'")  # fmt: skip
        assert {kind for _, kind, _ in numbers} == {"RefusedByTarget"}, world.held()
        assert all("400" in said for _, _, said in numbers), numbers
        for key in (refused, double, differs):
            assert trade.read("sale.order", [["origin", "=", key], ["state", "=", "sale"]]) == []

        await helped(crate["id"], barcode=LARGE)
        trade.odoo.call("product.product", "write", ids=[twins[1]], vals={"default_code": "BENCH-2"})
        for number, _ in doubles:
            await helped(number)
        good = trade.order(line(1, "CHAIR", "2", "40", TaxCode="7%", TaxAmount="5.60"))
        at = await world.bng_order(differs)
        good["LineItems"][0]["LineItemID"] = at["LineItems"][0]["LineItemID"]
        await trade.edit("sales_order", differs, **{n: good[n] for n in ("LineItems", "TaxTotal", "TotalAmount")})
        await helped(cents["id"])
        await systems.in_bng("DELETE", "faults")
        for number, _, _ in numbers:
            await helped(number)
        await world.work(1)
        for number, _ in world.rows("select id, kind from dead_letter where state = 'open'"):
            await helped(number)  # orders that waited for these
        await world.work(2)

        assert world.held() == []
        for key in (refused, double, differs, long):
            assert world.in_odoo(key)["state"] == "sale"
        assert [one["id"] for one in (crate, cents) if not closed(world, one["id"])] == []
        assert all(closed(world, row[0]) for row in (*doubles, *numbers))
        [product] = trade.read("product.product", [["default_code", "=", "CRATE"]], "barcode")
        assert product["barcode"] == LARGE
        [bill] = await world.at_bng("invoice", SalesOrderID=long)
        assert (bill["TotalAmount"], bill["Status"]) == ("25.00", "Open")
