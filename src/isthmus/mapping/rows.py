"""Rows of a list, like the lines of an order: each mapped as a small record, told apart, changed one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from isthmus.mapping.binding import Binding, Source
from isthmus.mapping.cel import Expression
from isthmus.mapping.problem import Problem
from isthmus.mapping.tracing import FieldTrace
from isthmus.mapping.transforms.number import as_decimal
from isthmus.model.canonical import Ref, Value

Raw = Mapping[str, Any]
Line = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeRow:
    """A row that holds an amount of the whole document; see `mapping.model.Charge`."""

    field: str
    row: str
    told: str | None
    amount: str
    write: str
    negative: bool
    on_create: Raw
    setting: str

    def holds(self, raw: Raw) -> bool:
        """Whether this raw row is one of these."""
        return self.told is not None and raw.get(self.row) == self.told

    def signed(self, amount: Decimal) -> Decimal:
        """The amount as the row has it, and back."""
        return -amount if self.negative else amount


@dataclass(slots=True, kw_only=True, eq=False)
class RowsBinding:
    """A canonical list of rows, and the charges that are rows as well, tied to one raw list of objects.

    Has what a `Binding` has. Rows are matched to the raw rows by the parts in `match`, so that a row that is there is
    changed, not replaced; raw rows that take no part are kept as they are.
    """

    fields: tuple[str, ...]
    path: str
    row_id: str | None
    when: Expression | None
    match: tuple[str, ...]
    number: str | None
    on_create: Raw
    follows: Mapping[str, str]
    bindings: Sequence[Binding]
    charges: Sequence[ChargeRow]
    sums: Mapping[str, str]
    references: frozenset[str]
    reads_at_all: bool
    writes_at_all: bool
    required: bool = False
    default: Any = None
    is_reference: bool = False
    writes: Sequence[Any] = ()
    system: str = ""
    _parts: tuple[str, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        self._parts = tuple(dict.fromkeys(part for b in self.bindings for part in b.fields))

    @property
    def source(self) -> Source:
        """The one raw path."""
        return Source(path=self.path, parts=())

    @property
    def own_paths(self) -> tuple[str, ...]:
        """The one raw path."""
        return (self.path,)

    @property
    def paths(self) -> tuple[str, ...]:
        """The one raw path."""
        return (self.path,)

    # -- reading -----------------------------------------------------------------------------------------------

    def read_into(self, raw: Raw, values: dict[str, Value], problems: list[Problem]) -> None:
        """The rows in the order of their numbers, and the charges; a row with a blocking Problem blocks the list."""
        rows = [row for row in _raw_rows(raw, self.path) if self._takes_part(row)]
        found: list[Problem] = []
        lines = self._numbered([self._line(row, found) for row in rows])
        problems.extend(found)
        if not any(problem.severity == "block" for problem in found):
            values[self.fields[0]] = lines
        for name, path in self.sums.items():
            values[name] = sum((as_decimal(a) for row in rows if (a := row.get(path)) is not None), Decimal(0))
        for charge in self.charges:
            amounts = [row.get(charge.amount) for row in _raw_rows(raw, self.path) if charge.holds(row)]
            values[charge.field] = sum((charge.signed(as_decimal(a)) for a in amounts if a is not None), Decimal(0))

    def _takes_part(self, row: Raw) -> bool:
        if any(charge.holds(row) for charge in self.charges):
            return False
        return self.when is None or self.when({}, row) is True

    def _line(self, row: Raw, problems: list[Problem]) -> Line:
        line: Line = dict.fromkeys(self._parts)
        told: list[Problem] = []
        for binding in self.bindings:
            if binding.reads_at_all:
                binding.read_into(row, line, told)
        problems.extend(self._problem(problem, line, row) for problem in told)
        return line

    def _problem(self, problem: Problem, line: Line, row: Raw) -> Problem:
        which = line.get(self.number or "") or row.get(self.row_id or "") or "?"
        return Problem(
            self.fields[0], f"line {which}, {problem.field}: {problem.message}", problem.severity, problem.shown
        )

    def _numbered(self, lines: list[Line]) -> list[Line]:
        if self.number is None:
            return lines
        name = self.number
        numbers = [line.get(name) for line in lines]
        # Numbers count from one: Odoo's own invoices of orders begin at zero.
        if any(number is None or number < 1 for number in numbers) or len(set(numbers)) < len(numbers):
            order = sorted(range(len(lines)), key=lambda n: (numbers[n] or 0, n))
            for place, n in enumerate(order, 1):
                lines[n][name] = place
        return sorted(lines, key=lambda line: line[name])

    # -- writing -----------------------------------------------------------------------------------------------

    def write_into(
        self,
        values: Mapping[str, Value],
        current: Raw,
        out: dict[str, Any],
        problems: list[Problem],
        *,
        new: bool,
    ) -> bool:
        """Add the whole raw list as it shall be: raw rows that stay keep their place, new ones follow."""
        given = [dict(line) for line in _lines(values.get(self.fields[0]))]
        raw_rows = _raw_rows(current, self.path)
        if not given and self.required:
            problems.append(Problem(self.fields[0], f"it has no lines, and {self.system} needs them", "block", ""))
            return False
        made = self._made(given, raw_rows, problems)
        for charge in self.charges:
            self._charge(charge, values.get(charge.field), raw_rows, made, problems)
        taken = {id(row): new_row for row, new_row in made if row is not None}
        kept = [taken.get(id(row), row) for row in raw_rows if not self._ours(row) or id(row) in taken]
        rows = [*kept, *(row for old, row in made if old is None)]
        if rows or not new:
            out[self.path] = rows
        return False

    def _ours(self, row: Raw) -> bool:
        return self._takes_part(row) or any(charge.holds(row) for charge in self.charges)

    def _made(
        self, given: Sequence[Line], raw_rows: Sequence[Raw], problems: list[Problem]
    ) -> list[tuple[Raw | None, dict[str, Any]]]:
        """Each given line as a raw row, with the raw row that it changes."""
        out: list[tuple[Raw | None, dict[str, Any]]] = []
        for line, row in self._aligned(given, raw_rows):
            told: list[Problem] = []
            own = self._raw_of(line, row, told)
            if row is not None:
                # What follows from a part that changes would contradict it.
                changed = {path for path, value in own.items() if value != row.get(path)}
                own.update({path: None for path, by in self.follows.items() if by in changed and path not in own})
            problems.extend(self._problem(problem, line, row or {}) for problem in told)
            out.append((row, {**(row or {}), **own}))
        return out

    def _raw_of(self, line: Line, row: Raw | None, problems: list[Problem]) -> dict[str, Any]:
        own: dict[str, Any] = {} if row is not None else dict(self.on_create)
        for binding in self.bindings:
            if binding.writes_at_all:
                part: dict[str, Any] = {}
                binding.write_into(line, row or {}, part, problems, new=row is None)
                own.update(part if row is not None else {p: v for p, v in part.items() if v is not None})
        return own

    def _charge(
        self,
        charge: ChargeRow,
        value: Value,
        raw_rows: Sequence[Raw],
        made: list[tuple[Raw | None, dict[str, Any]]],
        problems: list[Problem],
    ) -> None:
        """Bring the rows of one charge to the amount; there is no row for nothing."""
        amount = as_decimal(value) if value is not None else Decimal(0)
        there = [row for row in raw_rows if charge.holds(row)]
        if amount and charge.told is None:
            message = f"it is {amount}, and there is no product for it: set {charge.setting} in the pair file"
            problems.append(Problem(charge.field, message, "block", str(amount)))
            return
        now = sum((charge.signed(as_decimal(row.get(charge.amount) or 0)) for row in there), Decimal(0))
        if now == amount:
            made.extend((row, dict(row)) for row in there)
            return
        if not amount:
            return
        if there:
            made.append((there[0], {**there[0], charge.write: charge.signed(amount)}))
            return
        made.append((None, {**charge.on_create, charge.row: charge.told, charge.write: charge.signed(amount)}))

    def _aligned(self, given: Sequence[Line], raw_rows: Sequence[Raw]) -> list[tuple[Line, Raw | None]]:
        """Each given line with the raw row that it is: all match parts alike first, then one that only they share."""
        rows = [row for row in raw_rows if self._takes_part(row)]
        there = [self._line(row, []) for row in rows]
        if self.number is not None:
            self._numbered(there)
        pairs: dict[int, int] = {}
        _pair(given, there, pairs, self.match)
        for part in self.match:
            _pair(given, there, pairs, (part,))
        return [(line, rows[pairs[n]] if n in pairs else None) for n, line in enumerate(given)]

    # -- what it would read as ---------------------------------------------------------------------------------

    def project(
        self, values: Mapping[str, Value], given: Mapping[str, Value], current: Raw, now: Mapping[str, Value]
    ) -> dict[str, Value]:
        """What the rows and charges would read back as once written; `given` has references by what they are here.

        What a row cannot be told (read-only parts, parts left out) is as it is `now`.
        """
        found: dict[str, Value] = {}
        raw_rows = _raw_rows(current, self.path)
        by_row = self._now(raw_rows, now)
        told = _lines(values.get(self.fields[0]))
        lines = []
        for line, (here, row) in zip(
            told, self._aligned([dict(x) for x in _lines(given.get(self.fields[0]))], raw_rows), strict=True
        ):
            lines.append(self._projected(line, here, row, by_row.get(id(row), {})))
        found[self.fields[0]] = self._numbered(lines)
        for charge in self.charges:
            found[charge.field] = values.get(charge.field)
        return found

    def _now(self, raw_rows: Sequence[Raw], now: Mapping[str, Value]) -> dict[int, Line]:
        """The lines as read now, references resolved, by the raw row they came from."""
        rows = [row for row in raw_rows if self._takes_part(row)]
        lines = _lines(now.get(self.fields[0]))
        read = [self._line(row, []) for row in rows]
        if self.number is not None:
            self._numbered(read)
            by_number = {line.get(self.number): line for line in lines}
            return {id(row): by_number.get(one.get(self.number), {}) for row, one in zip(rows, read, strict=True)}
        return {id(row): line for row, line in zip(rows, lines, strict=False)}

    def _projected(self, line: Line, here: Line, row: Raw | None, now: Line) -> Line:
        out: Line = dict.fromkeys(self._parts)
        out.update({part: value for part, value in now.items() if part in out})
        for binding in self.bindings:
            if not binding.writes_at_all:
                continue
            own: dict[str, Any] = {}
            binding.write_into(here, row or {}, own, [], new=row is None)
            if not own:
                continue
            if binding.is_reference or binding.fields[0] in self.references:
                out[binding.fields[0]] = line.get(binding.fields[0])
            elif binding.reads_at_all:
                binding.read_into({**(row or {}), **own}, out, [])
        return out

    def explain_read(self, raw: Raw) -> FieldTrace:
        """What reading made of the rows."""
        values: dict[str, Value] = {}
        problems: list[Problem] = []
        self.read_into(raw, values, problems)
        return self._trace("read", raw.get(self.path), values.get(self.fields[0]), problems)

    def explain_write(self, values: Mapping[str, Value], current: Raw, *, new: bool) -> FieldTrace:
        """What writing made of the rows."""
        out: dict[str, Any] = {}
        problems: list[Problem] = []
        self.write_into(values, current, out, problems, new=new)
        return self._trace("write", values.get(self.fields[0]), out.get(self.path), problems)

    def _trace(self, direction: Any, given: Any, result: Any, problems: Sequence[Problem]) -> FieldTrace:
        return FieldTrace(
            fields=self.fields,
            paths=self.own_paths,
            direction=direction,
            given=given,
            steps=(),
            result=result,
            problem="; ".join(problem.message for problem in problems if problem.severity == "block"),
        )


def _raw_rows(raw: Raw, path: str) -> list[Raw]:
    found = raw.get(path)
    return [row for row in found if isinstance(row, Mapping)] if isinstance(found, list | tuple) else []


def _lines(value: Any) -> list[Line]:
    return [line for line in value if isinstance(line, dict)] if isinstance(value, list) else []


def _pair(given: Sequence[Line], there: Sequence[Line], pairs: dict[int, int], parts: Sequence[str]) -> None:
    """Pair those left whose parts are the same, not all empty, and stand so once on each side."""

    def key(line: Line) -> tuple[Any, ...] | None:
        found = tuple(_plain(line.get(part)) for part in parts)
        return None if all(one is None for one in found) else found

    taken = set(pairs.values())
    mine: dict[Any, list[int]] = {}
    theirs: dict[Any, list[int]] = {}
    for n, line in enumerate(given):
        if n not in pairs:
            mine.setdefault(key(line), []).append(n)
    for n, line in enumerate(there):
        if n not in taken:
            theirs.setdefault(key(line), []).append(n)
    for value, several in mine.items():
        if value is not None and len(several) == 1 and len(theirs.get(value, ())) == 1:
            pairs[several[0]] = theirs[value][0]


def _plain(value: Any) -> Any:
    """A value that can be compared as a key."""
    if isinstance(value, Ref):
        return (value.entity, value.key)
    return value if isinstance(value, str | int | Decimal | type(None)) else str(value)
