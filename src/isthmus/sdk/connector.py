"""The seven verbs of a connector and the values they speak: check, describe, read, changes, create, update, delete.

A Record travels as a flat mapping from *path* to decoded value. Paths are the connector's own language, e.g.
for Odoo `name`, `country_id.code`, `child_ids[type=delivery].street`; for a REST system `Email`,
`BillingAddress`, `LineItems`. The compiled Mapping says which paths it needs; the connector reads exactly those.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from isthmus.errors import IsthmusError, Misconfigured
from isthmus.model.schema import EntitySchema
from isthmus.model.secret import Secret

if TYPE_CHECKING:
    from isthmus.sdk.login import Login
    from isthmus.sdk.operations import Act, Operation, Performed, Verdict

Scope = Any
"""A connector-native filter as plain data: an Odoo domain, a dict of query parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A Record as read on one side at one moment.

    `version` is whatever that system compares for optimistic locking (BNG Version, Odoo write_date text).
    `changed_at` is that system's clock, only as fine as it tells. `external_key` is the ExternalID it carries.
    `root_key` differs from `key` when the record is a child whose root is what the pair links.
    """

    key: str
    values: Mapping[str, Any]
    version: str | None = None
    changed_at: datetime | None = None
    created_at: datetime | None = None
    active: bool = True
    external_key: str | None = None


@dataclass(frozen=True, slots=True)
class ByKeys:
    """Read by the system's own ids, archived ones included. Absent from the answer means not readable."""

    keys: Sequence[str]


@dataclass(frozen=True, slots=True)
class ByExternalKeys:
    """Read by the external keys that this installation minted (read-back after an unknown outcome)."""

    keys: Sequence[str]


@dataclass(frozen=True, slots=True)
class ByValues:
    """Read all records, archived included, whose `path` equals one of `values` (match candidates)."""

    path: str
    values: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Everything:
    """Read all records in scope, in key order, archived included; `after` resumes behind a key or page token."""

    after: str | None = None


Selection = ByKeys | ByExternalKeys | ByValues | Everything


class Records(list["Record"]):
    """A page of Records. `begins` is what `Everything(after=…)` takes to read this very page again and go on behind it;
    empty for the first page, and where the key of the last Record is enough to go on.
    """

    begins: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """Says 'look at this record': what a webhook, a poll hit or a CDC row comes down to.

    `occurred_at` is the sender's clock. `gone` hints at a deletion, still to be proven by reading.
    `version` lets an echo of our own write be dropped early; `record` is filled when the page had it anyway.
    """

    entity: str
    key: str
    occurred_at: datetime | None = None
    version: str | None = None
    gone: bool = False
    record: Record | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePage:
    """Some hints, and the Cursor that is safe to store once they are durable."""

    hints: Sequence[Hint]
    cursor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """A record to be made. `external_key` is unique per Intent and found again by ByExternalKeys."""

    external_key: str
    values: Mapping[str, Any]
    idempotency_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """Fields to be changed. `expect` holds what we last read for the same paths; `version` likewise.

    The connector writes only where they still hold (Stale otherwise) as well as the system allows it.
    """

    key: str
    values: Mapping[str, Any]
    expect: Mapping[str, Any]
    version: str | None
    idempotency_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """A record to be removed; systems without deletion archive instead and say so in their manifest."""

    key: str
    version: str | None
    idempotency_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The write took place. `record` is given where the answer carried it. `created` is False when adopted."""

    key: str
    version: str | None = None
    changed_at: datetime | None = None
    created_at: datetime | None = None
    record: Record | None = None
    created: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """Nothing was written: the record moved since we read it."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """Nothing was written: the record does not exist (any more)."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Nothing was written, surely; `error` is a Retry, Reject or Halt that says why."""

    error: IsthmusError


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsure:
    """No answer came, or one that cannot be read: the write may or may not have taken place."""

    error: IsthmusError


