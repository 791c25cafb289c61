"""Finding the counterpart of a record without a Link."""

from __future__ import annotations

from collections.abc import Mapping

from isthmus.model.canonical import CanonicalEntity, CanonicalField, MatchKey, Value
from isthmus.model.schema import FieldType
from isthmus.sync.match import Candidate, Match, match

ENTITY = CanonicalEntity(
    name="customer",
    label="Customer",
    fields={
        **{n: CanonicalField(name=n, type=FieldType.STRING) for n in ("name", "tax_id", "sku", "email")},
        "parent": CanonicalField(name="parent", type=FieldType.REFERENCE, target="customer"),
    },
    match=(
        MatchKey(field="tax_id", normalise="vat"),
        MatchKey(field="sku"),
        MatchKey(field="email", strong=False, normalise="email"),
    ),
)


def find(values: Mapping[str, Value], *candidates: Candidate, twins: tuple[str, ...] = ()) -> Match:
    return match(ENTITY, values, candidates, twins, display_name=lambda v: str(v.get("name") or ""))


def other(key: str, *, linked: bool = False, **values: Value) -> Candidate:
    return Candidate(key=key, values=values, linked=linked)


def test_one_shared_strong_key_is_certain_however_it_is_written() -> None:
    found = find({"name": "Acme", "tax_id": "DE 811.569-869"}, other("7", name="ACME GmbH", tax_id="de811569869"))
    assert (found.verdict, found.key) == ("certain", "7")


def test_two_records_with_the_key_on_the_other_side_are_uncertain() -> None:
    found = find({"tax_id": "X1"}, other("7", tax_id="X1"), other("8", tax_id="X1"))
    assert found.verdict == "uncertain"
    assert found.rivals == ("7", "8")


def test_a_twin_on_the_own_side_makes_it_uncertain_even_with_no_counterpart() -> None:
    assert find({"tax_id": "X1"}, twins=("3",)).verdict == "uncertain"


def test_strong_keys_that_disagree_never_link() -> None:
    found = find({"tax_id": "X1", "sku": "A"}, other("7", tax_id="X1", sku="B"))
    assert found.verdict == "uncertain"
    assert "sku" in found.why


def test_email_alone_never_links() -> None:
    found = find({"name": "Ann", "email": "a@x.org"}, other("7", name="Bob", email="A@X.org"))
    assert (found.verdict, found.rivals) == ("uncertain", ("7",))


def test_a_nearly_equal_name_only_proposes() -> None:
    assert find({"name": "Brückner Maschinenbau"}, other("7", name="Bruckner Maschinenbau")).verdict == "uncertain"
    assert find({"name": "Brückner Maschinenbau"}, other("7", name="Weber Textil")).verdict == "none"


def test_equal_mail_with_different_tax_ids_are_sister_firms_not_a_match() -> None:
    found = find({"name": "Nord", "tax_id": "X1", "email": "a@x"}, other("7", name="Sued", tax_id="X2", email="a@x"))
    assert found.verdict == "none"


def test_a_record_whose_key_is_linked_elsewhere_is_held_not_created_twice() -> None:
    found = find({"tax_id": "X1"}, other("7", tax_id="X1", linked=True))
    assert found.verdict == "uncertain"
    assert "already linked" in found.why


def test_nothing_shared_means_none() -> None:
    assert find({"name": "Acme", "tax_id": "X1"}, other("7", name="Other", tax_id="Y9")).verdict == "none"


def test_a_contact_that_carries_its_companys_tax_id_is_not_taken_for_the_company() -> None:
    company = other("7", name="Acme", tax_id="X1", linked=True)
    found = find({"name": "Ann", "tax_id": "X1", "parent": 3}, company)
    assert found.verdict == "none"


def test_a_company_is_found_by_its_tax_id_though_its_contacts_carry_it_too() -> None:
    contact = Candidate(key="8", values={"name": "Ann", "tax_id": "X1", "parent": 3})
    found = find({"name": "Acme", "tax_id": "X1"}, other("7", tax_id="X1"), contact)
    assert (found.verdict, found.key) == ("certain", "7")
