"""Products: a template and its variants, the fields they lend each other, barcodes that are unique, categories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import crud, domain, raw, variants
from .database import Row
from .environment import Behaviour, Env, Inverse, Values
from .errors import ValidationError
from .schema import Field
from .values import round_half_up

TEMPLATE, VARIANT = variants.TEMPLATE, variants.VARIANT
_STORED_TWICE = ("default_code", "weight", "volume")
"""Template columns that repeat the only variant's and are worked out again when variants change."""
_DEFAULT_TAXES = {"taxes_id": 14, "supplier_taxes_id": 37}
"""The company's default taxes among the seeded ones."""

_OF_THE_VARIANT = (*_STORED_TWICE, "barcode", "standard_price")


def _value(env: Env, model: str, row: Row | None, name: str) -> Any:
    return None if row is None else raw.getter(env, env.model(model).fields[name])(row)


def _only_variant(env: Env, template: int) -> int | None:
    """The single variant that stands for the template: the only active one, or the only one where all are archived."""
    active = variants.of_template(env, template, archived=False)
    if len(active) == 1:
        return active[0]
    every = variants.of_template(env, template, archived=True)
    return every[0] if not active and len(every) == 1 else None


def refresh_template(env: Env, template: int, names: Sequence[str] = _STORED_TWICE) -> None:
    """Repeat the only variant's values on the template; its write_date moves where they changed."""
    row = env.row(TEMPLATE, template)
    if row is None:
        return
    only = env.row(VARIANT, _only_variant(env, template))
    changes = {n: _value(env, VARIANT, only, n) or (None if n == "default_code" else 0.0) for n in names}
    if any(row.get(name) != value for name, value in changes.items()):
        crud.patch(env, TEMPLATE, template, changes)


def _to_only_variant(name: str) -> Inverse:
    def inverse(env: Env, template: int, value: Any) -> None:
        row = env.row(TEMPLATE, template)
        if row is not None and name in _STORED_TWICE:
            changed = dict(row)
            crud.set_column(env, changed, env.model(TEMPLATE).fields[name], value, creating=False)
            env.database.put(TEMPLATE, template, changed)
        only = _only_variant(env, template)
        if only is not None:
            crud.write(env, VARIANT, [only], {name: value})

    return inverse


def _from_only_variant(name: str) -> Callable[[Env, Row], Any]:
    return lambda env, row: _value(env, VARIANT, env.row(VARIANT, _only_variant(env, row["id"])), name)


def _company_currency(env: Env, row: Row) -> int | None:
    company = env.row("res.company", row.get("company_id") or env.company)
    return (company or {}).get("currency_id")


def _coded_name(env: Env, name: str | None, code: str | None) -> str:
    return f"[{code}] {name}" if code and env.context.get("display_default_code", True) else str(name or "")


def _like_name_or_code(operator: str, value: Any) -> list[Any]:
    told: list[Any] = ["|", ["name", operator, value], ["default_code", operator, value]]
    if operator.endswith("like"):
        return ["|", *told, ["barcode", "in", [value]]]
    return ["|", *told, ["barcode", operator, value]]


def _tax_defaults(env: Env) -> Values:
    known = env.database.table("account.tax").rows
    return {name: [tax] if tax in known else [] for name, tax in _DEFAULT_TAXES.items()}


class Template(Behaviour):
    """product.template: creates its variants, lends its only variant's fields."""

    missing_reference_is_404 = True

    def defaults(self, env: Env) -> Values:
        return {
            "type": "consu",
            "list_price": 1.0,
            "uom_id": 1,
            "sale_ok": True,
            "purchase_ok": True,
            "active": True,
            "sequence": 1,
            "service_tracking": "no",
            "service_type": "manual",
            "tracking": "none",
            "is_storable": False,
            "invoice_policy": "order",
            "purchase_method": "receive",
            "expense_policy": "no",
            **_tax_defaults(env),
        }

    def after_create(self, env: Env, ids: Sequence[int], given: Sequence[Values]) -> None:
        if not env.context.get("create_product_product", True):
            return
        variants.arrange(env, ids)
        for template, told in zip(ids, given, strict=True):
            refresh_template(env, template)
            lent = {name: told[name] for name in _OF_THE_VARIANT if told.get(name)}
            if lent:
                crud.write(env, TEMPLATE, [template], lent)

    def after_write(self, env: Env, ids: Sequence[int], values: Values, before: Sequence[Row]) -> None:
        for template in ids:
            active = variants.of_template(env, template, archived=False)
            if "attribute_line_ids" in values or (values.get("active") and not active):
                variants.arrange(env, [template])
            if "active" in values and not values["active"]:
                crud.write(env, VARIANT, variants.of_template(env, template, archived=True), {"active": False})
            for variant in variants.of_template(env, template, archived=True):
                crud.patch(env, VARIANT, variant, {"write_date": env.now}, stamp=False)
            if "active" in values or "attribute_line_ids" in values:
                refresh_template(env, template)

    def display_name(self, env: Env, row: Row) -> str | None:
        return _coded_name(env, _value(env, TEMPLATE, row, "name"), row.get("default_code"))

    def search_display_name(self, env: Env, operator: str, value: Any) -> list[Any] | None:
        return _like_name_or_code(operator, value)

    computed = {
        **{name: _from_only_variant(name) for name in ("barcode", "standard_price")},
        "currency_id": _company_currency,
        "cost_currency_id": _company_currency,
        "has_configurable_attributes": lambda env, row: any(
            len((env.row("product.template.attribute.line", i) or {}).get("value_ids") or ()) > 1
            for i in variants.lines_of(env, row["id"])
        ),
        "is_product_variant": lambda env, row: False,
        "product_variant_count": lambda env, row: len(variants.of_template(env, row["id"], archived=False)),
        "product_variant_id": lambda env, row: next(
            iter(raw.ordered(env, VARIANT, variants.of_template(env, row["id"], archived=False))), None
        ),
        "valid_product_template_attribute_line_ids": lambda env, row: tuple(variants.lines_of(env, row["id"])),
        "volume_uom_name": lambda env, row: "m³",
        "weight_uom_name": lambda env, row: "kg",
    }
    inverses = {name: _to_only_variant(name) for name in _OF_THE_VARIANT}


