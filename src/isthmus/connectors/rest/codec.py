"""Between rows on the wire and typed values: compiled once per Entity and set of paths."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from isthmus.connectors.rest.manifest import EntitySpec, FieldSpec, walk_fields
from isthmus.sdk import EntitySchema, Field, FieldType, InvalidRecord, Record, SchemaDrift

Decode = Callable[[Any], Any]
Row = Mapping[str, Any]

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoders = {
    "string": msgspec.json.Encoder(decimal_format="string"),
    "number": msgspec.json.Encoder(decimal_format="number"),
}


def decode_body(body: bytes) -> Any:
    """Decoded JSON, numbers with a fraction as Decimal; raises ValueError when it is no JSON."""
    try:
        return _decoder.decode(body)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error


def encode_body(value: Any, decimals: str) -> bytes:
    """JSON with Decimals as text or as exact numbers, dates and instants in ISO 8601."""
    return _encoders[decimals].encode(value)


class EntityCodec:
    """Reads and writes the rows of one Entity by the paths that a Mapping uses."""

    def __init__(self, name: str, spec: EntitySpec, system: str, extra: Mapping[str, FieldSpec] | None = None) -> None:
        self.name = name
        self.spec = spec
        self._system = system
        self.fields: Mapping[str, FieldSpec] = {**spec.fields, **(extra or {})}
        self._writers: dict[str, tuple[FieldSpec, tuple[str, ...]]] = {}
        self._readers: dict[tuple[str, ...], list[tuple[str, str, tuple[str, ...], Decode]]] = {}
        self._key = self.wire(spec.key)
        self._version = self.wire(spec.version) if spec.version else None
        self._external = self.wire(spec.external_key) if spec.external_key else None
        self._created = self.wire(spec.created_at) if spec.created_at else None
        self._changed = self.wire(spec.changed_at) if spec.changed_at else None
        self._parent = self.wire(spec.parent.field) if spec.parent else None
        self._active: tuple[str, Decode, frozenset[str]] | None = None
        if spec.active:
            field = self.fields[spec.active.field]
            archived = frozenset(value.casefold() for value in spec.active.archived)
            self._active = (self.wire(spec.active.field), _reader(field), archived)

    def knows(self, path: str) -> bool:
        """Whether the Entity has a field at this path."""
        return self._spec(path) is not None

    def wire(self, field: str) -> str:
        """The name of a top-level field on the wire."""
        return self.fields[field].wire or field

    def key_of(self, row: Row, parent: str | None = None) -> str:
        """The key of a row; a child's is `parent/own`, so that it can be reached again. Empty when there is none."""
        own = row.get(self._key)
        if own in (None, ""):
            return ""
        if self._parent is None:
            return str(own)
        return f"{parent or row.get(self._parent)}/{own}"

    def external_of(self, row: Row) -> str | None:
        """The external key that a row carries."""
        found = row.get(self._external) if self._external else None
        return str(found) if found not in (None, "") else None

    def version_of(self, row: Row) -> str | None:
        """The version of a row as text."""
        found = row.get(self._version) if self._version else None
        return None if found is None else str(found)

    def changed_of(self, row: Row) -> datetime | None:
        """When a row changed last, by its system's clock."""
        return _instant_or_none(row.get(self._changed)) if self._changed else None

    def created_of(self, row: Row) -> datetime | None:
        """When a row was made, by its system's clock."""
        return _instant_or_none(row.get(self._created)) if self._created else None

    def values(self, row: Row, paths: Sequence[str]) -> dict[str, Any]:
        """The typed values at `paths`; one that does not fit its type stays as it came, for the Mapping to refuse."""
        out: dict[str, Any] = {}
        for path, first, inside, decode in self._compiled(tuple(paths)):
            value = row.get(first)
            for part in inside:
                value = value.get(part) if isinstance(value, Mapping) else None
            out[path] = None if value is None else decode(value)
        return out

    def record(self, row: Row, paths: Sequence[str], parent: str | None = None) -> Record:
        """A Record with exactly `paths` (those with an @ ask for what a Record has anyway)."""
        active = True
        if self._active is not None:
            name, decode, archived = self._active
            found = row.get(name)
            active = found is None or str(decode(found)).casefold() not in archived
        return Record(
            key=self.key_of(row, parent),
            values=self.values(row, paths),
            version=self.version_of(row),
            changed_at=self.changed_of(row),
            created_at=self.created_of(row),
            active=active,
            external_key=self.external_of(row),
        )

    def body(self, values: Mapping[str, Any], doing: str, below: Row | None = None) -> dict[str, Any]:
        """What to send for `values`; dotted paths go into objects, laid over the row `below` where given.

        Raises InvalidRecord for a field that the system sets itself, SchemaDrift for one it does not have.
        """
        out: dict[str, Any] = {}
        for path, value in values.items():
            known = self._writers.get(path)
            if known is None:
                known = self._writers[path] = (self._writable(path, doing), self._wire_parts(path))
            spec, parts = known
            holder = out
            source: Any = below
            for part in parts[:-1]:
                source = source.get(part) if isinstance(source, Mapping) else None
                inner = holder.get(part)
                if not isinstance(inner, dict):
                    inner = dict(source) if isinstance(source, Mapping) else {}
                    holder[part] = inner
                holder = inner
            holder[parts[-1]] = _written(spec, value)
        return out

    def overlay(self, row: Row) -> dict[str, Any]:
        """A whole row as an update that replaces everything sends it: without what the system sets itself."""
        known = {spec.wire or name: spec for name, spec in self.fields.items()}
        return {name: value for name, value in row.items() if not (name in known and known[name].readonly)}

    def schema(self, count: int | None = None) -> EntitySchema:
        """The Entity as the rest of the product sees it."""
        custom = set(self.fields) - set(self.spec.fields)
        fields = {path: _described(path, spec, self.spec, path in custom) for path, spec in walk_fields(self.fields)}
        return EntitySchema(
            name=self.name,
            label=self.spec.label or self.name,
            fields=fields,
            can_create=self.spec.create is not None,
            can_update=self.spec.update is not None,
            can_delete=self.spec.delete is not None,
            count=count,
        )

    def check_paths(self, paths: Sequence[str], doing: str) -> None:
        """Raise SchemaDrift for the first path that the Entity does not have: a missing field is no empty one."""
        for path in paths:
            if not path.startswith("@") and not self.knows(path):
                raise self._unknown(path, doing)

    def _unknown(self, path: str, doing: str) -> SchemaDrift:
        known = [name for name, _ in walk_fields(self.fields)]
        near = difflib.get_close_matches(path, known, n=1)
        meant = f" Did you mean {near[0]}?" if near else ""
        return SchemaDrift(
            f"{doing}: {self._system} has no field {path} on {self.name}",
            hint=f"Run `isthmus discover`, then correct the mapping.{meant}",
            facts={"field": path, "entity": self.name},
        )

    def _compiled(self, paths: tuple[str, ...]) -> list[tuple[str, str, tuple[str, ...], Decode]]:
        """Path, its first part on the wire, the others, and how the value is read."""
        found = self._readers.get(paths)
        if found is None:
            wanted = [(path, self._wire_parts(path)) for path in paths if not path.startswith("@")]
            found = [(p, parts[0], parts[1:], _reader(self._spec(p) or FieldSpec())) for p, parts in wanted]
            self._readers[paths] = found
        return found

    def _spec(self, path: str) -> FieldSpec | None:
        head, *rest = path.split(".")
        spec = self.fields.get(head)
        for part in rest:
            if spec is None:
                return None
            if spec.type is FieldType.OBJECT and not spec.fields:  # an open object, like CustomFields
                return FieldSpec()
            spec = spec.fields.get(part)
        return spec

    def _writable(self, path: str, doing: str) -> FieldSpec:
        spec = self._spec(path)
        if spec is None:
            raise self._unknown(path, doing)
        if spec.readonly or self.fields[path.split(".")[0]].readonly:
            raise InvalidRecord(
                f"{doing}: {self._system} sets {path} itself",
                hint="Take this field out of what the mapping writes.",
                facts={"field": path},
            )
        return spec

    def _wire_parts(self, path: str) -> tuple[str, ...]:
        parts: list[str] = []
        inside: Mapping[str, FieldSpec] = self.fields
        for part in path.split("."):
            spec = inside.get(part)
            parts.append((spec.wire or part) if spec else part)
            inside = spec.fields if spec else {}
        return tuple(parts)


