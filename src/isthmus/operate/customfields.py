"""Custom fields of a pair: which of both systems belong together, and mapping them at once."""

from __future__ import annotations

from collections.abc import Collection

from isthmus.errors import Misconfigured
from isthmus.mapping.custom import Proposal, proposals, with_fields
from isthmus.mapping.model import Mapping as MappingFile
from isthmus.model.schema import EntitySchema
from isthmus.operate import folder
from isthmus.operate import pairs as stored_pairs
from isthmus.operate.assemble import mapping_file, parse_pair, schemas, template
from isthmus.operate.runtime import Runtime
from isthmus.store import pairs


async def offered(runtime: Runtime, pair: str, entity: str) -> list[Proposal]:
    """Custom fields of both systems that are not mapped yet and look the same."""
    names, files = await _mappings(runtime, pair, entity)
    row = await runtime.db.run(pairs.get, pair)
    _, running = await runtime.pair(row.id)
    binding = running.entities[entity]
    told = [mapping_file(files, name) for name in names]
    known: list[EntitySchema] = []
    for side, file in zip((binding.left, binding.right), told, strict=True):
        found = await schemas(side.connector, [file.system_entity])
        known.append(found.get(file.system_entity) or EntitySchema(name=file.system_entity))
    taken = {*binding.canonical.fields, *(path for file in told for path in _paths(file))}
    return proposals(known[0], known[1], taken)


async def map_fields(
    runtime: Runtime, pair: str, entity: str, names: Collection[str], *, actor: str
) -> tuple[list[Proposal], int]:
    """Map some of what is offered: the pair's next version has them. Returns what was mapped and that version."""
    chosen = [one for one in await offered(runtime, pair, entity) if one.name in names]
    missing = sorted(set(names) - {one.name for one in chosen})
    if missing or not chosen:
        raise Misconfigured(
            f"mapping custom fields of {entity}",
            answered=f"not offered: {', '.join(missing) or 'none was named'}",
            hint="Ask again which are offered; custom fields have to exist in both systems, with fitting types.",
        )
    mappings, files = await _mappings(runtime, pair, entity)
    for n, (mapping, side) in enumerate(zip(mappings, ("left", "right"), strict=True)):
        path = f"mappings/{mapping}.yaml"
        text = files.get(path) or template("mappings", mapping)
        paths = {one.name: getattr(one, side) for one in chosen}
        files[path] = with_fields(text, chosen, paths, declares=n == 0)
    _, version = await stored_pairs.apply(runtime, files, actor=actor, name=pair)
    return chosen, version


async def _mappings(runtime: Runtime, pair: str, entity: str) -> tuple[tuple[str, str], dict[str, str]]:
    """The names of an Entity's Mappings, and all files of the pair, tables included: what is left out is removed."""
    files = await runtime.db.run(folder.export, pair)
    entities = parse_pair(files["pair.yaml"]).entities
    if entity not in entities:
        raise Misconfigured(
            f"looking for custom fields of {entity}",
            answered=f"the pair {pair} has no entity {entity}",
            hint=f"Its entities are {', '.join(entities)}.",
        )
    told = entities[entity]
    return (told.left.mapping, told.right.mapping), files


def _paths(file: MappingFile) -> set[str]:
    found: set[str] = set()
    for told in [*file.fields.values(), *file.together]:
        found |= set(told.from_.values()) if isinstance(told.from_, dict) else {told.from_} if told.from_ else set()
    return found