def _is_lent(field: Field) -> bool:
    return field.related.startswith("product_tmpl_id.")


class Variant(Behaviour):
    """product.product: what is sold; most of its fields are its template's."""

    missing_reference_is_404 = True

    def defaults(self, env: Env) -> Values:
        return {"active": True}

    def before_create(self, env: Env, values: Values) -> Values:
        fields = env.model(VARIANT).fields
        lent = {name: value for name, value in values.items() if _is_lent(fields[name])}
        if values.get("product_tmpl_id"):
            if lent:
                crud.write(env, TEMPLATE, [values["product_tmpl_id"]], lent)
        else:
            inner = env.with_context(create_product_product=False)
            values["product_tmpl_id"] = crud.create(inner, TEMPLATE, [lent])[0]
        return {name: value for name, value in values.items() if name not in lent}

    def after_create(self, env: Env, ids: Sequence[int], given: Sequence[Values]) -> None:
        for variant in ids:
            row = env.row(VARIANT, variant) or {}
            variants.refresh_indices(env, variant)
            refresh_template(env, row["product_tmpl_id"])

    def after_write(self, env: Env, ids: Sequence[int], values: Values, before: Sequence[Row]) -> None:
        names = [name for name in _STORED_TWICE if name in values or "active" in values]
        for variant in ids:
            row = env.row(VARIANT, variant)
            if row is None:
                continue
            if "product_template_attribute_value_ids" in values:
                variants.refresh_indices(env, variant)
            if names:
                refresh_template(env, row["product_tmpl_id"], names)

    def after_unlink(self, env: Env, rows: Sequence[Row]) -> None:
        for row in rows:
            template = row["product_tmpl_id"]
            if env.row(TEMPLATE, template) is None:
                continue
            if env.context.get(variants.KEEP_TEMPLATE) or variants.of_template(env, template, archived=True):
                refresh_template(env, template)
            elif not variants.dynamic(env, template):
                crud.unlink(env.sudo(), TEMPLATE, [template])

    def check(self, env: Env, ids: Sequence[int], names: Sequence[str]) -> None:
        if "barcode" not in names:
            return
        for variant in ids:
            row = env.row(VARIANT, variant)
            if row is not None and row.get("barcode"):
                _refuse_same_barcode(env, row)

    def display_name(self, env: Env, row: Row) -> str | None:
        name = _value(env, VARIANT, row, "name")
        combination = variants.combination_name(env, row)
        return _coded_name(env, f"{name} ({combination})" if combination else name, row.get("default_code"))

    def search_display_name(self, env: Env, operator: str, value: Any) -> list[Any] | None:
        return _like_name_or_code(operator, value)

    def name_search(self, env: Env, name: str, asked: list[Any], operator: str, limit: int | None) -> list[int] | None:
        if not name or operator.startswith("not") or operator == "!=":
            return None
        for exact in ("default_code", "barcode"):
            found = domain.search(env, VARIANT, [*asked, [exact, "=", name]], limit=limit)
            if found:
                return found
        by_code = domain.search(env, VARIANT, [*asked, ["default_code", operator, name]], limit=limit)
        by_name = domain.search(env, VARIANT, [*asked, ["name", operator, name]], limit=limit)
        return list(dict.fromkeys([*by_code, *by_name]))[: limit or None]

    def visible(self, env: Env, row: Row) -> bool | None:
        company = (env.row(TEMPLATE, row.get("product_tmpl_id")) or {}).get("company_id")
        return company is None or company in env.companies

    computed = {
        "all_product_tag_ids": lambda env, row: tuple(
            {
                *(_value(env, VARIANT, row, "product_tag_ids") or ()),
                *(_value(env, VARIANT, row, "additional_product_tag_ids") or ()),
            }
        ),
        "code": lambda env, row: row.get("default_code"),
        "partner_ref": lambda env, row: raw.display_name(env, VARIANT, row),
        "is_product_variant": lambda env, row: True,
        "price_extra": lambda env, row: variants.price_extra(env, row),
        "lst_price": lambda env, row: (_value(env, VARIANT, row, "list_price") or 0.0) + variants.price_extra(env, row),
        "product_template_variant_value_ids": lambda env, row: tuple(variants.telling_values(env, row)),
    }
    inverses = {
        "lst_price": lambda env, i, value: _set_lst_price(env, i, value),
    }


