"""Products, their variants and what of them is stocked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from . import metafields
from .errors import Refused
from .money import amount_text, money_text
from .stock import Stock, Told
from .store import Doc, Store, gid, number_of

_TEXTS = ("title", "descriptionHtml", "vendor", "productType", "handle", "status")
DEFAULT = [{"name": "Title", "value": "Default Title"}]


class Catalogue:
    """The products of one shop. A product always has a variant."""

    def __init__(self, store: Store, stock: Stock, tell: Told, currency: str) -> None:
        self._store = store
        self._stock = stock
        self._tell = tell
        self._currency = currency

    def create(self, given: Mapping[str, Any], *, field: str = "product") -> Doc:
        """Make a product with its variants, or with one of its own."""
        values = self._checked(given, None, field)
        product = self._store.add(
            "Product",
            {"descriptionHtml": "", "vendor": "", "productType": "", "status": "ACTIVE", "tags": [], "variants": []}
            | values | {"publishedAt": None},
        )  # fmt: skip
        metafields.put(self._store, product["id"], given.get("metafields"), field, "metafields")
        variants = given.get("variants") or [{"optionValues": []}]
        for place, one in enumerate(variants):
            product = self._add_variant(product, one, place, field)
        self._tell("PRODUCTS_CREATE", product)
        return product

    def change(self, text: str | None, given: Mapping[str, Any], *, field: str = "product") -> Doc:
        """Change a product, without its variants."""
        found = self._store.get(text)
        if found is None:
            raise Refused("Product does not exist", "id", code="PRODUCT_DOES_NOT_EXIST")
        changed = self._store.changed(found, **self._checked(given, found, field))
        metafields.put(self._store, changed["id"], given.get("metafields"), field, "metafields")
        self._tell("PRODUCTS_UPDATE", changed)
        return changed

    def add_variants(self, text: str, given: Sequence[Mapping[str, Any]]) -> tuple[Doc, list[Doc]]:
        """Add variants to a product; all or none. The one that a product has by itself makes room for the first."""
        product = self._product(text)
        lone = self._lone(product)
        known = {one["name"] for one in product.get("options") or ()}
        for place, one in enumerate(given):
            for option in one.get("optionValues") or ():
                if option.get("optionName") not in known:
                    told = ("variants", str(place), "optionValues")
                    raise Refused(f"Option does not exist: {option.get('optionName')}", *told, code="INVALID_INPUT")
        before = len(product["variants"])
        for place, one in enumerate(given):
            product = self._add_variant(product, one, place, "variants")
        made = [self._store.get(one) or {} for one in product["variants"][before:]]
        if lone is not None and made:
            product = self._remove_variant(product, lone)
        self._tell("PRODUCTS_UPDATE", product)
        return product, made

    def change_variants(self, text: str, given: Sequence[Mapping[str, Any]]) -> tuple[Doc, list[Doc]]:
        """Change variants of a product; all or none."""
        product = self._product(text)
        changed: list[Doc] = []
        for place, one in enumerate(given):
            told = ("variants", str(place))
            variant = self._store.get(one.get("id"))
            if variant is None or variant["product"] != text:
                raise Refused("Product variant does not exist", *told, "id", code="PRODUCT_VARIANT_DOES_NOT_EXIST")
            values = self._variant_values(one, told)
            if one.get("optionValues"):
                values |= self._options(product, one["optionValues"], told, but=variant["id"])
            variant = self._store.changed(variant, **values)
            self._change_item(variant, one.get("inventoryItem"), told)
            metafields.put(self._store, variant["id"], one.get("metafields"), *told, "metafields")
            changed.append(self._store.get(variant["id"]) or variant)
        product = self._with_options(self._store.changed(product))
        self._tell("PRODUCTS_UPDATE", product)
        return product, changed

    def find_variant(self, sku: str | None, text: str | None) -> Doc | None:
        """A variant by its SKU, id or number."""
        for one in self._store.all("ProductVariant"):
            if (sku is not None and one["sku"] == sku) or (text and text in (one["id"], str(number_of(one["id"])))):
                return one
        return None

    def _product(self, text: str) -> Doc:
        found = self._store.get(text)
        if found is None:
            raise Refused("Product does not exist", "productId", code="PRODUCT_DOES_NOT_EXIST")
        return found

    def _lone(self, product: Doc) -> str | None:
        found = self._store.get(product["variants"][0]) if len(product["variants"]) == 1 else None
        return found["id"] if found is not None and found["selectedOptions"] == DEFAULT else None

    def _remove_variant(self, product: Doc, text: str) -> Doc:
        variant = self._store.get(text) or {}
        for level in self._stock.levels_of(variant["inventoryItem"]):
            self._store.remove(level["id"])
        self._store.remove(variant["inventoryItem"])
        self._store.remove(text)
        left = [one for one in product["variants"] if one != text]
        return self._with_options(self._store.changed(product, variants=left))

    def _add_variant(self, product: Doc, given: Mapping[str, Any], place: int, field: str) -> Doc:
        told = (field, "variants", str(place)) if field != "variants" else (field, str(place))
        options = self._options(product, given.get("optionValues") or [], told)
        item = gid("InventoryItem", self._store.new_number())
        fresh: Doc = {
            "product": product["id"], "sku": None, "barcode": None, "price": money_text(Decimal(0), self._currency),
            "compareAtPrice": None, "taxable": True, "inventoryPolicy": "DENY",
            "position": len(product["variants"]) + 1, "inventoryItem": item,
        }  # fmt: skip
        variant = self._store.add("ProductVariant", fresh | self._variant_values(given, told) | options)
        kept = {"variant": variant["id"], "sku": variant["sku"], "tracked": True, "requiresShipping": True,
                "unitCost": None, "countryCodeOfOrigin": None, "harmonizedSystemCode": None,
                "measurement": {"id": gid("InventoryItemMeasurement", number_of(item)), "weight": None}}  # fmt: skip
        self._store.add("InventoryItem", kept, text=item)
        self._change_item(variant, given.get("inventoryItem"), told)
        quantities = given.get("inventoryQuantities") or []
        here = {one["locationId"]: one.get("availableQuantity", one.get("quantity", 0)) for one in quantities}
        for location in here or [self._store.all("Location")[0]["id"]]:
            self._stock.activate(item, location, here.get(location, 0))
        metafields.put(self._store, variant["id"], given.get("metafields"), *told, "metafields")
        return self._with_options(self._store.changed(product, variants=[*product["variants"], variant["id"]]))

    def _variant_values(self, given: Mapping[str, Any], told: Sequence[str]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name in ("price", "compareAtPrice"):
            if given.get(name) is not None:
                values[name] = self._price(str(given[name]), (*told, name))
            elif name == "compareAtPrice" and name in given:
                values[name] = None
        for name in ("barcode", "sku"):
            if name in given:
                values[name] = given[name] or None
        for name in ("taxable", "inventoryPolicy"):
            if given.get(name) is not None:
                values[name] = given[name]
        item = given.get("inventoryItem") or {}
        if "sku" in item:
            values["sku"] = item["sku"] or None
        return values

    def _price(self, text: str, told: Sequence[str]) -> str:
        try:
            amount = Decimal(text)
        except InvalidOperation:
            raise Refused("Price must be a number", *told, code="INVALID_INPUT") from None
        if amount < 0:
            raise Refused("Price must be greater than or equal to 0", *told, code="GREATER_THAN_OR_EQUAL_TO")
        return money_text(amount, self._currency)

    def _change_item(self, variant: Doc, given: Mapping[str, Any] | None, told: Sequence[str]) -> None:
        item = self._store.get(variant["inventoryItem"]) or {}
        values: dict[str, Any] = {"sku": variant["sku"]}
        for name in ("tracked", "requiresShipping", "countryCodeOfOrigin", "harmonizedSystemCode"):
            if given and given.get(name) is not None:
                values[name] = given[name]
        if given and given.get("cost") is not None:
            if Decimal(given["cost"]) < 0:
                raise Refused("Cost must be greater than or equal to 0", *told, "inventoryItem", "cost")
            values["unitCost"] = {"amount": amount_text(Decimal(given["cost"])), "currencyCode": self._currency}
        if given and given.get("measurement"):
            values["measurement"] = item["measurement"] | {"weight": given["measurement"].get("weight")}
        if any(item.get(name) != value for name, value in values.items()):
            self._store.changed(item, **values)

    def _options(
        self, product: Doc, given: Sequence[Mapping[str, Any]], told: Sequence[str], *, but: str | None = None
    ) -> dict[str, Any]:
        chosen = [
            {"name": one.get("optionName") or "Title", "value": one.get("name") or ""} for one in given
        ] or DEFAULT
        for text in product["variants"]:
            other = self._store.get(text)
            if other is not None and other["id"] != but and other["selectedOptions"] == chosen:
                shown = " / ".join(one["value"] for one in chosen)
                raise Refused(f"The variant '{shown}' already exists.", *told, code="VARIANT_ALREADY_EXISTS")
        return {"selectedOptions": chosen, "title": " / ".join(one["value"] for one in chosen)}

    def _with_options(self, product: Doc) -> Doc:
        """The product with the options that its variants use."""
        found: dict[str, list[str]] = {}
        for text in product["variants"]:
            for one in (self._store.get(text) or {}).get("selectedOptions", ()):
                values = found.setdefault(one["name"], [])
                if one["value"] not in values:
                    values.append(one["value"])
        known = {one["name"]: one for one in product.get("options") or ()}
        options = [
            {
                "id": known[name]["id"] if name in known else gid("ProductOption", self._store.new_number()),
                "name": name, "position": place + 1, "values": values,
            }
            for place, (name, values) in enumerate(found.items())
        ]  # fmt: skip
        return self._store.changed(product, options=options)

    def _checked(self, given: Mapping[str, Any], before: Doc | None, field: str) -> dict[str, Any]:
        values = {name: given[name] for name in _TEXTS if given.get(name) is not None}
        if before is None and not str(values.get("title") or "").strip():
            raise Refused("Title can't be blank", field, "title", code="BLANK")
        if "title" in values and not str(values["title"]).strip():
            raise Refused("Title can't be blank", field, "title", code="BLANK")
        if len(str(values.get("title") or "")) > 255:
            raise Refused("Title is too long (maximum is 255 characters)", field, "title", code="TOO_LONG")
        if given.get("tags") is not None:
            values["tags"] = sorted({str(tag).strip() for tag in given["tags"] if str(tag).strip()})
        if before is None or "handle" in values:
            values["handle"] = self._free_handle(values.get("handle"), str(values.get("title") or ""), before, field)
        return values

    def _free_handle(self, asked: Any, title: str, before: Doc | None, field: str) -> str:
        plain = re.sub(r"[^a-z0-9]+", "-", str(asked or title).lower()).strip("-") or "product"
        taken = {one["handle"] for one in self._store.all("Product") if before is None or one["id"] != before["id"]}
        if plain not in taken:
            return plain
        if asked:
            raise Refused(
                f"Handle '{plain}' already in use. Please provide a new handle.",
                field,
                "handle",
                code="HANDLE_NOT_UNIQUE",
            )
        return next(name for name in (f"{plain}-{n}" for n in range(1, len(taken) + 2)) if name not in taken)
