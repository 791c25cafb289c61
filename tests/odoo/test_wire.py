"""Calls over each of Odoo's protocols, and what its refusals are told as."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from speaking import PARTNER, PROTOCOLS, speaking, unique

from isthmus.sdk import (
    AuthFailed,
    InvalidRecord,
    IsthmusError,
    Misconfigured,
    RefusedByTarget,
    SchemaDrift,
    Unavailable,
)
from real_odoo import RealOdoo

pytestmark = pytest.mark.odoo


async def refused(odoo: RealOdoo, protocol: str, model: str, method: str, **arguments: Any) -> IsthmusError:
    async with speaking(odoo, protocol=protocol) as side:
        with pytest.raises(IsthmusError) as told:
            await side.wire.call(model, method, doing="trying what must fail", **arguments)
    assert "Traceback" not in str(told.value.as_dict())
    assert told.value.hint
    return told.value


async def test_the_protocol_is_found_by_asking(real_odoo: RealOdoo) -> None:
    async with speaking(real_odoo) as side:
        assert (await side.wire.version())["server_version_info"][0] == 19
        assert side.wire.protocol == "json2"


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_every_protocol_writes_and_reads_the_same(real_odoo: RealOdoo, protocol: str) -> None:
    async with speaking(real_odoo, protocol=protocol) as side:
        name = unique("Zoë <&> 東京")
        values = {"name": name, "partner_latitude": Decimal("12.3456789"), "color": 7, "comment": "<p>a &amp; b</p>"}
        [key] = await side.wire.call(PARTNER, "create", doing="creating", vals_list=[values])
        [row] = await side.wire.call(
            PARTNER, "read", doing="reading", ids=[key], reads=True, fields=[*values, "parent_id", "active"]
        )
        assert row == {"id": key, "parent_id": False, "active": True, **values}
        assert await side.wire.call(PARTNER, "action_archive", doing="archiving", ids=[key]) is None
        told = await side.wire.call(PARTNER, "get_external_id", doing="asking", ids=[key], reads=True)
        assert told == {str(key): ""}


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_refusals_are_told_by_their_meaning(real_odoo: RealOdoo, protocol: str) -> None:
    [key] = real_odoo.call(PARTNER, "create", vals_list=[{"name": unique("Refused")}])
    unknown = await refused(real_odoo, protocol, PARTNER, "read", ids=[key], fields=["no_such"], reads=True)
    assert isinstance(unknown, SchemaDrift)
    assert unknown.facts["field"] == "no_such"
    wrong = await refused(real_odoo, protocol, PARTNER, "write", ids=[key], vals={"type": "no such kind"})
    assert isinstance(wrong, InvalidRecord)
    missing = await refused(real_odoo, protocol, PARTNER, "write", ids=[999_999_999], vals={"name": "x"})
    assert missing.facts.get("missing")
    nameless = await refused(real_odoo, protocol, PARTNER, "write", ids=[key], vals={"name": False})
    assert isinstance(nameless, RefusedByTarget)
    assert "name" in (nameless.answered or "")
    assert isinstance(await refused(real_odoo, protocol, "no.such.model", "search", domain=[]), Misconfigured)
    assert isinstance(await refused(real_odoo, protocol, PARTNER, "no_such_method"), Misconfigured)
    denied = await refused(real_odoo, protocol, "ir.model.data", "create", vals_list=[{"name": "x"}])
    assert isinstance(denied, RefusedByTarget)
    assert denied.facts["access"] == "create"
    assert "ir.model.data" in denied.hint


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_wrong_key_is_a_refused_login(real_odoo: RealOdoo, protocol: str) -> None:
    async with speaking(real_odoo, protocol=protocol, key="0" * 40) as side:
        with pytest.raises(AuthFailed, match=r"accepted|[Ii]nvalid|denied|Denied") as told:
            await side.wire.call(PARTNER, "search", doing="looking", reads=True, domain=[], limit=1)
        assert "connection rotate" in told.value.hint


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_database_that_is_not_there_is_a_sentence(real_odoo: RealOdoo, protocol: str) -> None:
    async with speaking(real_odoo, protocol=protocol, database="no_such_database") as side:
        with pytest.raises(Misconfigured) as told:
            await side.wire.call(PARTNER, "search", doing="looking", reads=True, domain=[], limit=1)
        assert "database" in told.value.hint


async def test_a_path_that_is_not_odoos_is_a_sentence(real_odoo: RealOdoo) -> None:
    async with speaking(real_odoo, url=f"{real_odoo.url}/no/such/place") as side:
        with pytest.raises(Misconfigured, match="version") as told:
            await side.wire.open()
        assert "URL" in told.value.hint


async def test_nobody_listening_is_unavailable(real_odoo: RealOdoo) -> None:
    async with speaking(real_odoo, url="http://127.0.0.1:9") as side:
        with pytest.raises(Unavailable):
            await side.wire.open()


async def test_another_key_speaks_for_another_user(real_odoo: RealOdoo) -> None:
    async with speaking(real_odoo) as side:
        other = side.wire.with_key(real_odoo.admin_key, real_odoo.admin_login)
        assert await other.uid() != await side.wire.uid()
        assert await other.call("ir.model.data", "search_count", doing="counting", reads=True, domain=[]) > 0


async def test_a_company_is_named_or_numbered(real_odoo: RealOdoo) -> None:
    [row] = real_odoo.call("res.company", "search_read", domain=[], fields=["name"], limit=1)
    async with speaking(real_odoo, company=row["name"]) as side:
        assert await side.wire.company() == row["id"]
    async with speaking(real_odoo, company="No such company") as side:
        with pytest.raises(Misconfigured, match="company"):
            await side.wire.open()
