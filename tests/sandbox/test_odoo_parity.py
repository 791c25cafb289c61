"""Proves that the sandbox refuses calls and gives values as a real Odoo 19 does: every test here runs against both."""

import urllib.request
from typing import Any

import pytest
from odoo_sides import (
    ACCESS,
    HOPELESS,
    MISSING,
    PARTNER,
    TEMPLATE,
    USER_ERROR,
    VALIDATION,
    VALUE_ERROR,
    load,
    odoo,
    one,
    partner,
    raw_post,
    refused,
)

from isthmus.sandbox.odoo.schema import data_file
from real_odoo import RealOdoo

__all__ = ["odoo"]


NOT_THERE = "Record does not exist or has been deleted.\n(Record: res.partner(999999,), User: 5)"
PRIVATE = "Private methods (such as 'res.partner.{}') cannot be called remotely."
NAIVE = "time data '2024-01-01T00:00:00' does not match format '%Y-%m-%d %H:%M:%S'"
BAD_CALLS: list[tuple[str, dict[str, Any], int, str, str]] = [
    ("create", {"vals_list": [{"nam": 1}]}, 500, VALUE_ERROR, "Invalid field 'nam' in 'res.partner'"),
    ("write", {"ids": [1], "vals": {"nam": 1}}, 500, "builtins.KeyError", "nam"),
    ("read", {"ids": [1], "fields": ["nam"]}, 500, VALUE_ERROR, "Invalid field 'nam' on 'res.partner'"),
    ("search", {"domain": [["nam", "=", 1]]}, 500, VALUE_ERROR,
     "Invalid field res.partner.nam in condition ('nam', '=', 1)"),
    ("search", {"domain": [["name", "~", "A"]]}, 500, VALUE_ERROR, "Invalid operator in condition ('name', '~', 'A')"),
    ("search", {"domain": "x"}, 500, "builtins.TypeError", "Domain() invalid argument type for domain: 'x'"),
    ("search", {"domain": [["name", "="]]}, 500, VALUE_ERROR, "Domain() invalid item in domain: ['name', '=']"),
    ("search", {"domain": [], "order": "nam desc"}, 500, VALUE_ERROR, "Invalid field 'nam' on model 'res.partner'"),
    ("create", {"vals_list": [{"name": "x", "type": "z"}]}, 500, VALUE_ERROR, "Wrong value for res.partner.type: 'z'"),
    ("search", {"domain": [["write_date", ">", "2024-01-01T00:00:00Z"]]}, 500, VALUE_ERROR,
     "expecting only datetimes with no timezone: '2024-01-01T00:00:00Z'"),
    ("write", {"ids": [1], "vals": {"calendar_last_notif_ack": "2024-01-01T00:00:00"}}, 500, VALUE_ERROR, NAIVE),
    ("write", {"ids": [1], "vals": {"color": "x"}}, 500, VALUE_ERROR, "invalid literal for int() with base 10: 'x'"),
    ("create", {"vals_list": [{"email": "a@b.example"}]}, 422, VALIDATION,
     "The operation cannot be completed: Contacts require a name"),
    ("write", {"ids": [999999], "vals": {"name": "x"}}, 404, MISSING, NOT_THERE),
    ("unlink", {"ids": [999999]}, 404, MISSING, NOT_THERE),
    ("frobnicate", {"ids": [1]}, 404, "werkzeug.exceptions.NotFound",
     "The method 'res.partner.frobnicate' does not exist"),
    ("exists", {"ids": [1]}, 403, ACCESS, PRIVATE.format("exists")),
    ("_write", {"ids": [1]}, 403, ACCESS, PRIVATE.format("_write")),
    ("search", {}, 422, HOPELESS, "missing a required argument: 'domain'"),
    ("search", {"domain": [], "foo": 1}, 422, HOPELESS, "got an unexpected keyword argument 'foo'"),
    ("search", {"domain": [], "ids": [1]}, 422, HOPELESS, "cannot call res.partner.search with ids"),
    ("read", {"ids": [1], "context": {"lang": "xx_XX"}}, 422, USER_ERROR, "Invalid language code: xx_XX"),
    ("search", {"domain": [], "context": {"allowed_company_ids": [99]}}, 403, ACCESS,
     "Access to unauthorized or invalid companies."),
    ("load", {"fields": ["id", "nam"], "data": [["a", "b"]]}, 500, VALUE_ERROR, "Invalid field name 'nam'"),
    ("load", {"fields": ["name", "is_company"], "data": [["a", True]]}, 500, "builtins.AttributeError",
     "'bool' object has no attribute 'lower'"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "arguments", "status", "name", "message"), BAD_CALLS)
def test_a_bad_call_is_refused_with_odoos_own_error(
    odoo: RealOdoo, method: str, arguments: dict[str, Any], status: int, name: str, message: str
) -> None:
    assert refused(odoo, PARTNER, method, **arguments) == (status, name, message)


def test_an_unknown_model_is_404(odoo: RealOdoo) -> None:
    expected = (404, "werkzeug.exceptions.NotFound", "the model 'res.nothing' does not exist")
    assert refused(odoo, "res.nothing", "read", ids=[1]) == expected


