"""The systems that trade, the proxies before them, and their master data: goods, taxes, currencies, customers."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tests.acceptance.bng import Bng
from tests.acceptance.odoo import Odoo
from tests.acceptance.systems import Fresh, Proxy, Started
from tests.acceptance.trade.gateway import Gateway

ODOO_WRITES = (
    r"/json/2/[^/ ]+/(create|write|load|run|unlink|create_invoices|create_returns|js_assign_outstanding_line"
    r"|action_\w+|button_\w+|reverse_moves|refund_moves)\b"
)
BNG_WRITES = r"^(POST|PUT) /api/v1/"
GATEWAY_WRITES = r"^POST /api/transact.php"
SPARED = r"^POST /oauth/|/version|/sandbox/"
CENT = Decimal("0.01")
IN_STOCK = 1000
"""Of each of the goods, before anything is ordered."""
GOODS = {"CHAIR": "40.00", "TABLE": "99.50", "LAMP": "12.50"}
RARE = {"RARE": "75.00"}
"""Of these there are none in the warehouse."""
SERVICES = ("SHIP", "DISC", "ROUND")
CUSTOMERS = ("Azure", "Birch", "Cedar", "Damson", "Elder")
TIGHT = "Fir"
"""A customer with little credit."""
TIGHT_LIMIT = 100
VENDORS = ("Gent Supply", "Oslo Parts")
EURO_RATE = Decimal("0.8")
TAX_RATE = Decimal("0.07")
TAX_INCLUDED_RATE = Decimal("0.21")


def money(value: Any) -> Decimal:
    """Two places, halves up."""
    return Decimal(str(value)).quantize(CENT, ROUND_HALF_UP)


@dataclass
class Market:
    """Odoo, BNG and the gateway, reached directly, and as the product reaches them."""

    odoo: Odoo
    bng: Bng
    gateway: Gateway
    proxies: dict[str, Proxy]
    erp: dict[str, Any]
    books: dict[str, Any]
    till: dict[str, Any]
    closing: list[Any]
    variants: dict[str, int] = field(default_factory=dict)
    products: dict[str, str] = field(default_factory=dict)
    customers: dict[str, str] = field(default_factory=dict)
    vendors: dict[str, str] = field(default_factory=dict)
    partners: dict[str, int] = field(default_factory=dict)

    def close(self) -> None:
        """End everything that was started."""
        for one in (*self.proxies.values(), *self.closing):
            one.close()

    def faults(self, rate: float) -> None:
        """So many of all requests of the product meet a fault."""
        for proxy in self.proxies.values():
            if rate:
                proxy.plan(rate, delay_seconds=0.6, spare=SPARED)
            else:
                proxy.calm()

    # -- master data -------------------------------------------------------------------------------------------

    def furnish(self) -> None:
        """Everything that has to be in Odoo before the pair is loaded."""
        odoo = self.odoo
        euro = odoo.call("res.currency", "search", domain=[["name", "=", "EUR"]], context={"active_test": False})
        odoo.write("res.currency", euro, {"active": True})
        odoo.create("res.currency.rate", [{"currency_id": euro[0], "name": "2026-01-01", "rate": float(EURO_RATE)}])
        odoo.create("product.pricelist", [{"name": "Euro", "currency_id": euro[0]}])
        told = {"name": "21% incl", "amount": 21, "type_tax_use": "sale", "price_include_override": "tax_included"}
        odoo.create("account.tax", [told])
        people = [
            {"name": name, "is_company": True, "customer_rank": 1, "email": f"{name.lower()}@buyers.example.com"}
            for name in (*CUSTOMERS, TIGHT)
        ] + [
            {"name": name, "is_company": True, "supplier_rank": 1, "email": f"{name[:4].lower()}@supply.example.com"}
            for name in VENDORS
        ]
        self.partners = dict(zip((*CUSTOMERS, TIGHT, *VENDORS), odoo.create("res.partner", people), strict=True))
        company = [row["id"] for row in odoo.everything("res.company", [], ["name"])]
        odoo.write("res.company", company, {"account_use_credit_limit": True})
        limit = {"use_partner_credit_limit": True, "credit_limit": TIGHT_LIMIT}
        odoo.write("res.partner", [self.partners[TIGHT]], limit)
        bare: dict[str, Any] = {"taxes_id": [[6, 0, []]], "supplier_taxes_id": [[6, 0, []]]}
        goods = [
            {"name": sku.title(), "default_code": sku, "list_price": float(price), "is_storable": True, "type": "consu",
             **bare}
            for sku, price in (GOODS | RARE).items()
        ]  # fmt: skip
        goods += [{"name": sku.title(), "default_code": sku, "type": "service", **bare} for sku in SERVICES]
        self.variants = dict(zip((*GOODS, *RARE, *SERVICES), odoo.create("product.product", goods), strict=True))
        [warehouse] = odoo.everything("stock.warehouse", [], ["lot_stock_id"])
        rows = [
            {"product_id": self.variants[sku], "location_id": warehouse["lot_stock_id"][0],
             "inventory_quantity_auto_apply": IN_STOCK}
            for sku in GOODS
        ]  # fmt: skip
        odoo.call("stock.quant", "create", vals_list=rows, context={"inventory_mode": True})

    def learn(self) -> None:
        """The keys that BNG gave, once the pair is loaded."""
        self.products = {row["SKU"]: row["ProductID"] for row in self.bng.everything("products")}
        self.customers = {row["CompanyName"]: row["CustomerID"] for row in self.bng.everything("customers")}
        self.vendors = {row["CompanyName"]: row["VendorID"] for row in self.bng.everything("vendors")}


def open_market(seed: int) -> Market:
    """Start the stand-ins and the proxies, and take a clean database of the real Odoo."""
    closing: list[Any] = []
    try:
        books, till, fresh = Started("isthmus.sandbox.bng"), Started("isthmus.sandbox.gateway"), Fresh()
        closing += [books, till, fresh]
        erp = fresh.told
        odoo = Odoo(erp["url"], erp["database"], erp["admin_key"])
        odoo.wait_until_it_answers()
        proxies = {
            name: Proxy(url, seed=seed + n, writes=writes)
            for n, (name, url, writes) in enumerate(
                (
                    ("odoo", erp["url"], ODOO_WRITES),
                    ("bng", books.told["url"], BNG_WRITES),
                    ("gateway", till.told["url"], GATEWAY_WRITES),
                )
            )
        }
    except BaseException:
        for one in closing:
            one.close()
        raise
    b, g = books.told, till.told
    return Market(
        odoo=odoo,
        bng=Bng(b["url"], b["client_id"], b["client_secret"], b["admin_key"]),
        gateway=Gateway(g["url"], g["security_key"], g["admin_key"]),
        proxies=proxies,
        erp=erp,
        books=b,
        till=g,
        closing=closing,
    )
