"""Proves that the sandbox keeps its rows through a kill."""

import os
import signal
from pathlib import Path

from odoo_sides import PARTNER, sandbox_process


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
