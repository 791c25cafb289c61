"""Finding the counterpart of a Record that has no Link yet: certain, uncertain or none. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rapidfuzz import fuzz

from isthmus.model.canonical import CanonicalEntity, MatchKey, Value
from isthmus.sync.merge import is_empty

FUZZY_FLOOR = 93.0
"""Names at least this alike (0-100, token sort ratio) in the same country propose a match; they never make one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A Record that could be the counterpart, in canonical values. `linked` ones only ever speak against."""

    key: str
    values: Mapping[str, Value]
    linked: bool = False
    external_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What was found. `key` is set when certain; `rivals` are the keys a person has to choose from; `why` says so.

    `named` says that somebody named this counterpart, which may not be in scope yet.
    """

    verdict: Literal["certain", "uncertain", "none"]
    key: str | None = None
    rivals: tuple[str, ...] = ()
    why: str = ""
    named: bool = False


def _alphanumeric(text: str) -> str:
    return re.sub(r"[^0-9a-z]", "", text.casefold())


_NORMALISERS: dict[str, Callable[[str], str]] = {
    "casefold": lambda text: " ".join(text.casefold().split()),
    "alphanumeric": _alphanumeric,
    "vat": _alphanumeric,
    "email": lambda text: text.strip().casefold(),
    "phone": lambda text: re.sub(r"\D", "", text),
}


def key_value(key: MatchKey, values: Mapping[str, Value]) -> str | None:
    """The comparable form of one match key, or None when the record does not carry it."""
    value = _part(key, values.get(key.field))
    if not key.also or value is None:
        return value
    further = [_part(key, values.get(name)) for name in key.also]
    return None if None in further else _BETWEEN.join(str(one) for one in (value, *further))


_BETWEEN = "\x1f"


def _part(key: MatchKey, value: Value) -> str | None:
    if is_empty(value) or not isinstance(value, str):
        return None
    return _NORMALISERS.get(key.normalise, _NORMALISERS["casefold"])(value) or None


def key_forms(key: MatchKey, values: Mapping[str, Value]) -> set[str]:
    """The ways a system may have this key written: as told, and in its comparable form, small and large.

    Of a key of several fields it is the first one: systems are asked by one field, what they answer is compared whole.
    """
    if key.also and key_value(key, values) is None:
        return set()
    value = _part(key, values.get(key.field))
    return {str(values[key.field]), value, value.upper()} if value else set()


def is_root(entity: CanonicalEntity, values: Mapping[str, Value]) -> bool:
    """Whether the record stands for itself: one that belongs to another of its kind repeats that one's keys."""
    return all(is_empty(values.get(name)) for name in entity.above)


def strong_keys(entity: CanonicalEntity, values: Mapping[str, Value]) -> dict[str, str]:
    """Every strong match key that is the record's own, in comparable form: a contact carries its company's tax id,
    which says nothing about who the contact is.
    """
    if not is_root(entity, values):
        return {}
    found = ((key.field, key_value(key, values)) for key in entity.match if key.strong)
    return {name: value for name, value in found if value}


def match(
    entity: CanonicalEntity,
    values: Mapping[str, Value],
    candidates: Sequence[Candidate],
    twins: Iterable[str] = (),
    *,
    display_name: Callable[[Mapping[str, Value]], str],
) -> Match:
    """Decide for one unlinked record.

    `candidates` are records of the other side that share any match key (linked ones marked so); `twins` are keys of
    other live records on the record's *own* side that share a strong key with it.
    A key links only if it is unique on both sides and no other strong key disagrees; e-mail and name never link.
    """
    twins = tuple(sorted(set(twins)))
    free = [c for c in candidates if not c.linked]
    by_strong = _by_strong_key(entity, values, free)
    if twins:
        return Match(
            verdict="uncertain",
            rivals=twins,
            why=f"{len(twins) + 1} records on the same side carry the same {_shared(entity, values)}",
        )
    taken = [c for c in candidates if c.linked and _by_strong_key(entity, values, [c])]
    if taken and not by_strong:
        return Match(
            verdict="uncertain",
            rivals=tuple(sorted(c.key for c in taken)),
            why=f"the record with the same {_shared(entity, values)} is already linked to another record",
        )
    keys = {c.key for group in by_strong.values() for c in group}
    if len(keys) == 1:
        chosen = next(c for c in free if c.key in keys)
        against = _disagreeing(entity, values, chosen.values)
        if against:
            return Match(
                verdict="uncertain", rivals=(chosen.key,), why=f"{against} differs although another key agrees"
            )
        return Match(verdict="certain", key=chosen.key, why=f"same {', '.join(sorted(by_strong))}")
    if len(keys) > 1:
        return Match(verdict="uncertain", rivals=tuple(sorted(keys)), why=f"{len(keys)} records share a strong key")
    weak = _weak(entity, values, free, display_name)
    if weak:
        return Match(verdict="uncertain", rivals=tuple(sorted(weak)), why="; ".join(sorted(set(weak.values()))))
    return Match(verdict="none", why="no record on the other side shares a key")


def _by_strong_key(
    entity: CanonicalEntity, values: Mapping[str, Value], candidates: Sequence[Candidate]
) -> dict[str, list[Candidate]]:
    mine = strong_keys(entity, values)
    found: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        theirs = strong_keys(entity, candidate.values)
        for name, value in mine.items():
            if theirs.get(name) == value:
                found.setdefault(name, []).append(candidate)
    return found


def _disagreeing(entity: CanonicalEntity, values: Mapping[str, Value], theirs: Mapping[str, Value]) -> str:
    mine, yours = strong_keys(entity, values), strong_keys(entity, theirs)
    return ", ".join(sorted(name for name in mine.keys() & yours.keys() if mine[name] != yours[name]))


def _shared(entity: CanonicalEntity, values: Mapping[str, Value]) -> str:
    return " or ".join(strong_keys(entity, values)) or "key"


def _weak(
    entity: CanonicalEntity,
    values: Mapping[str, Value],
    candidates: Sequence[Candidate],
    display_name: Callable[[Mapping[str, Value]], str],
) -> dict[str, str]:
    """Candidates that only a weak key or a very similar name proposes, and the reason. Strong disagreement clears."""
    found: dict[str, str] = {}
    for candidate in candidates:
        if _disagreeing(entity, values, candidate.values):
            continue
        alike = fuzz.token_sort_ratio(
            _NORMALISERS["casefold"](display_name(values)), _NORMALISERS["casefold"](display_name(candidate.values))
        )
        shared = [
            key.field
            for key in entity.match
            if not key.strong
            and (mine := key_value(key, values)) is not None
            and mine == key_value(key, candidate.values)
        ]
        if shared:
            found[candidate.key] = f"same {', '.join(shared)}, which alone never links"
        elif alike >= FUZZY_FLOOR:
            found[candidate.key] = f"names {alike:.0f} % alike, which alone never links"
    return found
