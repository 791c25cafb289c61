"""How requests prove who sends them: keys, passwords, OAuth 2.0 tokens that renew themselves."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, Protocol
from urllib.parse import quote, urlencode

from isthmus.errors import AuthFailed, Misconfigured, OutcomeUnknown, Unavailable
from isthmus.model.clock import Clock
from isthmus.model.secret import Secret
from isthmus.sdk.answers import decode_json, dig, read_error
from isthmus.sdk.http import HttpClient, Params, Response, rate_limited
from isthmus.sdk.tokens import Token, TokenStore

EARLY = timedelta(seconds=60)
"""A token is renewed this long before it ends, so that none runs out on its way."""


class Authoriser(Protocol):
    """Adds proof to requests."""

    async def headers(self) -> Mapping[str, str]:
        """The headers to add to a request sent now."""

    async def renew(self, refused: Mapping[str, str]) -> bool:
        """After a 401 for `refused` headers: whether others can be had now. Never asks twice for the same ones."""


@dataclass(frozen=True, slots=True)
class NoAuth:
    """For systems that ask for nothing."""

    async def headers(self) -> Mapping[str, str]:
        return {}

    async def renew(self, refused: Mapping[str, str]) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class KeyHeader:
    """A fixed key in a header, perhaps behind a prefix like `Bearer `."""

    header: str
    key: Secret
    prefix: str = ""

    async def headers(self) -> Mapping[str, str]:
        return {self.header: self.prefix + self.key.reveal()}

    async def renew(self, refused: Mapping[str, str]) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class BasicLogin:
    """User name and password by HTTP Basic."""

    user: str
    password: Secret

    async def headers(self) -> Mapping[str, str]:
        return {"Authorization": basic(self.user, self.password)}

    async def renew(self, refused: Mapping[str, str]) -> bool:
        return False


@dataclass(slots=True, kw_only=True)
class OAuth:
    """A bearer token by OAuth 2.0: cached until a minute before it ends, renewed once at a time.

    `client_credentials` asks for a token with the client's own secret. `refresh_token` trades the refresh token
    that a person's login left in the store (see `sdk.login`); a rotated one is saved before it is used.
    `http` leads to the token server; `token_url` is its full URL.
    """

    http: HttpClient
    token_url: str
    client_id: str
    client_secret: Secret | None
    store: TokenStore
    clock: Clock
    name: str = "default"
    grant: Literal["client_credentials", "refresh_token"] = "client_credentials"
    scopes: tuple[str, ...] = ()
    client_auth: Literal["basic", "body"] = "basic"
    _token: Token | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def headers(self) -> Mapping[str, str]:
        token = self._token
        if token is None or self._ended(token):
            token = await self._renewed(None)
        return _bearer(token)

    async def renew(self, refused: Mapping[str, str]) -> bool:
        await self._renewed(refused.get("Authorization"))
        return True

    async def granted(self) -> Token:
        """The token in force, asked for if there is none: its scopes tell what we may do."""
        await self.headers()
        assert self._token is not None  # headers() sets it or raises
        return self._token

    async def keep(self, token: Token) -> None:
        """Take a token that a person's login brought into use, in place of any other."""
        async with self._turn, self.store.exclusively(self.name):
            await self.store.save(self.name, token)
            self._token = token

    async def _renewed(self, refused: str | None) -> Token:
        """A token that is neither `refused` nor ended; only one caller of all workers asks the server."""
        async with self._turn:
            if self._usable(self._token, refused):
                return self._token  # type: ignore[return-value]  # usable means there is one
            async with self.store.exclusively(self.name):
                kept = await self.store.load(self.name)
                if self._usable(kept, refused):
                    self._token = kept
                    return kept  # type: ignore[return-value]  # usable means there is one
                self._token = await self._ask(kept)
                await self.store.save(self.name, self._token)
                return self._token

    def _usable(self, token: Token | None, refused: str | None) -> bool:
        return token is not None and not self._ended(token) and _bearer(token)["Authorization"] != refused

    def _ended(self, token: Token) -> bool:
        return token.expires_at is not None and self.clock.now() >= token.expires_at - EARLY

    async def _ask(self, kept: Token | None) -> Token:
        form: dict[str, str] = {"grant_type": self.grant}
        if self.grant == "refresh_token":
            if kept is None or kept.refresh is None:
                raise AuthFailed(
                    f"asking {self.token_url} for an access token: nobody has logged in yet",
                    hint="Log in once in the browser: `isthmus connection authorize NAME` shows the address.",
                )
            form["refresh_token"] = kept.refresh.reveal()
        if self.scopes:
            form["scope"] = " ".join(self.scopes)
        return await self.request(form, kept)

    async def request(self, form: Mapping[str, str], kept: Token | None = None) -> Token:
        """Ask the token server for what `form` says; a refresh token it does not renew is carried over."""
        doing = f"asking {self.token_url} for an access token"
        fields, headers = dict(form), {"Content-Type": "application/x-www-form-urlencoded"}
        if self.client_secret and self.client_auth == "basic":
            # RFC 6749 2.3.1: both parts are form-encoded before they are joined.
            secret = Secret(quote(self.client_secret.reveal(), safe=""))
            headers["Authorization"] = basic(quote(self.client_id, safe=""), secret)
        else:
            fields["client_id"] = self.client_id
            if self.client_secret:
                fields["client_secret"] = self.client_secret.reveal()
        body = urlencode(fields).encode()
        try:
            answer = await self.http.send("POST", self.token_url, doing=doing, headers=headers, body=body)
        except OutcomeUnknown as lost:  # nobody's record hangs on a token: it is simply asked for again, later
            raise Unavailable(doing, answered=str(lost)) from lost
        if not answer.ok:
            raise _refusal(doing, answer, self.clock, self.scopes)
        return self._read_token(doing, answer, kept)

    def _read_token(self, doing: str, answer: Response, kept: Token | None) -> Token:
        decoded = decode_json(answer.body)
        access = dig(decoded, "access_token")
        if not isinstance(access, str) or not access:
            raise Misconfigured(
                f"{doing}: the answer holds no access token",
                hint="Check the token URL of the connection; it must answer in JSON with an access_token.",
            )
        lasts = dig(decoded, "expires_in")
        seconds = (
            float(lasts) if isinstance(lasts, int | float | str) and str(lasts).replace(".", "").isdigit() else None
        )
        refresh = dig(decoded, "refresh_token")
        scope = dig(decoded, "scope")
        return Token(
            access=Secret(access),
            expires_at=None if seconds is None else self.clock.now() + timedelta(seconds=seconds),
            refresh=Secret(refresh) if isinstance(refresh, str) else (kept.refresh if kept else None),
            scopes=tuple(scope.split()) if isinstance(scope, str) else self.scopes,
        )


