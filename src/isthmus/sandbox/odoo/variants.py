"""Attributes and the variants they make: which combinations exist, which are created, archived or removed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from . import crud, raw
from .database import Row
from .environment import Behaviour, Env, Values
from .errors import UserError, ValidationError

TEMPLATE, VARIANT = "product.template", "product.product"
ATTRIBUTE, ATTRIBUTE_VALUE = "product.attribute", "product.attribute.value"
LINE, LINE_VALUE = "product.template.attribute.line", "product.template.attribute.value"
KEEP_TEMPLATE = "_keep_template"
_COMBINATION = "product_template_attribute_value_ids"


def of_template(env: Env, template: int, *, archived: bool) -> list[int]:
    """Return the variants of a template by id, archived ones only where asked for."""
    table = env.database.table(VARIANT)
    found = table.having("product_tmpl_id", (template,)) or []
    return found if archived else [i for i in found if table.rows[i].get("active")]


def lines_of(env: Env, template: int) -> list[int]:
    """Return the template's active attribute lines that have values, in order."""
    table = env.database.table(LINE)
    found = table.having("product_tmpl_id", (template,)) or []
    return list(
        raw.ordered(env, LINE, [i for i in found if table.rows[i].get("active") and table.rows[i].get("value_ids")])
    )


def _line_values(env: Env, line: int, *, archived: bool) -> list[int]:
    table = env.database.table(LINE_VALUE)
    found = table.having("attribute_line_id", (line,)) or []
    return list(raw.ordered(env, LINE_VALUE, [i for i in found if archived or table.rows[i].get("ptav_active")]))


def _mode(env: Env, line: int) -> str:
    attribute = (env.row(LINE, line) or {}).get("attribute_id")
    return str((env.row(ATTRIBUTE, attribute) or {}).get("create_variant", "always"))


def dynamic(env: Env, template: int) -> bool:
    """Say whether variants of the template are made on demand only."""
    return any(_mode(env, line) == "dynamic" for line in lines_of(env, template))


def telling_values(env: Env, row: Row) -> list[int]:
    """Return the attribute values that tell the variant from its siblings: those of lines with several values."""
    kept = []
    for i in row.get(_COMBINATION) or ():
        line = env.row(LINE, (env.row(LINE_VALUE, i) or {}).get("attribute_line_id")) or {}
        if len(line.get("value_ids") or ()) > 1:
            kept.append(i)
    return list(raw.ordered(env, LINE_VALUE, kept))


def combination_name(env: Env, row: Row) -> str:
    """Return what stands in brackets behind the variant's name."""
    fields = env.model(LINE_VALUE).fields
    name = raw.getter(env, fields["name"])
    return ", ".join(str(name(value)) for i in telling_values(env, row) if (value := env.row(LINE_VALUE, i)))


def price_extra(env: Env, row: Row) -> float:
    """Return what the variant's attribute values add to the price."""
    return float(sum((env.row(LINE_VALUE, i) or {}).get("price_extra") or 0.0 for i in row.get(_COMBINATION) or ()))


def refresh_indices(env: Env, variant: int) -> None:
    """Keep the stored text of the variant's combination."""
    row = env.row(VARIANT, variant) or {}
    text = ",".join(str(i) for i in sorted(row.get(_COMBINATION) or ()))
    if row.get("combination_indices") != text:
        crud.patch(env, VARIANT, variant, {"combination_indices": text})


def arrange(env: Env, templates: Sequence[int]) -> None:
    """Create, revive and remove variants until they are exactly the combinations the attribute lines allow."""
    for template in templates:
        _arrange(env, template)


