"""The one expression language: CEL with our decimal, date and text functions, safe for untrusted authors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation, localcontext
from functools import cache, lru_cache
from typing import Any

import re2

from isthmus.mapping.plainly import condition
from isthmus.mapping.problem import TransformProblem, show
from isthmus.model.canonical import Ref, plain_decimal

MOST_KNOWN = 512
"""Results that an expression keeps, of values seen before."""
MAX_LENGTH = 2_000
"""Characters of one expression."""
MAX_LOOPS = 4
"""Comprehension macros (map, filter, all, exists …) of one expression; the engine budgets their iterations itself."""
MAX_SUMS = 40
"""Plus signs of one expression: together with MAX_LOOPS this bounds how far text and lists can grow."""
MAX_TEXT = 20_000
"""Characters of one text that enters an expression or that one of our functions may give."""
MAX_LIST = 10_000
"""Entries of one list that enters an expression."""

_LOOP = re2.compile(r"\.\s*(?:map|filter|all|exists|exists_one|existsOne|transform\w*)\s*\(")
_RAW = re2.compile(r"""\braw\s*(?:\[\s*"([^"\\]+)"\s*\]|\[\s*'([^'\\]+)'\s*\]|\.\s*([A-Za-z_][A-Za-z0-9_]*))""")
_WORD = re2.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RAW_WORD = re2.compile(r"\braw\b")
_QUOTED = re2.compile(r"""(?:"[^"\\]*(?:\\.[^"\\]*)*"|'[^'\\]*(?:\\.[^'\\]*)*')""")


class Expression:
    """A compiled expression; `paths` are the raw paths it looks at by `raw["path"]` or `raw.path`."""

    __slots__ = ("_known", "_plainly", "_program", "_variables", "paths", "source")

    def __init__(self, source: str, variables: Sequence[str]) -> None:
        self.source = source
        self._known: dict[tuple[Any, ...], Any] = {}
        _guard(source)
        self.paths = raw_paths(source) if "raw" in variables else ()
        words = set(_WORD.findall(_QUOTED.sub('""', source)))
        self._variables = tuple(name for name in variables if name in words)
        try:
            self._program = _environment(tuple(variables)).compile(source)
        except RuntimeError as error:
            raise ValueError(f"not an expression: {_first_line(error)}") from error
        self._plainly = condition(source, frozenset(variables) - {"raw"}, FUNCTIONS)

    def __call__(self, values: Mapping[str, Any], raw: Mapping[str, Any] | None = None) -> Any:
        """The result as a plain Python value; TransformProblem when it cannot be calculated."""
        if self._plainly is not None:
            try:
                return self._plainly({name: plain(values.get(name)) for name in self._variables})
            except Exception:  # whatever it was, the engine says what is wrong
                return self._calculated(values, raw)
        if self.paths or "raw" in self._variables:
            return self._calculated(values, raw)
        given = [values.get(name) for name in self._variables]
        if not all(value is None or type(value) is str for value in given):
            return self._calculated(values, raw)
        # The same few texts and empties come again and again, and the same values always give the same result.
        key = tuple(given)
        found = self._known.get(key, self)
        if found is self:
            found = self._calculated(values, raw)
            if len(self._known) < MOST_KNOWN and isinstance(found, bool | str | int | None):
                self._known[key] = found
        return found

    def _calculated(self, values: Mapping[str, Any], raw: Mapping[str, Any] | None) -> Any:
        data = {name: plain(values.get(name)) for name in self._variables if name != "raw"}
        if raw is not None and self.paths:
            data["raw"] = {path: plain(raw.get(path)) for path in self.paths}
        elif "raw" in self._variables:
            data["raw"] = {}
        try:
            result = self._program.eval(data=data)
        except RuntimeError as error:
            raise TransformProblem(f"{self.source}: {_first_line(error)}") from error
        value = result.plain_value()
        if result.type().name() in ("*error*", "ERROR", "error"):
            raise TransformProblem(f"{self.source}: {_first_line(value)}")
        return value


@lru_cache(maxsize=4_096)
def expression(source: str, variables: tuple[str, ...] = ("value", "raw")) -> Expression:
    """A compiled expression, kept for the next time; ValueError says what is wrong with it."""
    return Expression(source, variables)


def raw_paths(source: str) -> tuple[str, ...]:
    """The raw paths an expression names; `raw` may only be used with a path that is written out."""
    found = [next(g for g in groups if g) for groups in _RAW.findall(source)]
    bare = len(_RAW_WORD.findall(_QUOTED.sub('""', source)))
    if bare > len(found):
        raise ValueError('raw is used with the path written out, as raw.name or raw["child_ids[type=delivery].id"]')
    return tuple(dict.fromkeys(found))


