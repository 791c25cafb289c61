"""Kept mutants of mapping and sync: each is a mistake somebody could make, and the oracle must notice every one.

They patch the product from outside, in a child process, so that the product has no hooks for them.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any


def _on_write(change: Callable[[Any, dict[str, Any]], None]) -> None:
    """Have `change(mapping, raw values)` spoil what a Mapping is about to write."""
    from isthmus.mapping.compiled import CompiledMapping

    original, making = CompiledMapping.write, CompiledMapping.create

    def write(self: Any, *given: Any, **more: Any) -> Any:
        result = original(self, *given, **more)
        change(self, result.values)
        return result

    def create(self: Any, *given: Any, **more: Any) -> Any:
        result, arriving = making(self, *given, **more)
        change(self, result.values)
        return result, arriving

    CompiledMapping.write = write  # type: ignore[method-assign]
    CompiledMapping.create = create  # type: ignore[method-assign]


def phone_dropped() -> None:
    """The phone is never written to BNG."""
    _on_write(lambda mapping, values: values.pop("Phone", None) if mapping.system == "bng" else None)


def address_lines_swapped() -> None:
    """Line 1 and line 2 change places on the way to Odoo."""

    def swap(mapping: Any, values: dict[str, Any]) -> None:
        if "street" in values or "street2" in values:
            values["street"], values["street2"] = values.get("street2"), values.get("street")

    _on_write(swap)


def archive_ignored() -> None:
    """Archiving in Odoo never reaches BNG."""

    def keep(mapping: Any, values: dict[str, Any]) -> None:
        if values.get("Status") == "Inactive":
            del values["Status"]

    _on_write(keep)


def decimal_rounded() -> None:
    """Amounts lose their cents on the way to BNG."""

    def whole(mapping: Any, values: dict[str, Any]) -> None:
        for name in ("CreditLimit", "ListPrice", "CostPrice", "Weight"):
            if values.get(name) is not None:
                values[name] = Decimal(str(values[name])).quantize(Decimal(1), ROUND_HALF_UP)

    _on_write(whole)


def wrong_owner() -> None:
    """The right side wins every conflict that the left side should."""
    from isthmus.sync import merge

    original = merge._settle

    def settle(*given: Any) -> Any:
        found = original(*given)
        return merge.Decision("right", "a mutant") if found.verdict == "left" else found

    merge._settle = settle


def conflict_settled_silently() -> None:
    """A conflict that a person must see is decided without asking."""
    from isthmus.sync import merge

    original = merge._verdict

    def verdict(*given: Any) -> Any:
        found = original(*given)
        return merge.Decision("left", "a mutant") if found.verdict == "ask" else found

    merge._verdict = verdict


def empties_ignored() -> None:
    """Emptying a field does not travel."""
    from isthmus.sync import merge

    original = merge._verdict

    def verdict(name: str, rule: Any, policy: Any, left: Any, right: Any, choices: Any) -> Any:
        found = original(name, rule, policy, left, right, choices)
        if found.verdict in ("left", "right"):
            source = left if found.verdict == "left" else right
            if merge.is_empty(source.values[name]):
                return merge.Decision("agree", "a mutant")
        return found

    merge._verdict = verdict


def echo_written_back() -> None:
    """Looking at a record that agrees writes one field again."""
    from isthmus.sync import plan

    original = plan._plan_merge

    def again(entity: Any, item: Any) -> Any:
        made = original(entity, item)
        name = item.right.values.get("name")
        if not made.writes and made.error is None and item.link is not None and name:
            raw = entity.right.mapping.write(item.right.values, ["name"], item.right.raw).values
            made.writes.append(plan.Write(side="right", action="update", payload=raw, fields={"name": name}))
        return made

    plan._plan_merge = again


def created_again_on_retry() -> None:
    """After an unknown outcome a create is sent again as a new one, without looking."""
    import itertools

    from isthmus.sync import recover, settle
    from isthmus.sync.pair import EntityBinding

    count = itertools.count()
    mint = EntityBinding.mint
    EntityBinding.mint = lambda self, key, generation: f"{mint(self, key, generation)}.{next(count)}"  # type: ignore[method-assign]
    settle._idempotency_key = lambda *given: f"k{next(count)}-{id(given)}"  # type: ignore[assignment]

    def forget(conn: Any, entity: Any, row: Any, found: Any, out: Any, now: Any) -> None:
        recover._free(conn, entity, row, out)

    recover._resolve_create = forget


def hints_lost() -> None:
    """Every third record that polling finds is forgotten."""
    from dataclasses import replace

    from isthmus.detect import poll

    original = poll._store

    def store(conn: Any, pair: Any, side: Any, entity: str, page: Any, wake: Any) -> Any:
        return original(conn, pair, side, entity, replace(page, hints=[h for h in page.hints if _kept(h.key)]), wake)

    poll._store = store


def _kept(key: str) -> bool:
    return sum(key.encode()) % 3 != 0


def dependency_lost() -> None:
    """A contact arrives without the company it belongs to."""
    _on_write(lambda mapping, values: [values.pop(name, None) for name in ("ParentCustomerID", "parent_id")] and None)


def bad_mail_let_through() -> None:
    """Validation rules are not looked at."""
    from isthmus.sync import plan

    plan.check_rules = lambda *given, **more: []  # type: ignore[assignment]


MUTANTS: dict[str, Callable[[], None]] = {
    made.__name__: made
    for made in (
        phone_dropped,
        address_lines_swapped,
        archive_ignored,
        decimal_rounded,
        wrong_owner,
        conflict_settled_silently,
        empties_ignored,
        echo_written_back,
        created_again_on_retry,
        hints_lost,
        dependency_lost,
        bad_mail_let_through,
    )
}
