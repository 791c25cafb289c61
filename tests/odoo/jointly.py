"""A real Odoo and BNG joined by the pair of daily operations: what tests of employees, stock and ledgers stand on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from joined import Systems, connect_bng, isthmus
from real_odoo import RealOdoo

TEMPLATE = "odoo-bng-operations"


@dataclass
class Joint:
    """Both systems, and a pair `main` between them."""

    odoo: RealOdoo
    systems: Systems

    def new(self, model: str, **values: Any) -> int:
        """A record made in Odoo."""
        [made] = self.odoo.call(model, "create", vals_list=[values])
        return int(made)

    def edit(self, model: str, key: int, **values: Any) -> None:
        """An edit made in Odoo."""
        self.odoo.call(model, "write", ids=[key], vals=values)

    def in_odoo(self, model: str, key: int, *names: str) -> dict[str, Any]:
        """What Odoo itself says; of a record it refers to its name."""
        [row] = self.odoo.call(model, "read", ids=[key], fields=list(names))
        return {name: row[name][1] if isinstance(row[name], list) and row[name] else row[name] for name in names}

    async def at_bng(self, entity: str, by: str = "ExternalID") -> dict[str, dict[str, Any]]:
        """What BNG has of an Entity, by one of its fields."""
        found = (await self.systems.in_bng("GET", "snapshot", entities=entity))[entity]
        return {str(row.get(by)): row for row in found}

    async def edit_bng(self, entity: str, key: str, **changes: Any) -> None:
        """An edit that people make at BNG."""
        await self.systems.in_bng("POST", "edit", entity=entity, id=key, values=changes)

    async def settle(self, *entities: str) -> dict[str, Any]:
        """Compare both sides whole and write what differs; returns what was done per Entity."""
        chosen = [part for name in entities for part in ("--entity", name)]
        said = await isthmus("load", "main", "--yes", "--json", *chosen)
        assert said.code == 0, said
        return dict(said.json["done"])

    async def held(self) -> list[dict[str, Any]]:
        """What waits for a person."""
        return list((await ok("deadletters", "list", "--json")).json)


async def ok(*arguments: str) -> Any:
    """A command that ends well."""
    said = await isthmus(*arguments)
    assert said.code == 0, f"{arguments}: {said}"
    return said


async def connect(odoo: RealOdoo, systems: Systems, *, url: str = "") -> Joint:
    """Connections to both, no pair yet; `url` is another way to the same Odoo."""
    made = ["connection", "add", "odoo", "--kind", "odoo", "--url", url or odoo.url, "--no-check", "--set"]
    made += [f"database={odoo.database}", "--set", f"login={odoo.login}", "--set", "allow_loopback=true"]
    await ok(*made, "--secret", f"api_key={odoo.api_key}")
    await ok(*connect_bng(systems))
    return Joint(odoo, systems)


async def joint(odoo: RealOdoo, systems: Systems, *, url: str = "", template: str = TEMPLATE) -> Joint:
    """Both connected, with a pair from a template that ships."""
    up = await connect(odoo, systems, url=url)
    await ok("pair", "add", "main", "--left", "odoo", "--right", "bng", "--template", template)
    return up
