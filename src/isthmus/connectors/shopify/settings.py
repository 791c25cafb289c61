"""What a person fills in to connect to one shop."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from isthmus.sdk import Rate, Secret

VERSION = "2026-07"


class ShopifySettings(BaseModel):
    """One custom app in one shop."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(description="The shop's own address, like https://my-shop.myshopify.com.")
    access_token: Secret = Field(
        description="The Admin API access token of the custom app; shown once, it begins shpat_."
    )
    webhook_secret: Secret | None = Field(
        default=None, description="The app's client secret (API secret key): Shopify signs webhooks with it."
    )
    old_webhook_secret: Secret | None = Field(
        default=None, description="The client secret before it was rotated; accepted as long as it is set."
    )
    api_version: str = Field(
        default=VERSION,
        pattern=r"^20[0-9]{2}-(01|04|07|10)$",
        description="The version of the Admin API; 2026-07 is the one that is spoken and tested.",
    )
    location: str | None = Field(
        default=None, description="The number of the location that is meant where a record names none."
    )
    notify_customers: bool = Field(
        default=False, description="Whether the shop writes to its customers about fulfilments and refunds made here."
    )
    points_per_second: float = Field(
        default=100.0,
        ge=0,
        description="The call budget in cost points: 100 on standard plans, 1000 on Plus; 0 for none.",
    )
    page_size: int = Field(
        default=50, ge=1, le=250, description="Records per page; smaller where a page costs too much."
    )
    line_page: int = Field(
        default=50, ge=1, le=250, description="Lines of a document per page; longer ones are read on."
    )
    batch_size: int = Field(default=20, ge=1, le=50, description="Records written by one request.")
    poll_overlap: float = Field(
        default=120.0,
        ge=0,
        description="Seconds that polling looks back for changes that Shopify's search learns late.",
    )
    request_ceiling: float = Field(
        default=60.0, gt=0, description="Seconds after which Shopify surely has ended a request."
    )

    def rate(self) -> Rate:
        """How fast this connection may be called, in points."""
        return Rate(self.points_per_second, max(1, int(self.points_per_second * 20)))
