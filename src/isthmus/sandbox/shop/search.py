"""Shopify's search syntax: `updated_at:>='2026-01-01' AND (email:a@x.org OR tag:vip) -status:draft`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .store import Doc, Store, kind_of, number_of

Test = Callable[[Doc], bool]
_TOKEN = re.compile(
    r"""\s*(?:(?P<paren>[()])|(?P<minus>-(?=\S))|(?P<term>(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^\s()"'])+))"""
)
_FIELD = re.compile(r"(?s)^(?P<name>[a-z_][a-z0-9_.]*):(?P<compare><=|>=|<|>)?(?P<value>.*)$")


@dataclass(frozen=True, slots=True)
class Searched:
    """What one field of a search looks at: the texts of a document. `when`: moments, or days only."""

    texts: Callable[[Store, Doc], list[str]]
    when: bool = False
    number: bool = False
    whole_day: bool = False


def _plain(*path: str) -> Searched:
    def texts(store: Store, doc: Doc) -> list[str]:
        value: Any = doc
        for part in path:
            value = value.get(part) if isinstance(value, Mapping) else None
        found = value if isinstance(value, list) else [value]
        return [str(one).lower() if isinstance(one, bool) else str(one) for one in found if one is not None]

    return Searched(texts)


def _moment(name: str, *, whole_day: bool = False) -> Searched:
    return Searched(_plain(name).texts, when=True, whole_day=whole_day)


def _number(name: str) -> Searched:
    return Searched(lambda store, doc: [str(number_of(doc[name]))] if doc.get(name) else [], number=True)


def _variants(name: str) -> Searched:
    def texts(store: Store, doc: Doc) -> list[str]:
        found = [store.get(one) for one in doc.get("variants", [])]
        return [str(one[name]) for one in found if one and one.get(name)]

    return Searched(texts)


def _line_skus(store: Store, doc: Doc) -> list[str]:
    return [str(line["sku"]) for line in map(store.get, doc.get("lineItems", [])) if line and line.get("sku")]


_SHARED = {"id": _number("id"), "created_at": _moment("createdAt"), "updated_at": _moment("updatedAt")}
FIELDS: Mapping[str, Mapping[str, Searched]] = {
    "Order": {
        **_SHARED, "name": _plain("name"), "email": _plain("email"), "tag": _plain("tags"),
        "financial_status": _plain("displayFinancialStatus"), "source_identifier": _plain("sourceIdentifier"),
        "fulfillment_status": _plain("displayFulfillmentStatus"), "customer_id": _number("customer"),
        "processed_at": _moment("processedAt"), "sku": Searched(_line_skus), "po_number": _plain("poNumber"),
    },
    "Customer": {
        **_SHARED, "email": _plain("email"), "phone": _plain("phone"), "first_name": _plain("firstName"),
        "last_name": _plain("lastName"), "tag": _plain("tags"), "state": _plain("state"),
        "updated_at": _moment("updatedAt", whole_day=True),
    },
    "Product": {
        **_SHARED, "title": _plain("title"), "handle": _plain("handle"), "vendor": _plain("vendor"),
        "product_type": _plain("productType"), "status": _plain("status"), "tag": _plain("tags"),
        "sku": _variants("sku"), "barcode": _variants("barcode"),
    },
    "ProductVariant": {
        **_SHARED, "sku": _plain("sku"), "barcode": _plain("barcode"), "title": _plain("title"),
        "product_id": _number("product"),
    },
    "InventoryItem": {**_SHARED, "sku": _plain("sku")},
    "InventoryLevel": {**_SHARED, "inventory_item_id": _number("item")},
    "WebhookSubscription": {**_SHARED, "topic": _plain("topic"), "uri": _plain("uri")},
    "Location": {**_SHARED, "name": _plain("name")},
    "Fulfillment": dict(_SHARED), "FulfillmentOrder": dict(_SHARED),
}  # fmt: skip
"""What can be searched by; a term with another field is ignored, as Shopify does with a warning."""

_ANYWHERE = {"Order": ("name", "email"), "Customer": ("email", "firstName", "lastName", "phone"), "Product": ("title",)}


def matching(query: str | None, store: Store, docs: list[Doc], *, unseen_after: int | None) -> list[Doc]:
    """The documents that a search finds; what changed after `unseen_after` (microseconds) is not indexed yet."""
    if not query or not query.strip() or not docs:
        return docs
    kind = kind_of(docs[0]["id"])
    test = _Parser(query, kind, store).whole()
    seen = docs if unseen_after is None else [doc for doc in docs if store.stamp_of(doc["id"]) <= unseen_after]
    return [doc for doc in seen if test(doc)]


class _Parser:
    """Terms next to each other are joined by AND; OR binds weaker; `-` and NOT turn one around."""

    def __init__(self, query: str, kind: str, store: Store) -> None:
        self._kind, self._store = kind, store
        self._tokens: Iterator[re.Match[str]] = _TOKEN.finditer(query)
        self._now: re.Match[str] | None = next(self._tokens, None)

    def whole(self) -> Test:
        """The test of the whole query."""
        choices = [self._all()]
        while self._word() == "OR":
            self._step()
            choices.append(self._all())
        return lambda doc: any(test(doc) for test in choices)

    def _all(self) -> Test:
        tests: list[Test] = []
        while self._now is not None and self._word() != "OR" and self._now["paren"] != ")":
            if self._word() == "AND":
                self._step()
                continue
            tests.append(self._one())
        return lambda doc: all(test(doc) for test in tests)

    def _one(self) -> Test:
        now = self._now
        assert now is not None  # the caller looked
        self._step()
        if now["minus"] or now["term"] == "NOT":
            turned = self._one()
            return lambda doc: not turned(doc)
        if now["paren"] == "(":
            inner = self.whole()
            self._step()
            return inner
        return self._term(now["term"] or "")

    def _term(self, term: str) -> Test:
        field = _FIELD.match(term)
        if field is None:
            wanted, names = _bare(term).lower(), _ANYWHERE.get(self._kind, ())
            return lambda doc: any(wanted in str(doc.get(name) or "").lower() for name in names)
        searched = FIELDS.get(self._kind, {}).get(field["name"])
        if searched is None:
            return lambda doc: True
        return _compared(searched, self._store, field["compare"] or "", _bare(field["value"]))

    def _word(self) -> str:
        return (self._now["term"] or "") if self._now is not None else ""

    def _step(self) -> None:
        self._now = next(self._tokens, None)


def _bare(text: str) -> str:
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return re.sub(r"\\(.)", r"\1", text[1:-1] if quoted else text)


def _compared(searched: Searched, store: Store, compare: str, value: str) -> Test:
    def cut(text: str) -> str:
        return text[:10] if searched.whole_day else text

    wanted = cut(value) if searched.when else value.lower()

    def meets(text: str) -> bool:
        if searched.number and compare and value.isdigit():
            return _ordered(compare, int(text), int(value))
        if not searched.when:
            here = text.lower()
            return here.startswith(wanted[:-1]) if wanted.endswith("*") else here == wanted
        here = cut(text)
        if not compare:
            return here.startswith(wanted)
        return here >= wanted if compare == ">" and searched.whole_day else _ordered(compare, here, wanted)

    return lambda doc: any(meets(text) for text in searched.texts(store, doc))


def _ordered(compare: str, here: Any, wanted: Any) -> bool:
    """Whether two values stand in this order."""
    found = {">": here > wanted, ">=": here >= wanted, "<": here < wanted, "<=": here <= wanted}
    return bool(found[compare])