class AuthorisedClient:
    """An HttpClient whose requests carry proof; after a 401 it renews once and repeats, as a 401 had no effect."""

    def __init__(self, http: HttpClient, auth: Authoriser) -> None:
        self.http = http
        self.auth = auth

    async def send(
        self,
        method: str,
        path: str,
        *,
        doing: str,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        reads_only: bool = False,
        timeout: float | None = None,
    ) -> Response:
        """As `HttpClient.send`; a 401 that comes back here is final."""
        for attempt in ("first", "renewed"):
            proof = await self.auth.headers()
            answer = await self.http.send(
                method,
                path,
                doing=doing,
                params=params,
                headers={**(headers or {}), **proof},
                body=body,
                reads_only=reads_only,
                timeout=timeout,
            )
            if answer.status != 401 or attempt == "renewed" or not await self.auth.renew(proof):
                return answer
        raise AssertionError("unreachable: the second attempt always returns")


def basic(user: str, password: Secret) -> str:
    """The value of an Authorization header by HTTP Basic."""
    return "Basic " + base64.b64encode(f"{user}:{password.reveal()}".encode()).decode()


def _bearer(token: Token) -> dict[str, str]:
    return {"Authorization": f"Bearer {token.access.reveal()}"}


def _refusal(doing: str, answer: Response, clock: Clock, scopes: tuple[str, ...]) -> Exception:
    said = read_error(answer.status, answer.body)
    code = dig(decode_json(answer.body), "error")
    if answer.status == 429:
        return rate_limited(doing, answer, clock.now())
    if answer.status >= 500:
        return Unavailable(doing, answered=said.said)
    if code == "invalid_scope":
        return Misconfigured(
            doing, answered=said.said, hint=f"Grant this client the scopes {' '.join(scopes)}, or ask for fewer."
        )
    if code == "invalid_grant":
        return AuthFailed(doing, answered=said.said, hint="The login has ended or was withdrawn: log in again.")
    if code in ("invalid_client", "unauthorized_client") or answer.status in (401, 403):
        return AuthFailed(
            doing, answered=said.said, hint="Check the client id and the client secret of the connection."
        )
    return Misconfigured(doing, answered=said.said, hint="Check the token URL and the grant of the connection.")
