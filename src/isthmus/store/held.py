"""Items of flows that are held for a person, and what lets them go on."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text


def retry_held(conn: Connection, flow: str, node: str, keys: Sequence[str]) -> int:
    """Let items go on that a flow holds at a node under these keys; returns how many.

    Of several held Runs of one business key only the newest goes on, and none where another one is under way: that
    sees for itself what there is now.
    """
    sql = """with found as (
               select distinct on (r.key) r.id from run r join flow f on f.id = r.flow_id
               where f.name = :flow and r.state in ('held', 'active')
                 and exists (select 1 from run_item i where i.run_id = r.id and i.node = :node and i.state = 'held'
                             and i.key = any(cast(:keys as text[])))
                 and not exists (select 1 from run o where o.flow_id = r.flow_id and o.key = r.key
                                 and o.state = 'active' and o.id <> r.id)
               order by r.key, r.id desc
             ), going as (
               update run r set state = 'active', ended_at = null from found where r.id = found.id returning r.id
             ), gone as (
               update run_item i set state = 'ready', rev = i.rev + 1, due_at = now(), attempts = 0 from going g
               where i.run_id = g.id and i.node = :node and i.state = 'held' and i.key = any(cast(:keys as text[]))
               returning i.id
             )
             update dead_letter d set state = 'closed', closed_at = now(), closed_by = 'a retry by its flow'
             from gone g where d.run_item_id = g.id and d.state = 'open'"""
    return conn.execute(text(sql), {"flow": flow, "node": node, "keys": list(keys)}).rowcount