def plain(value: Any) -> Any:
    """A value as CEL knows it: decimals as text, days as text, references as objects.

    TransformProblem for what is too large: a part of it would give a result that is wrong and looks right.
    """
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        if len(value) > MAX_TEXT:
            raise TransformProblem(f"a text of {len(value)} characters; an expression takes at most {MAX_TEXT}")
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, Decimal):
        return plain_decimal(value) if value.is_finite() else str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Ref):
        return {"entity": value.entity, "key": value.key}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        if len(value) > MAX_LIST:
            raise TransformProblem(f"a list of {len(value)} entries; an expression takes at most {MAX_LIST}")
        return [plain(v) for v in value]
    return str(value)


def _guard(source: str) -> None:
    if len(source) > MAX_LENGTH:
        raise ValueError(f"an expression has at most {MAX_LENGTH} characters, this one has {len(source)}")
    loops = len(_LOOP.findall(source))
    if loops > MAX_LOOPS:
        raise ValueError(f"an expression has at most {MAX_LOOPS} of map, filter, all and exists; this one has {loops}")
    if source.count("+") > MAX_SUMS:
        raise ValueError(f"an expression has at most {MAX_SUMS} plus signs; this one has {source.count('+')}")


def _first_line(error: object) -> str:
    text = str(error).strip().splitlines()[0] if str(error).strip() else "cannot be calculated"
    return text.removeprefix("INVALID_ARGUMENT: ").removeprefix("UNKNOWN: ").removeprefix("OUT_OF_RANGE: ")


