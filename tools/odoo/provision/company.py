# Fed to `odoo shell` after base is there: the country decides the chart of accounts installed next.
env.ref("base.main_company").write({"country_id": env.ref("base.us").id})  # noqa: F821
env.ref("base.EUR").write({"active": True})  # noqa: F821
env.cr.commit()  # noqa: F821
