# Fed to `odoo shell` last: switches features on, makes the users and prints KEYS={login: {password, key}}.
# ruff: noqa: F821
import json
import secrets

# every functional "manager" role, but neither Settings (base.group_system) nor Access Rights
INTEGRATION_GROUPS = (
    "base.group_user",
    "base.group_partner_manager",
    "sales_team.group_sale_manager",
    "stock.group_stock_manager",
    "purchase.group_purchase_manager",
    "account.group_account_manager",
    "account.group_account_user",
    "hr.group_hr_manager",
    "product.group_product_manager",
)

env["res.config.settings"].create(
    {"group_uom": True, "group_product_variant": True, "account_use_credit_limit": True}
).execute()

users = env["res.users"].with_context(no_reset_password=True, mail_create_nolog=True)


def make(login, name, groups):
    password = secrets.token_urlsafe(12)
    user = users.create(
        {
            "name": name,
            "login": login,
            "email": login,
            "password": password,
            "group_ids": [(6, 0, [env.ref(group).id for group in groups])],
        }
    )
    return user, password


made = [
    make("sync@example.test", "Integration", INTEGRATION_GROUPS),
    make("low@example.test", "Low Privilege", ("base.group_user",)),
]
admin = env.ref("base.user_admin")
admin_password = secrets.token_urlsafe(12)
admin.write({"password": admin_password})
made.append((admin, admin_password))

# sudo lifts the limit of 90 days, so that a cached rig does not expire
keys = {
    user.login: {
        "password": password,
        "key": env["res.users.apikeys"].with_user(user).sudo()._generate("rpc", "rig", False),
    }
    for user, password in made
}
env.cr.commit()
print("KEYS=" + json.dumps(keys))
