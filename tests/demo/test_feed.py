"""The demo's live feed tells an edit with its fields, and a flood of one kind in one line."""

from __future__ import annotations

from dataclasses import dataclass, field

from isthmus.demo.feed import FEW, told


@dataclass
class Row:
    key: str
    after: dict[str, str] = field(default_factory=dict)
    id: int = 1
    action: str = "update"
    entity: str = "product"
    side: str = "right"
    ms: float | None = None


def test_a_few_writes_are_told_one_by_one_with_their_fields_and_time() -> None:
    lines = list(told([Row("p1", {"TaxCode": "15%"}, ms=31.4), Row("p2", {"TaxCode": "0%"}, side="left")]))
    assert lines == [
        "update in BNG after 31 ms: product right:p1  TaxCode = 15%",
        "update in Odoo: product left:p2  TaxCode = 0%",
    ]


def test_many_writes_of_one_kind_are_one_line_and_do_not_hide_another() -> None:
    flood = [Row(f"p{n}", {"TaxCode": "15%"}) for n in range(FEW + 70)]
    lines = list(told([*flood[:40], Row("c1", {"Phone": "+1"}, entity="customer"), *flood[40:]]))
    assert lines == [
        "update in BNG: 75 records of product  TaxCode",
        "update in BNG: customer right:c1  Phone = +1",
    ]
