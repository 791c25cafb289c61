"""What follows agreement: no useless work, late commits, and many records in one second."""

from __future__ import annotations

import http.client
import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
from tests.acceptance.oracle import TABLE
from tests.acceptance.subject import Written

if TYPE_CHECKING:
    from tests.acceptance.campaign import Campaign

OWN = frozenset({"Version", "UpdatedAt"})


def checks(run: Campaign) -> dict[str, Any]:
    """All of them; `useless` is set when a write happened that changed nothing for anybody."""
    out: dict[str, Any] = {}
    out |= second_full_sync(run)
    out |= one_changed_field(run)
    out |= late_commits(run)
    out |= one_second(run)
    out["useless"] = bool(out["second_sync_writes"] or out["echo_writes"] or out["fields_written"] != ["Phone"])
    return out


def _writes(run: Campaign) -> int:
    return int(run.product.scalar("select count(*) from intent"))


def _quiet(run: Campaign) -> None:
    run.quiet()


def stamps(run: Campaign) -> dict[str, Any]:
    """What both systems say of every record's last change; equal stamps mean that nothing was written."""
    out: dict[str, Any] = {}
    for entity in run.oracle.entities:
        spec = TABLE[entity]
        rows = run.systems.odoo.everything(spec["odoo"]["model"], spec["odoo"]["domain"], ["write_date"])
        out |= {f"{entity} left {r['id']}": r["write_date"] for r in rows}
        key = spec["bng"]["id"]
        out |= {f"{entity} right {r[key]}": r["Version"] for r in run.systems.bng.everything(spec["bng"]["plural"])}
    return out


def second_full_sync(run: Campaign) -> dict[str, Any]:
    """Looking at every record again writes nothing, by the product's books and by both systems' own stamps."""
    before, stamped = _writes(run), stamps(run)
    run.product.command("sync", "books", "--all", tries=8)
    _quiet(run)
    moved = [key for key, stamp in stamps(run).items() if stamped.get(key) != stamp]
    return {"second_sync_writes": _writes(run) - before + len(moved)}


def one_changed_field(run: Campaign) -> dict[str, Any]:
    """One changed field writes one field, and its echo writes nothing."""
    s = next(s for s in run.driver.pool() if s.entity == "customer" and not s.parent and "phone" not in s.frozen)
    assert s.left is not None
    assert s.right is not None
    old = run.systems.bng.read("customers", s.right)
    before = _writes(run)
    digits = f"{7_000_000 + run.driver.number():07d}"
    run.systems.odoo.write("res.partner", [s.left], {"phone": f"+1650{digits}"})
    s.values["phone"] = f"+1650{digits}"
    _quiet(run)
    new = run.systems.bng.read("customers", s.right)
    changed = sorted(name for name in new if new[name] != old.get(name) and name not in OWN)
    sent = run.product.rows("select payload from intent order by id desc limit 1")[0][0]
    return {
        "fields_written": changed,
        "fields_sent": sorted(sent),
        "echo_writes": _writes(run) - before - 1 + (int(new["Version"]) - int(old["Version"]) - 1),
    }


LATEST = 31.0
"""Seconds: longer than any late commit here takes."""


def late_commits(run: Campaign) -> dict[str, Any]:
    """Odoo transactions that began up to 30 s before they committed are not missed by polling.

    The records were left alone meanwhile: on a row that another transaction changed since it began, PostgreSQL refuses
    the late one and Odoo repeats it, with a new `write_date`.
    """
    time.sleep(LATEST)
    pool = [s for s in run.driver.pool() if s.entity == "customer" and not s.parent and "phone" not in s.frozen]
    late = pool[: min(20, len(pool))]
    for n, s in enumerate(late):
        digits = f"{8_000_000 + run.driver.number():07d}"
        assert s.left is not None
        _write_late(run, s.left, f"+1650{digits}", LATEST - 1 - n % 3)
        s.values["phone"] = f"+1650{digits}"
    _quiet(run)
    verdict = _judged(run, "late commits")
    return {"late_commits": len(late), "late_commits_missed": verdict}


def _write_late(run: Campaign, key: int, phone: str, seconds: float) -> None:
    erp = run.systems.erp
    if run.systems.real:
        began = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=seconds)
        with psycopg.connect(erp["dsn"]) as conn:
            conn.execute("update res_partner set phone = %s, write_date = %s where id = %s", (phone, began, key))
        return
    parts = urlsplit(erp["url"])
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=20)
    told = {"model": "res.partner", "id": key, "values": {"phone": phone}, "seconds": seconds}
    headers = {"Authorization": f"Bearer {erp['sandbox_key']}", "Content-Type": "application/json"}
    connection.request("POST", "/sandbox/late", json.dumps(told), headers)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    connection.close()


def one_second(run: Campaign) -> dict[str, Any]:
    """Many records written in one transaction, so in one second, all arrive."""
    pool = [s for s in run.driver.pool() if s.entity in ("customer", "vendor") and "notes" not in s.frozen][:1000]
    made = Written({"comment": "<p>All at once</p>"}, {}, "All at once")
    began = time.monotonic()
    run.systems.odoo.write("res.partner", [s.left for s in pool if s.left is not None], made.left)
    for s in pool:
        s.values["notes"] = made.value
    _quiet(run)
    return {
        "in_one_second": len(pool),
        "in_one_second_missed": _judged(run, "one second"),
        "in_one_second_took": round(time.monotonic() - began, 1),
    }


def _judged(run: Campaign, name: str) -> int:
    seen = run.oracle.look()
    verdict = run.oracle.judge(seen, run.driver.expected(), run.driver.holds, run.driver.by_key)
    run.verdicts.append((name, verdict))
    run.say(f"{name}: {'agreement' if verdict.good else verdict.told()}")
    return sum(verdict.figures().values())
