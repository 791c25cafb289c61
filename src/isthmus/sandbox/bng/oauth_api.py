"""The OAuth 2.0 endpoints: tokens for service accounts, and consent in the browser with PKCE."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from .http import EXTRA_HEADERS, answer, basic
from .service import Sandbox
from .tokens import REFRESH_SECONDS, Client, OAuthError

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_NO_STORE = {"Cache_Control": "no-store"}
_ASKED = ("response_type", "client_id", "redirect_uri", "code_challenge", "code_challenge_method", "scope", "state")
_PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>BNG sandbox</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem;color:#1d2433}}
button{{font:inherit;padding:.5rem 1.2rem;border-radius:.4rem;border:1px solid #b8c0cf;background:#fff;cursor:pointer}}
button.main{{background:#1f5fd0;border-color:#1f5fd0;color:#fff}}li{{color:#4a5468}}</style></head>
<body><h1>{title}</h1>{content}</body></html>"""


def routes(sandbox: Sandbox) -> list[web.RouteDef]:
    """The routes; none of them needs a token."""
    calls = _OAuthCalls(sandbox)
    return [
        web.post("/oauth/token", calls.token),
        web.get("/oauth/authorize", calls.ask_consent),
        web.post("/oauth/authorize", calls.take_consent),
    ]


class _OAuthCalls:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def token(self, request: web.Request) -> web.Response:
        """A token for a client's own secret, an authorization code or a refresh token."""
        self._sandbox.calls["POST /oauth/token"] += 1
        form = {name: str(value) for name, value in (await request.post()).items()}
        with self._sandbox.store.transaction():
            try:
                if request.content_type != "application/x-www-form-urlencoded":
                    raise OAuthError("invalid_request", "The body must be application/x-www-form-urlencoded.")
                told, status = self._granted(self._authenticated(request, form), form), 200
            except OAuthError as error:  # caught inside, because a refusal may have revoked tokens
                told, status = {"error": error.error, "error_description": error.description}, error.status
        challenge = {"WWW_Authenticate": 'Basic realm="BNG"'} if status == 401 else {}
        return answer(request, told, status, **_NO_STORE, **challenge)

    def _authenticated(self, request: web.Request, form: Mapping[str, str]) -> Client:
        tried = basic(request)
        if not tried and "client_id" in form:
            tried = [(form["client_id"], form.get("client_secret", ""))]
        if not tried:
            raise OAuthError("invalid_client", "The client must say who it is, by HTTP Basic.", 401)
        for place, (key, secret) in enumerate(tried, start=1):
            try:
                return self._sandbox.tokens.authenticate(key, secret)
            except OAuthError:
                if place == len(tried):
                    raise
        raise AssertionError("the loop above returns or raises")

    def _granted(self, client: Client, form: Mapping[str, str]) -> dict[str, Any]:
        store, tokens = self._sandbox.store, self._sandbox.tokens
        kind = form.get("grant_type")
        if kind == "client_credentials":
            if client.public:
                raise OAuthError("unauthorized_client", "A client without a secret needs the consent of a person.")
            return self._answer(client, _scopes(client.scopes, form.get("scope")), store.new_id(), refreshable=False)
        if kind == "authorization_code":
            code = tokens.exchange(
                client.id, form.get("code", ""), form.get("redirect_uri", ""), form.get("code_verifier", "")
            )
            return self._answer(client, code.scopes, code.family, refreshable=True)
        if kind == "refresh_token":
            scopes, family = tokens.refresh(client.id, form.get("refresh_token", ""))
            return self._answer(client, _scopes(scopes, form.get("scope")), family, refreshable=True, keep=scopes)
        raise OAuthError(
            "unsupported_grant_type", "grant_type must be client_credentials, authorization_code or refresh_token."
        )

    def _answer(
        self,
        client: Client,
        scopes: tuple[str, ...],
        family: str,
        *,
        refreshable: bool,
        keep: tuple[str, ...] | None = None,
    ) -> dict[str, Any]:
        tokens, seconds = self._sandbox.tokens, self._sandbox.switches.token_seconds
        told: dict[str, Any] = {
            "access_token": tokens.issue("access", client.id, scopes, seconds, family),
            "token_type": "Bearer",
            "expires_in": int(seconds),
            "scope": " ".join(scopes),
        }
        if refreshable:
            told["refresh_token"] = tokens.issue("refresh", client.id, keep or scopes, REFRESH_SECONDS, family)
        return told

    async def ask_consent(self, request: web.Request) -> web.Response:
        """The page that asks the person; with the switch `auto_approve` nobody is asked."""
        return self._consented(request, request.query, "allow" if self._sandbox.switches.auto_approve else None)

    async def take_consent(self, request: web.Request) -> web.Response:
        """What the person decided on the page."""
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return _page(request, "Not accepted", "<p>This form is only accepted from the sandbox's own page.</p>", 403)
        form = {name: str(value) for name, value in (await request.post()).items()}
        return self._consented(request, form, form.get("decision", "deny"))

    def _consented(self, request: web.Request, asked: Mapping[str, str], decision: str | None) -> web.Response:
        client = self._sandbox.tokens.client(asked.get("client_id", ""))
        redirect_uri = asked.get("redirect_uri", "")
        if client is None:
            return _page(request, "Unknown client", "<p>There is no client with this client_id.</p>", 400)
        if not _may_redirect(client, redirect_uri):
            text = "<p>The redirect_uri is not registered for this client, and leads to no loopback address.</p>"
            return _page(request, "Not allowed", text, 400)
        back = {"state": asked["state"]} if asked.get("state") else {}
        try:
            scopes = _checked(client, asked)
        except OAuthError as error:
            told = {"error": error.error, "error_description": error.description}
            return _redirect(request, redirect_uri, told | back)
        if decision is None:
            return _page(request, "Allow access?", _question(client, scopes, asked))
        if decision != "allow":
            refused = {"error": "access_denied", "error_description": "The person said no."}
            return _redirect(request, redirect_uri, refused | back)
        code = self._sandbox.tokens.new_code(client.id, redirect_uri, asked["code_challenge"], scopes)
        return _redirect(request, redirect_uri, {"code": code} | back)