def _arrange(env: Env, template: int) -> None:
    lines = [line for line in lines_of(env, template) if _mode(env, line) != "no_variant"]
    choices = [_line_values(env, line, archived=False) for line in lines]
    table = env.database.table(VARIANT)
    every = sorted(of_template(env, template, archived=True), key=lambda i: (bool(table.rows[i].get("active")), -i))
    _give_single_values(env, every, choices)
    existing = {frozenset(table.rows[i].get(_COMBINATION) or ()): i for i in every}
    wanted = [frozenset(c) for c in itertools.product(*choices)]
    if dynamic(env, template):
        possible = set(wanted)
        wanted = [c for c in existing if c in possible]
    if len(wanted) > 1000:
        raise UserError("The number of variants to generate is above allowed limit.")
    template_row = env.row(TEMPLATE, template) or {}
    revived = [existing[c] for c in wanted if c in existing]
    crud.write(env, VARIANT, revived, {"active": True})
    fresh = [c for c in wanted if c not in existing]
    crud.create(
        env.sudo(),
        VARIANT,
        [
            {"product_tmpl_id": template, _COMBINATION: sorted(c), "active": bool(template_row.get("active"))}
            for c in fresh
        ],
    )
    for variant in [i for i in every if i not in revived]:
        _remove_or_archive(env, variant)


def _give_single_values(env: Env, every: Sequence[int], choices: Sequence[Sequence[int]]) -> None:
    """A line with one value does not make new variants: the existing ones get that value."""
    single = {values[0] for values in choices if len(values) == 1}
    for variant in every if single else ():
        held = set((env.row(VARIANT, variant) or {}).get(_COMBINATION) or ())
        combination = held | single
        fits = len(combination) == len(choices) and all(len(combination & set(values)) == 1 for values in choices)
        if fits and combination != held:
            crud.write(env, VARIANT, [variant], {_COMBINATION: [(6, 0, sorted(combination))]})


def _remove_or_archive(env: Env, variant: int) -> None:
    mark = env.database.savepoint()
    try:
        crud.unlink(env.sudo().with_context(**{KEEP_TEMPLATE: True}), VARIANT, [variant])
    except ValidationError:
        env.rollback(mark)
        crud.write(env, VARIANT, [variant], {"active": False})


class Attribute(Behaviour):
    """product.attribute: variants are made at once unless told otherwise."""

    def defaults(self, env: Env) -> Values:
        return {"active": True, "create_variant": "always", "display_type": "radio", "sequence": 20}

    computed = {
        "number_related_products": lambda env, row: len(_templates_with(env, row["id"])),
        "product_tmpl_ids": lambda env, row: tuple(_templates_with(env, row["id"])),
    }


def _templates_with(env: Env, attribute: int) -> list[int]:
    rows = env.database.table(LINE).rows.values()
    return sorted({r["product_tmpl_id"] for r in rows if r.get("attribute_id") == attribute and r.get("active")})


class AttributeValue(Behaviour):
    """product.attribute.value: named together with its attribute."""

    def defaults(self, env: Env) -> Values:
        return {"active": True, "sequence": 0, "default_extra_price": 0.0, "is_custom": False, "color": 1}

    def display_name(self, env: Env, row: Row) -> str | None:
        return _with_attribute(env, ATTRIBUTE_VALUE, row, row.get("attribute_id"))

    computed = {
        "is_used_on_products": lambda env, row: any(
            row["id"] in (line.get("value_ids") or ()) for line in env.database.table(LINE).rows.values()
        ),
        "default_extra_price_changed": lambda env, row: False,
        "pav_attribute_line_ids": lambda env, row: tuple(
            line["id"] for line in env.database.table(LINE).rows.values() if row["id"] in (line.get("value_ids") or ())
        ),
    }


def _with_attribute(env: Env, model: str, row: Row, attribute: int | None) -> str:
    name = raw.getter(env, env.model(model).fields["name"])(row)
    owner = env.row(ATTRIBUTE, attribute)
    return f"{raw.display_name(env, ATTRIBUTE, owner)}: {name}" if owner else str(name)


def _line_attribute(env: Env, row: Row) -> int | None:
    return (env.row(LINE, row.get("attribute_line_id")) or {}).get("attribute_id")


class LineValue(Behaviour):
    """product.template.attribute.value: one attribute value as one template uses it."""

    def defaults(self, env: Env) -> Values:
        return {"ptav_active": True, "price_extra": 0.0, "color": 1}

    def display_name(self, env: Env, row: Row) -> str | None:
        return _with_attribute(env, LINE_VALUE, row, _line_attribute(env, row))

    computed = {
        "attribute_id": _line_attribute,
        "product_tmpl_id": lambda env, row: (env.row(LINE, row.get("attribute_line_id")) or {}).get("product_tmpl_id"),
        "ptav_product_variant_ids": lambda env, row: tuple(
            v["id"] for v in env.database.table(VARIANT).rows.values() if row["id"] in (v.get(_COMBINATION) or ())
        ),
    }


