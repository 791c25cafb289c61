"""The query API: transactions and vault customers by their filters, as XML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .replies import customer_xml, document, told_once, transaction_xml
from .settings import Switches
from .store import Doc, Store, condition_in

MOST = 1000
_MOMENT = re.compile(r"[0-9]{8}([0-9]{6})?")


class Unanswerable(ValueError):
    """A question with a parameter that cannot be understood."""


class Queries:
    """Answers questions; it only reads."""

    def __init__(self, store: Store, switches: Switches) -> None:
        self._store = store
        self._switches = switches

    def answer(self, form: Mapping[str, str]) -> bytes:
        """The answer to one question."""
        report = form.get("report_type", "")
        try:
            if report == "test_mode_status":
                return told_once("test_mode_enabled", "true" if self._switches.test_mode else "false")
            if report == "customer_vault":
                return document(customer_xml, self._page(form, self._customers(form)), inside="customer_vault")
            if report:
                raise Unanswerable("Invalid report_type")
            return document(transaction_xml, self._page(form, self._transactions(form)))
        except Unanswerable as error:
            return told_once("error_response", str(error))

    def _transactions(self, form: Mapping[str, str]) -> list[Doc]:
        where, values = ["1"], list[Any]()
        if ids := [key for key in _listed(form, "transaction_id") if key.isdigit() and len(key) < 19]:
            where.append(condition_in("id", ids))
            values += [int(key) for key in ids]
        elif form.get("transaction_id"):
            return []
        if order := form.get("order_id"):
            where.append("order_id = ?")
            values.append(order)
        if conditions := _listed(form, "condition"):
            where.append(condition_in("condition", conditions))
            values += conditions
        start, end = _moment(form, "start_date", "000000"), _moment(form, "end_date", "235959")
        if start:
            where.append("updated >= ?")
            values.append(start)
        if end:
            where.append("updated <= ?")
            values.append(end)
        found = self._store.where(" AND ".join(where), *values)
        if kinds := _listed(form, "action_type"):
            found = [doc for doc in found if any(a["action_type"] in kinds for a in doc["actions"])]
        for name, value in form.items():
            if name.startswith("merchant_defined_field_"):
                number = name.rpartition("_")[2]
                found = [doc for doc in found if doc["fields"].get(number) == value]
        return found

    def _customers(self, form: Mapping[str, str]) -> list[Doc]:
        if key := form.get("customer_vault_id"):
            found = self._store.customer(key)
            return [found] if found else []
        rows = self._store.customers()
        start, end = _moment(form, "start_date", "000000"), _moment(form, "end_date", "235959")
        names = _listed(form, "date_search") or ["created"]
        if start or end:
            rows = [r for r in rows if any((not start or r[n] >= start) and (not end or r[n] <= end) for n in names)]
        return rows

    def _page(self, form: Mapping[str, str], rows: list[Doc]) -> list[Doc]:
        if form.get("result_order") == "reverse":
            rows = rows[::-1]
        size = min(_number(form, "result_limit") or MOST, MOST)
        first = max(_number(form, "page_number") - self._switches.pages_from, 0) * size
        return rows[first : first + size]


def _listed(form: Mapping[str, str], name: str) -> list[str]:
    return [part.strip() for part in form.get(name, "").split(",") if part.strip()]


def _number(form: Mapping[str, str], name: str) -> int:
    text = form.get(name, "0")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Unanswerable(f"Invalid {name}")
    return int(text)


def _moment(form: Mapping[str, str], name: str, rest: str) -> str:
    text = form.get(name, "")
    if text and not _MOMENT.fullmatch(text):
        raise Unanswerable(f"Invalid {name}")
    return text + rest if len(text) == 8 else text
