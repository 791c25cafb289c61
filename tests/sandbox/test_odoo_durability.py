"""Proves that the sandbox keeps its rows through a kill, and is quick."""

import os
import signal
import time
from pathlib import Path

from odoo_sides import PARTNER, sandbox_process

from real_odoo import RealOdoo

# --- durability and speed --------------------------------------------------------------------------------------------


def test_rows_survive_a_killed_process_and_a_half_written_line(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    with sandbox_process("--data", str(file), "--api-key", "k" * 40) as (odoo, facts):
        told = odoo.call(PARTNER, "load", fields=["id", "name"], data=[["kept", "Kept"], ["gone", "Gone"]])
        kept, gone = told["ids"]
        odoo.call(PARTNER, "write", ids=[kept], vals={"city": "Durable"})
        odoo.call(PARTNER, "unlink", ids=[gone])
        os.kill(facts["pid"], signal.SIGKILL)
    with file.open("ab") as out:
        out.write(b'[["res.partner",999999,{"id":999999,"na')
    with sandbox_process("--data", str(file), "--api-key", "k" * 40) as (again, _):
        assert again.call(PARTNER, "read", ids=[kept, gone], fields=["name", "city"]) == [
            {"id": kept, "name": "Kept", "city": "Durable"}
        ]
        assert again.call(PARTNER, "load", fields=["id", "name"], data=[["kept", "Kept on"]])["ids"] == [kept]
        assert again.call(PARTNER, "create", vals_list=[{"name": "Next"}])[0] > gone


def test_load_makes_at_least_two_thousand_contacts_a_second() -> None:
    fields = ["id", "name", "email", "phone", "street", "city", "zip", "country_id/id", "is_company", "ref", "color"]
    with sandbox_process() as (odoo, _):
        load_rows(odoo, fields, 0, 200)
        best = max(load_rows(odoo, fields, start, 1000) for start in (1000, 2000, 3000))
        assert odoo.call(PARTNER, "search_count", domain=[["city", "=", "Fast"]]) == 3200
    assert best >= 2000, f"{best:.0f} a second"


def load_rows(odoo: RealOdoo, fields: list[str], start: int, count: int) -> float:
    rows = [
        [f"f{n}", f"Fast {n}", f"f{n}@fast.example", "+1 202 555", f"{n} Street", "Fast", "12345", "base.us", "True",
         f"R{n}", n % 9]
        for n in range(start, start + count)
    ]  # fmt: skip
    started = time.perf_counter()
    told = odoo.call(PARTNER, "load", fields=fields, data=rows)
    assert len(told["ids"]) == count, told["messages"][:2]
    return count / (time.perf_counter() - started)
