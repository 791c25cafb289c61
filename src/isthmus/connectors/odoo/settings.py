"""What a person fills in to connect to one database of an Odoo."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from isthmus.sdk import Rate, Secret

Protocol = Literal["json2", "jsonrpc", "xmlrpc"]


class OdooSettings(BaseModel):
    """One login to one database, in one company and one language."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(description="The address of Odoo, like https://erp.example.com.")
    database: str = Field(
        default="", description="The database; may stay empty where the server shows only one (version 19 or newer)."
    )
    login: str = Field(
        default="", description="The login of the integration user; versions before 19 need it beside the key."
    )
    api_key: Secret = Field(description="An API key of the integration user: Preferences > Account Security in Odoo.")
    protocol: Literal["auto", "json2", "jsonrpc", "xmlrpc"] = Field(
        default="auto", description="How Odoo is spoken to; `auto` asks the server what it can."
    )
    company: int | str | None = Field(
        default=None, description="The company whose records are meant: its id or name; else the user's own company."
    )
    language: str = Field(default="en_US", description="The language that texts are read and written in.")
    request_ceiling: float = Field(
        default=120.0, gt=0, description="Seconds after which Odoo surely has ended a request (its limit_time_real)."
    )
    poll_overlap: float = Field(
        default=150.0,
        ge=0,
        description="Seconds that polling looks back for transactions that commit late; at least the longest of them.",
    )
    page_size: int = Field(default=1000, ge=1, le=5000, description="Records per call when reading and polling.")
    calls_per_second: float | None = Field(
        default=None, ge=0, description="The call budget; 0 for none. Unset: 1 on *.odoo.com, none elsewhere."
    )
    guarded_write_action: int | None = Field(
        default=None, description="The id of the guarded-write action, when it shall not be looked for by its name."
    )
    hook_secret: Secret | None = Field(default=None, description="The secret part of the URL that automations call.")

    admin_key: Secret | None = Field(
        default=None, description="A temporary administrator key for one call that installs automations; never stored."
    )
    admin_login: Secret | None = Field(
        default=None, description="The administrator's login beside that key; needed by versions before 19."
    )

    @property
    def hosted(self) -> bool:
        """Whether this is Odoo's own cloud, which allows about one call per second."""
        host = (urlsplit(self.url).hostname or "").lower()
        return host == "odoo.com" or host.endswith(".odoo.com")

    def rate(self) -> Rate:
        """How fast this connection may be called."""
        if self.calls_per_second is not None:
            return Rate(self.calls_per_second, max(1, int(self.calls_per_second)))
        return Rate(1.0, 2) if self.hosted else Rate(0)
