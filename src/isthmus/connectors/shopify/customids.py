"""Our own key on customers, products and variants: a metafield of type `id`, which no two records may share.

A create that is sent twice is refused the second time, and the record is found by the key at once, without waiting
for Shopify's search. The shop has to know the metafield's definition; it is made when it turns out to be missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from isthmus.connectors.shopify.catalogue import Entity
from isthmus.connectors.shopify.reading import AT_ONCE, Reader
from isthmus.connectors.shopify.selecting import METAFIELD, NAMESPACE, Row, Tree
from isthmus.connectors.shopify.wire import Wire
from isthmus.sdk import Misconfigured

OWNERS = ("customer", "product", "variant", "order")


class CustomIds:
    """Finds records by our key, and sees that the shop keeps the keys apart."""

    def __init__(self, wire: Wire, reader: Reader) -> None:
        self._wire = wire
        self._reader = reader
        self._defined: set[str] = set()

    @staticmethod
    def metafield(external_key: str) -> dict[str, Any]:
        """The metafield that carries a key."""
        return {"namespace": NAMESPACE, "key": METAFIELD, "type": "id", "value": external_key}

    async def find(self, told: Entity, keys: Sequence[str], tree: Tree) -> dict[str, Row]:
        """The rows that carry these keys."""
        await self.define(told)
        found: dict[str, Row] = {}
        for start in range(0, len(keys), AT_ONCE):
            part = list(keys[start : start + AT_ONCE])
            custom = [{"customId": {"namespace": NAMESPACE, "key": METAFIELD, "value": key}} for key in part]
            rows = await self._reader.identified(told, custom, tree)
            found |= {key: row for key, row in zip(part, rows, strict=True) if row}
        return found

    async def define(self, told: Entity) -> bool:
        """Make the definition where it is missing; whether that was needed."""
        if told.name in self._defined or told.owner_type is None:
            return False
        if await self.defined(told):
            self._defined.add(told.name)
            return False
        definition = {
            "namespace": NAMESPACE,
            "key": METAFIELD,
            "name": "Isthmus external key",
            "type": "id",
            "ownerType": told.owner_type,
        }
        query = (
            "mutation($definition: MetafieldDefinitionInput!) { metafieldDefinitionCreate(definition: $definition) "
            "{ createdDefinition { id } userErrors { field message code } } }"
        )
        doing = f"defining the external key of {told.label.lower()} records"
        answer = await self._wire.send(query, {"definition": definition}, doing=doing, reads=False)
        for errors in answer.errors.values():
            raise self._wire.error_of(errors[0], doing, reads=False)
        refusals = answer.data["metafieldDefinitionCreate"]["userErrors"]
        if refusals and not any(one["code"] == "TAKEN" for one in refusals):
            raise Misconfigured(doing, answered="; ".join(str(one["message"]) for one in refusals))
        self._defined.add(told.name)
        return True

    async def defined(self, told: Entity) -> bool:
        """Whether the shop knows the definition, and as one of unique ids."""
        query = (
            "query($owner: MetafieldOwnerType!) { metafieldDefinitions(first: 1, ownerType: $owner, "
            f'namespace: "{NAMESPACE}", key: "{METAFIELD}") {{ nodes {{ type {{ name }} }} }} }}'
        )
        doing = f"looking for the external key of {told.label.lower()} records"
        data = await self._wire.ask(query, {"owner": told.owner_type}, doing=doing)
        nodes = data["metafieldDefinitions"]["nodes"]
        if nodes and nodes[0]["type"]["name"] != "id":
            raise Misconfigured(
                f"{doing}: {NAMESPACE}.{METAFIELD} is defined as {nodes[0]['type']['name']}, not as id",
                hint="Delete that metafield definition in the shop's admin (Settings > Custom data).",
            )
        return bool(nodes)