def _scopes(most: tuple[str, ...], asked: str | None) -> tuple[str, ...]:
    """The scopes asked for, all that may be granted when none are named."""
    wanted = tuple(dict.fromkeys((asked or "").split()))
    for scope in wanted:
        if scope not in most:
            raise OAuthError("invalid_scope", f"This client may not have the scope {scope}.")
    return wanted or most


def _checked(client: Client, asked: Mapping[str, str]) -> tuple[str, ...]:
    """The scopes of a request for consent; OAuthError when it is not in order."""
    if asked.get("response_type") != "code":
        raise OAuthError("unsupported_response_type", "response_type must be code.")
    challenge = asked.get("code_challenge", "")
    if asked.get("code_challenge_method") != "S256" or not 43 <= len(challenge) <= 128:
        raise OAuthError("invalid_request", "PKCE is needed: code_challenge with code_challenge_method S256.")
    return _scopes(client.scopes, asked.get("scope"))


def _may_redirect(client: Client, uri: str) -> bool:
    if uri in client.redirect_uris:
        return True
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.hostname in _LOOPBACK and not parts.fragment


def _redirect(request: web.Request, uri: str, told: Mapping[str, str]) -> web.Response:
    where = uri + ("&" if urlsplit(uri).query else "?") + urlencode(told)
    return web.Response(status=302, headers=request[EXTRA_HEADERS] | {"Location": where})


def _question(client: Client, scopes: tuple[str, ...], asked: Mapping[str, str]) -> str:
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{escape(asked[name], quote=True)}">'
        for name in _ASKED
        if name in asked
    )
    listed = "".join(f"<li>{escape(scope)}</li>" for scope in scopes)
    return (
        f"<p><b>{escape(client.id)}</b> would like to use BNG on your behalf:</p><ul>{listed}</ul>"
        f'<form method="post" action="/oauth/authorize">{hidden}'
        '<button class="main" name="decision" value="allow">Allow</button> '
        '<button name="decision" value="deny">Refuse</button></form>'
    )


def _page(request: web.Request, title: str, content: str, status: int = 200) -> web.Response:
    headers = request[EXTRA_HEADERS] | {
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        "Cache-Control": "no-store",
    }
    html = _PAGE.format(title=escape(title), content=content)
    return web.Response(text=html, content_type="text/html", status=status, headers=headers)
