"""A person's consent: the authorization code grant with PKCE, from the address to visit to the first token."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from isthmus.errors import AuthFailed
from isthmus.model.secret import Secret
from isthmus.sdk.auth import OAuth
from isthmus.sdk.tokens import Token


def random_word() -> str:
    """An unguessable word of 64 characters, fit for a verifier and for a state."""
    return secrets.token_urlsafe(48)


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A login that waits for the person to come back: keep it (the verifier is secret) until `finish`."""

    url: str
    state: str
    verifier: Secret
    redirect_uri: str


def start(oauth: OAuth, authorize_url: str, redirect_uri: str, *, random: Callable[[], str] = random_word) -> Login:
    """The address to send a person to, and what to keep until they come back to `redirect_uri`."""
    verifier, state = random(), random()
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    query = {
        "response_type": "code",
        "client_id": oauth.client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(oauth.scopes),
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    joint = "&" if "?" in authorize_url else "?"
    url = authorize_url + joint + urlencode({name: value for name, value in query.items() if value})
    return Login(url=url, state=state, verifier=Secret(verifier), redirect_uri=redirect_uri)


async def finish(oauth: OAuth, login: Login, returned: Mapping[str, str]) -> Token:
    """Trade what came back (`code`, `state` or `error`) for a token and keep it; raises AuthFailed otherwise."""
    doing = f"logging in at {oauth.token_url}"
    if returned.get("error"):
        said = returned.get("error_description") or returned["error"]
        raise AuthFailed(doing, answered=said, hint="Start the login again and allow the access that is asked for.")
    if not secrets.compare_digest(returned.get("state", "").encode(), login.state.encode()):
        raise AuthFailed(f"{doing}: the answer belongs to another login", hint="Start the login again.")
    if not returned.get("code"):
        raise AuthFailed(f"{doing}: no code came back", hint="Start the login again.")
    token = await oauth.request(
        {
            "grant_type": "authorization_code",
            "code": returned["code"],
            "redirect_uri": login.redirect_uri,
            "code_verifier": login.verifier.reveal(),
        }
    )
    await oauth.keep(token)
    return token