class Line(Behaviour):
    """product.template.attribute.line: an attribute of a template with the values it offers."""

    def defaults(self, env: Env) -> Values:
        return {"active": True, "sequence": 10}

    def after_create(self, env: Env, ids: Sequence[int], given: Sequence[Values]) -> None:
        if env.context.get("create_product_product", True):
            _update_line_values(env, ids)

    def after_write(self, env: Env, ids: Sequence[int], values: Values, before: Sequence[Row]) -> None:
        for old, i in zip(before, ids, strict=True):
            row = env.row(LINE, i) or {}
            for name in ("product_tmpl_id", "attribute_id"):
                if row.get(name) != old.get(name):
                    raise UserError("You cannot move an attribute line to another product or attribute.")
        _update_line_values(env, ids)

    def after_unlink(self, env: Env, rows: Sequence[Row]) -> None:
        arrange(env, [t for t in {row["product_tmpl_id"] for row in rows} if env.row(TEMPLATE, t) is not None])

    def before_unlink(self, env: Env, ids: Sequence[int]) -> None:
        for line in ids:
            for i in _line_values(env, line, archived=True):
                _release_combinations(env, i)

    def check(self, env: Env, ids: Sequence[int], names: Sequence[str]) -> None:
        for i in ids:
            row = env.row(LINE, i)
            if row is None:
                continue
            owner = raw.display_name(env, ATTRIBUTE, env.row(ATTRIBUTE, row.get("attribute_id")) or {"id": 0})
            product = raw.display_name(env, TEMPLATE, env.row(TEMPLATE, row["product_tmpl_id"]) or {"id": 0})
            if row.get("active") and not row.get("value_ids"):
                raise ValidationError(f"The attribute {owner} must have at least one value for the product {product}.")
            for value in row.get("value_ids") or ():
                value_row = env.row(ATTRIBUTE_VALUE, value) or {"id": value}
                if value_row.get("attribute_id") != row.get("attribute_id"):
                    raise ValidationError(
                        f"On the product {product} you cannot associate the value "
                        f"{raw.display_name(env, ATTRIBUTE_VALUE, value_row)} with the attribute {owner} "
                        "because they do not match."
                    )

    computed = {"value_count": lambda env, row: len(row.get("value_ids") or ())}


def _release_combinations(env: Env, line_value: int) -> None:
    """Take a value that goes away off every variant that still carries it."""
    for row in list(env.database.table(VARIANT).rows.values()):
        held = row.get(_COMBINATION) or ()
        if line_value in held:
            crud.patch(env, VARIANT, row["id"], {_COMBINATION: [i for i in held if i != line_value]})
            refresh_indices(env, row["id"])


def _update_line_values(env: Env, lines: Sequence[int]) -> None:
    inner = env.sudo()
    gone: list[int] = []
    templates: dict[int, None] = {}
    for line in lines:
        row: dict[str, Any] = env.row(LINE, line) or {}
        templates[row["product_tmpl_id"]] = None
        offered = list(row.get("value_ids") or ()) if row.get("active") else []
        for i in _line_values(env, line, archived=True):
            value = env.row(LINE_VALUE, i) or {}
            if value.get("product_attribute_value_id") in offered:
                offered.remove(value["product_attribute_value_id"])
                if not value.get("ptav_active"):
                    crud.write(inner, LINE_VALUE, [i], {"ptav_active": True})
            elif value.get("ptav_active"):
                crud.write(inner, LINE_VALUE, [i], {"ptav_active": False})
                gone.append(i)
        extra = {v: (env.row(ATTRIBUTE_VALUE, v) or {}).get("default_extra_price") or 0.0 for v in offered}
        crud.create(
            inner,
            LINE_VALUE,
            [{"product_attribute_value_id": v, "attribute_line_id": line, "price_extra": extra[v]} for v in offered],
        )
    arrange(env, list(templates))
    for i in gone:
        used = any(i in (v.get(_COMBINATION) or ()) for v in env.database.table(VARIANT).rows.values())
        if not used and env.row(LINE_VALUE, i) is not None:
            crud.unlink(inner, LINE_VALUE, [i])
