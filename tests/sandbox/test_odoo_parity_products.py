"""Proves that the sandbox keeps products and orders as a real Odoo 19 does: every test here runs against both."""

from typing import Any

import pytest
from odoo_sides import PARTNER, TEMPLATE, USER_ERROR, VALIDATION, VARIANT, next_second, odoo, one, partner, refused

from real_odoo import RealOdoo

__all__ = ["odoo"]


def test_a_template_and_its_only_variant_share_code_weight_and_cost(odoo: RealOdoo) -> None:
    values = {
        "name": "Tee",
        "default_code": "TEE",
        "list_price": 12.345678,
        "weight": 1.235,
        "standard_price": 3.333333,
    }
    (template,) = odoo.call(TEMPLATE, "create", vals_list=[{**values, "barcode": "TEE-BC", "is_storable": True}])
    told = one(odoo, TEMPLATE, template, *values, "product_variant_ids", "display_name", "type", "uom_id", "barcode")
    (variant,) = told.pop("product_variant_ids")
    assert told == {
        "id": template, **values, "weight": 1.24, "display_name": "[TEE] Tee", "type": "consu", "uom_id": [1, "Units"],
        "barcode": "TEE-BC",
    }  # fmt: skip
    odoo.call(VARIANT, "write", ids=[variant], vals={"default_code": "TEE2", "name": "Tee II", "standard_price": 4})
    told = one(odoo, TEMPLATE, template, "default_code", "name", "standard_price")
    assert (told["default_code"], told["name"], told["standard_price"]) == ("TEE2", "Tee II", 4.0)
    shared = one(odoo, VARIANT, variant, "default_code", "list_price", "lst_price", "barcode", "display_name")
    assert (shared["list_price"], shared["lst_price"], shared["display_name"]) == (
        12.345678,
        12.345678,
        "[TEE2] Tee II",
    )


def test_template_and_variant_move_each_others_write_date_where_they_share(odoo: RealOdoo) -> None:
    steps: list[tuple[str, dict[str, Any], list[str]]] = [
        (TEMPLATE, {"description_sale": "x"}, [TEMPLATE, VARIANT]),
        (VARIANT, {"barcode": "STAMPED-BC"}, [VARIANT]),
        (VARIANT, {"default_code": "ST"}, [TEMPLATE, VARIANT]),
        (VARIANT, {"default_code": "STAMPED"}, [VARIANT]),  # the same as before
        (VARIANT, {"name": "Lent"}, [TEMPLATE, VARIANT]),
    ]
    made = odoo.call(TEMPLATE, "create", vals_list=[{"name": "Stamped", "default_code": "STAMPED"} for _ in steps])
    variants = [one(odoo, TEMPLATE, template, "product_variant_ids")["product_variant_ids"][0] for template in made]
    ids = {TEMPLATE: made, VARIANT: variants}

    def stamps() -> dict[str, list[str]]:
        read = {model: odoo.call(model, "read", ids=ids[model], fields=["write_date"]) for model in ids}
        return {model: [row["write_date"] for row in rows] for model, rows in read.items()}

    before = stamps()
    next_second()
    for n, (model, values, _) in enumerate(steps):
        odoo.call(model, "write", ids=[ids[model][n]], vals=values)
    after = stamps()
    moved = [[model for model in ids if before[model][n] != after[model][n]] for n in range(len(steps))]
    assert moved == [expected for _, _, expected in steps]


def test_a_renamed_category_moves_those_below_it(odoo: RealOdoo) -> None:
    (top,) = odoo.call("product.category", "create", vals_list=[{"name": "Moved"}])
    (sub,) = odoo.call("product.category", "create", vals_list=[{"name": "Below", "parent_id": top}])
    before = one(odoo, "product.category", sub, "write_date")
    next_second()
    odoo.call("product.category", "write", ids=[top], vals={"name": "Renamed"})
    assert one(odoo, "product.category", sub, "write_date") != before


