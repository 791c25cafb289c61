"""From a pair file to a running pair: Connections opened, Mappings compiled against what the systems really have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import resources
from typing import Any

import yaml
from pydantic import ValidationError

from isthmus.errors import Misconfigured
from isthmus.mapping.cel import Expression, expression
from isthmus.mapping.compiled import CompiledMapping, compile_mapping, load_mapping
from isthmus.mapping.custom import extended
from isthmus.mapping.entityfile import entities_of
from isthmus.mapping.lookups import Lookups
from isthmus.mapping.model import Mapping as MappingFile
from isthmus.mapping.rules import Rule, load_rules
from isthmus.model.canonical import CanonicalEntity
from isthmus.model.entities import ENTITIES
from isthmus.model.pairfile import EntityFile, FieldPolicyFile, PairFile, SideFile
from isthmus.model.policy import Direction, EntityPolicy, FieldPolicy, Guard, Owners, Side, TotalsPolicy
from isthmus.model.policy import Rule as Owner
from isthmus.model.schema import EntitySchema
from isthmus.sdk.connector import Connector
from isthmus.sdk.together import together
from isthmus.sync.pair import EntityBinding, PairRuntime, SideBinding

_SIDES: tuple[Side, Side] = ("left", "right")


def parse_pair(text: str, where: str = "pair.yaml") -> PairFile:
    """A pair file; raises Misconfigured naming every wrong place by its path."""
    try:
        return PairFile.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise Misconfigured(f"reading {where}", answered=str(error), hint="Correct the YAML at that line.") from error
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in error.errors())
        raise Misconfigured(
            f"reading {where}", answered=told, hint="Correct these places, then apply again."
        ) from error


def template(kind: str, name: str) -> str:
    """The text of a file that ships: kind is `pairs`, `mappings` or `rules`."""
    folder = resources.files("isthmus") / "templates" / kind
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = sorted(p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.endswith(".yaml"))
        raise Misconfigured(
            f"looking for the {kind.removesuffix('s')} {name}",
            answered="there is none with this name",
            hint=f"Those that ship: {', '.join(known)}.",
        )
    return path.read_text()


def mapping_file(files: Mapping[str, str], name: str) -> MappingFile:
    """A Mapping by name: the pair's own file if it has one, else the one that ships."""
    own = files.get(f"mappings/{name}.yaml")
    return load_mapping(own if own is not None else template("mappings", name))


def rules_of(
    files: Mapping[str, str], names: Sequence[str], entity: CanonicalEntity, settings: Mapping[str, Any]
) -> list[Rule]:
    """The validation rules of these files, the pair's own before those that ship."""
    out: list[Rule] = []
    for name in names:
        own = files.get(f"rules/{name}.yaml")
        out.extend(load_rules(own if own is not None else template("rules", name), entity, settings))
    return out


async def schemas(connector: Connector, entities: Sequence[str]) -> dict[str, EntitySchema]:
    """What the system says of these Entities now, by name."""
    return {schema.name: schema for schema in await connector.describe(sorted(set(entities)))}


async def _described(
    mappings: Mapping[str, tuple[MappingFile, MappingFile]], connectors: Mapping[Side, Connector]
) -> tuple[dict[Side, dict[str, EntitySchema]], dict[Side, dict[str, EntitySchema]]]:
    """What both systems say of the Entities that are mapped, and of those that rows of them are."""
    sides = list(enumerate(_SIDES))
    told = await together(
        *(schemas(connectors[side], [pair[n].system_entity for pair in mappings.values()]) for n, side in sides)
    )
    known = dict(zip(_SIDES, told, strict=True))
    related = {
        side: await _related(connectors[side], known[side], [pair[n] for pair in mappings.values()])
        for n, side in sides
    }
    return known, related


