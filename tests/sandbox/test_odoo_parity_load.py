"""Proves that the sandbox loads rows as a real Odoo 19 does: every test here runs against both."""

from odoo_sides import PARTNER, TEMPLATE, VARIANT, load, next_second, odoo, one, partner

from real_odoo import RealOdoo

__all__ = ["odoo"]


def test_load_creates_then_updates_by_external_id(odoo: RealOdoo) -> None:
    fields = ["id", "name", "country_id/id", "color", "is_company"]
    first = load(odoo, PARTNER, fields, ["up_1", "One", "base.us", "3", "True"], ["up_2", "Two", "", 4, ""])
    assert (first["messages"], first["nextrow"]) == ([], 0)
    again = load(odoo, PARTNER, fields, ["up_1", "One more", "base.fr", "", "1"], ["up_2", "Two", "", 4, "False"])
    assert again["ids"] == first["ids"]
    told = one(odoo, PARTNER, first["ids"][0], "name", "country_id", "color", "is_company")
    assert (told["name"], told["country_id"][1], told["color"], told["is_company"]) == ("One more", "France", 0, True)


def test_a_reload_moves_write_date_though_nothing_changed(odoo: RealOdoo) -> None:
    (made,) = load(odoo, PARTNER, ["id", "name"], ["same_1", "Same"])["ids"]
    before = one(odoo, PARTNER, made, "write_date")
    next_second()
    load(odoo, PARTNER, ["id", "name"], ["same_1", "Same"])
    assert one(odoo, PARTNER, made, "write_date") != before


def test_the_same_id_twice_in_a_batch_is_one_record_and_the_last_wins(odoo: RealOdoo) -> None:
    told = load(odoo, PARTNER, ["id", "name"], ["twice", "First"], ["twice", "Last"], ["other", "Other"])
    assert told["ids"][0] == told["ids"][1] != told["ids"][2]
    assert one(odoo, PARTNER, told["ids"][0], "name")["name"] == "Last"


def test_a_row_may_refer_to_an_earlier_row_only(odoo: RealOdoo) -> None:
    fields = ["id", "name", "parent_id/id"]
    told = load(odoo, PARTNER, fields, ["ref_p", "Parent", ""], ["ref_c", "Child", "ref_p"])
    assert one(odoo, PARTNER, told["ids"][1], "parent_id", load="")["parent_id"] == told["ids"][0]
    told = load(odoo, PARTNER, fields, ["ref_x", "Child", "ref_y"], ["ref_y", "Parent", ""])
    assert told["ids"] is False
    assert (
        told["messages"][0]["message"] == "No matching record found for external id 'ref_y' in field 'Related Company'"
    )


def test_one_bad_row_rejects_all_and_every_bad_cell_is_named(odoo: RealOdoo) -> None:
    fields = ["id", "name", "country_id/id", "type", "color", "category_id"]
    told = load(
        odoo, PARTNER, fields,
        ["bad_1", "Beside a bad row", "base.us", "contact", "1", ""],
        ["bad_2", "Bad", "base.zz", "foo", "x", "No Such Tag"],
    )  # fmt: skip
    assert told["ids"] is False
    complaints = {m["field"]: m["message"] for m in told["messages"]}
    assert complaints == {
        "color": "'x' does not seem to be an integer for field 'Color Index'",
        "country_id": "No matching record found for external id 'base.zz' in field 'Country'",
        "type": "Value 'foo' not found in selection field 'Address Type'",
        "category_id": "No matching record found for name 'No Such Tag' in field 'Tags'",
    }
    assert {(m["rows"]["from"], m["rows"]["to"], m["record"], m["type"]) for m in told["messages"]} == {
        (1, 1, 1, "error")
    }
    assert odoo.call(PARTNER, "search_count", domain=[["name", "=", "Beside a bad row"]]) == 0


