"""What one cell of a `load` means: text to a value by the field's type, references by external id, id or name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .environment import Env, Values
from .naming import lookup, name_search
from .schema import Field
from .values import stored, truth

Message = dict[str, Any]
_REFERENCES = frozenset({"", "id", ".id"})


class CellError(ValueError):
    """A cell that cannot be understood; `more` goes into the message beside the text."""

    def __init__(self, message: str, more: Any = None) -> None:
        super().__init__(message)
        self.more = more


def _possible_values(model: str, subfield: str) -> Message:
    action: Message = {
        "name": "Possible Values",
        "type": "ir.actions.act_window",
        "target": "new",
        "view_mode": "list,form",
        "views": [[False, "list"], [False, "form"]],
        "context": {"create": False},
        "help": "See all possible values",
        "res_model": "ir.model.data" if subfield else model,
    }
    return action | ({"domain": [["model", "=", model]]} if subfield else {})


class Converter:
    """Converts the raw records of one model; `flush` is called before a reference may mean an earlier row."""

    def __init__(self, env: Env, model: str, flush: Callable[[str | None], None]) -> None:
        self._env = env
        self._model = model
        self._flush = flush

    def convert(self, record: Mapping[str, Any], place: Values, messages: list[Message]) -> Values:
        """Return writable values; what cannot be understood goes to `messages` and is left out."""
        told: Values = {}
        fields = self._env.model(self._model).fields
        for name, value in record.items():
            if name in _REFERENCES:
                continue
            if not value:
                told[name] = False
                continue
            warnings: list[str] = []
            base: Message = {"rows": place["rows"], "record": place["record"], "field": name}
            try:
                told[name] = self._cell(fields[name], value, warnings)
            except CellError as error:
                more = {"moreinfo": error.more} if error.more is not None else {}
                extra = more | {"field_name": fields[name].title} if error.more is not _NO_MORE else {}
                messages.append({**base, "type": "error", "message": error.args[0]} | extra)
            for text in warnings:
                messages.append({**base, "type": "warning", "message": text})
        return told

    def _cell(self, field: Field, value: Any, warnings: list[str]) -> Any:
        kind, title = field.type, field.title
        if kind == "boolean":
            meant = truth(value.lower())
            if meant is None:
                warnings.append(f"Unknown value '{value}' for boolean field '{title}'")
            return True if meant is None else meant
        if kind in ("integer", "many2one_reference"):
            return _number(int, value, f"'{value}' does not seem to be an integer for field '{title}'")
        if kind in ("float", "monetary"):
            return _number(float, value, f"'{value}' does not seem to be a number for field '{title}'")
        if kind == "selection":
            return _selection(field, value)
        if kind in ("date", "datetime"):
            return _date(field, value)
        if kind == "many2one":
            return self._reference(field, _subfield(field, value[0]), value[0], warnings)
        if kind == "many2many":
            subfield = _subfield(field, value[0])
            ids = [
                self._reference(field, subfield, {subfield: text}, warnings) for text in value[0][subfield].split(",")
            ]
            return [(6, 0, [i for i in ids if i])]
        if kind == "one2many":
            return self._lines(field, value, warnings)
        return value

    def _reference(self, field: Field, subfield: str, cell: Mapping[str, Any], warnings: list[str]) -> int | bool:
        env, value = self._env, cell[subfield]
        relation = field.relation
        if subfield == ".id":
            if isinstance(value, str) and truth(value) is False:
                return False
            number = _number(int, value, f"Invalid database id '{value}' for the field '{field.title}'")
            if env.database.row(relation, number) is not None:
                return int(number)
            kind = "database id"
        elif subfield == "id":
            if truth(value) is False:
                return False
            external_id = value if "." in value else f"__import__.{value}"
            self._flush(external_id)
            row = lookup(env, external_id)
            if row and row["model"] != relation:
                raise ValueError(
                    f"Invalid external ID {external_id}: expected model {relation!r}, found {row['model']!r}"
                )
            if row and env.database.row(relation, row["res_id"]) is not None:
                return int(row["res_id"])
            kind = "external id"
        else:
            if value == "":
                return False
            if relation == self._model:
                self._flush(None)
            found = name_search(env, relation, str(value), [], "=", 100)
            if len(found) > 1:
                warnings.append(
                    f'Found multiple matches for value "{value}" in field "{field.title}" ({len(found)} matches)'
                )
            if found:
                return found[0]
            kind = "name"
        text = f"No matching record found for {kind} '{value}' in field '{field.title}'"
        raise CellError(text, _possible_values(relation, subfield))

    def _lines(self, field: Field, records: list[dict[str, Any]], warnings: list[str]) -> list[Any]:
        """One2many cells: rows with a known reference are linked and updated, the others created."""
        env, told = self._env, []
        inner = Converter(env, field.relation, self._flush)
        if len(records) == 1 and set(records[0]) <= _REFERENCES:
            subfield = _subfield(field, records[0])
            records = [{subfield: text} for text in str(records[0][subfield]).split(",")]
        for record in records:
            problems: list[Message] = []
            values = inner.convert(record, {"rows": {}, "record": 0}, problems)
            for problem in problems:
                if problem["type"] == "error":
                    raise CellError(problem["message"].replace(f"'{field.title}'", f"'{field.title}/...'"))
                warnings.append(problem["message"])
            references = {key: cell for key, cell in record.items() if key in _REFERENCES and cell}
            target: int | bool = False
            if references:
                subfield = _subfield(field, references)
                try:
                    target = self._reference(field, subfield, references, warnings)
                except CellError:
                    if subfield != "id":
                        raise
            if target:
                told += [(4, target, 0), (1, target, values)]
            elif references.get("id"):
                told.append((0, 0, {**values, _LINE_ID: references["id"]}))
            else:
                told.append((0, 0, values))
        return told


_NO_MORE = object()
_LINE_ID = "id"


def _subfield(field: Field, record: Mapping[str, Any]) -> str:
    if set(record) - _REFERENCES:
        raise CellError("Can not create Many-To-One records indirectly, import the field separately", _NO_MORE)
    if len(record) > 1:
        raise CellError(
            f"Ambiguous specification for field '{field.title}', only provide one of name, external id or database id",
            _NO_MORE,
        )
    return next(iter(record))


def _number(convert: Callable[[Any], Any], value: Any, complaint: str) -> Any:
    try:
        return convert(value)
    except ValueError:
        raise CellError(complaint) from None


def _selection(field: Field, value: Any) -> str:
    wanted = value.lower()
    for key, label in field.selection.items():
        if wanted in (key.lower(), label.lower()):
            return key
    raise CellError(f"Value '{value}' not found in selection field '{field.title}'", list(field.selection.values()))


def _date(field: Field, value: Any) -> Any:
    example = "2012-12-31" if field.type == "date" else "2012-12-31 23:59:59"
    try:
        return stored(field, value)
    except ValueError:
        text = f"'{value}' does not seem to be a valid {field.type} for field '{field.title}'"
        raise CellError(text, f"Use the format '{example}'") from None
