"""Automations in a real Odoo: installed once by an administrator, telling of every mapped change and of no echo."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from installing import Receiver, connected, partners, settings

from isthmus.connectors.odoo import actions, automations
from isthmus.connectors.odoo.guarded import GUARDED_WRITE
from isthmus.connectors.odoo.hooks import Hooks
from isthmus.connectors.odoo.wire import Wire
from isthmus.errors import AuthFailed, InvalidRecord, Misconfigured
from isthmus.sdk import Hint, HookStatus, Secret, SystemClock, WebhookRequest, local_services
from real_odoo import RealOdoo

pytestmark = pytest.mark.odoo
ENTITIES = ["res.partner", "product.product"]
PATHS = {
    "res.partner": ["name", "email", "vat", "child_ids[type=delivery].street", "category_id", "user_ids", "nothing"],
    "product.product": ["default_code", "standard_price", "name", "list_price", "seller_ids.partner_id", "active"],
}
Seen = list[tuple[str, str, bool]]


def hooks_of(wire: Wire, paths: dict[str, list[str]] | None = None) -> Hooks:
    hooks = Hooks(wire, installation="abc123", connection="odoo")
    hooks.uses(PATHS if paths is None else paths)
    return hooks


def as_admin(odoo: RealOdoo) -> dict[str, Any]:
    return {"admin_key": Secret(odoo.admin_key), "admin_login": Secret(odoo.admin_login)}


async def install(odoo: RealOdoo, url: str, entities: list[str] = ENTITIES, **more: Any) -> list[HookStatus]:
    async with connected(odoo, **{**as_admin(odoo), **more}) as wire:
        return await hooks_of(wire).install(entities, url)


async def status(odoo: RealOdoo, url: str, entities: list[str] = ENTITIES, **more: Any) -> list[HookStatus]:
    async with connected(odoo, **more) as wire:
        return await hooks_of(wire).status(entities, url)


def hinted(odoo: RealOdoo, receiver: Receiver) -> Seen:
    """What came in since the last look, as hints."""
    services = local_services()
    hooks = hooks_of(Wire(settings(odoo), services.http(odoo.url), SystemClock()))
    out: list[Hint] = []
    for request in receiver.taken():
        out.extend(hooks.receive(request).hints)
    return [(hint.entity, hint.key, hint.gone) for hint in out]


@pytest.fixture(scope="module")
def watched(real_odoo: RealOdoo) -> Iterator[tuple[RealOdoo, Receiver]]:
    receiver = Receiver()
    found = asyncio.run(install(real_odoo, receiver.url))
    assert all(one.installed for one in found), found
    yield real_odoo, receiver
    receiver.close()

    async def remove() -> None:
        async with connected(real_odoo, **as_admin(real_odoo)) as wire:
            await hooks_of(wire).remove(receiver.url)

    asyncio.run(remove())


def by_person(odoo: RealOdoo, model: str, method: str, **told: Any) -> Any:
    return odoo.call(model, method, with_key=odoo.admin_key, **told)


def test_a_person_s_edit_of_a_mapped_field_is_told_once(watched: tuple[RealOdoo, Receiver]) -> None:
    odoo, receiver = watched
    (made,) = by_person(odoo, "res.partner", "create", vals_list=[{"name": "Told"}])
    assert hinted(odoo, receiver) == [("res.partner", str(made), False)]
    by_person(odoo, "res.partner", "write", ids=[made], vals={"email": "told@a.example"})
    assert hinted(odoo, receiver) == [("res.partner", str(made), False)]
    by_person(odoo, "res.partner", "write", ids=[made], vals={"email": "told@a.example"})
    by_person(odoo, "res.partner", "write", ids=[made], vals={"function": "not mapped"})
    assert hinted(odoo, receiver) == []
    by_person(odoo, "res.partner", "write", ids=[made], vals={"active": False})
    assert hinted(odoo, receiver) == [("res.partner", str(made), False)]


def test_what_the_integration_user_writes_is_not_told(watched: tuple[RealOdoo, Receiver]) -> None:
    odoo, receiver = watched
    (ours,) = partners(odoo, "Ours")
    odoo.call("res.partner", "write", ids=[ours], vals={"email": "ours@a.example"})
    odoo.call("product.product", "create", vals_list=[{"name": "Our product"}])
    assert hinted(odoo, receiver) == []
    by_person(odoo, "res.partner", "write", ids=[ours], vals={"email": "theirs@a.example"})
    assert hinted(odoo, receiver) == [("res.partner", str(ours), False)]


def test_a_child_address_tells_of_its_root_and_a_person_of_both(watched: tuple[RealOdoo, Receiver]) -> None:
    odoo, receiver = watched
    (root,) = by_person(odoo, "res.partner", "create", vals_list=[{"name": "Root", "is_company": True}])
    receiver.taken()
    address = {"name": "Ramp", "type": "delivery", "parent_id": root}
    (child,) = by_person(odoo, "res.partner", "create", vals_list=[address])
    assert set(hinted(odoo, receiver)) == {("res.partner", str(root), False)}
    by_person(odoo, "res.partner", "write", ids=[child], vals={"street": "Ramp 2"})
    assert set(hinted(odoo, receiver)) == {("res.partner", str(root), False)}
    by_person(odoo, "res.partner", "unlink", ids=[child])
    assert set(hinted(odoo, receiver)) == {("res.partner", str(child), True), ("res.partner", str(root), False)}
    (person,) = by_person(odoo, "res.partner", "create", vals_list=[{"name": "Person", "parent_id": root}])
    assert {key for _, key, _ in hinted(odoo, receiver)} == {str(person), str(root)}


def test_a_template_tells_of_its_variants(watched: tuple[RealOdoo, Receiver]) -> None:
    odoo, receiver = watched
    (template,) = by_person(odoo, "product.template", "create", vals_list=[{"name": "Shirt", "list_price": 5}])
    ((variant,),) = [r["product_variant_ids"] for r in odoo.call("product.template", "read", ids=[template])]
    assert {told for told in hinted(odoo, receiver)} == {("product.product", str(variant), False)}
    by_person(odoo, "product.template", "write", ids=[template], vals={"list_price": 6})
    assert set(hinted(odoo, receiver)) == {("product.product", str(variant), False)}
    by_person(odoo, "product.product", "write", ids=[variant], vals={"default_code": "SHIRT"})
    assert set(hinted(odoo, receiver)) == {("product.product", str(variant), False)}
    by_person(odoo, "product.template", "unlink", ids=[template])
    assert ("product.product", str(variant), True) in hinted(odoo, receiver)


def test_a_post_carries_no_values_of_the_record(watched: tuple[RealOdoo, Receiver]) -> None:
    odoo, receiver = watched
    by_person(odoo, "res.partner", "create", vals_list=[{"name": "Private person", "email": "private@a.example"}])
    (request,) = receiver.taken()
    assert set(json.loads(request.body)) == {"_action", "_id", "_model", "id", "parent_id", "type", "write_date"}


async def test_a_load_of_ours_with_automations_installed_posts_nothing(watched: tuple[RealOdoo, Receiver]) -> None:
    odoo, receiver = watched
    rows = [[f"isthmus_{n}", f"Loaded {n}", f"l{n}@a.example"] for n in range(50)]
    told = await asyncio.to_thread(odoo.call, "res.partner", "load", fields=["id", "name", "email"], data=rows)
    assert len(told["ids"]) == 50
    assert receiver.taken() == []


async def test_installing_again_changes_nothing_and_repairs_what_was_spoilt(
    watched: tuple[RealOdoo, Receiver],
) -> None:
    odoo, receiver = watched

    def stamps() -> list[Any]:
        told = by_person(odoo, automations.RULES, "search_read", domain=[], fields=["write_date"], order="id")
        return list(told)

    before = stamps()
    assert len(before) == 6, "two rules each for contacts, variants and templates"
    assert [one.installed for one in await install(odoo, receiver.url)] == [True, True]
    assert stamps() == before
    one, two, three = (row["id"] for row in before[:3])
    by_person(odoo, automations.RULES, "write", ids=[one], vals={"active": False})
    by_person(odoo, automations.RULES, "write", ids=[two], vals={"filter_domain": "[('id', '>', 0)]"})
    by_person(odoo, automations.RULES, "unlink", ids=[three])
    found = await status(odoo, receiver.url)
    assert [one.installed for one in found] == [False, False]
    assert "2 of 2 were changed or switched off" in found[0].detail
    assert "1 of 4 automations are missing" in found[1].detail
    assert [one.installed for one in await install(odoo, receiver.url)] == [True, True]
    assert [one.installed for one in await status(odoo, receiver.url)] == [True, True]


async def test_another_address_is_a_repair_not_a_second_set(watched: tuple[RealOdoo, Receiver]) -> None:
    odoo, receiver = watched
    moved = f"{receiver.url}-moved"
    assert [one.installed for one in await status(odoo, moved)] == [False, False]
    count = by_person(odoo, automations.RULES, "search_count", domain=[])
    assert [one.installed for one in await install(odoo, moved)] == [True, True]
    assert by_person(odoo, automations.RULES, "search_count", domain=[]) == count
    assert [one.installed for one in await install(odoo, receiver.url)] == [True, True]


async def test_without_an_administrator_key_the_steps_are_told(real_odoo: RealOdoo) -> None:
    (one,) = await install(real_odoo, "https://isthmus.example/hooks/odoo/s3cret", ["crm.tag"], admin_key=None)
    assert not one.installed
    for said in (
        "Settings > Technical > Automation > Automation Rules",
        "Model: CRM Tag (crm.tag)",
        "On create and edit",
        "Tag Name (name)",
        "On deletion",
        "https://isthmus.example/hooks/odoo/s3cret?entity=crm.tag&gone=1",
        "[('write_uid', '!=', 5)]",
    ):
        assert said in one.detail


@pytest.mark.parametrize("protocol", ["jsonrpc", "xmlrpc"])
async def test_the_older_protocols_install_and_see_the_same(watched: tuple[RealOdoo, Receiver], protocol: str) -> None:
    odoo, receiver = watched
    (rule,) = by_person(odoo, automations.RULES, "search", domain=[["name", "like", "res.partner deleted"]])
    by_person(odoo, automations.RULES, "unlink", ids=[rule])
    with pytest.raises(Misconfigured, match="needs the login"):
        await install(odoo, receiver.url, protocol=protocol, admin_login=None)
    assert [one.installed for one in await install(odoo, receiver.url, protocol=protocol)] == [True, True]
    assert [one.installed for one in await status(odoo, receiver.url, protocol=protocol)] == [True, True]


async def test_a_key_that_is_no_administrator_s_is_refused_with_a_sentence(real_odoo: RealOdoo) -> None:
    with pytest.raises(Misconfigured, match="no administrator") as caught:
        await install(real_odoo, "http://127.0.0.1:1/x", admin_key=Secret(real_odoo.low_key))
    assert "role Administrator" in caught.value.hint


async def test_removing_takes_everything_of_ours_away(odoo_db: Any) -> None:
    odoo = odoo_db()
    url = "http://127.0.0.1:1/hooks/odoo/secret"
    await install(odoo, url)
    async with connected(odoo, **as_admin(odoo)) as wire:
        await hooks_of(wire).remove(url)
        assert await actions.find(wire, GUARDED_WRITE) is None
    assert by_person(odoo, automations.RULES, "search_count", domain=[]) == 0
    assert [one.installed for one in await status(odoo, url)] == [False, False]


def test_a_delivery_with_another_secret_is_refused_and_one_that_is_none_is_told_so(real_odoo: RealOdoo) -> None:
    services = local_services()
    wire = Wire(settings(real_odoo, hook_secret=Secret("right")), services.http(real_odoo.url), SystemClock())
    hooks = hooks_of(wire)
    body = b'{"_id": 7, "_model": "res.partner"}'
    with pytest.raises(AuthFailed):
        hooks.receive(WebhookRequest(headers={}, body=body, query={"secret": "wrong"}))
    with pytest.raises(InvalidRecord):
        hooks.receive(WebhookRequest(headers={}, body=b"<html>", query={"secret": "right"}))
    told = hooks.receive(WebhookRequest(headers={}, body=body, query={"secret": "right"}))
    assert [(h.entity, h.key) for h in told.hints] == [("res.partner", "7")]