def test_the_list_of_bad_rows_stops_at_eleven_messages(odoo: RealOdoo) -> None:
    told = load(odoo, PARTNER, ["id", "name"], *([f"stop_{n}", ""] for n in range(34)))
    assert told["ids"] is False
    assert len(told["messages"]) == 11
    assert told["messages"][0] == {
        "rows": {"from": 0, "to": 0}, "record": 0, "type": "error", "message": "Contacts require a name",
    }  # fmt: skip
    assert told["messages"][-1]["type"] == "warning"


def test_id_and_database_id_together_make_a_duplicate(odoo: RealOdoo) -> None:
    made = partner(odoo)
    told = load(odoo, PARTNER, ["id", ".id", "name"], ["dup_1", str(made), "Duplicate"])
    assert told["ids"] != [made]
    assert load(odoo, PARTNER, [".id", "name"], [str(made), "Renamed"])["ids"] == [made]
    told = load(odoo, PARTNER, [".id", "name"], ["987654", "Nobody"])
    assert told["messages"][0]["message"] == "Unknown database identifier '987654'"


def test_an_id_whose_record_was_deleted_is_created_anew_and_an_archived_one_stays_archived(odoo: RealOdoo) -> None:
    first, second = load(odoo, PARTNER, ["id", "name"], ["del_1", "Gone"], ["arc_1", "Archived"])["ids"]
    odoo.call(PARTNER, "unlink", ids=[first])
    odoo.call(PARTNER, "action_archive", ids=[second])
    told = load(odoo, PARTNER, ["id", "name"], ["del_1", "Anew"], ["arc_1", "Still"])["ids"]
    assert told[0] > second
    assert told[1] == second
    assert one(odoo, PARTNER, second, "name", "active") == {"id": second, "name": "Still", "active": False}


def test_empty_cells_override_defaults(odoo: RealOdoo) -> None:
    (made,) = load(odoo, PARTNER, ["id", "name", "type", "lang"], ["empty_1", "Bare", "", ""])["ids"]
    told = one(odoo, PARTNER, made, "type", "lang")
    assert (told["type"], told["lang"]) == (False, False)


def test_load_stops_at_the_import_limit(odoo: RealOdoo) -> None:
    rows = [[f"limit_{n}", f"L{n}"] for n in range(3)]
    told = load(odoo, PARTNER, ["id", "name"], *rows, _import_limit=2)
    assert len(told["ids"]) == 2
    assert told["nextrow"] == 2


def test_references_by_name_warn_when_ambiguous(odoo: RealOdoo) -> None:
    load(odoo, PARTNER, ["id", "name"], ["amb_1", "Namesake"], ["amb_2", "Namesake"])
    told = load(odoo, PARTNER, ["id", "name", "parent_id"], ["amb_3", "Kid", "Namesake"])
    assert told["ids"]
    assert told["messages"][0]["type"] == "warning"
    text = 'Found multiple matches for value "Namesake" in field "Related Company" (2 matches)'
    assert told["messages"][0]["message"] == text


def test_a_loaded_child_takes_the_parents_address(odoo: RealOdoo) -> None:
    fields = ["id", "name", "parent_id/id", "street", "vat", "is_company"]
    told = load(
        odoo, PARTNER, fields,
        ["lf_root", "Load Root", "", "Root Street", "LR", "1"],
        ["lf_child", "Load Child", "lf_root", "Own Street", "", ""],
    )  # fmt: skip
    child = one(odoo, PARTNER, told["ids"][1], "street", "vat")
    assert (child["street"], child["vat"]) == ("Root Street", "LR")


def test_loading_a_variant_names_its_template_too(odoo: RealOdoo) -> None:
    fields = ["id", "name", "default_code", "list_price"]
    (made,) = load(odoo, VARIANT, fields, ["lv_1", "Loaded", "LV-1", "3.5"])["ids"]
    template = one(odoo, VARIANT, made, "product_tmpl_id", load="")["product_tmpl_id"]
    assert odoo.call(VARIANT, "get_external_id", ids=[made]) == {str(made): "__import__.lv_1"}
    expected = {str(template): "__import__.lv_1_product_template"}
    assert odoo.call(TEMPLATE, "get_external_id", ids=[template]) == expected
