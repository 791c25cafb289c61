"""Proves that the sandbox answers the older protocols as a real Odoo 19 does: every test here runs against both."""

import json
import xmlrpc.client
from typing import Any

import pytest
from odoo_sides import PARTNER, VALUE_ERROR, odoo, raw_post

from real_odoo import RealOdoo

__all__ = ["odoo"]


def test_json_rpc_answers_results_and_errors_with_status_200(odoo: RealOdoo) -> None:
    def rpc(service: str, method: str, *args: Any) -> dict[str, Any]:
        body = {"jsonrpc": "2.0", "id": 7, "params": {"service": service, "method": method, "args": args}}
        status, _, text = raw_post(odoo, "/jsonrpc", json.dumps(body).encode())
        assert status == 200
        return dict(json.loads(text))

    assert rpc("common", "version")["result"]["server_serie"] == "19.0"
    assert rpc("common", "login", odoo.database, odoo.login, odoo.password)["result"] == 5
    assert rpc("common", "authenticate", odoo.database, odoo.login, odoo.api_key, {})["result"] == 5
    assert rpc("common", "login", odoo.database, odoo.login, "wrong")["result"] is False
    door = ("object", "execute_kw", odoo.database, 5, odoo.api_key)
    made = rpc(*door, PARTNER, "create", [{"name": "By RPC"}])["result"]
    assert isinstance(made, int)
    assert rpc(*door, PARTNER, "create", [[{"name": "By RPC"}]])["result"] == [made + 1]
    assert rpc(*door, PARTNER, "read", [[made], ["name"]])["result"] == [{"id": made, "name": "By RPC"}]
    assert rpc(*door, PARTNER, "search", [[["id", "=", made]]], {"limit": 1, "context": {"active_test": False}})[
        "result"
    ] == [made]
    assert rpc(*door, PARTNER, "write", [[made], {"name": "Renamed"}]) == {"jsonrpc": "2.0", "id": 7, "result": True}

    def error(*args: Any) -> tuple[str, str]:
        told = rpc(*args)["error"]
        assert (told["code"], told["message"]) == (0, "Odoo Server Error")
        return told["data"]["name"], told["data"]["message"]

    assert error(*door, PARTNER, "create", [{"nam": 1}]) == (VALUE_ERROR, "Invalid field 'nam' in 'res.partner'")
    assert error(*door, "res.nothing", "read", [[1]]) == (
        "odoo.exceptions.UserError",
        "Object res.nothing doesn't exist",
    )
    assert error(*door, PARTNER, "search", []) == (
        "builtins.TypeError", "BaseModel.search() missing 1 required positional argument: 'domain'",
    )  # fmt: skip
    assert (
        error("object", "execute_kw", odoo.database, 5, "wrong", PARTNER, "search", [[]])[0]
        == "odoo.exceptions.AccessDenied"
    )
    assert error("common", "login", "no_such_database", "a", "b")[0] == "psycopg2.OperationalError"
    assert raw_post(odoo, "/jsonrpc", b"{bad")[0] == 400


def test_xml_rpc_answers_results_and_faults(odoo: RealOdoo) -> None:
    with xmlrpc.client.ServerProxy(f"{odoo.url}/xmlrpc/2/common") as common:
        assert common.authenticate(odoo.database, odoo.login, odoo.api_key, {}) == 5
    with xmlrpc.client.ServerProxy(f"{odoo.url}/xmlrpc/2/object") as door:

        def call(*args: Any, key: str = odoo.api_key) -> Any:
            return door.execute_kw(odoo.database, 5, key, *args)

        def fault(*args: Any, key: str = odoo.api_key) -> xmlrpc.client.Fault:
            with pytest.raises(xmlrpc.client.Fault) as raised:
                call(*args, key=key)
            return raised.value

        made = call(PARTNER, "create", [{"name": "By XML"}])
        assert call(PARTNER, "read", [[made], ["name", "country_id", "child_ids"]]) == [
            {"id": made, "name": "By XML", "country_id": False, "child_ids": []}
        ]
        assert call(PARTNER, "load", [["id", "name"], [["xml_1", "X"]]])["nextrow"] == 0
        assert fault(PARTNER, "create", [{"email": "x"}]).faultCode == 2
        assert fault(PARTNER, "write", [[999999], {"name": "x"}]).faultCode == 2
        assert fault("base.automation", "search", [[]]).faultCode == 4
        assert fault(PARTNER, "search", [[]], key="wrong").faultCode == 3
        assert fault(PARTNER, "action_archive", [[]]).faultCode == 1
        broken = fault(PARTNER, "create", [{"nam": 1}])
        assert broken.faultCode == 1
        assert broken.faultString.rstrip().endswith("ValueError: Invalid field 'nam' in 'res.partner'")
