"""Conditions that are nothing but calls of our own functions, decided without the CEL engine.

Most rules read `blank(email) || is_email(email)`. The engine only carries the values over to C++ and back for them;
thousands of records make that the dearest part of a load. Whatever is not as simple as that, or goes wrong on the
way, is left to the engine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Values = Mapping[str, Any]
Condition = Callable[[Values], bool]

_TOKEN = re.compile(
    r"""\s*(?:(?P<op>\|\||&&|==|!=|!|\(|\)|,|\.)|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<number>-?\d{1,9}(?![\w.]))"""
    r"""|"(?P<text>[^"\\]*)")"""
)
_END = ("", "")


class NotPlain(Exception):
    """The engine has to decide: the condition is not a simple one, or has no simple answer for these values."""


def condition(
    source: str,
    variables: frozenset[str],
    functions: Mapping[str, tuple[tuple[str, ...], str, Callable[..., Any], str]],
) -> Condition | None:
    """The condition as a function of plain values, or None where it is not a simple one.

    `functions` are those of the engine. The function raises NotPlain, or what one of them raises, for values that
    the engine has to decide.
    """
    try:
        parser = _Parser(_tokens(source), variables, functions)
        found = parser.either()
        return found if parser.next() == _END else None
    except NotPlain:
        return None


def _tokens(source: str) -> list[tuple[str, str]]:
    out: list[tuple[str, str]] = []
    at, end = 0, len(source.rstrip())
    while at < end:
        match = _TOKEN.match(source, at)
        if match is None or match.lastgroup is None:
            raise NotPlain
        out.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return out


class _Parser:
    """Recursive descent over `||`, `&&`, `!`, parentheses, calls, `has()` and comparisons with null."""

    def __init__(
        self,
        tokens: list[tuple[str, str]],
        variables: frozenset[str],
        functions: Mapping[str, tuple[tuple[str, ...], str, Callable[..., Any], str]],
    ) -> None:
        self._tokens, self._at = tokens, 0
        self._variables, self._functions = variables, functions

    def next(self) -> tuple[str, str]:
        """The next token, taken; the end again and again."""
        found = self._peek()
        self._at += 1
        return found

    def _peek(self, ahead: int = 0) -> tuple[str, str]:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else _END

    def _expect(self, operator: str) -> None:
        if self.next() != ("op", operator):
            raise NotPlain

    def either(self) -> Condition:
        """`a || b || …`"""
        terms = [self._both()]
        while self._peek() == ("op", "||"):
            self.next()
            terms.append(self._both())
        if len(terms) == 1:
            return terms[0]
        return lambda values: any(term(values) for term in terms)

    def _both(self) -> Condition:
        terms = [self._not()]
        while self._peek() == ("op", "&&"):
            self.next()
            terms.append(self._not())
        if len(terms) == 1:
            return terms[0]
        return lambda values: all(term(values) for term in terms)

    def _not(self) -> Condition:
        if self._peek() == ("op", "!"):
            self.next()
            term = self._not()
            return lambda values: not term(values)
        if self._peek() == ("op", "("):
            self.next()
            inner = self.either()
            self._expect(")")
            return inner
        return self._call() if self._peek(1) == ("op", "(") else self._compared()

    def _call(self) -> Condition:
        name = self._word()
        self._expect("(")
        if name == "has":
            return self._has()
        if name not in self._functions:
            raise NotPlain
        kinds, result, function, _ = self._functions[name]
        given = [self._argument()]
        while self._peek() == ("op", ","):
            self.next()
            given.append(self._argument())
        self._expect(")")
        if result != "bool" or len(given) != len(kinds) or any(kind != "dyn" for kind in kinds):
            raise NotPlain
        if len(given) == 1:
            [only] = given
            return lambda values: bool(function(only(values)))
        return lambda values: bool(function(*(one(values) for one in given)))

    def _has(self) -> Condition:
        variable = self._variable()
        self._expect(".")
        name = self._word()
        self._expect(")")
        return lambda values: name in _mapping(values, variable)

    def _compared(self) -> Condition:
        variable = self._variable()
        operator = self.next()
        if operator not in (("op", "=="), ("op", "!=")) or self.next() != ("word", "null"):
            raise NotPlain
        wanted = operator[1] == "=="
        return lambda values: (values.get(variable) is None) is wanted

    def _argument(self) -> Callable[[Values], Any]:
        kind, found = self._peek()
        if kind == "text":
            self.next()
            return lambda _: found
        if kind == "number":
            self.next()
            number = int(found)
            return lambda _: number
        variable = self._variable()
        if self._peek() != ("op", "."):
            return lambda values: values.get(variable)
        self.next()
        name = self._word()

        def part(values: Values) -> Any:
            whole = _mapping(values, variable)
            if name not in whole:
                raise NotPlain
            return whole[name]

        return part

    def _variable(self) -> str:
        name = self._word()
        if name not in self._variables:
            raise NotPlain
        return name

    def _word(self) -> str:
        kind, found = self.next()
        if kind != "word":
            raise NotPlain
        return found


def _mapping(values: Values, variable: str) -> Mapping[str, Any]:
    found = values.get(variable)
    if not isinstance(found, Mapping):
        raise NotPlain
    return found
