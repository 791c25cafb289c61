"""The seven verbs over any REST system that a manifest describes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

from isthmus.connectors.rest.changing import Changer
from isthmus.connectors.rest.codec import EntityCodec
from isthmus.connectors.rest.doctor import Doctor
from isthmus.connectors.rest.hooks import Hooks
from isthmus.connectors.rest.manifest import FieldSpec, Manifest
from isthmus.connectors.rest.openapi import added_fields
from isthmus.connectors.rest.reading import Reader
from isthmus.connectors.rest.settings import RestSettings, authoriser, authorize_url
from isthmus.connectors.rest.wire import Wire
from isthmus.connectors.rest.writing import Writer
from isthmus.sdk import (
    AdaptiveConcurrency,
    ChangePage,
    Connector,
    Create,
    Delete,
    Delivery,
    EntitySchema,
    Finding,
    HookStatus,
    HttpClient,
    IsthmusError,
    Outcome,
    Record,
    SchemaDrift,
    Scope,
    Selection,
    Services,
    Traits,
    Update,
    WebhookRequest,
)
from isthmus.sdk.auth import AuthorisedClient, OAuth
from isthmus.sdk.login import Login, finish, start


class RestConnector(Connector):
    """One connection to one described system.

    A scope is a mapping from field to the value, or the list of values, that records in scope have.
    """

    key: ClassVar[str] = "rest"

    def __init__(self, manifest: Manifest, settings: RestSettings, services: Services) -> None:
        self.manifest = manifest
        self.settings = settings
        limits = manifest.limits
        parallel = settings.parallel or limits.parallel
        self._concurrency = AdaptiveConcurrency(
            start=parallel, most=parallel, slow_after=limits.slow_after_seconds, clock=services.clock
        )
        self._http = services.http(
            settings.url(manifest), concurrency=self._concurrency, timeout=limits.timeout_seconds
        )
        self._auth, self._token_http = authoriser(settings, manifest, services)
        self._wire = Wire(manifest, AuthorisedClient(self._http, self._auth), services.clock)
        self._codecs = {name: EntityCodec(name, spec, manifest.name) for name, spec in manifest.entities.items()}
        self._reader = Reader(manifest, self._wire, self._codecs)
        self._writer = Writer(manifest, self._wire, self._reader)
        self._changer = Changer(manifest, self._reader, services.clock)
        self._hooks = Hooks(manifest, settings, self._wire, services.clock)
        self._discovered = manifest.openapi is None

    @property
    def http(self) -> HttpClient:
        """The client all calls go through."""
        return self._http

    @property
    def traits(self) -> Traits:
        entities = self.manifest.entities.values()
        creates = [spec.batch_create.max for spec in entities if spec.batch_create]
        updates = [spec.batch_update.max for spec in entities if spec.batch_update]
        keys = [spec.external_key_max for spec in entities if spec.external_key]
        return Traits(
            batch_create=min(creates, default=20),
            batch_update=min(updates, default=20),
            batch_read=self.manifest.filters.most if self.manifest.filters.by_keys else 20,
            parallel=self._concurrency.limit,
            ceiling_seconds=self.manifest.limits.ceiling_seconds,
            update_is_full=any(spec.update is not None and spec.update.style == "full" for spec in entities),
            can_delete=all(spec.delete is not None for spec in entities),
            external_key_max=min(keys, default=64),
            reads_by_value=any(self._reader.value_filters(spec) for spec in entities),
            idempotent_creates=self.manifest.idempotency.guaranteed,
            exact_versions=self.manifest.changes.exact_versions,
        )

    async def check(self) -> Sequence[Finding]:
        return await Doctor(self.manifest, self.settings, self._wire, self._reader).findings()

    async def describe(self, entities: Sequence[str] | None = None) -> Sequence[EntitySchema]:
        await self._discover()
        wanted = list(self._codecs) if entities is None else list(entities)
        return [self._reader.codec(name).schema() for name in wanted]

    async def read(
        self, entity: str, selection: Selection, paths: Sequence[str], scope: Scope | None = None
    ) -> AsyncIterator[Sequence[Record]]:
        await self._know(entity, [*paths, *(dict(scope) if scope else ())])
        async for page in self._reader.records(entity, selection, paths, scope):
            yield page

    async def changes(self, entity: str, cursor: str | None, scope: Scope | None = None) -> AsyncIterator[ChangePage]:
        await self._know(entity, list(dict(scope)) if scope else [])
        async for page in self._changer.pages(entity, cursor, scope):
            yield page

    async def create(self, entity: str, items: Sequence[Create]) -> Sequence[Outcome]:
        await self._know(entity, [path for item in items for path in item.values], for_writing=True)
        return await self._writer.create(entity, items)

    async def update(self, entity: str, items: Sequence[Update]) -> Sequence[Outcome]:
        await self._know(entity, [path for item in items for path in item.values], for_writing=True)
        return await self._writer.update(entity, items)

    async def delete(self, entity: str, items: Sequence[Delete]) -> Sequence[Outcome]:
        return await self._writer.delete(entity, items)

    async def exists(self, entity: str, keys: Sequence[str]) -> Mapping[str, bool]:
        return await self._reader.existing(entity, keys)

    def receive(self, request: WebhookRequest) -> Delivery:
        return self._hooks.receive(request)

    async def install_hooks(self, entities: Sequence[str], url: str) -> Sequence[HookStatus]:
        return await self._hooks.install(entities, url)

    async def remove_hooks(self, url: str) -> None:
        await self._hooks.remove(url)

    async def hooks(self, entities: Sequence[str], url: str) -> Sequence[HookStatus]:
        return await self._hooks.status(entities, url)

    def begin_login(self, redirect_uri: str) -> Login:
        if not isinstance(self._auth, OAuth) or self.settings.grant != "authorization_code":
            return super().begin_login(redirect_uri)
        return start(self._auth, authorize_url(self.settings, self.manifest), redirect_uri)

    async def end_login(self, login: Login, returned: Mapping[str, str]) -> None:
        assert isinstance(self._auth, OAuth)  # begin_login refuses otherwise
        await finish(self._auth, login, returned)

    async def fingerprint(self) -> Mapping[str, Any]:
        """The address and, where the system says who it is, its own words."""
        parts = urlsplit(self._http.base_url)
        out: dict[str, Any] = {"host": parts.netloc, "path": parts.path}
        if self.manifest.identity:
            answer = await self._wire.get(self.manifest.identity, doing=f"asking {self.manifest.name} who it is")
            if isinstance(answer.decoded, Mapping):
                out["identity"] = {k: v for k, v in answer.decoded.items() if isinstance(v, str | int | bool)}
        return out

    async def close(self) -> None:
        await self._reader.stop()
        await self._http.close()
        if self._token_http is not None:
            await self._token_http.close()

    async def _know(self, entity: str, paths: Sequence[str], *, for_writing: bool = False) -> None:
        """Look for fields that the manifest does not have in the system's own description, once."""
        if self._discovered:
            return
        codec = self._reader.codec(entity)
        if all(path.startswith("@") or codec.knows(path) for path in paths):
            return
        try:
            await self._discover()
        except IsthmusError:
            if not for_writing:  # a write tells of the unknown field per record
                raise

    async def _discover(self) -> None:
        if self._discovered or self.manifest.openapi is None:
            return
        doing = f"reading the description of {self.manifest.name}"
        answer = await self._wire.get(self.manifest.openapi, doing=doing)
        if not isinstance(answer.decoded, Mapping):
            raise SchemaDrift(f"{doing}: it is no OpenAPI document", hint="Check the openapi path of the manifest.")
        for name, codec in list(self._codecs.items()):
            more: Mapping[str, FieldSpec] = added_fields(answer.decoded, codec.spec)
            if more:
                self._codecs[name] = EntityCodec(name, codec.spec, self.manifest.name, more)
        self._discovered = True
