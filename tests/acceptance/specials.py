"""Edits with an end of their own: records that must be held, counterparts that must be found, merges and deletes."""

from __future__ import annotations

from tests.acceptance.driver import Driver
from tests.acceptance.subject import Subject, Written, belgian_vat, model_of


def held_on_create(driver: Driver, count: int) -> None:
    """Odoo customers that BNG cannot take: without e-mail, with a bad one, with an address in no country."""
    for n in range(count):
        s = driver.subject("customer", born="left", where="left")
        s.frozen.add("*")
        values = dict(driver._create_values(s).left)
        if n % 3 == 0:
            values["email"] = False
            s.values["email"] = ""
        elif n % 3 == 1:
            values["email"] = s.values["email"] = f"{s.mark.lower()} at example"
        else:
            values |= {"street": f"{driver.number()} Nowhere", "city": "Nowhere", "zip": False, "state_id": False}
            values |= {"street2": False, "country_id": False}
            s.values["billing"] = f"{values['street']}||Nowhere|||"
        driver.put(s, "left", values, {})
        driver.holds["customer", s.mark, "InvalidRecord"] += 1
        driver.done["left creates"] += 1


def held_by_edit(driver: Driver, count: int) -> list[Subject]:
    """Linked customers whose e-mail turns bad in Odoo: held, BNG keeps the last good one.

    Without a company above them: Odoo copies a company's new address to its contacts, and what is held is held whole.
    """
    pool = [s for s in driver.untouched("customer") if not s.parent]
    for s in pool[:count]:
        driver.touch(s)
        bad = f"{s.mark.lower()} at home"
        driver.write(s, "left", Written({"email": bad}, {}, bad))
        s.sides = {"left": {**s.sides.get("left", {}), "email": bad},
                   "right": {**s.sides.get("right", {}), "email": s.values.pop("email")}}  # fmt: skip
        s.frozen.add("*")
        driver.holds["customer", s.mark, "InvalidRecord"] += 1
        driver.done["left edits"] += 1
    return pool[:count]


def mend(driver: Driver, subjects: list[Subject]) -> None:
    """The bad e-mail is corrected: the record passes by itself and its dead letter closes."""
    for s in subjects:
        driver.touch(s)
        made = driver.make(s, "email")
        driver.write(s, "left", made)
        for values in s.sides.values():
            values.pop("email", None)
        s.values["email"] = made.value
        s.frozen.discard("*")
        driver.holds["customer", s.mark, "InvalidRecord"] -= 1
        driver.done["left edits"] += 1


def born_on_both_sides(driver: Driver, count: int) -> None:
    """The same new customer entered on both sides with one tax id: one Link, and no third record."""
    for _ in range(count):
        s = driver.subject("customer", born="both")
        s.company = True
        written = driver._create_values(s)
        vat = belgian_vat(driver.number())
        s.values["tax_id"] = vat
        driver.put(s, "left", {**written.left, "vat": vat, "is_company": True}, {})
        driver.put(s, "right", {}, {**written.right, "TaxID": vat})
        driver.done["left creates"] += 1
        driver.done["right creates"] += 1


def same_e_mail_only(driver: Driver, count: int) -> None:
    """Two different new customers, one on each side, that share an e-mail: neither linked nor created, both held."""
    for _ in range(count):
        left = driver.subject("customer", born="left", where="left")
        right = driver.subject("customer", born="right", where="right")
        email = f"{left.mark.lower()}@example.org"
        for s in (left, right):
            s.frozen.add("*")
            written = driver._create_values(s)
            s.values["email"] = email
            s.values.pop("tax_id", None)  # two tax ids would tell the two apart
            driver.put(
                s, s.born, {**written.left, "email": email, "vat": False},
                {**written.right, "Email": email, "TaxID": None},
            )  # fmt: skip
            driver.holds["customer", s.mark, "Ambiguous"] += 1
            driver.done[f"{s.born} creates"] += 1


def twins(driver: Driver, count: int) -> None:
    """Two new Odoo customers with one tax id: which one is meant is for a person, both are held."""
    for _ in range(count):
        vat = belgian_vat(driver.number())
        for _ in range(2):
            s = driver.subject("customer", born="left", where="left")
            s.company = True
            s.frozen.add("*")
            written = driver._create_values(s)
            s.values["tax_id"] = vat
            driver.put(s, "left", {**written.left, "is_company": True, "vat": vat}, {})
            driver.holds["customer", s.mark, "Ambiguous"] += 1
            driver.done["left creates"] += 1


def merges(driver: Driver, count: int) -> None:
    """Contacts merged in Odoo. A loser that came from BNG lives on in the survivor: a person is asked. A loser that
    was born in Odoo is gone: its counterpart is archived.
    """
    pool = [s for s in driver.untouched("customer") if driver.alone(s) and not s.sides]
    losers = {
        side: [s for s in pool if s.born == side and s.company][: count // 2 + count % 2] for side in ("left", "right")
    }
    taken = {id(s) for found in losers.values() for s in found}
    survivors = [s for s in pool if id(s) not in taken and s.company]
    for side, found in losers.items():
        for loser in found:
            survivor = survivors.pop()
            driver.touch(survivor, loser)
            survivor.frozen.add("delete")
            assert survivor.left is not None
            assert loser.left is not None
            driver.odoo.merge(survivor.left, [loser.left])
            loser.where = "right"
            loser.frozen.add("*")
            loser.loose.add("*")
            driver.forget_values(survivor)
            if side == "right":
                driver.holds["customer", loser.mark, "Ambiguous"] += 1
                loser.values = {}
            else:
                loser.values = {"active": "inactive"}
            driver.done["merges"] += 1


def deletes(driver: Driver, count: int) -> None:
    """Records deleted on one side: the other side's is archived."""
    pool = [s for s in driver.untouched() if driver.alone(s) and "delete" not in s.frozen]
    for n, s in enumerate(pool[:count]):
        driver.touch(s)
        assert s.left is not None
        assert s.right is not None
        word = "Inactive" if s.entity == "product" else "inactive"
        if n % 2:
            driver.odoo.unlink(model_of(s.entity), [s.left])
            s.where = "right"
        else:
            driver.bng.delete(s.entity, [s.right])
            s.where = "left"
        if s.sides:
            for name in {f for values in s.sides.values() for f in values}:
                driver.holds[s.entity, s.mark, f"conflict:{name}"] = 0
        s.sides, s.values = {}, {"active": word}
        s.frozen.add("*")
        driver.done["deletes"] += 1


def contacts(driver: Driver, count: int) -> None:
    """People entered in companies that both sides have: the company goes with them."""
    companies = [s for s in driver.untouched("customer") if s.company and not s.archived and "delete" not in s.frozen]
    for n, company in enumerate(companies[: 2 * count]):
        driver.touch(company)
        company.frozen |= {"tax_id", "credit_limit"}
        driver.create("left" if n % 2 else "right", parent=company)


def emptied(driver: Driver, count: int) -> None:
    """Fields that are emptied on one side are emptied on the other."""
    filled = [(s, name) for s in driver.untouched() for name in ("notes", "description") if s.values.get(name)]
    left = {"notes": {"comment": False}, "description": {"description_sale": False}}
    right = {"notes": {"Notes": None}, "description": {"Description": None}}
    for n, (s, name) in enumerate(filled[: 2 * count]):
        driver.touch(s)
        side = "left" if n % 2 else "right"
        driver.write(s, side, Written(left[name], right[name], ""))
        s.values[name] = ""
        driver.done[f"{side} edits"] += 1
