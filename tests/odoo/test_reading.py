"""Reading a real Odoo by paths: any model, in bulk, archived ones too, in one language and company."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from speaking import PARTNER, PROTOCOLS, TEMPLATE, VARIANT, found, made, one, speaking, unique

from isthmus.connectors.odoo.paths import parse
from isthmus.model.schema import FieldType
from isthmus.sdk import ByKeys, ByValues, Everything, Misconfigured, SchemaDrift
from real_odoo import RealOdoo

needs_odoo = pytest.mark.odoo


@pytest.mark.parametrize(
    ("text", "field", "where", "rest"),
    [
        ("name", "name", None, ""),
        ("country_id.key", "country_id", None, "key"),
        ("child_ids[type=delivery].state_id.key", "child_ids", ("type", "delivery"), "state_id.key"),
        ("seller_ids.partner_id", "seller_ids", None, "partner_id"),
    ],
)
def test_paths_are_understood(text: str, field: str, where: Any, rest: str) -> None:
    path = parse(text)
    assert (path.step.field, path.step.where, path.rest) == (field, where, rest)


@pytest.mark.parametrize("text", ["", "a b", "a[b]", "a.", ".a", "a[b=c"])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(SchemaDrift):
        parse(text)


@needs_odoo
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_references_natural_keys_and_children_are_read(real_odoo: RealOdoo, protocol: str) -> None:
    async with speaking(real_odoo, protocol=protocol) as side:
        [company] = await made(side, PARTNER, {"name": unique("Company"), "is_company": True, "country_id.key": "US"})
        parent = int(company)
        rows = [
            {"name": "second", "parent_id": parent, "type": "delivery", "street": "Second", "active": True},
            {"name": "gone", "parent_id": parent, "type": "delivery", "street": "Gone", "active": False},
        ]
        _, first, second = real_odoo.call(
            PARTNER, "create", vals_list=[rows[1], {**rows[0], "name": "first", "street": "First"}, rows[0]]
        )
        record = await one(
            side,
            PARTNER,
            company,
            "parent_id",
            "country_id",
            "country_id.key",
            "country_id.name",
            "state_id.key",
            "child_ids",
            "child_ids.name",
            "child_ids[type=delivery].id",
            "child_ids[type=delivery].street",
            "child_ids[type=invoice].street",
            "child_ids[type=invoice].id",
        )
        values = dict(record.values)
        assert values.pop("country_id.name") == "United States"
        assert isinstance(values.pop("country_id"), int)
        assert sorted(values.pop("child_ids")) == [first, second]  # Odoo leaves archived contacts out of this field
        assert sorted(values.pop("child_ids.name")) == ["first", "second"]
        assert values == {
            "parent_id": None,
            "country_id.key": "US",
            "state_id.key": None,
            "child_ids[type=delivery].id": first,
            "child_ids[type=delivery].street": "First",
            "child_ids[type=invoice].street": None,
            "child_ids[type=invoice].id": None,
        }


@needs_odoo
async def test_a_childs_write_is_the_roots_newest_moment(real_odoo: RealOdoo) -> None:
    async with speaking(real_odoo) as side:
        [key] = await made(side, PARTNER, {"name": unique("Root"), "child_ids[type=delivery].street": "1"})
        paths = ("child_ids[type=delivery].id", "child_ids[type=delivery].street")
        before = await one(side, PARTNER, key, *paths)
        real_odoo.call(TEMPLATE, "search", domain=[], limit=1)
        child = before.values["child_ids[type=delivery].id"]
        real_odoo.call(PARTNER, "write", ids=[child], vals={"street": "2"})
        after = await one(side, PARTNER, key, *paths)
        [row] = real_odoo.call(PARTNER, "read", ids=[child], fields=["write_date"])
        assert after.version == row["write_date"]
        assert after.changed_at is not None
        assert before.changed_at is not None
        assert after.changed_at >= before.changed_at


@needs_odoo
async def test_a_product_shows_its_taxes_vendors_and_variant_values(real_odoo: RealOdoo) -> None:
    async with speaking(real_odoo) as side:
        [vendor] = await made(side, PARTNER, {"name": unique("Vendor")})
        [key] = await made(side, VARIANT, {"name": unique("Bolt"), "default_code": unique("SKU")})
        template = (await one(side, VARIANT, key, "product_tmpl_id")).values["product_tmpl_id"]
        line = {"partner_id": int(vendor), "product_tmpl_id": template, "price": 3.5}
        real_odoo.call("product.supplierinfo", "create", vals_list=[line])
        record = await one(
            side,
            VARIANT,
            key,
            "seller_ids.partner_id",
            "seller_ids.price",
            "product_template_variant_value_ids.display_name",
            "uom_id.key",
            "categ_id.key",
            "currency_id.key",
        )
        assert record.values["seller_ids.partner_id"] == [int(vendor)]
        assert record.values["seller_ids.price"] == [Decimal("3.5")]
        assert record.values["product_template_variant_value_ids.display_name"] == []
        assert record.values["uom_id.key"] == "Units"
        assert record.values["currency_id.key"]


@needs_odoo
async def test_hundreds_of_records_with_children_take_a_handful_of_calls(real_odoo: RealOdoo) -> None:
    async with speaking(real_odoo) as side:
        keys = await made(
            side,
            PARTNER,
            *(
                {
                    "name": unique("Bulk"),
                    "state_id.key": "US-CA",
                    "country_id.key": "US",
                    "child_ids[type=delivery].city": "X",
                }
                for _ in range(150)
            ),
        )
        calls: Counter[str] = Counter()
        side.wire.http._observe = lambda call: calls.update([call.path])
        paths = ("name", "state_id.key", "country_id.key", "child_ids[type=delivery].city", "@external_key")
        records = await found(side, PARTNER, ByKeys(keys), *paths)
        assert [record.key for record in records] == sorted(keys, key=int)
        assert all(record.external_key for record in records)
        assert sum(calls.values()) <= 6, calls


@needs_odoo
async def test_records_are_found_by_value_archived_ones_too(real_odoo: RealOdoo) -> None:
    async with speaking(real_odoo) as side:
        mail = unique("Mixed.Case").replace(" ", ".") + "@Example.ORG"
        keys = await made(
            side,
            PARTNER,
            {"name": unique("One"), "email": mail},
            {"name": unique("Two"), "email": mail.lower(), "active": False},
            {"name": unique("Other"), "email": f"other.{mail}"},
        )
        read = await found(side, PARTNER, ByValues("email", [mail.lower()]), "email")
        assert [(record.key, record.active) for record in read] == [(keys[0], True), (keys[1], False)]
        active = await found(side, PARTNER, ByValues("email", [mail.lower()]), scope=[["active", "=", True]])
        assert [record.key for record in active] == [keys[0]]
        tagged = await found(side, PARTNER, Everything(), "name", scope=[["email", "=", mail]])
        assert [record.key for record in tagged] == [keys[0]]


@needs_odoo
async def test_deleted_is_told_from_hidden(real_odoo: RealOdoo) -> None:
    async with speaking(real_odoo) as side:
        kept, archived, deleted = await made(side, PARTNER, *({"name": unique("X")} for _ in range(3)))
        real_odoo.call(PARTNER, "action_archive", ids=[int(archived)])
        real_odoo.call(PARTNER, "unlink", ids=[int(deleted)])
        assert await side.exists(PARTNER, [kept, archived, deleted]) == {kept: True, archived: True, deleted: False}
    async with speaking(real_odoo, key=real_odoo.low_key) as low:
        with pytest.raises(Misconfigured, match=r"ir\.model\.data") as told:
            await low.exists("ir.model.data", ["1"])  # without the right to read, nothing is called deleted
        assert "right to read" in told.value.hint


@needs_odoo
async def test_any_model_is_described_and_read(real_odoo: RealOdoo) -> None:
    async with speaking(real_odoo) as side:
        [schema, tags] = await side.describe([PARTNER, "res.partner.category"])
        assert schema.fields["country_id"].type is FieldType.REFERENCE
        assert schema.fields["country_id"].target == "res.country"
        assert dict(schema.fields["type"].choices)["delivery"]
        assert schema.fields["child_ids"].type is FieldType.LIST
        assert tags.can_create
        [key] = await made(side, "res.partner.category", {"name": unique("Tag")})
        assert (await one(side, "res.partner.category", key, "name", "parent_id")).values["parent_id"] is None
        names = {schema.name for schema in await side.describe()}
        assert {PARTNER, VARIANT, TEMPLATE} <= names


@needs_odoo
async def test_an_unknown_field_or_model_is_drift(real_odoo: RealOdoo) -> None:
    async with speaking(real_odoo) as side:
        with pytest.raises(SchemaDrift, match="no_such"):
            await found(side, PARTNER, ByKeys(["1"]), "no_such")
        with pytest.raises(SchemaDrift, match="name"):
            await found(side, PARTNER, ByKeys(["1"]), "name.other")
        with pytest.raises(SchemaDrift, match=r"x\.unheard_of"):
            await found(side, "x.unheard_of", Everything())


@needs_odoo
async def test_the_fingerprint_stays_and_its_number_grows(real_odoo: RealOdoo) -> None:
    async with speaking(real_odoo) as side:
        before, after = await side.fingerprint(), await side.fingerprint()
    assert {k: v for k, v in before.items() if k != "highest"} == {k: v for k, v in after.items() if k != "highest"}
    assert before["company"]["create_date"]
    assert after["highest"]["number given out"] > before["highest"]["number given out"]