def test_attributes_make_variants_and_replace_the_plain_one(odoo: RealOdoo) -> None:
    (size,) = odoo.call(
        "product.attribute", "create", vals_list=[{"name": "Size", "value_ids": [[0, 0, {"name": n}] for n in "SM"]}]
    )
    values = one(odoo, "product.attribute", size, "value_ids")["value_ids"]
    line = [0, 0, {"attribute_id": size, "value_ids": [[6, 0, values]]}]
    (template,) = odoo.call(TEMPLATE, "create", vals_list=[{"name": "Shirt", "default_code": "SH"}])
    (plain,) = one(odoo, TEMPLATE, template, "product_variant_ids")["product_variant_ids"]
    odoo.call(TEMPLATE, "write", ids=[template], vals={"attribute_line_ids": [line]})
    told = one(odoo, TEMPLATE, template, "product_variant_ids", "product_variant_count", "default_code", "display_name")
    assert (told["product_variant_count"], told["default_code"], told["display_name"]) == (2, False, "Shirt")
    assert plain not in told["product_variant_ids"]
    rows = odoo.call(
        VARIANT, "read", ids=told["product_variant_ids"], fields=["display_name", "combination_indices", "active"]
    )
    assert sorted(row["display_name"] for row in rows) == ["Shirt (M)", "Shirt (S)"]
    ptavs = odoo.call(
        "product.template.attribute.value",
        "search_read",
        domain=[["product_tmpl_id", "=", template]],
        fields=["display_name"],
    )
    assert sorted(row["display_name"] for row in ptavs) == ["Size: M", "Size: S"]
    odoo.call(TEMPLATE, "write", ids=[template], vals={"default_code": "BOTH"})
    assert one(odoo, TEMPLATE, template, "default_code")["default_code"] == "BOTH"
    assert not any(
        odoo.call(VARIANT, "read", ids=[row["id"] for row in rows], fields=["default_code"])[n]["default_code"]
        for n in (0, 1)
    )
    line_id = odoo.call("product.template.attribute.line", "search", domain=[["product_tmpl_id", "=", template]])[0]
    odoo.call(
        TEMPLATE,
        "write",
        ids=[template],
        vals={"attribute_line_ids": [[1, line_id, {"value_ids": [[6, 0, values[:1]]]}]]},
    )
    told = one(odoo, TEMPLATE, template, "product_variant_ids", "product_variant_count")
    assert told["product_variant_count"] == 1
    assert one(odoo, VARIANT, told["product_variant_ids"][0], "display_name")["display_name"] == "Shirt"


def test_a_barcode_is_unique(odoo: RealOdoo) -> None:
    status, name, message = refused(
        odoo, VARIANT, "create", vals_list=[{"name": "a", "barcode": "DUP-1"}, {"name": "b", "barcode": "DUP-1"}]
    )
    assert (status, name) == (422, VALIDATION)
    assert message.startswith(
        'Barcode(s) already assigned:\n\n- Barcode "DUP-1" already assigned to product(s): a and b'
    )


def test_archiving_the_last_variant_archives_the_template_and_back(odoo: RealOdoo) -> None:
    (variant,) = odoo.call(VARIANT, "create", vals_list=[{"name": "Solo", "default_code": "SOLO", "weight": 2.0}])
    template = one(odoo, VARIANT, variant, "product_tmpl_id", load="")["product_tmpl_id"]
    odoo.call(VARIANT, "action_archive", ids=[variant])
    told = one(odoo, TEMPLATE, template, "active", "default_code", "product_variant_ids", "weight")
    assert told == {"id": template, "active": False, "default_code": "SOLO", "product_variant_ids": [], "weight": 2.0}
    odoo.call(TEMPLATE, "action_unarchive", ids=[template])
    assert one(odoo, VARIANT, variant, "active")["active"] is True
    odoo.call(TEMPLATE, "action_archive", ids=[template])
    assert one(odoo, VARIANT, variant, "active")["active"] is False
    odoo.call(VARIANT, "unlink", ids=[variant])
    assert odoo.call(TEMPLATE, "read", ids=[template], fields=["name"]) == []


def test_names_are_kept_per_language(odoo: RealOdoo) -> None:
    (template,) = odoo.call(TEMPLATE, "create", vals_list=[{"name": "Chair"}])
    odoo.call(TEMPLATE, "write", ids=[template], vals={"name": "Chaise pliante"}, context={"lang": "fr_FR"})
    odoo.call(TEMPLATE, "write", ids=[template], vals={"name": "Chair2"})
    terms, _ = odoo.call(TEMPLATE, "get_field_translations", ids=[template], field_name="name")
    assert {term["lang"]: term["value"] for term in terms} == {"en_US": "Chair2", "fr_FR": "Chaise pliante"}
    assert one(odoo, TEMPLATE, template, "name", context={"lang": "fr_FR"})["name"] == "Chaise pliante"
    french = {"domain": [["name", "=", "Chaise pliante"]], "context": {"lang": "fr_FR"}}
    assert odoo.call(TEMPLATE, "search", **french) == [template]
    assert odoo.call(TEMPLATE, "search", domain=[["name", "=", "Chaise pliante"]]) == []


def test_categories_are_named_by_their_path(odoo: RealOdoo) -> None:
    (top,) = odoo.call("product.category", "create", vals_list=[{"name": "Top"}])
    (sub,) = odoo.call("product.category", "create", vals_list=[{"name": "Sub", "parent_id": top}])
    odoo.call("product.category", "write", ids=[top], vals={"name": "Roof"})
    assert one(odoo, "product.category", sub, "complete_name")["complete_name"] == "Roof / Sub"
    (template,) = odoo.call(TEMPLATE, "create", vals_list=[{"name": "Categorised", "categ_id": sub}])
    assert one(odoo, TEMPLATE, template, "categ_id")["categ_id"] == [sub, "Roof / Sub"]
    assert odoo.call(TEMPLATE, "search", domain=[["categ_id", "child_of", top]]) == [template]