class Assembler:
    """Builds a PairRuntime; everything it needs is handed in, so that it can be done for a dry run as well."""

    def __init__(self, *, installation: str, lookups: Lookups, rates: Any) -> None:
        self._installation = installation
        self._lookups = lookups
        self._rates = rates

    async def assemble(
        self,
        pair: Any,
        file: PairFile,
        files: Mapping[str, str],
        connectors: Mapping[Side, tuple[int, str, Connector]],
    ) -> PairRuntime:
        """The pair as it runs. Raises Misconfigured or SchemaDrift when files and systems do not fit together."""
        entities = entities_of(files)
        mappings = {
            name: (mapping_file(files, entity.left.mapping), mapping_file(files, entity.right.mapping))
            for name, entity in file.entities.items()
        }
        known, related = await _described(mappings, {side: connectors[side][2] for side in _SIDES})
        out = PairRuntime(
            id=int(pair.id), name=pair.name, environment=pair.environment, version=int(pair.version),
            settings=file.settings,
        )  # fmt: skip
        for name in _in_order(file, entities):
            entity, canonical = file.entities[name], extended(_canonical(name, entities), mappings[name])
            sides = {
                side: self._side(
                    side,
                    getattr(entity, side),
                    mappings[name][n],
                    canonical,
                    (known[side], related[side]),
                    connectors,
                    file,
                )
                for n, side in enumerate(_SIDES)
            }
            policy = policy_of(canonical, entity)
            out.entities[name] = EntityBinding(
                pair_id=out.id,
                pair=out.name,
                installation=self._installation,
                name=name,
                canonical=canonical,
                left=sides["left"],
                right=sides["right"],
                policy=policy,
                rules=rules_of(files, entity.rules, canonical, file.settings),
                shares=entity.shares,
                foreign_policy=_foreign_policy(canonical, policy, entity.shares, entities),
                owners=owners_of(canonical, policy, entity),
                by_origin=_by_origin(canonical, policy),
            )
        for name, binding in out.entities.items():
            out.entities[name] = replace(
                binding,
                siblings=_siblings(out, binding),
                extensions=_extensions(out, binding),
                crowded=_crowded(out, binding),
            )
        return out

    def _side(
        self,
        side: str,
        settings: SideFile,
        mapping: MappingFile,
        canonical: CanonicalEntity,
        known: tuple[Mapping[str, EntitySchema], Mapping[str, EntitySchema]],
        connectors: Mapping[Side, tuple[int, str, Connector]],
        file: PairFile,
    ) -> SideBinding:
        which: Side = "left" if side == "left" else "right"
        connection_id, connection, connector = connectors[which]
        compiled: CompiledMapping = compile_mapping(
            mapping,
            entity=canonical,
            schema=known[0].get(mapping.system_entity),
            related=known[1],
            lookups=self._lookups,
            rates=self._rates,
            settings={**file.settings, "side": side},
        )
        return SideBinding(
            side=which,
            connection_id=connection_id,
            connection=connection,
            connector=connector,
            mapping=compiled,
            entity=mapping.system_entity,
            scope=settings.scope if settings.scope is not None else compiled.scope,
            adopt=settings.adopt,
            create_when=_condition(settings.create_when, canonical) if settings.create_when else None,
        )


def policy_of(canonical: CanonicalEntity, entity: EntityFile) -> EntityPolicy:
    """The Policy of an Entity: the pair file over the canonical defaults."""
    unknown = sorted(set(entity.fields) - set(canonical.fields))
    if unknown:
        raise Misconfigured(
            f"reading the policies of {canonical.name}",
            answered=f"unknown field {', '.join(unknown)}",
            hint=f"The fields are: {', '.join(sorted(canonical.fields))}.",
        )
    fields = {name: _field_policy(canonical.fields[name].policy, given) for name, given in entity.fields.items()}
    return EntityPolicy(
        fields=fields,
        deletes=entity.deletes,
        create_left=entity.create_left,
        create_right=entity.create_right,
        first_match_owner=entity.first_match_owner,
        guard=Guard(**entity.guard.model_dump()),
        totals=TotalsPolicy(**entity.totals.model_dump()),
    )


def _field_policy(default: FieldPolicy, given: FieldPolicyFile) -> FieldPolicy:
    return replace(default, **given.model_dump(exclude_none=True))


def owners_of(canonical: CanonicalEntity, policy: EntityPolicy, entity: EntityFile) -> Owners | None:
    """Who owns a record, where the Entity goes by a value for that; Misconfigured where the pair does not say it."""
    name, told = canonical.owned_by, entity.owners
    if name is None:
        if told is None:
            return None
        raise Misconfigured(
            f"reading the pair file: entities.{canonical.name}.owners",
            answered=f"{canonical.name} is not owned by a value",
            hint="Leave `owners` out; the Policies of its fields say who owns what.",
        )
    left, right = ({v.strip().casefold() for v in (getattr(told, s) if told else ())} for s in _SIDES)
    sides: dict[str, Side] = {**dict.fromkeys(left, _SIDES[0]), **dict.fromkeys(right, _SIDES[1])}
    twice = sorted(left & right)
    if not sides or twice:
        raise Misconfigured(
            f"reading the pair file: entities.{canonical.name}",
            answered=f"{', '.join(twice)} has two owners" if twice else f"nobody owns any {name}",
            hint=f"Say of every {name} which side owns it, once: `owners: {{left: [A, B], right: [C]}}`.",
        )
    policies = {side: _of_owner(canonical, policy, entity, side) for side in _SIDES}
    return Owners(field=name, sides=sides, policies=policies)


