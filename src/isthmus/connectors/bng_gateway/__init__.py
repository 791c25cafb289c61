"""The BNG Gateway: payments of one merchant account, by tokens and vault customers; a card number never enters."""

from isthmus.connectors.bng_gateway.connector import GatewayConnector
from isthmus.connectors.bng_gateway.entities import CHARGEBACK, CUSTOMER, SETTLEMENT, TRANSACTION
from isthmus.connectors.bng_gateway.gateway import Details, Gateway
from isthmus.connectors.bng_gateway.hooks import Event, chargeback_record, read_event
from isthmus.connectors.bng_gateway.settings import GatewaySettings
from isthmus.connectors.bng_gateway.values import Settlement, Standing, Transaction, VaultCustomer, standing
from isthmus.connectors.bng_gateway.words import PaymentType, Status
from isthmus.sdk import ConnectorKind

connector = ConnectorKind(
    key="bng_gateway",
    name="BNG Gateway",
    summary="Card and bank payments over the gateway's classic API: charges, captures, refunds, vault, settlement.",
    settings=GatewaySettings,
    build=GatewayConnector,
    rate_of=lambda settings: settings.rate(),
    known_limits=(
        "Chargebacks are told by webhook only: the gateway cannot be asked for them.",
        "Settlement batches are put together from transactions, and know no fees.",
        "Webhooks are set up by hand in the gateway, which shows the signing key there.",
        "Two instalments of one amount need an order id each: order id, type and amount name a charge.",
    ),
)

__all__ = [
    "CHARGEBACK",
    "CUSTOMER",
    "SETTLEMENT",
    "TRANSACTION",
    "Details",
    "Event",
    "Gateway",
    "GatewayConnector",
    "GatewaySettings",
    "PaymentType",
    "Settlement",
    "Standing",
    "Status",
    "Transaction",
    "VaultCustomer",
    "chargeback_record",
    "connector",
    "read_event",
    "standing",
]