def test_a_missing_required_field_is_422(odoo: RealOdoo) -> None:
    status, name, message = refused(odoo, TEMPLATE, "create", vals_list=[{"list_price": 2}])
    assert (status, name) == (422, VALIDATION)
    assert message.startswith("The operation cannot be completed: Missing required value for the field 'Name' (name).")


def test_a_wrong_many2one_id_speaks_of_deletion_on_create_and_is_missing_on_write(odoo: RealOdoo) -> None:
    status, name, message = refused(odoo, PARTNER, "create", vals_list=[{"name": "x", "country_id": 99999}])
    assert (status, name) == (422, VALIDATION)
    assert "Another model is using the record you are trying to delete" in message
    target = partner(odoo)
    assert refused(odoo, PARTNER, "write", ids=[target], vals={"country_id": 99999})[:2] == (404, MISSING)
    assert refused(odoo, TEMPLATE, "create", vals_list=[{"name": "x", "categ_id": 99999}])[:2] == (404, MISSING)


@pytest.mark.parametrize("method", ["create", "write", "unlink"])
def test_the_low_user_may_read_but_not_change_contacts(odoo: RealOdoo, method: str) -> None:
    target = partner(odoo)
    arguments = {
        "create": {"vals_list": [{"name": "x"}]},
        "write": {"ids": [target], "vals": {}},
        "unlink": {"ids": [target]},
    }
    verb = {"create": "create", "write": "modify", "unlink": "delete"}[method]
    status, name, message = refused(odoo, PARTNER, method, with_key=odoo.low_key, **arguments[method])
    assert (status, name) == (403, ACCESS)
    assert message.startswith(f"You are not allowed to {verb} 'Contact' (res.partner) records.")
    assert odoo.call(PARTNER, "read", with_key=odoo.low_key, ids=[target], fields=["name"])


@pytest.mark.parametrize(
    "model", ["ir.model.data", "base.automation", "ir.actions.server", "ir.model", "ir.model.fields"]
)
def test_the_integration_user_sees_nothing_of_the_settings(odoo: RealOdoo, model: str) -> None:
    assert refused(odoo, model, "search", domain=[])[:2] == (403, ACCESS)


def test_a_wrong_or_absent_key_is_401_with_a_challenge(odoo: RealOdoo) -> None:
    assert refused(odoo, PARTNER, "search", with_key="nope", domain=[]) == (
        401,
        "werkzeug.exceptions.Unauthorized",
        "Invalid apikey",
    )
    status, _, text = raw_post(odoo, f"/json/2/{PARTNER}/search", b"{}", Authorization="Basic abc")
    assert status == 401
    assert "User not authenticated, use an API Key with a Bearer Authorization header." in text


def test_a_body_that_is_no_json_is_400_and_a_wrong_type_is_an_html_415(odoo: RealOdoo) -> None:
    status, kind, text = raw_post(odoo, f"/json/2/{PARTNER}/search", b"{nope")
    assert (status, kind) == (400, "application/json")
    assert "could not parse the body as json" in text
    status, kind, _ = raw_post(odoo, f"/json/2/{PARTNER}/search", b"{}", Content_Type="text/plain")
    assert (status, kind) == (415, "text/html")


def test_an_unknown_database_is_an_html_404(odoo: RealOdoo) -> None:
    status, kind, text = raw_post(odoo, f"/json/2/{PARTNER}/search", b"{}", X_Odoo_Database="no_such_database")
    assert (status, kind) == (404, "text/html")
    assert "No database is selected" in text


def test_the_version_needs_no_key(odoo: RealOdoo) -> None:
    with urllib.request.urlopen(f"{odoo.url}/json/version") as answer:
        assert b'"19.0' in answer.read()


def test_empty_values_read_back_by_their_type(odoo: RealOdoo) -> None:
    made = partner(odoo, street="")
    told = one(
        odoo, PARTNER, made, "street", "city", "color", "credit_limit", "country_id", "child_ids", "active", "ref"
    )
    assert told == {
        "id": made, "street": "", "city": False, "color": 0, "credit_limit": 0.0, "country_id": False,
        "child_ids": [], "active": True, "ref": False,
    }  # fmt: skip


def test_websites_notes_and_defaults_are_normalised(odoo: RealOdoo) -> None:
    made = partner(odoo, website="example.com/x", comment="hello")
    told = one(odoo, PARTNER, made, "website", "comment", "lang", "type", "customer_rank", "company_type")
    assert told == {
        "id": made, "website": "http://example.com/x", "comment": "<span>hello</span>", "lang": "en_US",
        "type": "contact", "customer_rank": 0, "company_type": "person",
    }  # fmt: skip


def test_a_many2one_reads_as_a_pair_and_as_an_id_without_load(odoo: RealOdoo) -> None:
    made = partner(odoo, country_id=odoo.call("res.country", "search", domain=[["code", "=", "US"]])[0])
    assert one(odoo, PARTNER, made, "country_id")["country_id"] == [233, "United States"]
    assert one(odoo, PARTNER, made, "country_id", load="")["country_id"] == 233


