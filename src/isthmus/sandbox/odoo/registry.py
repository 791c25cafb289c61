"""Which behaviour each model has."""

from __future__ import annotations

from collections.abc import Mapping

from . import accounting, actions, partner, platform, product, purchase, sale, stock, variants
from .environment import Behaviour
from .schema import load_schema

_OWN: Mapping[str, Behaviour] = {
    "res.partner": partner.Partner(),
    "res.users": platform.Users(),
    "res.lang": platform.Language(),
    "res.company": platform.Company(),
    "res.country": platform.Country(),
    "res.country.state": platform.State(),
    "res.currency": platform.Currency(),
    "res.currency.rate": platform.Rate(),
    "res.partner.category": platform.Tag(),
    "res.partner.bank": platform.Archivable(),
    "res.partner.industry": platform.Archivable(),
    "product.template": product.Template(),
    "product.product": product.Variant(),
    "product.category": product.Category(),
    "product.supplierinfo": product.SupplierInfo(),
    "product.pricelist": platform.Archivable(),
    "product.attribute": variants.Attribute(),
    "product.attribute.value": variants.AttributeValue(),
    "product.template.attribute.line": variants.Line(),
    "product.template.attribute.value": variants.LineValue(),
    "uom.uom": platform.Unit(),
    "account.tax": platform.Archivable(),
    "account.payment.term": platform.Archivable(),
    "account.fiscal.position": platform.Archivable(),
    "ir.model.data": platform.ExternalIds(),
    "base.automation": platform.Automation(),
    "ir.actions.actions": actions.Actions(),
    "ir.actions.server": platform.ServerAction(),
    "sale.order": sale.Order(),
    "sale.order.line": sale.OrderLine(),
    "purchase.order": purchase.Order(),
    "purchase.order.line": purchase.OrderLine(),
    "stock.warehouse": stock.Warehouse(),
    "stock.location": stock.Place(),
    "stock.picking.type": stock.Kind(),
    "stock.picking": stock.Picking(),
    "stock.move": stock.Move(),
    "stock.quant": stock.Quant(),
    "account.move": accounting.Entries(),
}


def behaviours() -> Mapping[str, Behaviour]:
    """Return the behaviour of every model."""
    plain = Behaviour()
    return {name: _OWN.get(name, plain) for name in load_schema()}
