"""Proves OAuth 2.0: service accounts, consent with PKCE, refresh tokens, scopes, expiry, and the rate limit."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from bng_records import PATHS, World
from bng_visitor import QUICK, Answer, Visitor, bng, visiting

from isthmus.sandbox.bng import Settings, Switches

__all__ = ["bng"]

VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
BACK = "http://127.0.0.1:9/back"
SERVICE = {"grant_type": "client_credentials"}


def question(bng: Visitor, **other: str) -> dict[str, str]:
    return {
        "response_type": "code",
        "client_id": bng.up.settings.client_id,
        "redirect_uri": BACK,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "scope": "customers:read",
        "state": "s1",
    } | other


async def form(bng: Visitor, path: str, told: dict[str, str], **headers: str) -> Answer:
    async with bng.session.post(bng.up.url + path, data=told, headers=headers, allow_redirects=False) as answer:
        return Answer(answer.status, answer.headers, await answer.read())


def told(answer: Answer) -> dict[str, str]:
    """What a redirect carries."""
    assert answer.status == 302
    assert answer.headers["Location"].startswith(BACK)
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


async def code(bng: Visitor, **other: str) -> str:
    answer = await form(bng, "/oauth/authorize", question(bng, **other) | {"decision": "allow"})
    return told(answer)["code"]


def exchange(given: str, **other: str) -> dict[str, str]:
    return {
        "grant_type": "authorization_code",
        "code": given,
        "redirect_uri": BACK,
        "code_verifier": VERIFIER,
    } | other


async def test_a_service_account_gets_a_token_for_its_secret(bng: Visitor) -> None:
    answer = await bng.ask_token(SERVICE)
    assert answer.status == 200
    assert set(answer.json) == {"access_token", "token_type", "expires_in", "scope"}, "no refresh token"
    assert (answer.json["token_type"], answer.json["expires_in"]) == ("Bearer", 3600)
    assert set(answer.json["scope"].split()) == {
        "webhooks:manage", *(f"{path}:{verb}" for path in PATHS.values() for verb in ("read", "write")),
    }  # fmt: skip
    assert answer.headers["Cache-Control"] == "no-store"
    in_body = SERVICE | {"client_id": bng.up.settings.client_id, "client_secret": bng.up.settings.client_secret}
    assert (await form(bng, "/oauth/token", in_body)).status == 200


@pytest.mark.parametrize(
    ("asked", "status", "error"),
    [
        ({}, 400, "unsupported_grant_type"),
        ({"grant_type": "password", "username": "a", "password": "b"}, 400, "unsupported_grant_type"),
        (SERVICE | {"scope": "customers:read moon:write"}, 400, "invalid_scope"),
        ({"grant_type": "refresh_token", "refresh_token": "none"}, 400, "invalid_grant"),
        ({"grant_type": "authorization_code", "code": "none"}, 400, "invalid_grant"),
    ],
)
async def test_a_refused_token_is_worded_as_rfc_6749_has_it(
    bng: Visitor, asked: dict[str, str], status: int, error: str
) -> None:
    answer = await bng.ask_token(asked)
    assert (answer.status, answer.json["error"]) == (status, error)
    assert set(answer.json) == {"error", "error_description"}


async def test_a_wrong_secret_is_refused(bng: Visitor) -> None:
    for client in ((bng.up.settings.client_id, "wrong"), ("nobody", "x")):
        answer = await bng.ask_token(SERVICE, client)
        assert (answer.status, answer.json["error"]) == (401, "invalid_client")
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert (await form(bng, "/oauth/token", SERVICE)).status == 401
    coded = await form(bng, "/oauth/token", SERVICE, Authorization="Basic ???")
    assert coded.status == 401


async def test_id_and_secret_may_be_form_encoded_before_they_are_joined(bng: Visitor) -> None:
    await bng.switch("POST", "clients", id="a b", secret="p%+/ x" * 4)
    for user, secret in (("a b", "p%+/ x" * 4), ("a%20b", "p%25%2B%2F%20x" * 4)):
        assert (await bng.ask_token(SERVICE, (user, secret))).status == 200


@pytest.mark.parametrize("path", sorted(PATHS.values()))
async def test_every_entity_has_a_scope_for_reading_and_one_for_writing(bng: Visitor, path: str) -> None:
    await bng.log_in(f"{path}:read")
    assert (await bng.send("GET", f"/api/v1/{path}")).status == 200
    for method, place in (("POST", path), ("POST", f"{path}/batch"), ("PUT", f"{path}/x"), ("PUT", path)):
        answer = await bng.refused(method, place, {})
        assert (answer.status, answer.error["Code"]) == (403, "Forbidden")
        assert f'scope="{path}:write"' in answer.headers["WWW-Authenticate"]
    await bng.log_in(f"{path}:write")
    assert (await bng.refused("GET", path)).status == 403
    assert (await bng.refused("GET", f"{path}/x")).status == 403
    assert (await bng.refused("POST", path, {})).status == 400
    assert (await bng.refused("GET", "webhook_subscriptions")).status == 403


async def test_lines_and_ship_notices_belong_to_the_scope_of_their_document(bng: Visitor) -> None:
    await bng.log_in("invoices:read customers:write")
    for place in ("sales_orders/x/line_items", "sales_orders/x/fulfillments", "sales_orders/x/line_items/y"):
        assert (await bng.refused("GET", place)).status == 403
    assert (await bng.refused("GET", "invoices/x/line_items")).status == 404
    assert (await bng.refused("POST", "invoices/x/line_items", {})).status == 403


async def test_without_a_token_that_is_in_force_nothing_is_answered(bng: Visitor) -> None:
    for header in ({"Authorization": ""}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic abc"}):
        answer = await bng.send("GET", "/api/v1/customers", headers=header)
        assert (answer.status, answer.error["Code"]) == (401, "Unauthorized")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    await bng.switch("PUT", "settings", token_seconds=0)
    await bng.log_in()
    assert (await bng.refused("GET", "customers")).status == 401
    await bng.switch("PUT", "settings", token_seconds=60)
    assert (await bng.log_in()).json["expires_in"] == 60
    await bng.get("customers")
    assert (await bng.switch("POST", "tokens/expire"))["access"] >= 1
    assert (await bng.refused("GET", "customers")).status == 401


async def test_a_person_is_asked_and_their_consent_becomes_a_token(bng: Visitor) -> None:
    page = await bng.send("GET", "/oauth/authorize", **question(bng, scope="customers:read <b>"))
    assert told(page)["error"] == "invalid_scope"
    page = await bng.send("GET", "/oauth/authorize", **question(bng, state='"><script>'))
    assert page.status == 200
    text = page.raw.decode()
    assert "customers:read" in text
    assert "Allow" in text
    assert "<script>" not in text
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    answer = await form(bng, "/oauth/authorize", question(bng) | {"decision": "allow"})
    assert told(answer)["state"] == "s1"
    token = await bng.ask_token(exchange(told(answer)["code"]))
    assert (token.status, token.json["scope"]) == (200, "customers:read")
    bng.token = token.json["access_token"]
    await bng.get("customers")
    assert (await bng.refused("GET", "products")).status == 403


async def test_a_person_may_refuse_and_other_pages_cannot_decide_for_them(bng: Visitor) -> None:
    answer = await form(bng, "/oauth/authorize", question(bng) | {"decision": "deny"})
    assert (told(answer)["error"], told(answer)["state"]) == ("access_denied", "s1")
    forged = {"Sec-Fetch-Site": "cross-site"}
    answer = await form(bng, "/oauth/authorize", question(bng) | {"decision": "allow"}, **forged)
    assert answer.status == 403


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"client_id": "nobody"}, 400),
        ({"redirect_uri": "https://evil.example/back"}, 400),
        ({"redirect_uri": "javascript:alert(1)"}, 400),
        ({"redirect_uri": "http://[bad"}, 400),
        ({"response_type": "token"}, 302),
        ({"code_challenge": ""}, 302),
        ({"code_challenge_method": "plain"}, 302),
    ],
)
async def test_a_wrong_question_is_shown_or_sent_back_but_never_to_a_stranger(
    bng: Visitor, change: dict[str, str], status: int
) -> None:
    answer = await bng.send("GET", "/oauth/authorize", **question(bng, **change))
    assert answer.status == status
    if status == 302:
        assert told(answer)["error"] in ("unsupported_response_type", "invalid_request")


async def test_a_registered_address_may_be_led_to(bng: Visitor) -> None:
    await bng.switch("POST", "clients", id="web", secret="s" * 20, redirect_uris=["https://app.example/back"])
    await bng.switch("PUT", "settings", auto_approve=True)
    asked = question(bng, client_id="web", redirect_uri="https://app.example/back")
    answer = await bng.send("GET", "/oauth/authorize", **asked)
    assert answer.headers["Location"].startswith("https://app.example/back?code=")


@pytest.mark.parametrize(
    "change",
    [{"code_verifier": "w" * 64}, {"code_verifier": ""}, {"redirect_uri": BACK + "/other"}, {"code": "guessed"}],
)
async def test_a_code_that_does_not_fit_gives_no_token(bng: Visitor, change: dict[str, str]) -> None:
    given = exchange(await code(bng)) | change
    answer = await bng.ask_token(given)
    assert (answer.status, answer.json["error"]) == (400, "invalid_grant")


async def test_a_code_used_twice_ends_the_tokens_it_gave(bng: Visitor) -> None:
    given = await code(bng)
    bng.token = (await bng.ask_token(exchange(given))).json["access_token"]
    await bng.get("customers")
    assert (await bng.ask_token(exchange(given))).json["error"] == "invalid_grant"
    assert (await bng.refused("GET", "customers")).status == 401


async def test_a_code_of_another_client_gives_no_token(bng: Visitor) -> None:
    await bng.switch("POST", "clients", id="other", secret="s" * 20)
    answer = await bng.ask_token(exchange(await code(bng)), ("other", "s" * 20))
    assert answer.json["error"] == "invalid_grant"


async def test_a_refresh_token_works_once_and_its_second_use_ends_everything(bng: Visitor) -> None:
    first = (await bng.ask_token(exchange(await code(bng, scope="customers:read vendors:read")))).json
    renew = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = (await bng.ask_token(renew | {"scope": "vendors:read"})).json
    assert second["scope"] == "vendors:read"
    third = (await bng.ask_token(renew | {"refresh_token": second["refresh_token"]})).json
    assert set(third["scope"].split()) == {"customers:read", "vendors:read"}, "narrowing one token keeps the grant"
    bng.token = third["access_token"]
    await bng.get("customers")
    stolen = await bng.ask_token(renew)
    assert (stolen.status, stolen.json["error"]) == (400, "invalid_grant")
    assert (await bng.refused("GET", "customers")).status == 401
    last = await bng.ask_token(renew | {"refresh_token": third["refresh_token"]})
    assert last.json["error"] == "invalid_grant"


async def test_a_public_client_needs_consent_but_no_secret(bng: Visitor) -> None:
    await bng.switch("POST", "clients", id="app", secret=None, scopes=["customers:read"])
    refused = await form(bng, "/oauth/token", SERVICE | {"client_id": "app"})
    assert refused.json["error"] == "unauthorized_client"
    given = await code(bng, client_id="app")
    token = await form(bng, "/oauth/token", exchange(given, client_id="app"))
    assert (token.status, token.json["scope"]) == (200, "customers:read")
    renewed = {"grant_type": "refresh_token", "client_id": "app", "refresh_token": token.json["refresh_token"]}
    assert (await form(bng, "/oauth/token", renewed)).status == 200


async def test_a_client_gets_no_more_than_it_was_registered_for(bng: Visitor) -> None:
    await bng.switch("POST", "clients", id="narrow", secret="s" * 20, scopes=["vendors:read"])
    assert (await bng.ask_token(SERVICE, ("narrow", "s" * 20))).json["scope"] == "vendors:read"
    wider = await bng.ask_token(SERVICE | {"scope": "customers:read"}, ("narrow", "s" * 20))
    assert wider.json["error"] == "invalid_scope"


async def test_requests_beyond_the_limit_are_told_how_long_to_wait() -> None:
    slow = Switches(rate_per_second=0.5, rate_burst=3)
    async with visiting(Settings(switches=slow, webhooks=QUICK)) as bng:
        answers: list[Any] = [await bng.send("GET", "/api/v1/customers") for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429]
        assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
        assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"3"}
        assert 1 <= int(answers[3].headers["Retry-After"]) <= 2
        assert int(answers[3].headers["X-RateLimit-Reset"]) <= 6
        assert answers[3].error["Code"] == "RateLimited"
        await bng.switch("PUT", "settings", rate_limit=False)
        assert (await bng.send("GET", "/api/v1/customers")).status == 200


async def test_one_clients_limit_is_not_anothers() -> None:
    async with visiting(Settings(switches=Switches(rate_per_second=0.01, rate_burst=1), webhooks=QUICK)) as bng:
        await bng.switch("POST", "clients", id="other", secret="s" * 20)
        await bng.get("customers")
        assert (await bng.refused("GET", "customers")).status == 429
        bng.token = (await bng.ask_token(SERVICE, ("other", "s" * 20))).json["access_token"]
        await bng.get("customers")


async def test_a_write_that_the_limit_refused_did_nothing() -> None:
    async with visiting(Settings(switches=Switches(rate_per_second=0.01, rate_burst=2), webhooks=QUICK)) as bng:
        plain = await World(bng).plain("customer")
        await bng.new("customers", plain)
        await bng.get("customers")
        answer = await bng.refused("POST", "customers", plain | {"ExternalID": "late"})
        assert answer.status == 429
        assert (await bng.switch("GET", "counts"))["customer"] == 1


async def test_secrets_and_tokens_rest_as_hashes_only(tmp_path: Any) -> None:
    file = tmp_path / "bng.sqlite"
    async with visiting(Settings(data=file, webhooks=QUICK)) as bng:
        secrets = [bng.token, bng.up.settings.client_secret, bng.up.settings.admin_key]
        secrets.append((await bng.ask_token(exchange(await code(bng)))).json["refresh_token"])
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert all(secret.encode() not in kept for secret in secrets)


async def test_a_token_outlives_a_restart(tmp_path: Any) -> None:
    settings = Settings(data=tmp_path / "bng.sqlite", client_secret="c" * 20, webhooks=QUICK)
    async with visiting(settings) as bng:
        token = bng.token
    async with visiting(settings) as again, aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {token}"}
        async with session.get(f"{again.up.url}/api/v1/customers", headers=headers) as answer:
            assert answer.status == 200
