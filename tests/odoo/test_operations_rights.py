"""The roles that an operation names are enough for it: a login with these alone can have it done."""

from __future__ import annotations

import json

import pytest
from operating import CASES, READS, Floor, done
from speaking import speaking

from isthmus.connectors.odoo.operations import OPERATIONS
from isthmus.connectors.odoo.operations.rights import RIGHTS
from real_odoo import OdooDatabases

pytestmark = pytest.mark.odoo

GROUPS = {
    "Sales: User: All Documents": "sales_team.group_sale_salesman_all_leads",
    "Inventory: User": "stock.group_stock_user",
    "Inventory: Administrator": "stock.group_stock_manager",
    "Purchase: User": "purchase.group_purchase_user",
    "Accounting: Invoicing": "account.group_account_invoice",
    "Show Full Accounting Features": "account.group_account_user",
}
"""The roles as they stand on the screen, by the group behind each."""

MAKE_USERS = """
import json
keys = {}
for needs in json.loads(%r):
    login = "-".join(group.rpartition(".")[2] for group in needs) + "@example.test"
    groups = ["base.group_user", *needs]
    user = env["res.users"].with_context(no_reset_password=True).create(
        {"name": login, "login": login, "group_ids": [(6, 0, [env.ref(one).id for one in groups])]}
    )
    keys["|".join(needs)] = [login, env["res.users.apikeys"].with_user(user).sudo()._generate("rpc", "test", False)]
env.cr.commit()
print("KEYS=" + json.dumps(keys))
"""


@pytest.fixture(scope="module")
def floor(odoo_databases: OdooDatabases) -> Floor:
    return Floor(odoo_databases())


@pytest.fixture(scope="module")
def keys(floor: Floor) -> dict[str, list[str]]:
    """Login and key for each set of groups that operations need."""
    wanted = sorted({tuple(GROUPS[role] for role in one.needs) for one in OPERATIONS})
    printed = floor.odoo.run_on_server(MAKE_USERS % json.dumps(wanted))
    line = next(line for line in printed.splitlines() if line.startswith("KEYS="))
    return dict(json.loads(line.removeprefix("KEYS=")))


@pytest.mark.parametrize("operation", OPERATIONS, ids=[one.name for one in OPERATIONS])
async def test_the_roles_that_it_names_are_enough(floor: Floor, keys: dict[str, list[str]], operation: object) -> None:
    [about] = [one for one in OPERATIONS if one is operation]
    login, key = keys["|".join(GROUPS[role] for role in about.needs)]
    given = {**CASES, **READS}[about.name](floor)
    async with speaking(floor.odoo, key=key, login=login) as side:
        await done(side, about.name, given)


async def test_the_doctor_tells_which_operations_the_login_may_call(floor: Floor, keys: dict[str, list[str]]) -> None:
    assert sorted(RIGHTS) == sorted(one.name for one in OPERATIONS)
    odoo = floor.odoo
    buyer = keys["purchase.group_purchase_user"]
    told = {}
    for login, key in ((odoo.login, odoo.api_key), (odoo.low_login, odoo.low_key), buyer):
        async with speaking(odoo, key=key, login=login) as side:
            [told[login]] = [one for one in await side.check() if one.check == "operations"]
    assert told[odoo.login].message == "24 of 24 operations can be called."
    assert told[odoo.low_login].message.startswith("0 of 24 operations can be called.")
    bought = told[buyer[0]]
    assert "register_payment" in bought.facts["denied"]
    assert "confirm_purchase_order" not in bought.facts["denied"]
    assert "Accounting: Invoicing" in bought.fix
