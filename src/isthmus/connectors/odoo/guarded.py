"""The guarded write as it is installed in Odoo: compares what was read with what is there, and only then writes."""

from __future__ import annotations

from isthmus.connectors.odoo.actions import OwnAction

_CODE = """
asked = env.context.get('isthmus_guarded_write') or {}
context = dict(env.context)
context.pop('isthmus_guarded_write', None)
inner = env(context=context)
model = inner[asked['model']]
items = asked['items']
kinds = model.fields_get(attributes=['type'])
most_at_once = 25


def plain(value, kind):
    if value is None:
        return False
    if kind in ('date', 'datetime') and value:
        return str(value)[:19]
    if kind == 'binary' and value and not isinstance(value, str):
        return value.decode()
    return value


def same(now, expected, kind):
    if kind in ('one2many', 'many2many'):
        return sorted(now or []) == sorted(expected or [])
    if kind in ('many2one', 'many2one_reference') and isinstance(expected, (list, tuple)):
        expected = expected and expected[0]
    if kind in ('float', 'monetary'):
        now, expected = float(now or 0), float(expected or 0)
        return abs(now - expected) <= 1e-9 * max(1, abs(now), abs(expected))
    return (now or False) == (expected or False)


def told(error):
    # Two transactions in each other's way: Odoo itself runs the whole call again, on what is there then.
    state = False
    try:
        state = error.pgcode
    except Exception:
        pass
    if state in ('40001', '40P01', '55P03'):
        raise error
    message = str(error)
    if state:
        message = message.split('\\n')[0]
    return {'outcome': 'refused', 'name': repr(error).split('(')[0], 'message': message}


def look(records, names):
    found = {}
    for row in records.read(names or ['id'], load=None):
        for name in names:
            row[name] = plain(row[name], kinds[name]['type'])
        found[row['id']] = row
    return found


def look_each(records, names):
    found, refused = {}, {}
    for record in records:
        try:
            found.update(look(record, names))
        except Exception as error:
            refused[record.id] = told(error)
    return found, refused


def moved_rows(record, told):
    for name in told:
        rows = record[name]
        below = rows.fields_get(attributes=['type'])
        fields = set()
        for expect in told[name].values():
            fields.update(expect)
        fields = sorted(fields)
        now = {}
        for row in rows.read(fields or ['id'], load=None):
            now[row['id']] = row
        for one in told[name]:
            row = now.get(int(one))
            if row is None:
                return True
            expect = told[name][one]
            for field in expect:
                if not same(plain(row[field], below[field]['type']), expect[field], below[field]['type']):
                    return True
    return False


def attempt(work):
    savepoint = inner.cr.savepoint()
    try:
        for values, ids in work:
            model.browse(ids).write(values)
        savepoint.close(rollback=False)
        return False
    except Exception as error:
        savepoint.close(rollback=True)
        return told(error)


outcomes = {}
present = model.browse([item['id'] for item in items]).exists()
here = set(present.ids)
names = set()
for item in items:
    names.update(item['expect'])
names = sorted(names)
try:
    seen, refused = look(present, names), {}
except Exception as error:
    told(error)
    seen, refused = look_each(present, names)

groups, group_of = [], {}
for place, item in enumerate(items):
    key, expect, values = item['id'], item['expect'], item['values']
    if key not in here:
        outcomes[place] = {'outcome': 'gone'}
    elif key in refused:
        outcomes[place] = refused[key]
    elif not all([same(seen[key][name], expect[name], kinds[name]['type']) for name in expect]):
        outcomes[place] = {'outcome': 'changed', 'current': {name: seen[key][name] for name in expect}}
    elif item.get('rows') and moved_rows(model.browse(key), item['rows']):
        outcomes[place] = {'outcome': 'changed', 'current': {}}
    else:
        mark = repr(sorted(values.items()))
        if mark not in group_of:
            group_of[mark] = len(groups)
            groups.append((values, [], []))
        groups[group_of[mark]][1].append(key)
        groups[group_of[mark]][2].append(place)

while groups:
    some, groups = groups[:most_at_once], groups[most_at_once:]
    together = attempt([(values, ids) for values, ids, places in some])
    for values, ids, places in some:
        for key, place in zip(ids, places):
            failed = together and attempt([(values, [key])])
            outcomes[place] = failed or {'outcome': 'ok'}

written = [item['id'] for place, item in enumerate(items) if outcomes[place]['outcome'] == 'ok']
stamps = {row['id']: str(row['write_date'])[:19] for row in model.browse(written).read(['write_date'])}
answer = []
for place, item in enumerate(items):
    one = dict(outcomes[place], id=item['id'])
    if one['outcome'] == 'ok':
        one['write_date'] = stamps[item['id']]
    answer.append(one)
action = {'type': 'ir.actions.act_window_close', 'isthmus': answer}
"""

GUARDED_WRITE = OwnAction(name="Isthmus: guarded write", version=2, marker="# isthmus: guarded write", body=_CODE)
"""Runs with the rights of whoever calls it, so it allows nothing that the caller may not do anyway.

A request and its answer are described in `guarded_call`. Up to 25 different writes share a savepoint, which Odoo
flushes at once; where one of them fails, that savepoint's writes are repeated one by one, so a bad item stops no good
one. Records that get equal values are written in one go.
"""