def _set_lst_price(env: Env, variant: int, value: Any) -> None:
    extra = variants.price_extra(env, env.row(VARIANT, variant) or {})
    crud.write(env, VARIANT, [variant], {"list_price": float(value or 0.0) - extra})


def _refuse_same_barcode(env: Env, row: Row) -> None:
    table = env.database.table(VARIANT)
    same = [i for i in table.having("barcode", (row["barcode"],)) or () if table.rows[i].get("active")]
    if len(same) < 2:
        return
    names = [raw.display_name(env, VARIANT, table.rows[i]) for i in raw.ordered(env, VARIANT, same)]
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    raise ValidationError(
        f'Barcode(s) already assigned:\n\n- Barcode "{row["barcode"]}" already assigned to product(s): {listed}\n\n'
        "Note: products that you don't have access to will not be shown above."
    )


class Category(Behaviour):
    """product.category: named by its whole path."""

    def after_create(self, env: Env, ids: Sequence[int], given: Sequence[Values]) -> None:
        for i in ids:
            self._refresh(env, i)

    def after_write(self, env: Env, ids: Sequence[int], values: Values, before: Sequence[Row]) -> None:
        if "name" in values or "parent_id" in values:
            for i in ids:
                self._refresh(env, i)

    def check(self, env: Env, ids: Sequence[int], names: Sequence[str]) -> None:
        for i in ids if "parent_id" in names else ():
            seen: set[int] = set()
            up: int | None = i
            while up:
                if up in seen:
                    raise ValidationError("You cannot create recursive categories.")
                seen.add(up)
                up = (env.row("product.category", up) or {}).get("parent_id")

    def _refresh(self, env: Env, category: int) -> None:
        row = env.row("product.category", category) or {}
        parent = env.row("product.category", row.get("parent_id"))
        path, name = (parent or {}).get("parent_path", ""), str(row.get("name") or "")
        changes = {
            "complete_name": f"{parent['complete_name']} / {name}" if parent else name,
            "parent_path": f"{path}{category}/",
        }
        if any(row.get(key) != value for key, value in changes.items()):
            crud.patch(env, "product.category", category, changes)
            for child in env.database.table("product.category").having("parent_id", (category,)) or ():
                if child != category and not path.startswith(f"{child}/"):
                    self._refresh(env, child)

    computed = {
        "product_count": lambda env, row: len(
            [1 for t in env.database.table(TEMPLATE).rows.values() if t.get("categ_id") == row["id"]]
        ),
        "property_cost_method": lambda env, row: "standard",
        "property_valuation": lambda env, row: "periodic",
    }


class SupplierInfo(Behaviour):
    """product.supplierinfo: a vendor's price for a product."""

    def defaults(self, env: Env) -> Values:
        company = env.row("res.company", env.company) or {}
        return {
            "sequence": 1, "min_qty": 0.0, "price": 0.0, "delay": 1, "discount": 0.0,
            "currency_id": company.get("currency_id"), "company_id": env.company,
        }  # fmt: skip

    def before_create(self, env: Env, values: Values) -> Values:
        if values.get("product_id") and not values.get("product_tmpl_id"):
            values["product_tmpl_id"] = (env.row(VARIANT, values["product_id"]) or {}).get("product_tmpl_id")
        if not values.get("product_uom_id") and values.get("product_tmpl_id"):
            values["product_uom_id"] = (env.row(TEMPLATE, values["product_tmpl_id"]) or {}).get("uom_id")
        return values

    def display_name(self, env: Env, row: Row) -> str | None:
        partner = env.row("res.partner", row.get("partner_id"))
        name = raw.display_name(env, "res.partner", partner) if partner else ""
        unit = raw.display_name(env, "uom.uom", env.row("uom.uom", row.get("product_uom_id")) or {"id": 0})
        symbol = (env.row("res.currency", row.get("currency_id")) or {}).get("symbol", "")
        price = round_half_up(row.get("price") or 0.0, 2)
        return f"{name} ({row.get('min_qty') or 0.0} {unit} - {symbol}\xa0{price:,.2f})"

    computed = {
        "price_discounted": lambda env, row: (row.get("price") or 0.0) * (1 - (row.get("discount") or 0.0) / 100),
    }
