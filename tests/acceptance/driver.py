"""The driver: edits both systems at random, marks every value, and knows how each record must end."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from tests.acceptance.bng import Bng
from tests.acceptance.odoo import Odoo
from tests.acceptance.oracle import Expected, Key, Snapshot
from tests.acceptance.subject import (
    ASK,
    CHILD_FIELDS,
    LEFT_ONLY,
    MAKERS,
    RIGHT,
    Ids,
    Subject,
    Written,
    model_of,
    place,
)

LETTERS = "abcdefghijklmnopqrstuvwxyz"
ON_CREATE = {
    "customer": ("name", "email", "phone", "billing", "notes", "tax_id", "website", "credit_limit"),
    "vendor": ("name", "email", "phone", "billing", "notes", "number"),
    "product": ("name", "list_price", "description", "barcode", "weight"),
}
OPTIONAL_ON_CREATE = frozenset(
    {"tax_id", "website", "credit_limit", "notes", "number", "description", "barcode", "weight"}
)
SHARES = {"customer": 0.6, "vendor": 0.2, "product": 0.2}


class Driver:
    """Everything that happens to the two systems from outside goes through here, past the proxies.

    Within a round each field of a record is edited from one side only, so that its survivor is certain; the sides
    are dealt anew for the next round, once both have been seen to agree. True conflicts are made while the service
    is down.
    """

    def __init__(
        self, odoo: Odoo, bng: Bng, *, seed: int, entities: Sequence[str], currency: str, credit_limit: bool
    ) -> None:
        self.odoo, self.bng = odoo, bng
        self.dice = random.Random(seed)
        self.entities = tuple(entities)
        self.currency = currency
        self.subjects: dict[Key, Subject] = {}
        self.by_key: dict[tuple[str, str, str], str] = {}
        self.holds: Counter[tuple[str, str, str]] = Counter()
        self.done: Counter[str] = Counter()
        self._n = 0
        self.busy: set[Key] = set()
        self._dealt: dict[tuple[Key, str], str] = {}
        self._no_credit = not credit_limit
        self.ids = Ids(
            countries={r["code"]: r["id"] for r in odoo.everything("res.country", [], ["code"])},
            states={
                f"{r['country_id'][1] and 'US'}-{r['code']}": r["id"]
                for r in odoo.everything("res.country.state", [["country_id.code", "=", "US"]], ["code", "country_id"])
            },
            categories={},
        )

    # -- small parts -------------------------------------------------------------------------------------------

    def number(self) -> int:
        """A number nobody had before: it marks a value."""
        self._n += 1
        return self._n

    def mark(self) -> str:
        """A word nobody had before: it marks a record."""
        return "X" + "".join(self.dice.choice(LETTERS) for _ in range(9)) + "z"

    def subject(self, entity: str | None = None, **given: object) -> Subject:
        """A new record's card."""
        names = [e for e in self.entities if entity in (None, e)]
        chosen = self.dice.choices(names, [SHARES[n] for n in names])[0]
        made = Subject(entity=chosen, mark=self.mark(), company=self.dice.random() < 0.7, **given)  # type: ignore[arg-type]
        self.subjects[chosen, made.mark] = made
        return made

    def make(self, s: Subject, name: str) -> Written:
        """A new value of a field."""
        return MAKERS[s.entity][name](s, self.number(), self.dice, self.ids)

    def fields(self, s: Subject) -> list[str]:
        """The fields of a record that may be edited now."""
        names = [n for n in MAKERS[s.entity] if n not in s.frozen and not (n == "credit_limit" and self._no_credit)]
        if s.parent:
            names = [n for n in names if n in CHILD_FIELDS]
        return names

    def _create_values(self, s: Subject) -> Written:
        left: dict[str, object] = {}
        right: dict[str, object] = {}
        for name in ON_CREATE[s.entity]:
            if (s.parent and name not in CHILD_FIELDS) or (name == "credit_limit" and self._no_credit):
                continue
            if name in OPTIONAL_ON_CREATE and self.dice.random() < 0.5:
                continue
            made = self.make(s, name)
            left |= made.left
            right |= made.right
            s.values[name] = made.value
        if s.entity == "product":
            left |= {"default_code": s.mark, "type": "consu"}
            right |= {"SKU": s.mark, "ProductType": "NonStocked", "UnitOfMeasure": "EA", "CurrencyCode": self.currency}
            s.values |= {"sku": s.mark, "cost": "0"}
        else:
            left["is_company"] = s.company
            if s.entity == "vendor":
                left["supplier_rank"] = 1
        s.values["active"] = "Active" if s.entity == "product" else "active"
        return Written(left, right, "")

    # -- making records ----------------------------------------------------------------------------------------

    def seed(self, count: int) -> None:
        """Records that are there before the initial load: half on each side, made in bulk."""
        rows: dict[tuple[str, str], list[tuple[Subject, Written]]] = {}
        for n in range(count):
            side = "left" if n % 2 else "right"
            s = self.subject(born=side)
            rows.setdefault((side, s.entity), []).append((s, self._create_values(s)))
        for (side, entity), made in rows.items():
            for start in range(0, len(made), 200):
                part = made[start : start + 200]
                if side == "left":
                    for (s, _), key in zip(
                        part, self.odoo.create(model_of(entity), [dict(w.left) for _, w in part]), strict=True
                    ):
                        s.left = key
                else:
                    keys = self.bng.seed(entity, [w.right for _, w in part])
                    for (s, _), key in zip(part, keys, strict=True):
                        s.right = key
        for s in self.subjects.values():
            self._remember(s)

    def create(self, side: str, entity: str | None = None, parent: Subject | None = None) -> Subject:
        """One new record on one side."""
        s = self.subject("customer" if parent else entity, born=side)
        if parent is not None:
            s.company, s.parent = False, parent.mark
            s.loose |= set()
        written = self._create_values(s)
        left, right = dict(written.left), dict(written.right)
        if parent is not None:
            left["parent_id"], right["ParentCustomerID"] = parent.left, parent.right
            s.values["parent"] = parent.mark
        self.put(s, side, left, right)
        self.done[f"{side} creates"] += 1
        return s

    def put(self, s: Subject, side: str, left: dict[str, object], right: dict[str, object]) -> None:
        """Create a record on one side with these values."""
        if side == "left":
            s.left = self.odoo.create(model_of(s.entity), [left])[0]
        else:
            s.right = self.bng.create(s.entity, right)
        self._remember(s)

    def _remember(self, s: Subject) -> None:
        if s.left is not None:
            self.by_key[s.entity, "left", str(s.left)] = s.mark
        if s.right is not None:
            self.by_key[s.entity, "right", s.right] = s.mark

    def learn(self, seen: Snapshot) -> None:
        """Note the keys of counterparts, and deal the sides of the next round anew."""
        for key, s in self.subjects.items():
            left, right = seen.left.get(key, []), seen.right.get(key, [])
            if s.left is None and len(left) == 1:
                s.left = int(left[0].key)
            if s.right is None and len(right) == 1:
                s.right = right[0].key
            s.seen_on_both = len(left) == len(right) == 1
            self._remember(s)
        self._dealt.clear()
        self.busy.clear()

    # -- edits -------------------------------------------------------------------------------------------------

    def pool(self, *, archived: bool = False) -> list[Subject]:
        """Records that are linked and may be edited."""
        return [s for s in self.subjects.values() if s.linked and s.archived == archived and "*" not in s.frozen]

    def untouched(self, entity: str | None = None) -> list[Subject]:
        """Records that agree and have not been touched since they were seen to, in random order."""
        found = [s for s in self.pool() if (s.entity, s.mark) not in self.busy and s.entity == (entity or s.entity)]
        self.dice.shuffle(found)
        return found

    def touch(self, *subjects: Subject) -> None:
        """Leave these alone until they were seen to agree again."""
        self.busy.update((s.entity, s.mark) for s in subjects)

    def alone(self, s: Subject) -> bool:
        """Whether no other record hangs on it in Odoo: no contacts, no company, no delivery address."""
        hangs = any(o.parent == s.mark for o in self.subjects.values())
        return not (s.parent or hangs or s.values.get("shipping"))

    def edit(self, side: str, pool: Sequence[Subject]) -> bool:
        """Change one random field of one random record from this side; False when none is this side's."""
        for _ in range(40):
            s = self.dice.choice(pool)
            names = self.fields(s)
            if s.entity == "customer" and not s.parent:
                names.append("shipping")
            name = self.dice.choice(names)
            if self._deal(s, name, side):
                if name == "shipping":
                    self._ship(s, side)
                else:
                    made = self.make(s, name)
                    self.write(s, side, made)
                    if side == "left" or (s.entity, name) not in LEFT_ONLY:
                        s.values[name] = made.value
                self.done[f"{side} edits"] += 1
                return True
        return False

    def _deal(self, s: Subject, name: str, side: str) -> bool:
        key = (s.entity, s.mark)
        return self._dealt.setdefault((key, name), side) == side

    def write(self, s: Subject, side: str, made: Written) -> None:
        """Write one value on one side."""
        if side == "left":
            assert s.left is not None
            self.odoo.write(model_of(s.entity), [s.left], made.left)
        else:
            assert s.right is not None
            self.bng.write(s.entity, s.right, made.right)

    def _ship(self, s: Subject, side: str) -> None:
        left, right, value = place(self.number(), self.dice, self.ids)
        if side == "right":
            assert s.right is not None
            if s.values.get("shipping") and self.dice.random() < 0.2:
                self.bng.write(s.entity, s.right, {"ShippingAddress": None})
                value = ""
            else:
                self.bng.write(s.entity, s.right, {"ShippingAddress": right})
        else:
            found = self.odoo.call(
                "res.partner", "search", domain=[["parent_id", "=", s.left], ["type", "=", "delivery"]]
            )
            if found:
                self.odoo.write("res.partner", found[:1], left)
            else:
                child = {**left, "type": "delivery", "parent_id": s.left, "name": f"Dock of {s.left}"}
                self.odoo.create("res.partner", [child])
        s.values["shipping"] = value

    def archive(self, side: str, pool: Sequence[Subject], *, restore: bool = False) -> bool:
        """Archive one record from this side, or take it back."""
        for _ in range(40):
            s = self.dice.choice(pool)
            if s.parent or any(o.parent == s.mark for o in self.subjects.values()):
                continue  # Odoo archives a company's contacts with it only when a person asks for that
            if "active" in s.frozen or not self._deal(s, "active", side):
                continue
            self.set_active(s, side, restore)
            self.done[f"{side} {'restores' if restore else 'archives'}"] += 1
            return True
        return False

    def set_active(self, s: Subject, side: str, active: bool) -> None:
        """Archive or restore one record on one side."""
        word = "Active" if active else "Inactive"
        self.write(s, side, Written({"active": active}, {"Status": word}, word))
        s.values["active"] = word if s.entity == "product" else word.lower()

    def conflict(self, s: Subject, name: str) -> None:
        """Edit one field of one record on both sides, while the service is down and both sides agreed before."""
        left, right = self.make(s, name), self.make(s, name)
        now = s.values.get(name, "")
        while left.value in ("", now):
            left = self.make(s, name)
        while right.value in ("", now, left.value):
            right = self.make(s, name)
        order = [("left", left), ("right", right)]
        self.dice.shuffle(order)
        for side, made in order:
            self.write(s, side, made)
        if (s.entity, name) in ASK:
            s.values.pop(name, None)
            s.sides = {"left": {**s.sides.get("left", {}), name: left.value},
                       "right": {**s.sides.get("right", {}), name: right.value}}  # fmt: skip
            s.frozen.add(name)
            self.holds[s.entity, s.mark, f"conflict:{name}"] += 1
        else:
            s.values[name] = right.value if (s.entity, name) in RIGHT else left.value
        self.done["conflicts"] += 1

    def conflicts(self, count: int) -> None:
        """So many true conflicts on different records: of five, one to ask a person about, one the right side wins."""
        pool = self.untouched()
        for n in range(count):
            s, names = self._open_to(pool, {0: "ask", 1: "right"}.get(n % 5, "left"))
            pool.remove(s)
            self.touch(s)
            self.conflict(s, self.dice.choice(names))

    def _open_to(self, pool: Sequence[Subject], end: str) -> tuple[Subject, list[str]]:
        """A record with fields whose conflicts end so, and those fields; any record when none has one."""
        for s in pool:
            if names := [name for name in self.fields(s) if _ends(s.entity, name) == end]:
                return s, names
        return pool[0], self.fields(pool[0])

    @staticmethod
    def forget_values(s: Subject) -> None:
        """After a merge its empty fields were filled: both sides must agree, on what is Odoo's own matter."""
        s.values = {name: value for name, value in s.values.items() if value and name in ("name", "email", "active")}

    # -- what is expected --------------------------------------------------------------------------------------

    def expected(self) -> dict[Key, Expected]:
        """How every record must end."""
        return {
            key: Expected(where=s.where, values=dict(s.values), sides=s.sides, loose=set(s.loose))
            for key, s in self.subjects.items()
        }

    def edits(self) -> int:
        """How many edits were made, a conflict being two."""
        return sum(self.done.values()) + self.done["conflicts"]


def _ends(entity: str, name: str) -> str:
    """How a true conflict over a field ends: `ask`, or the side that wins."""
    if (entity, name) in ASK:
        return "ask"
    return "right" if (entity, name) in RIGHT else "left"