def same(mine: Any, theirs: Any) -> bool:
    """Whether two values say the same, however written (`Decimal("1.50")` and `"1.5"`, a date and its text)."""
    if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
        return all(same(mine.get(name), theirs.get(name)) for name in {*mine, *theirs})
    if isinstance(mine, list | tuple) and isinstance(theirs, list | tuple):
        return len(mine) == len(theirs) and all(same(a, b) for a, b in zip(mine, theirs, strict=True))
    if _numeric(mine) or _numeric(theirs):
        return bool(_decimal(mine) == _decimal(theirs))
    for one, another in ((mine, theirs), (theirs, mine)):
        if isinstance(one, datetime) and isinstance(another, str):
            return bool(one == _instant(another))
        if isinstance(one, date) and isinstance(another, str):
            return bool(one == _date(another))
    return bool(mine == theirs)


def _numeric(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _reader(spec: FieldSpec) -> Decode:
    """How a value of this field is read; what does not fit comes back unchanged."""
    if spec.wire_choices:
        back = {wire: name for name, wire in spec.wire_choices.items()}
        return lambda value: back.get(str(value), value)
    if spec.fields:
        inner = [(name, field.wire or name, _reader(field)) for name, field in spec.fields.items()]
        return lambda value: _object(value, inner) if isinstance(value, Mapping) else value
    if spec.type is FieldType.LIST and spec.items is not None:
        one = _reader(spec.items)
        return lambda value: [None if v is None else one(v) for v in value] if isinstance(value, list) else value
    return _READERS.get(spec.type, _as_it_is)


def _object(value: Mapping[str, Any], inner: Sequence[tuple[str, str, Decode]]) -> dict[str, Any]:
    """An object by our names; parts that the manifest does not know stay as they came."""
    out = dict(value)
    for name, wire, read in inner:
        if wire in value:
            found = value[wire]
            if wire != name:
                del out[wire]
            out[name] = None if found is None else read(found)
    return out


def _written(spec: FieldSpec, value: Any) -> Any:
    if value is None or (type(value) is str and not spec.wire_choices):
        return value
    if spec.wire_choices:
        return spec.wire_choices.get(str(value), value)
    if spec.fields and isinstance(value, Mapping):
        return {
            (spec.fields[n].wire or n) if n in spec.fields else n: _written(spec.fields.get(n, _ANY), v)
            for n, v in value.items()
        }
    if isinstance(value, list | tuple):
        return [_written(spec.items or _ANY, inner) for inner in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return value


def _described(path: str, spec: FieldSpec, entity: EntitySpec, custom: bool) -> Field:
    filters = {*entity.values, *(entity.filters.values if entity.filters else ())}
    return Field(
        name=path,
        type=spec.type,
        label=spec.label or path.rpartition(".")[2],
        help=spec.help,
        required=spec.required,
        readonly=spec.readonly,
        max_length=spec.max,
        scale=spec.scale,
        choices=tuple((choice, choice) for choice in spec.choices),
        target=spec.target,
        custom=custom,
        searchable=path in filters,
    )


def _as_it_is(value: Any) -> Any:
    return value


def _string(value: Any) -> Any:
    if type(value) is str:  # by far the most
        return value
    return str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value


def _decimal(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    try:
        return value if isinstance(value, Decimal) else Decimal(str(value).strip())
    except InvalidOperation:
        return value


def _integer(value: Any) -> Any:
    number = _decimal(value)
    return int(number) if isinstance(number, Decimal) and number.is_finite() and number == int(number) else value


def _boolean(value: Any) -> Any:
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    return value


def _date(value: Any) -> Any:
    """A date never passes through an instant: only its own ten characters count."""
    if value == "":
        return None
    try:
        return date.fromisoformat(value[:10]) if isinstance(value, str) else value
    except ValueError:
        return value


def _instant(value: Any) -> Any:
    if value == "":
        return None
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return value
    if not isinstance(found, datetime):
        return value
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _instant_or_none(value: Any) -> datetime | None:
    found = None if value is None else _instant(value)
    return found if isinstance(found, datetime) else None


_ANY = FieldSpec()
_READERS: Mapping[FieldType, Decode] = {
    FieldType.STRING: _string,
    FieldType.TEXT: _string,
    FieldType.REFERENCE: _string,
    FieldType.DECIMAL: _decimal,
    FieldType.INTEGER: _integer,
    FieldType.BOOLEAN: _boolean,
    FieldType.DATE: _date,
    FieldType.DATETIME: _instant,
}
