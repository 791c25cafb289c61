"""The description of a REST system as data: where what lies, how it is called, which fields it has; no logic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from isthmus.sdk import FieldType, Misconfigured, Rate
from isthmus.sdk.answers import ErrorShape
from isthmus.sdk.paging import Paging
from isthmus.sdk.statuses import Meaning
from isthmus.sdk.webhook import SignatureScheme


def _rooted(path: str) -> str:
    if not path.startswith("/") or "://" in path:
        raise ValueError("a path starts with / and stays on the server of the base URL")
    return path


UrlPath = Annotated[str, AfterValidator(_rooted)]


class Part(BaseModel):
    """A piece of a manifest: unknown words are refused, so that a typo is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FieldSpec(Part):
    """One field. `wire` is its name on the wire when it differs; `wire_choices` translates enum values."""

    type: FieldType = Field(default=FieldType.STRING, description="The type of the values.")
    label: str = Field(default="", description="What people call it.")
    help: str = Field(default="", description="What a person should know.")
    required: bool = Field(default=False, description="Must be given on create.")
    readonly: bool = Field(default=False, description="Set by the system only.")
    max: int | None = Field(default=None, description="The longest text.")
    scale: int | None = Field(default=None, description="Decimal places.")
    choices: tuple[str, ...] = Field(default=(), description="The values of an enum.")
    target: str | None = Field(default=None, description="The entity a reference points to.")
    wire: str | None = Field(default=None, description="The name on the wire.")
    wire_choices: Mapping[str, str] = Field(default_factory=dict, description="Enum value -> value on the wire.")
    fields: Mapping[str, FieldSpec] = Field(default_factory=dict, description="The fields of an object or address.")
    items: FieldSpec | None = Field(default=None, description="What a list holds.")


class Filters(Part):
    """Query parameters of a list; unset means the system has no such filter."""

    by_keys: str | None = Field(default=None, description="Takes several keys.")
    by_external_keys: str | None = Field(default=None, description="Takes several external keys.")
    by_external_key: str | None = Field(default=None, description="Takes one external key.")
    separator: str = Field(default=",", description="Between several values of one parameter.")
    most: int = Field(default=200, ge=1, description="How many values one parameter may take.")
    updated_since: str | None = Field(
        default=None, description="Takes an instant; answers records changed from then on."
    )
    after_key: str | None = Field(default=None, description="Takes a key; answers records behind it in key order.")
    values: Mapping[str, str] = Field(default_factory=dict, description="Field -> parameter that takes one value.")
    values_many: bool = Field(default=False, description="Value parameters take several values.")
    fixed: Mapping[str, str] = Field(default_factory=dict, description="Parameters sent with every list.")


class Batch(Part):
    """An endpoint that takes many records at once and answers per record."""

    path: UrlPath | None = Field(default=None, description="Where; unset: the entity's path with /batch.")
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    max: int = Field(default=100, ge=1, description="Records per call.")
    items: str | None = Field(default="Items", description="Where the body holds the records; null: it is the list.")
    item_record: str | None = Field(default=None, description="Where an item holds its record; null: it is the record.")
    item_idempotency: str | None = Field(default=None, description="Where an item holds its idempotency key.")
    header: bool = Field(default=True, description="The whole call carries an idempotency key made from its items'.")
    item_key: str | None = Field(default=None, description="Where an item of an update holds the record's key.")
    item_version: str | None = Field(default=None, description="Where an item of an update holds the expected version.")
    results: str = Field(default="Results", description="Where the answer holds the results, in order.")
    result_index: str | None = Field(default=None, description="Where a result says which item it is about.")
    result_status: str = Field(default="Status", description="Where a result holds its HTTP status.")
    result_record: str = Field(default="Data", description="Where a result holds the record.")
    result_error: str | None = Field(default="Error", description="Where a result holds its error body.")


class Parent(Part):
    """For records that live inside others, like lines of an order: they are read with their parent."""

    entity: str = Field(description="The entity they belong to.")
    field: str = Field(description="The field of the child that holds the parent's key.")
    embedded: str = Field(description="The field of the parent that holds its children.")


class Active(Part):
    """Which values of a field mean that the record is archived."""

    field: str
    archived: tuple[str, ...] = ("Inactive",)


class Verb(Part):
    """How one write is called; `style` says whether an update replaces the whole record."""

    method: Literal["POST", "PUT", "PATCH", "DELETE"]
    style: Literal["partial", "full"] = "partial"
    path: UrlPath | None = Field(default=None, description="Where, with {key} and {parent}; unset: as usual.")


