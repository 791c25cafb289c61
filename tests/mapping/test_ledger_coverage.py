"""Every field of the contract's general ledger entry is mapped, or named here with the reason."""

from __future__ import annotations

import yaml
from shipped import compiled, text_of

from isthmus.mapping.entityfile import entities_of
from isthmus.mapping.model import load_mapping

CONTRACT = """GLEntryID ExternalID EntryNumber JournalCode PostingDate Period Description SourceType SourceID
    CurrencyCode Status ReversesEntryID TotalDebit TotalCredit Lines CreatedAt UpdatedAt Version CustomFields"""
LINE = """LineNumber AccountCode Debit Credit AmountCurrency CurrencyCode CustomerID VendorID CostCenter ProjectCode
    Dimensions TaxCode Description"""
NOT_MAPPED = {
    "GLEntryID": "the record's key, tied by the Link",
    "ExternalID": "written by the connector on create: the key by which the record is found again",
    "CreatedAt": "read by the connector",
    "UpdatedAt": "read by the connector",
    "Version": "read and sent by the connector",
    "CustomFields": "each custom field is mapped on its own",
    "SourceID": "what an entry was made by is no record of BNG: SourceType tells its kind",
    "ProjectCode": "Odoo keeps projects as analytic accounts, which Dimensions tell with their shares",
}
ODOO = """name journal_id date ref state reversed_entry_id account_id debit credit amount_currency currency_id
    partner_id analytic_distribution"""


def mapped(name: str) -> set[str]:
    """The raw fields of the entry and of its lines that a Mapping names."""
    told = yaml.safe_load(text_of("mappings", name))

    def paths(fields: dict[str, dict[str, object]], together: list[dict[str, object]]) -> set[str]:
        out: set[str] = set()
        for one in [*fields.values(), *together]:
            where = one["from"]
            out |= set(where.values()) if isinstance(where, dict) else {str(where)}
        return {path.removesuffix("{}").split(".")[0] for path in out}

    lines = told["fields"]["lines"]["each"]
    return paths(told["fields"], told.get("together", [])) | paths(lines["fields"], lines.get("together", []))


def test_every_field_of_the_contract_is_mapped() -> None:
    assert {*CONTRACT.split(), *LINE.split()} - NOT_MAPPED.keys() - mapped("bng-gl-entry") == set()


def test_every_field_of_the_odoo_column_is_mapped() -> None:
    assert set(ODOO.split()) - mapped("odoo-gl-entry") == set()


def test_nothing_of_the_ledger_is_ever_written_to_odoo() -> None:
    assert compiled("odoo-gl-entry").writable == frozenset()
    assert load_mapping(text_of("mappings", "odoo-gl-summary")).canonical == "gl_summary"


def test_every_described_entity_that_ships_is_read_and_has_its_mapping() -> None:
    from shipped import TEMPLATES

    files = {f"entities/{f.name}": f.read_text() for f in (TEMPLATES / "entities").iterdir()}
    known = entities_of(files)
    maps = [load_mapping(f.read_text()) for f in (TEMPLATES / "mappings").iterdir()]
    for path in files:
        name = path.removeprefix("entities/").removesuffix(".yaml")
        assert name in known
        assert any(told.canonical == name for told in maps), name
