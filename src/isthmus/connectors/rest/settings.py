"""What a person fills in to connect to a described REST system."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urljoin

from pydantic import BaseModel, ConfigDict, Field

from isthmus.connectors.rest.manifest import Manifest
from isthmus.sdk import HttpClient, Misconfigured, Rate, Secret, Services, TokenBucket
from isthmus.sdk.auth import Authoriser, BasicLogin, KeyHeader, NoAuth, OAuth


class RestSettings(BaseModel):
    """The settings of a connection; which login fields are needed follows from the manifest's auth style."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: str | None = Field(default=None, description="The address of the API, like https://api.example.com.")
    client_id: str = Field(default="", description="OAuth 2.0: the id of the service account.")
    client_secret: Secret | None = Field(default=None, description="OAuth 2.0: its secret.")
    grant: Literal["client_credentials", "authorization_code"] = Field(
        default="client_credentials", description="A service account, or the consent of a person."
    )
    scopes: tuple[str, ...] | None = Field(default=None, description="Ask for these scopes instead of the usual ones.")
    token_url: str | None = Field(default=None, description="Where tokens are asked for, when not at the usual place.")
    authorize_url: str | None = Field(default=None, description="Where a person gives consent, likewise.")
    api_key: Secret | None = Field(default=None, description="The key, for systems that ask for one.")
    user: str = Field(default="", description="User name, for systems with HTTP Basic.")
    password: Secret | None = Field(default=None, description="Password, for systems with HTTP Basic.")
    webhook_secret: Secret | None = Field(default=None, description="Signs the webhook deliveries.")
    webhook_secret_previous: Secret | None = Field(default=None, description="Still accepted while it is rotated.")
    calls_per_second: float | None = Field(default=None, ge=0, description="The call budget; 0 for none.")
    parallel: int | None = Field(default=None, ge=1, le=64, description="Calls at once, at most.")
    overrides: dict[str, Any] = Field(
        default_factory=dict, description="What this installation does otherwise than the manifest says, in its form."
    )

    def webhook_secrets(self) -> list[Secret]:
        """The secrets that may have signed a delivery, the current one first."""
        return [secret for secret in (self.webhook_secret, self.webhook_secret_previous) if secret]

    def rate(self, manifest: Manifest) -> Rate:
        """How fast this connection may be called."""
        usual = manifest.limits.rate
        return usual if self.calls_per_second is None else Rate(self.calls_per_second, usual.burst)

    def url(self, manifest: Manifest) -> str:
        """The base URL; raises Misconfigured when neither the settings nor the manifest has one."""
        found = self.base_url or manifest.base_url
        if not found:
            raise Misconfigured(
                f"connecting to {manifest.name}: there is no base URL", hint="Set base_url of the connection."
            )
        return found.rstrip("/")


def authoriser(settings: RestSettings, manifest: Manifest, services: Services) -> tuple[Authoriser, HttpClient | None]:
    """How requests of this connection prove who sends them, and the client of the token server if there is one."""
    auth = manifest.auth
    if auth.style == "key":
        return KeyHeader(auth.header, _needed(settings.api_key, "api_key", manifest), auth.prefix), None
    if auth.style == "basic":
        return BasicLogin(settings.user, _needed(settings.password, "password", manifest)), None
    if auth.style == "oauth2":
        oauth = oauth_of(settings, manifest, services)
        return oauth, oauth.http
    return NoAuth(), None


def oauth_of(settings: RestSettings, manifest: Manifest, services: Services) -> OAuth:
    """The OAuth 2.0 client of this connection; the browser login (`sdk.login`) uses it as well."""
    if not settings.client_id:
        raise Misconfigured(f"connecting to {manifest.name}: there is no client id", hint="Set client_id.")
    base = settings.url(manifest)
    token_url = settings.token_url or base + manifest.auth.token_path
    by_person = settings.grant == "authorization_code"
    return OAuth(
        http=services.http(urljoin(token_url, "/"), budget=TokenBucket(Rate(0))),
        token_url=token_url,
        client_id=settings.client_id,
        client_secret=settings.client_secret
        if by_person
        else _needed(settings.client_secret, "client_secret", manifest),
        store=services.tokens,
        clock=services.clock,
        name=services.connection,
        grant="refresh_token" if by_person else "client_credentials",
        scopes=manifest.scopes() if settings.scopes is None else settings.scopes,
        client_auth=manifest.auth.client_auth,
    )


def authorize_url(settings: RestSettings, manifest: Manifest) -> str:
    """Where to send a person for consent."""
    return settings.authorize_url or settings.url(manifest) + manifest.auth.authorize_path


def form_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without those that are not set, as they are stored."""
    return {name: value for name, value in settings.items() if value not in (None, "", {}, ())}


def _needed(secret: Secret | None, name: str, manifest: Manifest) -> Secret:
    if not secret:
        raise Misconfigured(
            f"connecting to {manifest.name}: there is no {name.replace('_', ' ')}",
            hint=f"Set {name} of the connection.",
        )
    return secret
