"""Proves BNG's own screens: a person finds a record, edits it, and the change is told like any other."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from bng_records import ID_FIELDS, PATHS, World
from bng_visitor import Answer, Visitor, bng

__all__ = ["bng"]


@pytest.fixture
def world(bng: Visitor) -> World:
    return World(bng)


async def page(bng: Visitor, path: str, **params: Any) -> str:
    answer = await bng.send("GET", path, headers={"Authorization": ""}, **params)
    assert answer.status == 200, answer.raw
    return answer.raw.decode()


def inputs(text: str) -> dict[str, str]:
    """The form as a browser would send it back untouched."""
    out = {n: html.unescape(v) for n, v in re.findall(r'<input[^>]* name="([^"]+)" value="([^"]*)"', text)}
    for name, value in re.findall(r'<textarea[^>]* name="([^"]+)"[^>]*>([^<]*)</textarea>', text):
        out[name] = html.unescape(value).replace("\n", "\r\n")
    for name, options in re.findall(r'<select[^>]* name="([^"]+)">(.*?)</select>', text):
        chosen = re.search(r"<option selected>([^<]*)<", options)
        out[name] = chosen.group(1) if chosen else ""
    return out


async def save(bng: Visitor, path: str, form: dict[str, str], **headers: str) -> Answer:
    async with bng.session.post(bng.up.url + path, data=form, headers=headers, allow_redirects=False) as answer:
        return Answer(answer.status, answer.headers, await answer.read())


async def test_the_first_screen_lists_customers_and_leads_to_every_entity(bng: Visitor, world: World) -> None:
    customer = await world.known("customer")
    answer = await bng.send("GET", "/")
    assert (answer.status, answer.headers["Location"]) == (302, "/screens/customers")
    text = await page(bng, "/screens/customers")
    assert customer["CompanyName"] in text
    for path in PATHS.values():
        assert f'href="/screens/{path}"' in text
        await page(bng, f"/screens/{path}")


@pytest.mark.parametrize("entity", sorted(PATHS))
async def test_a_form_saved_untouched_changes_nothing(bng: Visitor, world: World, entity: str) -> None:
    made = await bng.new(PATHS[entity], await world.full(entity))
    path = f"/screens/{PATHS[entity]}/{made[ID_FIELDS[entity]]}"
    saved = await save(bng, path, inputs(await page(bng, path)))
    assert saved.status == 303, saved.raw
    assert await bng.get(f"{PATHS[entity]}/{made[ID_FIELDS[entity]]}") == made


async def test_a_person_changes_some_fields_and_no_others(bng: Visitor, world: World) -> None:
    made = await bng.new("customers", await world.full("customer"))
    path = f"/screens/customers/{made['CustomerID']}"
    form = inputs(await page(bng, path))
    form |= {"Phone": "+390699", "BillingAddress.City": "Milano", "CreditLimit": "12", "Website": "", "Notes": "a\r\nb"}
    assert (await save(bng, path, form)).headers["Location"] == f"{path}?saved=1"
    now = await bng.get(f"customers/{made['CustomerID']}")
    expected = {
        "Phone": "+390699",
        "BillingAddress": made["BillingAddress"] | {"City": "Milano"},
        "CreditLimit": "12.00",
        "Website": None,
        "Notes": "a\nb",
        "Version": 2,
        "UpdatedAt": now["UpdatedAt"],
    }
    assert now == made | expected
    assert "Saved." in await page(bng, f"{path}?saved=1")


async def test_a_person_makes_a_new_record_without_an_external_id(bng: Visitor) -> None:
    form = inputs(await page(bng, "/screens/customers/new"))
    assert form["Status"] == "Active"
    refused = await save(bng, "/screens/customers/new", form | {"Email": "<b>none", "CustomFields": "{"})
    assert refused.status == 422
    assert "CustomFields: is no JSON" in refused.raw.decode()
    assert "<b>none" not in refused.raw.decode()
    saved = await save(bng, "/screens/customers/new", form | {"Email": "a@b.example", "CompanyName": "New"})
    (made,) = (await bng.get("customers"))["Data"]
    assert saved.headers["Location"] == f"/screens/customers/{made['CustomerID']}?saved=1"
    assert (made["CompanyName"], made["ExternalID"]) == ("New", None)


async def test_records_are_searched_by_any_text_and_shown_safely(bng: Visitor, world: World) -> None:
    for name in ("Rossi & <i>Figli</i>", "Other"):
        await bng.new("customers", await world.plain("customer") | {"CompanyName": name})
    text = await page(bng, "/screens/customers", q="ROSSI")
    assert "Rossi &amp; &lt;i&gt;Figli&lt;/i&gt;" in text
    assert "Other" not in text
    assert "<script>" not in await page(bng, "/screens/customers", q='"><script>')


async def test_another_page_cannot_save_and_what_is_not_there_is_told(bng: Visitor, world: World) -> None:
    path = f"/screens/customers/{await world.id('customer')}"
    forged = await save(bng, path, {"Phone": "1"}, **{"Sec-Fetch-Site": "cross-site"})
    assert forged.status == 403
    gone = await bng.send("GET", "/screens/customers/none")
    assert (gone.status, "not there any more" in gone.raw.decode()) == (404, True)
    form = inputs(await page(bng, path))
    assert (await save(bng, "/screens/customers/none", form | {"ExternalID": "another"})).status == 404
    assert (await bng.get("customers"))["Data"] == [await world.known("customer")]
    assert (await bng.send("GET", "/screens/moons")).status == 404