def test_dates_are_whole_seconds_of_naive_utc(odoo: RealOdoo) -> None:
    stamp = one(odoo, PARTNER, partner(odoo), "write_date")["write_date"]
    assert len(stamp) == 19
    assert stamp[10] == " "


def test_create_with_one_dict_answers_a_list(odoo: RealOdoo) -> None:
    assert len(odoo.call(PARTNER, "create", vals_list={"name": "Single"})) == 1


def test_a_batch_with_one_bad_record_writes_nothing(odoo: RealOdoo) -> None:
    refused(odoo, PARTNER, "create", vals_list=[{"name": "Batch Good"}, {"email": "nameless@b.example"}])
    assert odoo.call(PARTNER, "search_count", domain=[["name", "=", "Batch Good"]]) == 0


def test_reading_a_deleted_id_leaves_it_out(odoo: RealOdoo) -> None:
    gone, kept = partner(odoo), partner(odoo)
    assert odoo.call(PARTNER, "unlink", ids=[gone]) is True
    assert [row["id"] for row in odoo.call(PARTNER, "read", ids=[gone, kept], fields=["name"])] == [kept]


def test_default_get_tells_only_fields_that_have_one(odoo: RealOdoo) -> None:
    told = odoo.call(PARTNER, "default_get", fields=["type", "active", "name", "lang", "is_company"])
    assert told == {"type": "contact", "active": True, "lang": "en_US", "is_company": False}


def test_company_dependent_values_differ_per_company(odoo: RealOdoo) -> None:
    made = partner(odoo, credit_limit=5.5)
    assert one(odoo, PARTNER, made, "credit_limit", context={"allowed_company_ids": [1]})["credit_limit"] == 5.5


def test_context_get_tells_who_i_am(odoo: RealOdoo) -> None:
    assert odoo.call("res.users", "context_get") == {"lang": "en_US", "tz": False, "uid": 5}


def test_metadata_names_who_changed_it_and_its_external_ids(odoo: RealOdoo) -> None:
    made = load(odoo, PARTNER, ["id", "name"], ["meta_1", "Meta"])["ids"][0]
    (told,) = odoo.call(PARTNER, "get_metadata", ids=[made])
    assert told["write_uid"] == [5, "Integration"]
    assert told["xmlid"] == "__import__.meta_1"
    assert odoo.call(PARTNER, "get_external_id", ids=[made, 3]) == {
        str(made): "__import__.meta_1",
        "3": "base.partner_admin",
    }


def test_the_seeded_rows_are_those_of_a_fresh_odoo(odoo: RealOdoo) -> None:
    for model, rows in data_file("records.json").items():
        names = sorted({name for row in rows for name in row if name not in ("id", "_xid")} - {"tax_group_id"})
        asked: dict[str, Any] = {"fields": names, "load": "", "context": {"active_test": False}, "order": "id"}
        asked["domain"] = [["id", "in", [row["id"] for row in rows]]]
        told = {row["id"]: row for row in odoo.call(model, "search_read", with_key=odoo.admin_key, **asked)}
        external_ids = odoo.call(model, "get_external_id", with_key=odoo.admin_key, ids=list(told))
        for row in rows:
            expected = {name: english(row[name]) for name in names if name in row}
            if model == "res.lang":  # which of them are installed is the database's own choice
                expected.pop("active", None)
            seen = {name: told[row["id"]][name] for name in expected}
            assert (seen, external_ids[str(row["id"])]) == (expected, row["_xid"]), model


def english(value: Any) -> Any:
    return value["en_US"] if isinstance(value, dict) else value


def test_the_three_users_have_the_same_rights_on_every_model(odoo: RealOdoo) -> None:
    letters = {"read": "r", "write": "w", "create": "c", "unlink": "u"}
    keys = {"integration": odoo.api_key, "low": odoo.low_key, "admin": odoo.admin_key}
    for role, table in data_file("rights.json").items():
        for model, expected in table.items():
            if role == "admin" and expected == "rwcu":
                continue
            had = [odoo.call(model, "has_access", with_key=keys[role], ids=[], operation=op) for op in letters]
            told = "".join(letter for letter, has in zip(letters.values(), had, strict=True) if has)
            assert told == expected, f"{role} on {model}"


def test_users_are_in_the_groups_of_their_role(odoo: RealOdoo) -> None:
    wanted = ["base.group_system", "base.group_user", "base.group_partner_manager", "no.group"]
    told = [
        [odoo.call("res.users", "has_group", ids=[user], group_ext_id=group) for group in wanted] for user in (2, 5, 6)
    ]
    assert told == [[True, True, True, False], [False, True, True, False], [False, True, False, False]]
    assert refused(odoo, "res.users", "has_group", ids=[2, 5], group_ext_id="base.group_user") == (
        500, VALUE_ERROR, "Expected singleton: res.users(2, 5)",
    )  # fmt: skip


def test_installed_languages_are_told_with_their_names(odoo: RealOdoo) -> None:
    assert ["en_US", "English (US)"] in odoo.call("res.lang", "get_installed")
