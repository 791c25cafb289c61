"""What a person fills in to connect to one merchant account of the gateway."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from isthmus.sdk import Rate, Secret
from isthmus.sdk.webhook import NMI, SignatureScheme


class GatewaySettings(BaseModel):
    """One security key of one merchant account."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(
        default="https://secure.bngpaymentgateway.com",
        description="The address of the gateway; white labels of the same gateway have their own.",
    )
    security_key: Secret = Field(
        description="The security key of the merchant account, with the rights to transact and to query."
    )
    webhook_signing_key: Secret | None = Field(
        default=None, description="Signs the webhook deliveries: Settings > Webhooks in the gateway shows it."
    )
    webhook_signing_key_previous: Secret | None = Field(
        default=None, description="Still accepted while the signing key is rotated."
    )
    signature: SignatureScheme = Field(
        default=NMI, description="How deliveries are signed, where the account does it otherwise."
    )
    dup_seconds: int | None = Field(
        default=1200,
        ge=0,
        le=7_862_400,
        description="How long the gateway refuses an equal charge of the same card; unset: as the account has it.",
    )
    test_mode: bool = Field(default=False, description="Whether every transaction is marked as a test: no money moves.")
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$", description="The currency where none is told.")
    reference_field: int | None = Field(
        default=None,
        ge=1,
        le=20,
        description="The number of a merchant defined field that may carry our own key beside the order id.",
    )
    request_ceiling: float = Field(
        default=120.0, gt=0, description="Seconds after which a request that brought no answer surely has ended there."
    )
    look_again: tuple[float, ...] = Field(
        default=(0.5, 2.0, 5.0),
        description="Seconds to wait before each look for what became of a request that brought no answer.",
    )
    timeout: float = Field(default=60.0, gt=0, description="Seconds to wait for the answer to one request.")
    backoff_seconds: float = Field(
        default=60.0, gt=0, description="The first wait after the gateway asks to slow down; it doubles each time."
    )
    poll_overlap: float = Field(
        default=120.0, ge=0, description="Seconds that polling looks back for transactions that show up late."
    )
    batch_days: int = Field(default=35, ge=1, le=366, description="How many days back settlement batches are read.")
    page_size: int = Field(default=500, ge=1, le=1000, description="Records per call when reading and polling.")
    calls_per_second: float = Field(default=3.0, ge=0, description="The call budget; 0 for none.")
    parallel: int = Field(default=2, ge=1, le=16, description="Calls at once, at most: the gateway counts connections.")

    def webhook_keys(self) -> list[Secret]:
        """The keys that may have signed a delivery, the current one first."""
        return [key for key in (self.webhook_signing_key, self.webhook_signing_key_previous) if key]

    def rate(self) -> Rate:
        """How fast this connection may be called."""
        return Rate(self.calls_per_second, max(1, int(self.calls_per_second) * 2))
