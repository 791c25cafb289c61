"""Creates on a real Odoo: once each under our External IDs, addresses along, bad rows taken out, answers lost."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from speaking import PARTNER, PROTOCOLS, VARIANT, found, made, new, one, speaking, unique, written

from isthmus.connectors.odoo.columns import layout, sheet
from isthmus.connectors.odoo.external import external_id, external_key
from isthmus.connectors.odoo.fields import OdooField, OdooModel
from isthmus.connectors.odoo.paths import parse
from isthmus.connectors.odoo.writing import Parts
from isthmus.sdk import ByExternalKeys, ByValues, Failed, InvalidRecord, RefusedByTarget, SchemaDrift, Unsure
from isthmus.testing.fault_proxy import FaultProxy, Plan
from real_odoo import RealOdoo

needs_odoo = pytest.mark.odoo
DELIVERY, INVOICE = "child_ids[type=delivery]", "child_ids[type=invoice]"


def address(**more: Any) -> dict[str, Any]:
    return {
        "street": "1 Root Street",
        "state_id.key": "US-CA",
        "country_id.key": "US",
        f"{DELIVERY}.street": "2 Delivery Street",
        f"{DELIVERY}.country_id.key": "BE",
        f"{INVOICE}.street": "3 Invoice Street",
        f"{INVOICE}.city": "Ghent",
        **more,
    }


@pytest.mark.parametrize("key", ["ins-1-customer-C.17-1", "a b/c:ä,\"'=", "x", "plain-1"])
def test_any_external_key_survives_as_an_external_id(key: str) -> None:
    xid = external_id(key)
    module, _, name = xid.partition(".")
    assert module == "__isthmus__"
    assert name.replace("=", "").replace("_", "").replace("-", "").isalnum()
    assert "." not in name
    assert external_key(xid) == key


def test_external_ids_of_others_are_none_of_ours() -> None:
    assert external_key("__import__.customer-1") is None
    assert external_key("") is None
    assert external_key(False) is None


def _model(*fields: OdooField) -> OdooModel:
    return OdooModel("m", {field.name: field for field in fields})


def test_only_fields_that_odoo_fills_by_itself_keep_records_apart() -> None:
    plain, computed, defaulted = (
        OdooField(name="city", type="char"),
        OdooField(name="lang", type="selection", computed=True),
        OdooField(name="type", type="selection"),
    )
    model = _model(plain, computed, defaulted)

    def of(**own: Any) -> Any:
        return layout(Parts(own=own), model, {"type"}, {})

    assert of(city="x") == of()
    assert of(lang="en_US") != of()
    assert of(type="contact") != of()


def test_children_follow_in_the_rows_of_their_root() -> None:
    child = _model(OdooField(name="type", type="selection"), OdooField(name="street", type="char"))
    root = _model(
        OdooField(name="name", type="char"), OdooField(name="child_ids", type="one2many", relation="m", inverse="p")
    )
    steps = {kind: parse(f"child_ids[type={kind}].street").step for kind in ("delivery", "invoice")}
    parts = Parts(
        own={"name": "Root"}, children={steps["delivery"]: {"street": "D"}, steps["invoice"]: {"street": "I"}}
    )
    call = sheet(
        [(5, "x.1", parts), (6, "x.2", Parts(own={"name": "Alone"}))], root, dict.fromkeys(steps.values(), child)
    )
    assert call.columns == ["id", "name", "child_ids/type", "child_ids/street"]
    assert call.rows == [
        ["x.1", "Root", "delivery", "D"],
        ["", "", "invoice", "I"],
        ["x.2", "Alone", "", ""],
    ]
    assert call.owner == [5, 5, 6]


@needs_odoo
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_record_and_its_addresses_are_made_in_one_go(real_odoo: RealOdoo, protocol: str) -> None:
    async with speaking(real_odoo, protocol=protocol) as side:
        values = address(name=unique("Whole"), is_company=True, credit_limit=None)
        [outcome] = await side.create(PARTNER, [new(values)])
        record = await one(side, PARTNER, written(outcome).key, *(path for path in values if path != "credit_limit"))
        assert record.values == {path: value for path, value in values.items() if path != "credit_limit"}
        assert record.version == written(outcome).version
        assert record.created_at == written(outcome).created_at
        assert record.created_at is not None


@needs_odoo
async def test_a_create_repeated_finds_its_record_and_leaves_it_alone(real_odoo: RealOdoo) -> None:
    async with speaking(real_odoo) as side:
        item = new({"name": unique("Once")})
        [first] = await side.create(PARTNER, [item])
        real_odoo.call(PARTNER, "write", ids=[int(written(first).key)], vals={"name": "Edited by a person"})
        before = await one(side, PARTNER, written(first).key, "name")
    async with speaking(real_odoo) as side:
        [again] = await side.create(PARTNER, [item])
        assert written(again).key == written(first).key
        assert written(first).created
        assert not written(again).created
        assert await one(side, PARTNER, written(first).key, "name") == before


@needs_odoo
async def test_a_record_deleted_meanwhile_is_made_anew(real_odoo: RealOdoo) -> None:
    async with speaking(real_odoo) as side:
        item = new({"name": unique("Deleted")})
        [first] = await side.create(PARTNER, [item])
        real_odoo.call(PARTNER, "unlink", ids=[int(written(first).key)])
        [again] = await side.create(PARTNER, [item])
        assert written(again).created
        assert written(again).key != written(first).key


@needs_odoo
async def test_bad_rows_are_taken_out_until_the_rest_passes(real_odoo: RealOdoo) -> None:
    async with speaking(real_odoo) as side:
        items = [new({"name": unique("Batch"), "zip": str(n)}) for n in range(60)]
        bad = set(range(0, 60, 4))
        for n in bad:
            items[n] = new({"zip": str(n)})  # without a name
        outcomes = await side.create(PARTNER, items)
        assert {n for n, outcome in enumerate(outcomes) if isinstance(outcome, Failed)} == bad
        for n, outcome in enumerate(outcomes):
            if isinstance(outcome, Failed):
                assert isinstance(outcome.error, RefusedByTarget)
                assert "name" in (outcome.error.answered or "")
                assert items[n].external_key in str(external_key(outcome.error.facts["external_id"]))
        read = await found(side, PARTNER, ByExternalKeys([item.external_key for item in items]), "zip")
        assert {int(record.values["zip"]) for record in read} == set(range(60)) - bad


@needs_odoo
async def test_a_value_that_odoo_does_not_know_holds_its_record_only(real_odoo: RealOdoo) -> None:
    async with speaking(real_odoo) as side:
        outcomes = await side.create(
            PARTNER,
            [
                new({"name": unique("Good"), "country_id.key": "FR"}),
                new({"name": unique("Nowhere"), "country_id.key": "XX"}),
                new({"name": unique("Odd"), "type": "no such kind"}),
                new({"name": unique("Also good")}),
            ],
        )
        assert [type(outcome).__name__ for outcome in outcomes] == ["Written", "Failed", "Failed", "Written"]
        assert isinstance(outcomes[1], Failed)
        assert isinstance(outcomes[1].error, InvalidRecord)
        assert "'XX'" in str(outcomes[1].error)


@needs_odoo
async def test_a_field_that_is_not_there_halts_instead_of_refusing_records(real_odoo: RealOdoo) -> None:
    async with speaking(real_odoo) as side:
        [outcome] = await side.create(PARTNER, [new({"name": unique("X"), "no_such_field": "x"})])
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.error, SchemaDrift)


@needs_odoo
async def test_defaults_of_odoo_stay_where_nothing_is_written(real_odoo: RealOdoo) -> None:
    async with speaking(real_odoo) as side:
        keys = await made(
            side,
            PARTNER,
            {"name": unique("Plain")},
            {"name": unique("Typed"), "type": "other", "lang": "en_US"},
            {"name": unique("Archived"), "active": False},
        )
        rows = [await one(side, PARTNER, key, "type", "lang", "active") for key in keys]
        assert [row.values["type"] for row in rows] == ["contact", "other", "contact"]
        assert {row.values["lang"] for row in rows} == {"en_US"}
        assert [row.active for row in rows] == [True, True, False]


@needs_odoo
async def test_products_of_any_column_set_are_made(real_odoo: RealOdoo) -> None:
    async with speaking(real_odoo) as side:
        sku = unique("SKU")
        await made(
            side,
            VARIANT,
            {"name": "Bolt", "default_code": sku, "lst_price": "12.50", "type": "consu", "is_storable": True},
            {"name": "Advice", "default_code": f"{sku} B", "type": "service", "sale_ok": False},
        )
        rows = await found(
            side,
            VARIANT,
            ByValues("default_code", [sku, f"{sku} B"]),
            "name",
            "lst_price",
            "type",
            "sale_ok",
            "is_storable",
        )
        assert [row.values["lst_price"] for row in rows] == [Decimal("12.50"), Decimal(1)]
        assert [(row.values["type"], row.values["sale_ok"]) for row in rows] == [("consu", True), ("service", False)]
        assert rows[0].values["is_storable"]


@needs_odoo
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_records_are_found_by_external_key_without_rights_on_external_ids(
    real_odoo: RealOdoo, protocol: str
) -> None:
    async with speaking(real_odoo, protocol=protocol) as side:
        items = [new({"name": unique("Mine")}, f"{unique('ins.1')}-{n}") for n in range(30)]
        outcomes = await side.create(PARTNER, items)
        refused = new({"zip": "1"})  # leaves a wrong id in Odoo's memory of External IDs
        await side.create(PARTNER, [new({"name": unique("Other")}), refused])
        for some in (items, items[:3]):
            keys = [item.external_key for item in some]
            read = await found(side, PARTNER, ByExternalKeys([*keys, refused.external_key, "nobody's"]), "name")
            assert {r.external_key: r.key for r in read} == {
                i.external_key: written(o).key for i, o in zip(some, outcomes, strict=False)
            }
        record = await one(side, PARTNER, written(outcomes[0]).key, "@external_key")
        assert record.external_key == items[0].external_key


@needs_odoo
async def test_after_a_merge_the_losers_key_leads_to_the_survivor(real_odoo: RealOdoo) -> None:
    async with speaking(real_odoo) as side:
        items = [new({"name": unique("Twin"), "email": "twin@example.org"}) for _ in range(2)]
        loser, survivor = [int(written(o).key) for o in await side.create(PARTNER, items)]
        real_odoo.run_on_server(
            f"env['base.partner.merge.automatic.wizard'].create({{}})._merge([{loser}, {survivor}], "
            f"env['res.partner'].browse({survivor}))\nenv.cr.commit()"
        )
        [record] = await found(side, PARTNER, ByExternalKeys([items[0].external_key]))
        assert record.key == str(survivor)
        assert record.external_key == items[0].external_key
        assert await side.exists(PARTNER, [str(loser), str(survivor)]) == {str(loser): False, str(survivor): True}


@needs_odoo
async def test_parallel_creates_of_one_key_make_one_record(real_odoo: RealOdoo) -> None:
    async with speaking(real_odoo) as one_side, speaking(real_odoo) as other:
        items = [new({"name": unique("Race")}) for _ in range(20)]
        await asyncio.gather(one_side.create(PARTNER, items), other.create(PARTNER, items))
        read = await found(one_side, PARTNER, ByValues("name", [item.values["name"] for item in items]))
        assert len(read) == 20


@needs_odoo
@pytest.mark.parametrize("kind", ["drop_after_commit", "error_after_commit", "truncate"])
async def test_a_lost_answer_is_unsure_sent_once_and_found_again(real_odoo: RealOdoo, kind: str) -> None:
    loads_only = Plan(rate=1.0, kinds=(kind,), writes="/load", spare=r"^\S+ (?!\S*/load\b)")
    proxy = FaultProxy(real_odoo.url, plan=loads_only)
    async with proxy.running(), speaking(real_odoo, url=proxy.url) as side:
        items = [new({"name": unique("Lost")}) for _ in range(3)]
        outcomes = await side.create(PARTNER, items)
        assert [type(outcome) for outcome in outcomes] == [Unsure] * 3
        assert proxy.counts[kind] == 1
        read = await found(side, PARTNER, ByExternalKeys([item.external_key for item in items]))
        assert {record.external_key for record in read} == {item.external_key for item in items}


@needs_odoo
async def test_a_call_that_never_arrived_may_be_sent_again(real_odoo: RealOdoo) -> None:
    too_many = Plan(rate=1.0, kinds=("throttle",), spare=r"^\S+ (?!\S*/load\b)")
    proxy = FaultProxy(real_odoo.url, plan=too_many)
    async with proxy.running(), speaking(real_odoo, url=proxy.url) as side:
        [outcome] = await side.create(PARTNER, [new({"name": unique("Throttled")})])
        assert isinstance(outcome, Failed)
        assert outcome.error.kind == "RateLimited"
        assert proxy.counts["throttle"] >= 1
