"""Both systems through their own plain interfaces, and records in them that are to be as a table says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from coverage_page import ENDED, PAIRS, STATUS, Cell, entities, required
from jointly import Joint, connect, ok

from covered import Covers
from isthmus.mapping.compiled import load_mapping
from isthmus.operate import lookups
from joined import Systems
from real_odoo import RealOdoo

TEMPLATES = resources.files("isthmus") / "templates"
KINDS = {
    "string": "char",
    "text": "text",
    "integer": "integer",
    "decimal": "float",
    "boolean": "boolean",
    "date": "date",
}
SETTINGS: dict[str, Any] = {
    "exempt_fiscal_position": "Tax Exempt", "visible_fields": True, "sync_price_levels": True, "sync_accounts": True,
    "sync_preferred_vendor": True, "sync_bank_tokens": True, "sync_salespeople": True, "badge_is_number": True,
    "accounts": "pass", "shipping_product": "SHIP", "discount_product": "DISC",
}  # fmt: skip
GIVEN_ONCE = {"move_type", "reversed_entry_id"}
"""What Odoo calls read-only, and takes of a new record."""
WHO = {"to_bng": "Xavier", "to_odoo": "Ludmila"}
"""Names so different that nobody takes the two records for one."""
BY_ADMIN = {"employee"}
AFTERWARDS = {"contract_date_start"}
"""Fields of Odoo that new records do not take."""
BELOW = {"@delivery": "delivery", "@invoice": "invoice"}
"""In tables, how addresses below a contact are named: `@delivery.street`."""


def visible_fields(odoo: RealOdoo) -> None:
    """Make the fields that the mappings offer."""
    rows = []
    for name in {entity["left"]["mapping"] for entity in entities().values()}:
        mapping = load_mapping((TEMPLATES / "mappings" / f"{name}.yaml").read_text())
        if mapping.offers:
            domain = [["model", "=", mapping.system_entity]]
            [model] = odoo.call("ir.model", "search", odoo.admin_key, domain=domain, limit=1)
            rows += [
                {"name": n, "model_id": model, "ttype": KINDS[o.type], "field_description": o.label, "state": "manual"}
                for n, o in mapping.offers.items()
            ]
    odoo.call("ir.model.fields", "create", odoo.admin_key, vals_list=rows)


async def everything(
    odoo: RealOdoo, systems: Systems, folder: Path, chosen: Iterable[str], tables: Mapping[str, str]
) -> Joint:
    """A pair of these Entities, each as in the pair files that ship, with every setting on."""
    up = await connect(odoo, systems)
    made: dict[str, Any] = {"pair": "main", "left": "odoo", "right": "bng", "environment": "sandbox"}
    settings: dict[str, Any] = {}
    for pair in PAIRS:
        told = yaml.safe_load(
            (TEMPLATES / "pairs" / f"{pair}.yaml").read_text().replace("${", "{").replace("}\n", "}\n")
        )
        settings |= told["settings"]
    made["settings"] = settings | SETTINGS
    made["entities"] = {name: entities()[name] for name in chosen}
    if (stock := made["entities"].get("inventory_item")) is not None:
        made["entities"]["inventory_item"] = {**stock, "owners": {"left": ["WH"], "right": ["3PL"]}}
    if "customer" not in made["entities"] and "vendor" in made["entities"]:
        made["entities"]["vendor"] = {k: v for k, v in made["entities"]["vendor"].items() if k != "shares"}
    files = {"pair.yaml": yaml.safe_dump(made, sort_keys=False), **lookups.shipped()}
    for name in chosen:
        path = TEMPLATES / "entities" / f"{name}.yaml"
        if path.is_file():
            files[f"entities/{name}.yaml"] = path.read_text()
    files |= {f"lookups/{name}.csv": text for name, text in tables.items()}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    await ok("pair", "apply", str(folder))
    return up


@dataclass
class Subject:
    """One record of the table in one direction: where it was made, and what of it is at which stage."""

    entity: str
    way: str
    mark: str
    rows: dict[str, Any]
    odoo: int = 0
    bng: str = ""
    stage: dict[str, int] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)

    def told(self, side: str, *, stage: int | None = None, only: Iterable[str] | None = None) -> dict[str, Any]:
        """What the table says of one side: system field → value."""
        found: dict[str, Any] = {}
        for name in self.rows if only is None else only:
            at = self.stage.get(name, 0) if stage is None else stage
            for path, values in self.rows[name][side].items():
                found[path] = self._filled(values[min(at, len(values) - 1)] if isinstance(values, list) else values)
        return found

    def _filled(self, value: Any) -> Any:
        if isinstance(value, str):
            for word, told in self.words.items():
                value = value.replace(f"{{{word}}}", told)
            return value.replace("{n}", self.mark).replace("{who}", WHO[self.way])
        if isinstance(value, dict):
            return {self._filled(name): self._filled(one) for name, one in value.items()}
        if isinstance(value, list):
            return [self._filled(one) for one in value]
        return value

    def typed_in(self) -> list[str]:
        """The fields that people type when they make the record."""
        return [name for name, row in self.rows.items() if not row.get("by_hand")]

    def moves(self, name: str, to: int, way: str) -> bool:
        """Whether this field is another one at that stage, where it is changed."""
        side = "odoo" if way == "to_bng" else "bng"
        return self.told(side, stage=to, only=[name]) != self.told(side, stage=self.stage.get(name, 0), only=[name])


@dataclass
class Table:
    """The records of a hand-written table, made on one side and looked for on both."""

    up: Joint
    covers: Covers
    subjects: list[Subject] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, dict[str, Any]] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    known: dict[tuple[str, str], int] = field(default_factory=dict)
    taxes: dict[int, str] = field(default_factory=dict)

    def add(self, path: Path, *chosen: str) -> None:
        """Take the records of these Entities from a table; each is made in every direction that is allowed."""
        told = yaml.safe_load(path.read_text())
        for entity in chosen:
            for number, record in enumerate(told[entity]):
                for way in record.pop("ways", ["to_bng", "to_odoo"]):
                    if way == "by_hand":
                        self.subjects.append(Subject(entity, "to_bng", str(number), record, odoo=-1, words=self.words))
                        continue
                    mark = f"{number}{1 if way == 'to_bng' else 2}"
                    self.subjects.append(Subject(entity, way, mark, dict(record), words=self.words))

    # -- making and changing ---------------------------------------------------------------------------------------

    def model(self, entity: str) -> str:
        mapping = load_mapping((TEMPLATES / "mappings" / f"{entities()[entity]['left']['mapping']}.yaml").read_text())
        return mapping.system_entity.partition("/")[0]

    async def make(self, *entities: str) -> None:
        """Every record on the side where it begins, all fields that travel from there set."""
        for entity in entities:
            for one in (s for s in self._of(entity, "to_bng") if not s.odoo):
                one.odoo = self.write_odoo(self.model(entity), 0, one.told("odoo", only=one.typed_in()), entity)
            seeds = [(one, self.resolved(one.told("bng"))) for one in self._of(entity, "to_odoo")]
            rows = [assembled({k: v for k, v in row.items() if v != "=me"}) for _, row in seeds]
            if rows:
                told = await self.up.systems.in_bng("POST", "seed", entity=self.bng_name(entity), records=rows)
                for (one, _), key in zip(seeds, told["ids"], strict=True):
                    one.bng = key

    def bng_name(self, entity: str) -> str:
        mapping = load_mapping((TEMPLATES / "mappings" / f"{entities()[entity]['right']['mapping']}.yaml").read_text())
        return mapping.system_entity

    async def change(self, stage: int, *entities: str, way: str = "") -> list[tuple[Subject, list[str]]]:
        """Bring every field that travels from where its record began, or `way`, to this stage; which were changed."""
        changed = []
        for one in (s for s in self.subjects if s.entity in entities):
            moving = [
                name for name in one.rows
                if name != "given"
                and (one.rows[name].get("along") or Cell(one.entity, way or one.way, "update", name) in required())
                and (one.moves(name, stage, way or one.way) or one.rows[name].get("along"))
            ]  # fmt: skip
            for name in moving:
                one.stage[name] = stage
            side = "odoo" if (way or one.way) == "to_bng" else "bng"
            values = one.told(side, only=[name for name in moving if not one.rows[name].get("by_hand")])
            if values and side == "odoo":
                self.write_odoo(self.model(one.entity), one.odoo, values, one.entity)
            elif values:
                if any("." in path for path in values):
                    values |= {path: told for path, told in one.told("bng").items() if "." in path}
                await self.up.edit_bng(self.bng_name(one.entity), one.bng, **assembled(self.resolved(values)))
            changed.append((one, moving))
        return changed

    def _of(self, entity: str, way: str) -> list[Subject]:
        return [one for one in self.subjects if (one.entity, one.way) == (entity, way)]

    def resolved(self, value: Any) -> Any:
        """`=NAME` is the id that BNG gave the record of that name."""
        if isinstance(value, dict):
            return {name: self.resolved(one) for name, one in value.items()}
        if isinstance(value, list):
            return [self.resolved(one) for one in value]
        if isinstance(value, str) and value.startswith("=") and value != "=me":
            return self.names[value[1:]]
        return value

    # -- Odoo, plainly ---------------------------------------------------------------------------------------------

    def fields(self, model: str) -> dict[str, Any]:
        if model not in self.kinds:
            asked = ["type", "relation", "readonly"]
            self.kinds[model] = self.up.odoo.call(model, "fields_get", attributes=asked)
        return self.kinds[model]

    def write_odoo(self, model: str, key: int, told: Mapping[str, Any], entity: str = "") -> int:
        """Values typed into Odoo, records by their names; a new record when there is no key."""
        kinds, odoo = self.fields(model), self.up.odoo
        told = {n: v for n, v in told.items() if ":" not in n and v != "=me"}
        plain = [n for n in told if "." not in n and (n in GIVEN_ONCE or not kinds[n]["readonly"])]
        own = {n: self.typed(kinds[n], told[n]) for n in plain}
        own |= self.lines(kinds, model, key, {n: v for n, v in told.items() if "." in n and not n.startswith("@")})
        if entity in ("customer", "vendor") and not key:
            own |= {"customer_rank": int(entity == "customer"), "supplier_rank": int(entity == "vendor")}
        who = odoo.admin_key if entity in BY_ADMIN else odoo.api_key
        if not key:
            later = {name: own.pop(name) for name in AFTERWARDS & own.keys()}
            [key], own = odoo.call(model, "create", who, vals_list=[own]), later
        if own:
            odoo.call(model, "write", who, ids=[key], vals=own)
        for prefix, kind in BELOW.items():
            child = {n.partition(".")[2]: v for n, v in told.items() if n.startswith(f"{prefix}.")}
            if child:
                [at] = self.below(key, kind) or [0]
                values = {n: self.typed(kinds[n], v) for n, v in child.items()}
                if at:
                    odoo.call(model, "write", ids=[at], vals=values)
                else:
                    odoo.call(model, "create", vals_list=[{**values, "parent_id": key, "type": kind}])
        return int(key)

    def lines(self, kinds: Mapping[str, Any], model: str, key: int, told: Mapping[str, list[Any]]) -> dict[str, Any]:
        """Columns of lines as commands: new lines for a new document, else edits of those that are there."""
        out: dict[str, Any] = {}
        for name, rows in assembled(told).items():
            relation = kinds[name]["relation"]
            known = self.fields(relation)
            typed = [{n: self.typed(known[n], v) for n, v in row.items() if not known[n]["readonly"]} for row in rows]
            ids = self.line_ids(model, key, name) if key else []
            out[name] = [[1, ids[i], row] if i < len(ids) else [0, 0, row] for i, row in enumerate(typed)]
        return out

    def line_ids(self, model: str, key: int, name: str) -> list[int]:
        """The lines of a document in their order."""
        [row] = self.up.odoo.call(model, "read", ids=[key], fields=[name])
        found = self.up.odoo.call(self.fields(model)[name]["relation"], "read", ids=row[name], fields=["sequence"])
        return [line["id"] for line in sorted(found, key=lambda line: (line["sequence"], line["id"]))]

    def below(self, key: int, kind: str) -> list[int]:
        return list(self.up.odoo.call("res.partner", "search", domain=[["parent_id", "=", key], ["type", "=", kind]]))

    def typed(self, kind: Mapping[str, Any], value: Any) -> Any:
        if kind["type"] == "many2one":
            return self.named(kind["relation"], value) if value else False
        if kind["type"] in ("many2many", "one2many"):
            return [[6, 0, [self.named(kind["relation"], one) for one in value]]]
        return False if value is None else value

    def named(self, model: str, name: str) -> int:
        """The record that Odoo shows by this name."""
        if (model, name) in self.known:
            return self.known[model, name]
        context = {"active_test": False}
        found = self.up.odoo.call(model, "name_search", name=name.partition(" (")[0], limit=50, context=context)
        [key] = [key for key, shown in found if shown == name][:1] or [0]
        assert key, f"no {model} named {name!r} among {found}"
        self.known[model, name] = int(key)
        return int(key)

    def read_odoo(self, model: str, key: int, paths: Sequence[str]) -> dict[str, Any]:
        """What Odoo itself says, of records it refers to their names."""
        own = sorted({p.partition(".")[0].partition(":")[0] for p in paths if not p.startswith("@")})
        [row] = self.up.odoo.call(model, "read", ids=[key], fields=own)
        found = {name: self._shown(model, name, row[name]) for name in own if name in paths}
        for name in own:
            columns = [p.partition(".")[2] for p in paths if p.startswith(f"{name}.")]
            if columns:
                relation = self.fields(model)[name]["relation"]
                found |= {f"{name}.{c}": v for c, v in self.columns(relation, row[name], columns).items()}
            further = [p.partition(":")[2] for p in paths if p.startswith(f"{name}:")]
            if further:
                relation = self.fields(model)[name]["relation"]
                [at] = self.up.odoo.call(relation, "read", ids=[row[name][0]], fields=further)
                found |= {f"{name}:{n}": self._shown(relation, n, at[n]) for n in further}
        for prefix, kind in BELOW.items():
            names = [p.partition(".")[2] for p in paths if p.startswith(f"{prefix}.")]
            if names:
                [child] = self.up.odoo.call("res.partner", "read", ids=self.below(key, kind), fields=names)
                found |= {f"{prefix}.{n}": self._shown(model, n, child[n]) for n in names}
        return found

    def columns(self, model: str, ids: Any, names: Sequence[str]) -> dict[str, list[Any]]:
        """The lines of a document in their order, column by column; sections and notes are none."""
        asked = {*names, *({"display_type", "sequence"} & self.fields(model).keys())}
        rows = self.up.odoo.call(model, "read", ids=ids, fields=sorted(asked))
        told = [r for r in rows if not str(r.get("display_type") or "").startswith("line_")]
        told.sort(key=lambda r: (r.get("sequence", 0), r["id"]))
        return {name: [self._shown(model, name, r[name]) for r in told] for name in names}

    def tax(self, key: int) -> str:
        """A tax by its name; asked once, for no test renames one."""
        if key not in self.taxes:
            rows = self.up.odoo.call("account.tax", "search_read", domain=[], fields=["display_name"])
            self.taxes = {row["id"]: row["display_name"] for row in rows}
        return self.taxes[key]

    def _shown(self, model: str, name: str, value: Any) -> Any:
        if name == "id":
            return str(value)
        kind = self.fields(model)[name]
        if kind["type"] == "many2one":
            return value[1] if value else None
        if kind["type"] in ("many2many", "one2many"):
            if not value:
                return []
            if kind["relation"] == "account.tax":
                return [self.tax(one) for one in value]
            rows = self.up.odoo.call(kind["relation"], "read", ids=value, fields=["display_name"])
            return [row["display_name"] for row in rows]
        if isinstance(value, float):
            return round(value, 6)  # sums of Odoo end in a few millionths of a millionth
        return None if value is False and kind["type"] != "boolean" else value

    # -- both ends -------------------------------------------------------------------------------------------------

    async def look(
        self, kind: str, *entities: str, changed: Sequence[tuple[Subject, list[str]]] = (), way: str = ""
    ) -> None:
        """Compare every record with the table at both ends, and say what was shown by that."""
        wrong: list[str] = []
        for entity in entities:
            at_bng = {row[self.id_field(entity)]: row for row in await self.rows_of(entity)}
            for one in (s for s in self.subjects if s.entity == entity):
                self.find(one, at_bng)
                if not (one.odoo and one.bng):
                    wrong.append(f"{entity} {one.mark} {one.way}: not on both sides")
                    continue
                wrong += self._differences(one, at_bng[one.bng])
        assert not wrong, "\n".join(wrong) + "\nheld: " + str(await self.up.held())
        moved = {id(one): names for one, names in changed}
        for one in (s for s in self.subjects if s.entity in entities):
            self._record(one, kind, moved.get(id(one), []), way or one.way)

    async def rows_of(self, entity: str) -> list[dict[str, Any]]:
        return list(
            (await self.up.systems.in_bng("GET", "snapshot", entities=self.bng_name(entity)))[self.bng_name(entity)]
        )

    def id_field(self, entity: str) -> str:
        from isthmus.sandbox.bng.schema import catalogue

        return catalogue().entities[self.bng_name(entity)].id

    def find(self, one: Subject, at_bng: Mapping[str, Mapping[str, Any]]) -> None:
        """Where the record is at the other end: by the external key, and by the id in its own visible field."""
        if not one.bng:
            end = f"-{one.entity}-{one.odoo}-1"
            one.bng = next((key for key, row in at_bng.items() if str(row["ExternalID"]).endswith(end)), "")
        if not one.odoo:
            value = one.rows["right_id"]["odoo"] if "right_id" in one.rows else {}
            domain = [[name, "=", one.bng] for name in value]
            context = {"active_test": False}
            found = (
                self.up.odoo.call(self.model(one.entity), "search", domain=domain, context=context) if domain else []
            )
            one.odoo = found[0] if len(found) == 1 else 0

    def _differences(self, one: Subject, at_bng: Mapping[str, Any]) -> list[str]:
        wanted = {"odoo": one.told("odoo", only=self.asserted(one)), "bng": one.told("bng", only=self.asserted(one))}
        found: dict[str, Mapping[str, Any]] = {
            "odoo": self.read_odoo(self.model(one.entity), one.odoo, list(wanted["odoo"])), "bng": at_bng,
        }  # fmt: skip
        out = []
        for side, told in wanted.items():
            for path, value in told.items():
                value = one.bng if value == "=me" else self.resolved(value)
                told_by = _without_empties(_column(found[side], path))
                if value != told_by:
                    out.append(f"{one.entity} {one.mark} {one.way}, {side} {path}: {told_by!r}, not {value!r}")
        return out

    def asserted(self, one: Subject) -> list[str]:
        return [name for name in one.rows if name != "given"]

    def _record(self, one: Subject, kind: str, moved: list[str], way: str) -> None:
        if kind == "create":
            self.covers(one.entity, way, "create", *self.asserted(one))
            self.covers(one.entity, "both", "compared", *self.asserted(one))
            if way == "to_bng" and "right_id" in one.rows:
                self.covers(one.entity, "to_odoo", "update", "right_id")
            return
        self.covers(one.entity, way, "update", *moved)
        self.covers(one.entity, way, "status", *(name for name in moved if name in STATUS))
        if kind == "deactivate":
            self.covers(one.entity, way, "deactivate", *(name for name in moved if name in ENDED))


def _column(record: Mapping[str, Any], path: str) -> Any:
    """A field, or a column of a list of lines by `LineItems.Quantity`."""
    whole, _, part = path.partition(".")
    if path in record or not part:
        return record.get(path)
    return [line[part] for line in record.get(whole) or ()]


def assembled(values: Mapping[str, Any]) -> dict[str, Any]:
    """A record whose lines stand line by line, from one where they stand column by column."""
    out: dict[str, Any] = {}
    for path, value in values.items():
        whole, _, part = path.partition(".")
        if not part or path.startswith("@"):
            out[path] = value
            continue
        rows = out.setdefault(whole, [{} for _ in value])
        for row, one in zip(rows, value, strict=True):
            row[part] = one
    return out


def _without_empties(value: Any) -> Any:
    """An address without the parts that are empty: absent and null are the same at BNG."""
    return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value
