"""Proves that the sandbox posts webhooks as a real Odoo 19 does: every test here runs against both."""

from collections.abc import Iterator
from typing import Any

import pytest
from odoo_sides import ACCESS, PARTNER, Receiver, load, odoo, one, partner, receiver, refused

from real_odoo import RealOdoo

__all__ = ["odoo", "receiver"]


def automate(odoo: RealOdoo, url: str, trigger: str = "on_create_or_write", **values: Any) -> int:
    """An automation on contacts with trigger fields that posts name, email and stamp, made by the administrator."""
    admin = {"with_key": odoo.admin_key}
    (model,) = odoo.call("ir.model", "search", **admin, domain=[["model", "=", PARTNER]])

    def fields(*names: str) -> list[Any]:
        domain = [["model", "=", PARTNER], ["name", "in", names]]
        return [[6, 0, odoo.call("ir.model.fields", "search", **admin, domain=domain)]]

    posted = fields("name", "email", "country_id", "write_date")
    action = {"name": "Tell", "state": "webhook", "webhook_url": url, "webhook_field_ids": posted, "model_id": model}
    rule = {"name": "Watch contacts", "model_id": model, "trigger": trigger, "action_server_ids": [[0, 0, action]]}
    if trigger == "on_create_or_write":
        rule["trigger_field_ids"] = fields("name", "email", "active")
    return int(odoo.call("base.automation", "create", **admin, vals_list=[{**rule, **values}])[0])


@pytest.fixture
def automation(odoo: RealOdoo, receiver: Receiver) -> Iterator[Receiver]:
    made = automate(odoo, receiver.url)
    yield receiver
    odoo.call("base.automation", "unlink", with_key=odoo.admin_key, ids=[made])


def test_a_webhook_tells_the_chosen_fields_once_per_change(odoo: RealOdoo, automation: Receiver) -> None:
    made = partner(odoo, name="Hooked", country_id=233)
    (told,) = automation.taken_since()
    headers = told.pop("headers")
    assert headers["Content-Type"] == "application/json"
    assert told.pop("_action").startswith("Tell(#")
    stamp = told.pop("write_date")
    assert told == {"_id": made, "_model": PARTNER, "id": made, "name": "Hooked", "email": False, "country_id": 233}
    assert stamp[:19] == one(odoo, PARTNER, made, "write_date")["write_date"]
    assert len(stamp) == 26

    def posts(**values: Any) -> int:
        odoo.call(PARTNER, "write", ids=[made], vals=values)
        return len(automation.taken_since())

    assert [posts(email="h@hook.example"), posts(email="h@hook.example"), posts(), posts(city="Elsewhere")] == [
        1,
        0,
        0,
        0,
    ]
    assert posts(active=False) == 1


def test_a_load_posts_per_new_row_not_for_unchanged_ones_but_even_for_rows_rolled_back(
    odoo: RealOdoo, automation: Receiver
) -> None:
    rows = [[f"hook_{n}", f"Hook {n}"] for n in range(3)]
    load(odoo, PARTNER, ["id", "name"], *rows)
    assert len(automation.taken_since()) == 3
    load(odoo, PARTNER, ["id", "name"], *rows)
    assert automation.taken_since() == []
    told = load(odoo, PARTNER, ["id", "name"], ["hook_x", "Never Was"], ["hook_y", ""])
    assert told["ids"] is False
    assert [told["name"] for told in automation.taken_since()] == ["Never Was"]


def test_a_filter_on_the_writer_leaves_out_our_own_writes(odoo: RealOdoo, receiver: Receiver) -> None:
    made = automate(odoo, receiver.url, filter_domain="[('write_uid', '!=', 5)]")
    target = partner(odoo, name="Ours")
    odoo.call(PARTNER, "write", ids=[target], vals={"name": "Ours again"})
    assert receiver.taken_since() == []
    odoo.call(PARTNER, "write", with_key=odoo.admin_key, ids=[target], vals={"name": "Theirs"})
    assert [told["name"] for told in receiver.taken_since()] == ["Theirs"]
    odoo.call("base.automation", "unlink", with_key=odoo.admin_key, ids=[made])


def test_a_deletion_posts_the_last_values_only_when_asked(odoo: RealOdoo, automation: Receiver) -> None:
    target = partner(odoo, name="To go")
    automation.taken_since()
    odoo.call(PARTNER, "unlink", ids=[target])
    assert automation.taken_since() == []
    made = automate(odoo, automation.url, "on_unlink")
    target = partner(odoo, name="To go too")
    automation.taken_since()
    odoo.call(PARTNER, "unlink", ids=[target])
    assert [(told["_id"], told["name"]) for told in automation.taken_since()] == [(target, "To go too")]
    odoo.call("base.automation", "unlink", with_key=odoo.admin_key, ids=[made])


def test_a_receiver_that_never_answers_does_not_hold_the_writer_for_ever(odoo: RealOdoo, automation: Receiver) -> None:
    automation.may_answer.clear()
    made = odoo.call(PARTNER, "create", vals_list=[{"name": "Unheard"}])
    assert [told["_id"] for told in automation.taken_since()] == made


def test_the_integration_user_may_not_make_automations(odoo: RealOdoo) -> None:
    assert refused(odoo, "base.automation", "create", vals_list=[{"name": "No"}])[:2] == (403, ACCESS)
