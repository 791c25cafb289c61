"""Triggers: what begins a Run."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Literal
from zoneinfo import ZoneInfo

from croniter import croniter
from pydantic import Field, field_validator, model_validator

from isthmus.flows.node import Cel, ConnectionRole, PairRole, Sample, Trigger


class RecordChanged(Trigger):
    """A Record changed: in a pair, once its Change is applied, or in one system, as its connector tells.

    The item says which: `entity`, `key`, and for a pair `left`, `right` and `side`. The Run's key is the Record's. What
    the Record looks like now is read by the nodes behind: the Event is only a hint. Where a system cannot be asked
    later, as for chargebacks, what its Event told is the item's `record`.
    """

    LABEL: ClassVar[str] = "Record changed"
    SAMPLE: ClassVar[Sample] = Sample(
        config={"connection": "erp", "entity": "sale.order"},
        input={"entity": "sale.order", "key": "42"},
        output={"entity": "sale.order", "key": "42"},
    )

    type: Literal["record_changed"] = "record_changed"
    connection: ConnectionRole | None = Field(None, description="The system that is listened to.")
    pair: PairRole | None = Field(None, description="The pair that is listened to, in place of one system.")
    entity: str = Field(min_length=1, description="The Entity: the system's own, or the canonical one of a pair.")
    side: Literal["left", "right"] = Field("left", description="For a pair: whose key is the Run's.")

    @model_validator(mode="after")
    def _one_source(self) -> RecordChanged:
        if (self.connection is None) == (self.pair is None):
            raise ValueError("give either connection or pair")
        return self


class Schedule(Trigger):
    """The time has come, by a cron expression in a time zone; the Run's key is the moment.

    Moments missed while nothing ran are caught up once, not one by one.
    """

    LABEL: ClassVar[str] = "Schedule"
    SAMPLE: ClassVar[Sample] = Sample(
        config={"cron": "0 6 * * 1-5", "zone": "Europe/Vienna"},
        input={"at": "2026-01-05T05:00:00+00:00"},
        output={"at": "2026-01-05T05:00:00+00:00"},
    )

    type: Literal["schedule"] = "schedule"
    cron: str = Field(description="Minute, hour, day of month, month, day of week; a sixth field are seconds.")
    zone: str = Field("UTC", description="The time zone the expression is meant in.")

    @field_validator("cron")
    @classmethod
    def _is_cron(cls, cron: str) -> str:
        if not croniter.is_valid(cron):
            raise ValueError(f"{cron!r} is no cron expression; `*/15 * * * *` is every quarter of an hour")
        return cron

    @field_validator("zone")
    @classmethod
    def _is_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"{zone!r} is no time zone; write one like Europe/Vienna") from None
        return zone

    def next_after(self, moment: datetime) -> datetime:
        """When it fires next after a moment."""
        found: Any = croniter(self.cron, moment.astimezone(ZoneInfo(self.zone))).get_next(datetime)
        return datetime.fromtimestamp(found.timestamp(), tz=moment.tzinfo)


class Manual(Trigger):
    """A person, an API call or another flow begins the Run, with the item and the key they give."""

    LABEL: ClassVar[str] = "Started by hand"
    SAMPLE: ClassVar[Sample] = Sample(input={"order": "S00042"}, output={"order": "S00042"})

    type: Literal["manual"] = "manual"


class Webhook(Trigger):
    """A system without a connector calls the flow's own address; the body is the item.

    `isthmus flow hook NAME` gives the address, with a secret in it. A delivery that comes twice has the same key and
    so begins no second Run while the first is under way.
    """

    LABEL: ClassVar[str] = "Webhook"
    SAMPLE: ClassVar[Sample] = Sample(
        config={"key": "item.order.id"}, input={"order": {"id": "A-7"}}, output={"order": {"id": "A-7"}}
    )

    type: Literal["webhook"] = "webhook"
    key: Cel = Field(description="The Run's business key, from the body (`item.order.id`).")