def test_units_relate_to_each_other_by_factor(odoo: RealOdoo) -> None:
    fields = ["name", "factor", "rounding", "relative_uom_id"]
    asked: dict[str, Any] = {"domain": [["name", "in", ["Units", "Dozens"]]], "fields": fields, "load": ""}
    rows = odoo.call("uom.uom", "search_read", **asked, context={"active_test": False})
    told = {row["name"]: (row["factor"], row["rounding"], bool(row["relative_uom_id"])) for row in rows}
    assert told == {"Units": (1.0, 0.01, False), "Dozens": (12.0, 0.01, True)}


def test_a_vendor_price_belongs_to_the_template(odoo: RealOdoo) -> None:
    vendor = partner(odoo, name="Vendor")
    (variant,) = odoo.call(
        VARIANT,
        "create",
        vals_list=[{"name": "Bought", "seller_ids": [[0, 0, {"partner_id": vendor, "price": 9.999}]]}],
    )
    (seller,) = one(odoo, VARIANT, variant, "seller_ids")["seller_ids"]
    told = one(
        odoo,
        "product.supplierinfo",
        seller,
        "price",
        "min_qty",
        "delay",
        "currency_id",
        "display_name",
        "product_uom_id",
    )
    assert told == {
        "id": seller, "price": 9.999, "min_qty": 0.0, "delay": 1, "currency_id": [1, "USD"],
        "display_name": "Vendor (0.0 Units - $\xa010.00)",
        "product_uom_id": [1, "Units"],
    }  # fmt: skip


def test_name_search_finds_products_by_code(odoo: RealOdoo) -> None:
    (variant,) = odoo.call(VARIANT, "create", vals_list=[{"name": "Findable", "default_code": "FIND-1"}])
    assert odoo.call(VARIANT, "name_search", name="FIND-1") == [[variant, "[FIND-1] Findable"]]
    assert odoo.call(VARIANT, "name_search", name="indabl") == [[variant, "[FIND-1] Findable"]]


def test_a_currency_rate_is_dated(odoo: RealOdoo) -> None:
    (eur,) = odoo.call("res.currency", "search", domain=[["name", "=", "EUR"]])
    rows = [{"currency_id": eur, "name": day, "rate": rate} for day, rate in (("2024-01-01", 0.5), ("2024-02-01", 0.8))]
    odoo.call("res.currency.rate", "create", vals_list=rows)
    told = {
        day: one(odoo, "res.currency", eur, "rate", "inverse_rate", context={"date": day})
        for day in ("2024-01-15", "2024-02-15")
    }
    assert (told["2024-01-15"]["rate"], told["2024-02-15"]["rate"]) == (0.5, 0.8)
    assert told["2024-02-15"]["inverse_rate"] == 1.25
    assert refused(odoo, "res.currency.rate", "create", vals_list=[rows[0]])[:2] == (422, VALIDATION)


def test_fields_get_describes_every_field_with_the_same_keys(odoo: RealOdoo, request: pytest.FixtureRequest) -> None:
    from isthmus.sandbox.odoo.schema import load_schema

    for model in load_schema().values():
        told = odoo.call(model.name, "fields_get", with_key=odoo.admin_key)
        for name, field in model.fields.items():
            described = {k: v for k, v in told[name].items() if k != "help"}
            expected = dict(field.description)
            if name == "tz":  # the zones of the machine
                del described["selection"], expected["selection"]
            assert described == expected, f"{model.name}.{name}"


def test_fields_get_can_be_trimmed_and_is_readonly_for_those_who_may_not_write(odoo: RealOdoo) -> None:
    told = odoo.call(PARTNER, "fields_get", allfields=["name", "type"], attributes=["type", "readonly"])
    assert told == {"name": {"type": "char", "readonly": False}, "type": {"type": "selection", "readonly": False}}


def test_a_sales_order_is_numbered_totalled_and_confirmed_once(odoo: RealOdoo) -> None:
    customer = partner(odoo, name="Buyer")
    (variant,) = odoo.call(VARIANT, "create", vals_list=[{"name": "Sold", "list_price": 10.0, "type": "service"}])
    line = {"product_id": variant, "product_uom_qty": 3, "discount": 10, "tax_ids": [[6, 0, []]]}
    (order,) = odoo.call("sale.order", "create", vals_list=[{"partner_id": customer, "order_line": [[0, 0, line]]}])
    told = one(odoo, "sale.order", order, "name", "state", "amount_total", "partner_invoice_id", "currency_id", load="")
    assert told["name"].startswith("S0")
    assert (told["state"], told["amount_total"], told["partner_invoice_id"]) == ("draft", 27.0, customer)
    odoo.call("sale.order", "action_confirm", ids=[order])
    assert one(odoo, "sale.order", order, "state")["state"] == "sale"
    status, name, message = refused(odoo, "sale.order", "action_confirm", ids=[order])
    assert (status, name) == (422, USER_ERROR)
    assert "not in a state requiring confirmation" in message
    assert refused(odoo, "sale.order", "unlink", ids=[order])[:2] == (422, USER_ERROR)