class EntitySpec(Part):
    """One kind of record: where it is, what identifies it, what can be done with it, its fields."""

    label: str = ""
    path: UrlPath = Field(description="The list; for children with the place {parent}.")
    key: str = Field(description="The field that identifies a record.")
    version: str | None = Field(default=None, description="The field compared for optimistic locking.")
    external_key: str | None = Field(default=None, description="The field that keeps another system's key, unique.")
    external_key_max: int = 64
    created_at: str | None = None
    changed_at: str | None = None
    active: Active | None = None
    parent: Parent | None = None
    rows: str | None = Field(default=None, description="Where a list's answer holds the rows; unset: as the system.")
    filters: Filters | None = Field(default=None, description="The filters; unset: as the system's.")
    values: Mapping[str, str] = Field(default_factory=dict, description="Further value filters: field -> parameter.")
    create: Verb | None = Verb(method="POST")
    update: Verb | None = Verb(method="PUT")
    delete: Verb | None = None
    batch_create: Batch | None = None
    batch_update: Batch | None = None
    scopes: Mapping[Literal["read", "write"], str] = Field(default_factory=dict)
    events: Mapping[str, Literal["changed", "gone"]] = Field(default_factory=dict)
    lossy: tuple[str, ...] = Field(default=(), description="Fields that do not come back as they were written.")
    fields: Mapping[str, FieldSpec]

    @model_validator(mode="after")
    def _named_fields_exist(self) -> EntitySpec:
        named = {
            "key": self.key,
            "version": self.version,
            "external_key": self.external_key,
            "created_at": self.created_at,
            "changed_at": self.changed_at,
            "active": self.active.field if self.active else None,
        }
        missing = [f"{what} ({name})" for what, name in named.items() if name and name not in self.fields]
        missing += [f"filter on {name}" for name in self.values if name.split(".")[0] not in self.fields]
        if missing:
            raise ValueError(f"not among the fields: {', '.join(missing)}")
        return self


class Auth(Part):
    """How requests prove who sends them; the secrets themselves are settings of the connection."""

    style: Literal["none", "key", "basic", "oauth2"] = "none"
    header: str = Field(default="Authorization", description="The header of a key.")
    prefix: str = Field(default="", description="What stands before the key.")
    token_path: UrlPath = Field(default="/oauth/token", description="Where tokens are asked for.")
    authorize_path: UrlPath = Field(default="/oauth/authorize", description="Where a person gives consent.")
    client_auth: Literal["basic", "body"] = "basic"
    extra_scopes: tuple[str, ...] = ()


class Locking(Part):
    """How an update says which version it is based on."""

    header: str | None = Field(default="If-Match", description="The header that carries the version.")
    quoted: bool = Field(default=True, description="The header's version stands in double quotes, as in RFC 9110.")
    field: str | None = Field(default=None, description="The body field that carries the version.")


class Idempotency(Part):
    """How a create is told apart from its repetition."""

    header: str | None = "Idempotency-Key"
    on_updates: bool = True
    guaranteed: bool = Field(default=False, description="A create repeated with its key never makes a second record.")


class Limits(Part):
    """How fast and wide the system may be called."""

    per_second: float = 5.0
    burst: int = 10
    parallel: int = 4
    slow_after_seconds: float = 20.0
    timeout_seconds: float = 60.0
    ceiling_seconds: float = 120.0

    @property
    def rate(self) -> Rate:
        """As a Budget takes it."""
        return Rate(self.per_second, self.burst)


class Subscriptions(Part):
    """The endpoint that registers webhooks."""

    path: UrlPath
    rows: str | None = Field(default=None, description="Where the list holds the rows; unset: as the system.")
    id_field: str = "SubscriptionID"
    url_field: str = "Url"
    events_field: str = "Events"
    secret_field: str | None = None
    renew_path: UrlPath | None = Field(
        default=None, description="Where a registration takes a new secret, with {key}; unset: it is registered anew."
    )
    extra: Mapping[str, str | bool | int] = Field(default_factory=dict, description="Fixed fields of a registration.")


class Envelope(Part):
    """Where a delivery holds what."""

    rows: str | None = Field(default=None, description="Where a body of several events holds them.")
    id: str | None = "EventID"
    type: str = "EventType"
    type_header: str | None = Field(default=None, description="The header with the event's type, instead.")
    id_header: str | None = Field(default=None, description="The header with the delivery's id, instead.")
    key: str = "EntityID"
    occurred_at: str | None = "OccurredAt"
    version: str | None = "Version"
    parent: str | None = Field(default=None, description="Where a child's event holds the parent's key.")


class Webhooks(Part):
    """What the system tells by itself."""

    signature: SignatureScheme = SignatureScheme()
    envelope: Envelope = Envelope()
    subscriptions: Subscriptions | None = None


class Wording(Part):
    """How values are written on the wire and where answers hold them."""

    decimals: Literal["string", "number"] = "string"
    rows: str | None = Field(default=None, description="Where a list's answer holds the rows; null: it is the list.")
    record: str | None = Field(default=None, description="Where a single answer holds the record; null: it is it.")
    body: str | None = Field(default=None, description="The wrapper around a record that we send.")


class Changes(Part):
    """How the list of changed records behaves."""

    overlap_seconds: float = Field(
        default=10.0, ge=0, description="Read again what changed this long before the Cursor."
    )
    ordered: bool = Field(default=True, description="Lists are ordered by the time of the change, ascending.")
    exact_versions: bool = Field(default=False, description="Different states never carry the same version.")


