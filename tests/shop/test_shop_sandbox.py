"""The stand-in for a shop behaves as one: queries validated, costs counted, stock kept, everything durable."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from shop_visitor import Shopping, number, opened

CARD = {"lines": [{"title": "Card", "price": "1.00"}]}


def money(doc: dict[str, Any], name: str, side: str = "shopMoney") -> Decimal:
    """An amount of a document."""
    return Decimal(doc[name][side]["amount"])


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ orders(first: 1) { nodes { nix } } }", "undefinedField"),
        ("{ orders(first: 1, colour: 1) { nodes { id } } }", "argumentNotAccepted"),
        ("{ shop }", "selectionMismatch"),
        ("mutation { customerCreate(input: {shoeSize: 4}) { customer { id } } }", "argumentLiteralsIncompatible"),
        ("{ orders(first: 251) { nodes { id } } }", "BAD_REQUEST"),
        ("{ orders { nodes { id } } }", "BAD_REQUEST"),
        ("{ orders(", "BAD_REQUEST"),
    ],
)
async def test_a_query_that_shopify_would_not_take_is_refused(shopping: Shopping, query: str, code: str) -> None:
    body = await shopping.ask(query)
    assert body["errors"][0]["extensions"]["code"] == code
    assert not (body.get("data") or {}).get("orders")


async def test_the_door_needs_the_token_and_the_version(shopping: Shopping) -> None:
    assert (await shopping.raw("{ shop { id } }", token="wrong"))[0] == 401
    assert (await shopping.raw("{ shop { id } }", version="soon"))[0] == 404
    headers = {"Authorization": "Bearer wrong"}
    async with shopping.session.get(f"{shopping.up.url}/sandbox/calls", headers=headers) as answer:
        assert answer.status == 401


async def test_costs_are_counted_and_too_much_is_throttled(shopping: Shopping) -> None:
    small = (await shopping.ask("{ shop { id name } }"))["extensions"]["cost"]
    assert small["requestedQueryCost"] == small["actualQueryCost"] == 1
    # What Shopify answered for this very query: 250 variants, each with its inventory item.
    query = "query($id: ID!) { product(id: $id) { variants(first: 250) { nodes { inventoryItem { id tracked } } } } }"
    cost = (await shopping.ask(query, id="gid://shopify/Product/1"))["extensions"]["cost"]
    assert (cost["requestedQueryCost"], cost["actualQueryCost"]) == (25, 1)
    inner = "nodes { id variant { product { variants(first: 250) { nodes { id } } } } }"
    huge = f"{{ orders(first: 250) {{ nodes {{ lineItems(first: 250) {{ {inner} }} }} }} }}"
    assert (await shopping.ask(huge))["errors"][0]["extensions"]["code"] == "MAX_COST_EXCEEDED"
    await shopping.door("PUT", "settings", {"bucket": 15, "restore": 0.001})
    mutation = 'mutation { customerCreate(input: {firstName: "A"}) { customer { id } } }'
    assert "errors" not in await shopping.ask(mutation)
    throttled = await shopping.ask(mutation)
    assert throttled["errors"][0]["extensions"]["code"] == "THROTTLED"
    assert throttled["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"] == 5.0
    assert await shopping.count("Customer") == 1


async def test_a_part_of_a_document_that_is_refused_leaves_the_rest_done(shopping: Shopping) -> None:
    body = await shopping.ask(
        'mutation { a: customerCreate(input: {email: "bad"}) { customer { id } userErrors { field message } } '
        'b: customerCreate(input: {firstName: "B"}) { customer { id displayName } userErrors { message } } }'
    )
    assert body["data"]["a"]["userErrors"] == [{"field": ["email"], "message": "Email is invalid"}]
    assert body["data"]["b"]["customer"]["displayName"] == "B"


@pytest.mark.parametrize("included", [True, False])
@pytest.mark.parametrize("currency", ["USD", "JPY", "KWD"])
async def test_a_checkout_adds_up_in_every_currency(shopping: Shopping, included: bool, currency: str) -> None:
    rate = {"USD": "1", "JPY": "149.37", "KWD": "0.307"}[currency]
    order = await shopping.do(
        "checkout",
        lines=[
            {"sku": "MUG", "quantity": 3, "discount": {"kind": "fixed", "value": "3.33"}},
            {"sku": "CAP", "quantity": 1},
            {"title": "Card", "price": "0.07", "quantity": 7, "taxable": False},
        ],
        discounts=[
            {"kind": "percentage", "value": "7.5", "code": "X"},
            {"kind": "fixed", "value": "1.01", "code": "Y"},
        ],
        shipping=[{"title": "Post", "price": "4.99"}],
        taxes=[{"title": "State", "rate": "0.0625"}, {"title": "City", "rate": "0.0375"}],
        taxes_included=included,
        currency=currency,
        rate=rate,
    )
    found = (
        await shopping.ask(
            "query($id: ID!) { order(id: $id) { lineItems(first: 9) { nodes { originalTotalSet { ...both } "
            "discountAllocations { allocatedAmountSet { ...both } } taxLines { priceSet { ...both } } } } } } "
            "fragment both on MoneyBag { shopMoney { amount } presentmentMoney { amount } }",
            id=order["id"],
        )
    )["data"]["order"]["lineItems"]["nodes"]
    places = {"USD": 2, "JPY": 0, "KWD": 3}[currency]
    for side in ("shopMoney", "presentmentMoney"):
        lines = sum(
            money(line, "originalTotalSet", side)
            - sum((money(one, "allocatedAmountSet", side) for one in line["discountAllocations"]), Decimal(0))
            for line in found
        )
        taxes = sum(
            (money(tax, "priceSet", side) for line in (*found, *order["shippingLines"]) for tax in line["taxLines"]),
            Decimal(0),
        )
        assert lines == money(order, "subtotalPriceSet", side)
        assert taxes == money(order, "totalTaxSet", side)
        net = lines + money(order, "totalShippingPriceSet", side)
        assert money(order, "totalPriceSet", side) == (net if included else net + taxes)
        total = money(order, "totalPriceSet", side).normalize()
        exponent = total.as_tuple().exponent
        assert isinstance(exponent, int)
        assert -exponent <= (2 if side == "shopMoney" else places)
    assert found[2]["taxLines"] == []


async def test_overselling_is_refused_unless_the_policy_allows_it(shopping: Shopping) -> None:
    told = await shopping.door("POST", "checkout", {"lines": [{"sku": "CAP", "quantity": 3}]}, status=409)
    assert told["error"] == "CAP is out of stock: 2 left, 3 wanted"
    await shopping.do("product", title="Print", sku="PRINT", price="5", available=0, inventoryPolicy="CONTINUE")
    await shopping.do("product", title="File", sku="FILE", price="5", tracked=False)
    for sku in ("PRINT", "FILE"):
        assert (await shopping.do("checkout", lines=[{"sku": sku, "quantity": 2}]))["name"]
    levels = await shopping.door("GET", "all", kind="InventoryLevel")
    assert -2 in [one["counts"]["available"] for one in levels]
    both = {"lines": [{"sku": "CAP"}, {"sku": "CAP", "quantity": 2}]}
    await shopping.door("POST", "checkout", both, status=409)
    await shopping.door("POST", "checkout", {"lines": []}, status=409)
    await shopping.door("POST", "checkout", {"lines": [{"sku": "HAT"}]}, status=409)
    await shopping.door("POST", "checkout", {"lines": [], "colour": "red"}, status=400)


async def test_an_edit_moves_totals_stock_and_what_is_left_to_ship(shopping: Shopping) -> None:
    order = await shopping.do("checkout", lines=[{"sku": "MUG", "quantity": 3}, {"sku": "CAP"}])
    edited = await shopping.do("edit", order=order["name"], quantities={"MUG": 1}, add=[{"sku": "CAP"}])
    assert money(edited, "currentTotalPriceSet") == Decimal("34.99")
    assert money(edited, "originalTotalPriceSet") == Decimal("67.47")
    assert edited["edited"] is True
    counts = {one["counts"]["committed"] for one in await shopping.door("GET", "all", kind="InventoryLevel")}
    assert counts == {1, 2}
    await shopping.do("fulfil", order=order["name"])
    told = await shopping.door("POST", "edit", {"order": order["name"], "quantities": {"MUG": 0}}, status=409)
    assert "1 are shipped already" in told["error"]
    await shopping.door("POST", "cancel", {"order": order["name"]}, status=400)


async def test_an_authorised_order_is_captured_in_parts_and_voided_when_cancelled(shopping: Shopping) -> None:
    order = await shopping.do("checkout", lines=[{"sku": "MUG", "quantity": 2}], payment="authorize")
    assert order["displayFinancialStatus"] == "AUTHORIZED"
    part = await shopping.do("capture", order=order["name"], amount="9.98")
    assert part["displayFinancialStatus"] == "PARTIALLY_PAID"
    whole = await shopping.do("capture", order=order["name"])
    assert whole["displayFinancialStatus"] == "PAID"
    assert money(whole, "totalOutstandingSet") == 0
    other = await shopping.do("checkout", **CARD, payment="authorize")
    assert (await shopping.do("cancel", order=other["name"]))["displayFinancialStatus"] == "VOIDED"
    open_one = await shopping.do("checkout", **CARD, payment="pending")
    assert open_one["displayFinancialStatus"] == "PENDING"


async def test_returned_parts_add_up_to_the_whole(shopping: Shopping) -> None:
    order = await shopping.do(
        "checkout", lines=[{"sku": "MUG", "quantity": 3}], discounts=[{"kind": "fixed", "value": "0.01", "code": "P"}],
        taxes=[{"title": "VAT", "rate": "0.07"}],
    )  # fmt: skip
    backs = [await shopping.do("refund", order=order["name"], lines={"MUG": 1}) for _ in range(3)]
    assert sum(money(back["lines"][0], "subtotalSet") for back in backs) == money(order, "subtotalPriceSet")
    assert sum(money(back["lines"][0], "totalTaxSet") for back in backs) == money(order, "totalTaxSet")
    await shopping.door("POST", "refund", {"order": order["name"], "lines": {"MUG": 1}}, status=400)


async def test_an_id_of_ours_is_unique_and_found_at_once(shopping: Shopping) -> None:
    await shopping.door("PUT", "settings", {"index_lag": 600})
    define = (
        'mutation { metafieldDefinitionCreate(definition: {namespace: "n", key: "k", name: "K", type: "id", '
        "ownerType: CUSTOMER}) { createdDefinition { id } userErrors { code } } }"
    )
    find = '{ customerByIdentifier(identifier: {customId: {namespace: "n", key: "k", value: "1"}}) { id } }'
    assert (await shopping.ask(find))["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    assert (await shopping.ask(define))["data"]["metafieldDefinitionCreate"]["userErrors"] == []
    assert (await shopping.ask(define))["data"]["metafieldDefinitionCreate"]["userErrors"] == [{"code": "TAKEN"}]
    make = (
        'mutation { customerCreate(input: {firstName: "A", metafields: [{namespace: "n", key: "k", value: "1"}]}) '
        "{ customer { id } userErrors { field message } } }"
    )
    first = (await shopping.ask(make))["data"]["customerCreate"]
    second = (await shopping.ask(make))["data"]["customerCreate"]
    assert second["customer"] is None
    assert second["userErrors"][0]["field"] == ["metafields", "0", "value"]
    assert (await shopping.ask(find))["data"]["customerByIdentifier"]["id"] == first["customer"]["id"]
    assert await shopping.count("Customer") == 1


async def test_a_key_makes_a_refund_once_and_is_asked_for(shopping: Shopping) -> None:
    order = await shopping.do("checkout", **CARD)
    line = order["lineItems"][0]
    query = (
        "mutation($input: RefundInput!, $key: String!) { refundCreate(input: $input) @idempotent(key: $key) "
        "{ refund { id } userErrors { message } } }"
    )
    given = {"orderId": order["id"], "refundLineItems": [{"lineItemId": line, "quantity": 1}]}
    first = (await shopping.ask(query, input=given, key="k1"))["data"]["refundCreate"]
    assert (await shopping.ask(query, input=given, key="k1"))["data"]["refundCreate"] == first
    other = (await shopping.ask(query, input={**given, "note": "x"}, key="k1"))["data"]["refundCreate"]
    assert "other parameters" in other["userErrors"][0]["message"]
    bare = "mutation($input: RefundInput!) { refundCreate(input: $input) { refund { id } } }"
    assert "@idempotent directive is required" in (await shopping.ask(bare, input=given))["errors"][0]["message"]
    assert await shopping.count("Refund") == 1


async def test_searches_know_comparisons_quotes_and_logic(shopping: Shopping) -> None:
    for name, tags in (("Ada", ["vip"]), ("Bea", ["vip", "web"]), ("O'Neil", [])):
        await shopping.do("customer", firstName=name, email=f"{name[0].lower()}@x.org", tags=tags)

    async def found(query: str) -> list[str]:
        text = "query($q: String) { customers(first: 9, query: $q) { nodes { firstName } } }"
        return [one["firstName"] for one in (await shopping.ask(text, q=query))["data"]["customers"]["nodes"]]

    assert await found("tag:vip -tag:web") == ["Ada"]
    assert await found("email:a@x.org OR email:b@x.org") == ["Ada", "Bea"]
    assert await found("(tag:web OR first_name:ada) AND tag:vip") == ["Ada", "Bea"]
    assert await found(r"first_name:'o\'neil'") == ["O'Neil"]
    assert await found("first_name:b*") == ["Bea"]
    assert await found("neil") == ["O'Neil"]
    assert await found("updated_at:>='2020-01-01T00:00:00Z'") == ["Ada", "Bea", "O'Neil"]
    assert await found("updated_at:<'2020-01-01T00:00:00Z'") == []
    ids = [number(one["id"]) for one in await shopping.door("GET", "all", kind="Customer")]
    assert await found(f"id:>{ids[0]}") == ["Bea", "O'Neil"]


async def test_a_record_that_moves_while_paging_hides_no_other(shopping: Shopping) -> None:
    made = [await shopping.do("customer", firstName=f"N{n}") for n in range(5)]
    text = (
        "query($a: String) { customers(first: 2, after: $a, sortKey: UPDATED_AT) "
        "{ nodes { firstName } pageInfo { endCursor hasNextPage } } }"
    )
    seen: list[str] = []
    cursor = None
    while True:
        page = (await shopping.ask(text, a=cursor))["data"]["customers"]
        seen += [one["firstName"] for one in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        cursor = page["pageInfo"]["endCursor"]
        await shopping.do("customer", id=made[0]["id"], note="moved")
    assert set(seen) == {f"N{n}" for n in range(5)}


async def test_a_failed_change_leaves_nothing_behind(shopping: Shopping) -> None:
    before = await shopping.door("GET", "all", kind="InventoryLevel")
    told = {"lines": [{"sku": "MUG", "quantity": 2}], "payment": "barter"}
    await shopping.door("POST", "checkout", told, status=400)
    assert await shopping.door("GET", "all", kind="InventoryLevel") == before
    assert await shopping.count("Order") == 0
    order = await shopping.do("checkout", **CARD)
    assert order["name"] == "#1001"


async def test_the_switches_are_checked_and_everything_can_be_reset(shopping: Shopping) -> None:
    await shopping.door("PUT", "settings", {"colour": 1}, status=400)
    await shopping.door("POST", "faults", {"kind": "nonsense", "next": 1}, status=400)
    await shopping.door("POST", "faults", {"kind": "reset"}, status=400)
    await shopping.do("reset")
    assert await shopping.count("Product") == 0
    assert await shopping.count("Location") == 2


@contextmanager
def process(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The shop in a process of its own."""
    call = [sys.executable, "-m", "isthmus.sandbox.shop", "--print-ready", *arguments]
    running = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert running.stdout is not None
        yield running, json.loads(running.stdout.readline())
    finally:
        running.kill()
        running.communicate()


