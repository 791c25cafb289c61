"""Whether the oracle notices the kept mutants: one short campaign over both sandboxes for each, and one without any.

python -m tests.acceptance.mutation [NAME …]
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg
from tests.acceptance import work
from tests.acceptance.campaign import Campaign, Options, operations
from tests.acceptance.installation import Installation, NeverQuiet, drop_database, new_database
from tests.acceptance.mutants.kept import MUTANTS

CLEAN = "none"
OPTIONS = Options(
    odoo="sandbox", records=40, edits=60, rounds=1, poll=0.5, still=1.2, patience=40, webhooks=False, seed=5
)


def hunt(names: Sequence[str], say: Callable[[str], None]) -> dict[str, str]:
    """By what each mutant was noticed; empty for one that passed as if nothing were wrong."""
    found: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="mutants-", ignore_cleanup_errors=True) as folder:
        run = Campaign(OPTIONS, Path(folder), lambda _: None)
        try:
            run.connect()
            template = run.dsn
            for name in names:
                began = time.monotonic()
                restart(run, template, "" if name == CLEAN else name)
                found[name] = until_wrong(run)
                said = run.verdicts[-1][1].told(3) if run.verdicts else ""
                say(f"{name}: {found[name] or 'nothing noticed'} ({time.monotonic() - began:.0f} s)\n{said}")
                run.product.close()
                drop_database(run.postgres, run.dsn)
            run.dsn = template
        finally:
            run.close()
    return found


def restart(run: Campaign, template: str, mutant: str) -> None:
    """Empty systems and a copy of the prepared installation, broken in one way."""
    run.systems.reset()
    run.dsn = new_database(run.postgres, template)
    with psycopg.connect(run.dsn) as conn:
        conn.execute("update connection set fingerprint = null")  # emptied systems pass for new ones
    run.product = Installation(run.product.folder, run.dsn, mutant=mutant)
    run.begin_anew()


def until_wrong(run: Campaign) -> str:
    """A short campaign that ends at the first thing that is wrong; returns what it was."""
    try:
        run.fill()
        run.load()
        if not run.verdicts[-1][1].good:
            return _first(run)
        for proxy in (run.systems.left, run.systems.right):
            proxy.plan(0.15, ("drop_after_commit", "error_after_commit"))
        # What is popped first comes last: creates are on their way when the service is killed.
        run.live(sorted(operations(run.options), key=lambda what: what.endswith("create")), 2)
        for proxy in (run.systems.left, run.systems.right):
            proxy.calm()
        run.check("round")
        if not run.verdicts[-1][1].good:
            return _first(run)
        run.paused(4, 0)
        run.check("conflicts")
        if not run.verdicts[-1][1].good:
            return _first(run)
        useless = work.second_full_sync(run)["second_sync_writes"]
        return f"{useless} writes in a second full sync" if useless else ""
    except NeverQuiet as failure:
        return f"it never came to rest: {str(failure)[:120]}"


def _first(run: Campaign) -> str:
    name, verdict = run.verdicts[-1]
    return f"{name}: " + ", ".join(f"{count} {what}" for what, count in verdict.figures().items() if count)


def main() -> int:
    """Hunt those named on the command line, or all; exit 0 when all are noticed and the clean run is not."""
    names = sys.argv[1:] or [CLEAN, *MUTANTS]
    if unknown := [name for name in names if name not in (CLEAN, *MUTANTS)]:
        sys.exit(f"no such mutant: {', '.join(unknown)}; there are {', '.join(MUTANTS)}")
    found = hunt(names, lambda text: print(text, file=sys.stderr, flush=True))
    print(json.dumps(found))
    return 0 if all(bool(said) is (name != CLEAN) for name, said in found.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