class Manifest(Part):
    """A whole REST system."""

    key: str
    name: str
    summary: str = ""
    version: int = 1
    support: Literal["community", "certified"] = "community"
    known_limits: tuple[str, ...] = ()
    skip: Mapping[str, str] = Field(default_factory=dict, description="Contract check left out -> why.")
    base_url: str | None = None
    headers: Mapping[str, str] = Field(default_factory=dict, description="Sent with every request; no secrets.")
    auth: Auth = Auth()
    limits: Limits = Limits()
    paging: Paging = Paging()
    wording: Wording = Wording()
    filters: Filters = Filters()
    changes: Changes = Changes()
    locking: Locking | None = None
    idempotency: Idempotency = Idempotency(header=None)
    errors: ErrorShape = ErrorShape()
    statuses: Mapping[int, Meaning] = Field(default_factory=dict, description="Rows that override the status table.")
    codes: Mapping[str, Meaning] = Field(default_factory=dict, description="Error code -> meaning; before the status.")
    updates: Literal["partial", "full"] | None = Field(
        default=None, description="Whether updates replace the whole record, for every entity; unset: as each says."
    )
    webhooks: Webhooks | None = None
    openapi: UrlPath | None = Field(default=None, description="Where the system describes itself, custom fields too.")
    identity: UrlPath | None = Field(default=None, description="Answers what tells this very system from a copy.")
    entities: Mapping[str, EntitySpec] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _updates_for_all(cls, data: Any) -> Any:
        """Lay `updates` over what each entity says of its own."""
        style = data.get("updates") if isinstance(data, Mapping) else None
        entities = data.get("entities") if style else None
        if not isinstance(entities, Mapping):
            return data
        styled = {
            name: {**spec, "update": {"method": "PUT", **(spec.get("update") or {}), "style": style}}
            if isinstance(spec, Mapping) and spec.get("update", {}) is not None
            else spec
            for name, spec in entities.items()
        }
        return {**data, "entities": styled}

    @model_validator(mode="after")
    def _entities_fit(self) -> Manifest:
        for name, spec in self.entities.items():
            if spec.parent is not None:
                parent = self.entities.get(spec.parent.entity)
                if parent is None or spec.parent.embedded not in parent.fields:
                    raise ValueError(f"{name}: the parent {spec.parent.entity}.{spec.parent.embedded} is not described")
                if "{parent}" not in spec.path:
                    raise ValueError(f"{name}: the path of a child needs the place {{parent}}")
            for field in spec.fields.values():
                if field.target and field.target not in self.entities:
                    raise ValueError(f"{name}: refers to the unknown entity {field.target}")
        return self

    @cached_property
    def events(self) -> Mapping[str, tuple[str, str]]:
        """Event type -> (entity, changed or gone)."""
        return {event: (name, what) for name, spec in self.entities.items() for event, what in spec.events.items()}

    def scopes(self) -> tuple[str, ...]:
        """Every scope that some entity needs."""
        needed = [scope for spec in self.entities.values() for scope in spec.scopes.values()]
        return tuple(dict.fromkeys([*needed, *self.auth.extra_scopes]))


def load_manifest(path: Path) -> Manifest:
    """The manifest in a YAML file; raises Misconfigured naming every place that is wrong."""
    return parse_manifest(read_yaml(path), str(path.name))


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds one mapping; keys that begin with `x-` only hold anchors and are dropped."""
    try:
        found = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise Misconfigured(f"reading the manifest {path}: {error}", hint="Correct the file.") from error
    if not isinstance(found, dict):
        raise Misconfigured(f"reading the manifest {path}: it holds no mapping", hint="Correct the file.")
    return {name: value for name, value in found.items() if not str(name).startswith("x-")}


def parse_yaml(text: str) -> Any:
    """Plain data from YAML text; by the C parser where there is one, it is ten times as fast."""
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # both are safe loaders


def parse_manifest(data: Mapping[str, Any], name: str, overrides: Mapping[str, Any] | None = None) -> Manifest:
    """A manifest from plain data, with a connection's `overrides` merged in; raises Misconfigured."""
    try:
        return Manifest.model_validate(merged(data, overrides or {}))
    except ValidationError as error:
        told = "; ".join(
            f"{'.'.join(str(part) for part in entry['loc'])}: {entry['msg'].removeprefix('Value error, ')}"
            for entry in error.errors(include_url=False, include_context=False)[:8]
        )
        whose = f"the overrides on the manifest {name}" if overrides else f"the manifest {name}"
        raise Misconfigured(f"reading {whose}: {told}", hint="Correct the places named.") from error


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`, mapping by mapping; anything else is replaced, a null included."""
    out = dict(below)
    for name, value in above.items():
        known = out.get(name)
        out[name] = merged(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return out


def walk_fields(fields: Mapping[str, FieldSpec], before: str = "") -> Iterator[tuple[str, FieldSpec]]:
    """Every field by its dotted path, objects entered, lists not."""
    for name, spec in fields.items():
        yield before + name, spec
        if spec.fields:
            yield from walk_fields(spec.fields, f"{before}{name}.")