def door(ready: dict[str, Any], method: str, name: str, body: Any = None) -> Any:
    """A call to the admin door of such a process."""
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(f"{ready['url']}/sandbox/{name}", data=data, method=method)
    request.add_header("Authorization", f"Bearer {ready['admin_key']}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())


def test_everything_survives_a_kill_and_what_waits_is_delivered(tmp_path: Path) -> None:
    told = ("--data", str(tmp_path / "shop.db"), "--admin-key", "k" * 20)
    with process(*told) as (running, ready):
        door(ready, "POST", "product", {"title": "Mug", "sku": "MUG", "price": "2.50", "available": 3})
        order = door(ready, "POST", "checkout", {"lines": [{"sku": "MUG", "quantity": 2}], "email": "a@x.org"})
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
    with process(*told) as (_, ready):
        [again] = door(ready, "GET", "all?kind=Order")
        assert {name: again[name] for name in ("name", "totalPriceSet")} == {
            name: order[name] for name in ("name", "totalPriceSet")
        }
        assert door(ready, "POST", "checkout", {"lines": [{"sku": "MUG"}]})["name"] == "#1002"
        with pytest.raises(urllib.error.HTTPError, match="409"):
            door(ready, "POST", "checkout", {"lines": [{"sku": "MUG"}]})


def test_a_file_that_cannot_be_used_is_told_in_a_sentence(tmp_path: Path) -> None:
    call = [sys.executable, "-m", "isthmus.sandbox.shop", "--data", str(tmp_path / "nowhere" / "x")]
    done = subprocess.run(call, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("The sandbox cannot start.")
    assert "Traceback" not in done.stderr


async def test_every_field_of_the_schema_can_be_asked_for() -> None:
    """Walks the whole schema: nothing in it is promised and then missing."""
    from graphql import get_named_type, is_composite_type, is_required_argument

    from isthmus.sandbox.shop.api import schema

    def selection(kind: Any, depth: int) -> str:
        parts = ["__typename"]
        for name, field in getattr(kind, "fields", {}).items():
            if any(is_required_argument(argument) for argument in field.args.values()):
                continue
            inner = get_named_type(field.type)
            given = "(first: 2)" if "first" in field.args else ""
            if not is_composite_type(inner):
                parts.append(name)
            elif depth > 0:
                parts.append(f"{name}{given} {{ {selection(inner, depth - 1)} }}")
        return " ".join(parts)

    async with opened() as shopping:
        await shopping.door("PUT", "settings", {"most_cost": 10**9, "throttle": False})
        await shopping.do("product", title="Mug", sku="MUG", price="19.99", available=10)
        order = await shopping.do(
            "checkout", lines=[{"sku": "MUG", "quantity": 2}], customer={"firstName": "Ada"}, email="a@x.org",
            shipping=[{"price": "1"}], taxes=[{"title": "T", "rate": "0.1"}], discounts=[{"value": "5", "code": "C"}],
            shipping_address={"city": "Ulm", "countryCode": "DE"},
        )  # fmt: skip
        await shopping.do("fulfil", order=order["name"], tracking={"number": "1", "company": "UPS"})
        await shopping.do("refund", order=order["name"], lines={"MUG": 1}, amount="3", shipping=True)
        root = schema().query_type
        assert root is not None
        for name, field in root.fields.items():
            if any(is_required_argument(argument) for argument in field.args.values()):
                continue
            given = "(first: 2)" if "first" in field.args else ""
            body = await shopping.ask(f"{{ {name}{given} {{ {selection(get_named_type(field.type), 5)} }} }}")
            assert "errors" not in body, (name, body["errors"][:3])