def _number(value: Any) -> Decimal:
    if isinstance(value, Mapping) and "amount" in value:
        value = value["amount"]
    try:
        number = Decimal(repr(value) if isinstance(value, float) else str(value))
    except InvalidOperation as error:
        raise ValueError(f"{show(value)!r} is not a number") from error
    if not number.is_finite() or abs(number) >= Decimal(10) ** 30 or number.as_tuple().exponent < -40:  # type: ignore[operator]  # finite: an int
        raise ValueError(f"{show(value)!r} is not a number that can be kept exactly")
    return number


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _bounded(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise ValueError(f"the text is longer than {MAX_TEXT} characters")
    return text


def _replace(text: Any, find: Any, by: Any) -> str:
    whole, wanted, instead = _text(text), _text(find), _text(by)
    if len(whole) + (whole.count(wanted) if wanted else len(whole) + 1) * len(instead) > MAX_TEXT:
        raise ValueError(f"the text is longer than {MAX_TEXT} characters")
    return whole.replace(wanted, instead)


def _divide(a: Any, b: Any, scale: int) -> str:
    from isthmus.mapping.transforms.number import rounded

    with localcontext() as context:
        context.prec = 50
        return plain_decimal(rounded(_number(a) / _number(b), max(0, min(scale, 12))))


def _round(a: Any, scale: int) -> str:
    from isthmus.mapping.transforms.number import rounded

    return plain_decimal(rounded(_number(a), max(0, min(scale, 12))))


def _compare(a: Any, b: Any) -> int:
    left, right = _number(a), _number(b)
    return (left > right) - (left < right)


def _day(value: Any) -> date:
    return date.fromisoformat(_text(value)[:10])


def _is_email(value: Any) -> bool:
    from isthmus.mapping.validity import is_email

    return is_email(_text(value))


def _is_country(value: Any) -> bool:
    from isthmus.mapping.places import is_country

    return is_country(_text(value))


def _is_phone(value: Any) -> bool:
    from isthmus.mapping.validity import is_phone

    return is_phone(_text(value))


def _is_currency(value: Any) -> bool:
    from isthmus.mapping.validity import is_currency

    return is_currency(_text(value))


def _is_tax_id(value: Any, country: Any) -> bool:
    from isthmus.mapping.transforms.contact import normal_tax_id, valid_tax_id

    return valid_tax_id(normal_tax_id(_text(value)), _text(country) or None) is not False


def _blank(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or value == {} or value == []


# name → (parameter types, result type, function, what it gives)
FUNCTIONS: Mapping[str, tuple[tuple[str, ...], str, Callable[..., Any], str]] = {
    "add": (("dyn", "dyn"), "string", lambda a, b: plain_decimal(_number(a) + _number(b)), "exact sum"),
    "subtract": (("dyn", "dyn"), "string", lambda a, b: plain_decimal(_number(a) - _number(b)), "exact difference"),
    "multiply": (("dyn", "dyn"), "string", lambda a, b: plain_decimal(_number(a) * _number(b)), "exact product"),
    "divide": (("dyn", "dyn", "int"), "string", _divide, "quotient at so many decimal places"),
    "round": (("dyn", "int"), "string", _round, "number at so many decimal places, halves away from zero"),
    "compare": (("dyn", "dyn"), "int", _compare, "-1, 0 or 1, as exact numbers"),
    "less": (("dyn", "dyn"), "bool", lambda a, b: _compare(a, b) < 0, "whether the first number is smaller"),
    "at_least": (("dyn", "dyn"), "bool", lambda a, b: _compare(a, b) >= 0, "whether it is not smaller"),
    "more": (("dyn", "dyn"), "bool", lambda a, b: _compare(a, b) > 0, "whether the first number is larger"),
    "near": (
        ("dyn", "dyn", "dyn"), "bool", lambda a, b, most: abs(_number(a) - _number(b)) <= _number(most),
        "whether two numbers differ by no more than the third",
    ),
    "sum": (
        ("list",), "string", lambda all_: plain_decimal(sum((_number(n) for n in all_ if not _blank(n)), Decimal(0))),
        "exact sum of a list, blanks left out",
    ),
    "days_between": (("dyn", "dyn"), "int", lambda a, b: (_day(b) - _day(a)).days, "days from the first to the second"),
    "add_days": (
        ("dyn", "int"), "string", lambda a, n: (_day(a) + timedelta(days=n)).isoformat(), "the day so many days later",
    ),
    "before": (("dyn", "dyn"), "bool", lambda a, b: _day(a) < _day(b), "whether the first day is earlier"),
    "upper": (("dyn",), "string", lambda t: _text(t).upper(), "capitals"),
    "lower": (("dyn",), "string", lambda t: _text(t).lower(), "small letters"),
    "trim": (("dyn",), "string", lambda t: " ".join(_text(t).split()), "single spaces, none outside"),
    "replace": (("dyn", "dyn", "dyn"), "string", _replace, "text with one part replaced by another"),
    "split": (("dyn", "string"), "list", lambda t, s: _text(t).split(s) if s else [_text(t)], "the parts of a text"),
    "join": (("list", "string"), "string", lambda i, s: _bounded(s.join(_text(t) for t in i)), "parts as one text"),
    "part": (("dyn", "int", "int"), "string", lambda t, a, b: _text(t)[max(a, 0) : max(b, 0)], "characters from, to"),
    "digits": (("dyn",), "string", lambda t: "".join(c for c in _text(t) if c.isdigit()), "only the digits"),
    "blank": (("dyn",), "bool", _blank, "whether there is nothing"),
    "either": (("dyn", "dyn"), "dyn", lambda a, b: b if _blank(a) else a, "the first, or the second where it is blank"),
    "is_email": (("dyn",), "bool", _is_email, "whether it has the form of an e-mail address"),
    "is_phone": (("dyn",), "bool", _is_phone, "whether it is a phone number with its country code"),
    "is_country": (("dyn",), "bool", _is_country, "whether it is an ISO 3166 alpha-2 code"),
    "is_currency": (("dyn",), "bool", _is_currency, "whether it is an ISO 4217 code"),
    "is_tax_id": (("dyn", "dyn"), "bool", _is_tax_id, "whether a tax id is well formed, or nobody can tell"),
}  # fmt: skip
"""Our functions; decimals travel as text, so that no number ever becomes a float."""


@cache
def _extension() -> Any:
    from cel_expr_python import cel

    kinds = {
        "dyn": cel.Type.DYN, "string": cel.Type.STRING, "int": cel.Type.INT, "bool": cel.Type.BOOL,
        "list": cel.Type.LIST,
    }  # fmt: skip
    return cel.CelExtension(
        "isthmus",
        [
            cel.FunctionDecl(
                name, [cel.Overload(f"isthmus_{name}", kinds[result], [kinds[p] for p in given], False, function)]
            )
            for name, (given, result, function, _) in FUNCTIONS.items()
        ],
    )


@cache
def _environment(variables: tuple[str, ...]) -> Any:
    from cel_expr_python import cel

    kinds = {name: cel.Type.MAP if name == "raw" else cel.Type.DYN for name in variables}
    return cel.NewEnv(variables=kinds, extensions=[_extension()])
