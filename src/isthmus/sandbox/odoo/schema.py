"""The models the sandbox knows, read from `data/models.json`: field by field what `fields_get` tells."""

from __future__ import annotations

import json
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

X2MANY = frozenset({"one2many", "many2many"})
RELATIONAL = frozenset({"many2one", "one2many", "many2many"})
NUMBERS = frozenset({"integer", "float", "monetary"})
TEXTS = frozenset({"char", "text", "html"})
LOG_FIELDS = ("create_uid", "create_date", "write_uid", "write_date")

INDEXED: Mapping[str, tuple[str, ...]] = {
    "res.partner": ("ref", "vat", "email", "name"),
    "product.product": ("default_code", "barcode"),
    "product.template": ("default_code", "name"),
    "ir.model.data": ("complete_name", "_target"),
    "res.users.apikeys": ("_digest",),
    "res.users": ("login",),
    "res.country": ("code",),
    "sale.order": ("origin",),
    "stock.picking": ("_purchase", "picking_type_id"),
    "stock.quant": ("product_id",),
}
"""Columns looked up by value, besides every many2one that a one2many mirrors (those are indexed by themselves)."""

CASCADE = frozenset(
    {
        ("product.product", "product_tmpl_id"),
        ("product.supplierinfo", "product_tmpl_id"),
        ("product.supplierinfo", "partner_id"),
        ("product.template.attribute.line", "product_tmpl_id"),
        ("product.template.attribute.value", "attribute_line_id"),
        ("product.attribute.value", "attribute_id"),
        ("product.category", "parent_id"),
        ("uom.uom", "relative_uom_id"),
        ("res.currency.rate", "currency_id"),
        ("res.partner.bank", "partner_id"),
        ("res.partner.category", "parent_id"),
        ("res.users.apikeys", "user_id"),
        ("sale.order.line", "order_id"),
        ("purchase.order.line", "order_id"),
        ("stock.move", "picking_id"),
        ("ir.actions.server", "base_automation_id"),
    }
)
RESTRICT = frozenset({("res.partner", "country_id"), ("res.partner", "state_id")})
"""Many2one columns whose target cannot be deleted, besides all required ones."""

INSTALLED_LANGUAGES = (("en_US", "English (US)"), ("fr_FR", "French / Français"))


def _untold(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The `fields_get` attributes that models.json leaves out because they are what their type always has."""
    kind = attributes["type"]
    column = attributes.get("store", True) and kind != "one2many"
    told: dict[str, Any] = {
        "change_default": False,
        "company_dependent": False,
        "default_export_compatible": False,
        "depends": [],
        "exportable": True,
        "groupable": column,
        "manual": False,
        "readonly": False,
        "required": False,
        "searchable": True,
        "sortable": column and kind != "many2many",
        "store": True,
    }
    if kind in TEXTS:
        told["translate"] = False
    if kind == "char":
        told["trim"] = True
    if kind in NUMBERS:
        told["aggregator"] = "sum"
    if kind in RELATIONAL:
        told |= {"context": {}, "domain": [], "allow_hierachy_operators": False}
    if kind == "html":
        told |= dict.fromkeys(("sanitize", "sanitize_attributes", "sanitize_tags"), True)
        told |= dict.fromkeys(("sanitize_style", "strip_classes", "strip_style"), False)
    return told


class Field:
    """One field of a model. `description` is its `fields_get` entry; the rest is what the code asks often."""

    __slots__ = (
        "company_dependent",
        "description",
        "digits",
        "model",
        "name",
        "readonly",
        "related",
        "relation",
        "relation_field",
        "required",
        "searchable",
        "selection",
        "store",
        "title",
        "translate",
        "type",
    )

    def __init__(self, model: str, name: str, attributes: Mapping[str, Any]) -> None:
        told = {**_untold(attributes), **attributes}
        self.description: dict[str, Any] = {k: v for k, v in sorted(told.items()) if v is not None} | {"name": name}
        self.model = model
        self.name = name
        self.type: str = told["type"]
        self.title: str = told["string"]
        self.relation: str = told.get("relation") or ""
        self.relation_field: str = told.get("relation_field") or ""
        self.required: bool = told["required"]
        self.readonly: bool = told["readonly"]
        self.store: bool = told["store"]
        self.searchable: bool = told["searchable"]
        self.translate: bool = bool(told.get("translate"))
        self.company_dependent: bool = told["company_dependent"]
        self.related: str = told.get("related") or ""
        digits = told.get("digits")
        self.digits: int | None = digits[1] if isinstance(digits, list) else None
        if self.type == "selection" and name == "tz":
            self.description["selection"] = [[zone, zone] for zone in sorted(zoneinfo.available_timezones())]
        if self.type == "selection" and name == "lang":
            self.description["selection"] = [list(pair) for pair in INSTALLED_LANGUAGES]
        self.selection: dict[str, str] = dict(self.description.get("selection") or ())

    @property
    def column(self) -> bool:
        """Whether rows hold this field themselves."""
        return self.store and self.type != "one2many" and not self.related

    def __str__(self) -> str:
        return f"{self.model}.{self.name}"


@dataclass(frozen=True, slots=True)
class Model:
    """One model: its title for people, its default order, what a name search looks at, and its fields."""

    name: str
    title: str
    order: str
    rec_name: str
    names_searched: tuple[str, ...]
    fields: Mapping[str, Field]

    @property
    def indexed(self) -> frozenset[str]:
        """The columns the table keeps an index of."""
        mirrored = {
            field.relation_field
            for model in load_schema().values()
            for field in model.fields.values()
            if field.type == "one2many" and field.relation == self.name
        }
        links = {name for name, field in self.fields.items() if field.type == "many2one" and field.column}
        return frozenset(INDEXED.get(self.name, ())) | (mirrored & links)


def data_file(name: str) -> Any:
    """Return the parsed JSON file `name` of the sandbox's own data."""
    return json.loads(files(__package__).joinpath("data", name).read_text("utf-8"))


@cache
def load_schema() -> Mapping[str, Model]:
    """Return all models by name; read once."""
    return {
        name: Model(
            name=name,
            title=told["name"],
            order=told["order"],
            rec_name=told["rec_name"],
            names_searched=tuple(told["names_searched"]),
            fields={field: Field(name, field, attributes) for field, attributes in told["fields"].items()},
        )
        for name, told in data_file("models.json").items()
    }