Outcome = Written | Stale | Gone | Failed | Unsure


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the connection doctor: what was looked at, how it stands, and the fix in plain words."""

    check: str
    status: Literal["ok", "warning", "problem"]
    message: str
    fix: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What the load planner needs to know of a system.

    `batch_*` is the number of items per call that serves it best; `parallel` the calls at once.
    `ceiling_seconds` is the longest time a request can still take effect after we gave up waiting for it.
    `update_is_full`: an update replaces the whole record, so the planner overlays a fresh read.
    `idempotent_creates`: a create repeated with its idempotency key can never make a second record, so an
    unknown outcome may be resent after one read-back, without waiting for the ceiling.
    `exact_versions`: two different states of a record never carry the same version, so an event with the version
    we last saw tells nothing new.
    """

    batch_create: int = 100
    batch_update: int = 100
    batch_read: int = 200
    parallel: int = 2
    ceiling_seconds: float = 120.0
    update_is_full: bool = False
    can_delete: bool = False
    external_key_max: int = 64
    reads_by_value: bool = True
    idempotent_creates: bool = False
    exact_versions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRequest:
    """A raw delivery as it came in; header names are lower-case."""

    headers: Mapping[str, str]
    body: bytes
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A verified delivery: its id for de-duplication (None when the system gives none) and its hints."""

    delivery_id: str | None
    hints: Sequence[Hint]


@dataclass(frozen=True, slots=True, kw_only=True)
class HookStatus:
    """One webhook registration on the other side, as found."""

    entity: str
    installed: bool
    detail: str = ""
    remote_id: str | None = None


class Connector(ABC):
    """The code that speaks to one kind of system, bound to one Connection.

    All verbs raise only IsthmusError; per-record trouble in `create`, `update` and `delete` comes back as an
    Outcome aligned with the items, never as an exception. Reads may raise Retry or Halt errors.
    """

    key: ClassVar[str]

    @property
    @abstractmethod
    def traits(self) -> Traits:
        """How this system likes to be spoken to; may adapt while running."""

    @abstractmethod
    async def check(self) -> Sequence[Finding]:
        """The connection doctor: every finding in plain words with its fix; never raises for a bad set-up."""

    @abstractmethod
    async def describe(self, entities: Sequence[str] | None = None) -> Sequence[EntitySchema]:
        """The Entities as they are now, custom ones and custom fields included."""

    @abstractmethod
    def read(
        self, entity: str, selection: Selection, paths: Sequence[str], scope: Scope | None = None
    ) -> AsyncIterator[Sequence[Record]]:
        """Pages of Records with exactly `paths`; with `scope` only those inside it. Archived are included."""

    @abstractmethod
    def changes(self, entity: str, cursor: str | None, scope: Scope | None = None) -> AsyncIterator[ChangePage]:
        """Hints for everything that changed since `cursor` (None: since now), overlap included.

        May repeat a hint, never misses one. The last page's cursor is where to go on.
        """

    @abstractmethod
    async def create(self, entity: str, items: Sequence[Create]) -> Sequence[Outcome]:
        """Make records; one Outcome per item, in order. One bad item never stops a good one."""

    @abstractmethod
    async def update(self, entity: str, items: Sequence[Update]) -> Sequence[Outcome]:
        """Change records where they still are as expected; one Outcome per item, in order."""

    async def delete(self, entity: str, items: Sequence[Delete]) -> Sequence[Outcome]:
        """Remove records; offered only when `traits.can_delete`."""
        raise NotImplementedError(f"{self.key} does not delete")

    def operations(self) -> Sequence[Operation]:
        """What this system can be asked to do with documents, beyond writing their fields; none unless it says so."""
        return ()

    async def perform(self, operation: str, acts: Sequence[Act]) -> Sequence[Performed]:
        """Do what is not done yet; one outcome per Act, in order. See sdk/operations.py for the whole contract."""
        raise NotImplementedError(f"{self.key} has no operation {operation}")

    async def verify(self, operation: str, acts: Sequence[Act]) -> Sequence[Verdict]:
        """Whether each Act is done, in order; reads only."""
        raise NotImplementedError(f"{self.key} has no operation {operation}")

    async def exists(self, entity: str, keys: Sequence[str]) -> Mapping[str, bool]:
        """Whether each key still exists, rights unchanged: the proof that a record was deleted, not hidden.

        A key that can neither be proven present nor absent is left out of the answer.
        """
        raise NotImplementedError(f"{self.key} cannot prove deletions")

    async def all_keys(self, entity: str, scope: Scope | None = None) -> Sequence[str]:
        """Every key in scope, archived included (for the Sweep); default: reads everything without paths."""
        found: list[str] = []
        async for page in self.read(entity, Everything(), (), scope):
            found.extend(record.key for record in page)
        return found

    def receive(self, request: WebhookRequest) -> Delivery:
        """Verify a webhook delivery and say what it hints at; raises AuthFailed when it is not genuine."""
        raise Misconfigured(
            f"receiving a webhook from {self.key}: this connector takes none",
            hint="Take the address out of that system; polling finds its changes.",
        )

    def uses(self, paths: Mapping[str, Sequence[str]]) -> None:
        """Told before hooks are installed or looked at: which paths of each Entity are mapped, so only those tell."""

    async def install_hooks(self, entities: Sequence[str], url: str) -> Sequence[HookStatus]:
        """Register (or repair) webhooks to `url`; idempotent."""
        return []

    async def remove_hooks(self, url: str) -> None:
        """Take our registrations for `url` away again."""

    async def hooks(self, entities: Sequence[str], url: str) -> Sequence[HookStatus]:
        """How the registrations stand now."""
        return []

    async def renew(self, proof: Mapping[str, Secret]) -> Mapping[str, Secret]:
        """New secrets made at the other side; ours go on working. Raises Misconfigured with the steps where it cannot.

        `proof` is what that system wants to see once, like the password of our login; it is stored nowhere.
        """
        raise Misconfigured(
            f"renewing the secrets of this {self.key} connection: it cannot make new ones by itself",
            hint="Make them in that system, then give them: `isthmus connection rotate NAME --secret name=value`.",
        )

    async def retire(self, proof: Mapping[str, Secret]) -> str:
        """Make our own secrets worthless at the other side once newer ones are in use; says what is left to do."""
        return "The old secrets were not revoked: do that in that system."

    def begin_login(self, redirect_uri: str) -> Login:
        """The address at which a person gives consent, and what to keep until they come back to `redirect_uri`."""
        raise Misconfigured(
            f"asking a person to log in: this {self.key} connection needs nobody's consent",
            hint="Its own secrets are enough; where the system offers it, set grant: authorization_code.",
        )

    async def end_login(self, login: Login, returned: Mapping[str, str]) -> None:
        """Trade what the person came back with for tokens and keep those; raises AuthFailed when it is no consent."""
        raise NotImplementedError(f"{self.key} began no login")

    async def fingerprint(self) -> Mapping[str, Any]:
        """What tells this very database from a copy or an older restore of it (see DESIGN 5, restored systems)."""
        return {}

    async def close(self) -> None:
        """Free sockets."""