def _of_owner(canonical: CanonicalEntity, policy: EntityPolicy, entity: EntityFile, side: Side) -> EntityPolicy:
    """The Policy of records that one side owns: it tells, the other one shows; what the pair file names stays."""
    owner = FieldPolicy(rule=Owner(side), otherwise=Owner(side), strict=True)
    fields = {name: policy.fields[name] if name in entity.fields else owner for name in canonical.fields}
    return replace(policy, fields=fields, first_match_owner=side)


def _foreign_policy(
    canonical: CanonicalEntity,
    policy: EntityPolicy,
    shares: str | None,
    known: Mapping[str, CanonicalEntity] = ENTITIES,
) -> EntityPolicy | None:
    """Fields that the owning Entity has as well are only projected from the left, and strictly."""
    if shares is None:
        return None
    shared = canonical.fields.keys() & _canonical(shares, known).fields.keys()
    projected = FieldPolicy(rule=Owner.LEFT, otherwise=Owner.LEFT, strict=True)
    return replace(policy, fields={**policy.fields, **dict.fromkeys(shared, projected)})


def _by_origin(canonical: CanonicalEntity, policy: EntityPolicy) -> dict[Side, EntityPolicy]:
    """The Policy of records made on each side, where some fields belong to the side on which the record was made."""
    own = {
        name: effective
        for name, field in canonical.fields.items()
        if (effective := policy.fields.get(name, field.policy)).rule is Owner.ORIGIN
    }
    if not own:
        return {}
    return {
        side: replace(policy, fields={**policy.fields, **{name: _owned(one, side) for name, one in own.items()}})
        for side in _SIDES
    }


def _owned(policy: FieldPolicy, side: Side) -> FieldPolicy:
    away: Direction = "to_right" if side == "left" else "to_left"
    return replace(
        policy,
        rule=Owner.LEFT if side == "left" else Owner.RIGHT,
        direction=away if policy.direction == "both" else policy.direction,
    )


def _condition(text: str, canonical: CanonicalEntity) -> Expression:
    try:
        return expression(text, tuple(canonical.fields))
    except ValueError as error:
        raise Misconfigured(
            f"reading create_when of {canonical.name}",
            answered=str(error),
            hint=f"Its fields are: {', '.join(sorted(canonical.fields))}.",
        ) from error


def _row_entities(known: Mapping[str, EntitySchema], mappings: Sequence[MappingFile]) -> list[str]:
    """What the rows of mapped lists are in the system itself, where it says so."""
    found: set[str] = set()
    for mapping in mappings:
        schema = known.get(mapping.system_entity)
        for told in mapping.fields.values():
            if told.each is not None and schema is not None:
                field = schema.fields.get(str(told.from_).removesuffix("{}"))
                if field is not None and field.target:
                    found.add(field.target)
    return sorted(found)


async def _related(
    connector: Connector, known: Mapping[str, EntitySchema], mappings: Sequence[MappingFile]
) -> dict[str, EntitySchema]:
    """The schemas of what the rows of mapped lists are."""
    found = _row_entities(known, mappings)
    return await schemas(connector, found) if found else {}


def _siblings(pair: PairRuntime, binding: EntityBinding) -> dict[Side, list[str]]:
    sides: tuple[Side, Side] = ("left", "right")
    return {
        side: [
            e.name
            for e in pair.fan_out(side, binding.side(side).entity)
            if e is not binding and e.side(side).adopt == "linked" and e.canonical.extends != binding.name
        ]
        for side in sides
    }


def _extensions(pair: PairRuntime, binding: EntityBinding) -> dict[Side, list[str]]:
    sides: tuple[Side, Side] = ("left", "right")
    return {
        side: [e.name for e in pair.fan_out(side, binding.side(side).entity) if e.canonical.extends == binding.name]
        for side in sides
    }


def _crowded(pair: PairRuntime, binding: EntityBinding) -> bool:
    sides: tuple[Side, Side] = ("left", "right")
    return any(
        sum(e.side(side).adopt != "linked" for e in pair.fan_out(side, binding.side(side).entity)) > 1 for side in sides
    )


def _canonical(name: str, known: Mapping[str, CanonicalEntity]) -> CanonicalEntity:
    if name not in known:
        raise Misconfigured(
            f"reading the pair file: entity {name}",
            answered="there is no canonical entity of this name",
            hint=f"Known entities: {', '.join(sorted(known))}. Describe one of your own in entities/{name}.yaml.",
        )
    return known[name]


def _in_order(file: PairFile, known: Mapping[str, CanonicalEntity]) -> list[str]:
    """Entities behind those they depend on."""
    done: list[str] = []
    pending = list(file.entities)
    while pending:
        ready = [n for n in pending if not (set(_canonical(n, known).depends_on) & set(pending) - {n})]
        if not ready:
            return done + pending
        done.extend(ready)
        pending = [n for n in pending if n not in ready]
    return done
