"""The verbs on flows: bring in, bind, publish, roll back, begin, try, pause; each the same for command line and API."""

from __future__ import annotations

import hashlib
import json
import secrets as chance
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, text

from isthmus.errors import IsthmusError, Misconfigured
from isthmus.flows.compiled import CompiledFlow, compiled
from isthmus.flows.definition import FlowFile, dump_layout, parse
from isthmus.flows.lint import lint
from isthmus.flows.node import text_of
from isthmus.flows.nodes.triggers import RecordChanged, Schedule, Webhook
from isthmus.flows.nodes.waiting import Wait
from isthmus.flows.trial import Trial, Verdict, attempt, run_test
from isthmus.model.secret import Secret
from isthmus.operate.flowruntime import FLOW_NETWORK
from isthmus.operate.runtime import Runtime
from isthmus.store import auditlog, connections, flows, flowsecrets, pairs


def listing(conn: Connection) -> list[dict[str, Any]]:
    """All flows with their state, version, and what is under way."""
    names = ("id", "name", "title", "state", "state_reason", "version", "active", "held", "pending", "updated_at")
    return [{name: getattr(row, name) for name in names} for row in flows.listing(conn)]


def show(conn: Connection, name: str) -> dict[str, Any]:
    """One flow: its state, what its roles are bound to, and its versions."""
    row = flows.get(conn, name)
    told = next(one for one in listing(conn) if one["id"] == row.id)
    file = parse(row.draft, name)
    listeners = conn.execute(
        text("select node, kind, entity, side, schedule, due_at from flow_listener where flow_id = :id order by node"),
        {"id": row.id},
    )
    return {
        **told,
        "summary": file.summary,
        "bindings": dict(row.bindings),
        "roles": [*file.connections, *file.pairs],
        "secrets": flowsecrets.names(conn, row.id),
        "listens": [dict(one._mapping) for one in listeners],
        "versions": [dict(v._mapping) for v in flows.versions(conn, row.id)],
    }


async def bring_in(
    runtime: Runtime, file: str, *, layout: str | None = None, bindings: Mapping[str, str] | None = None, actor: str
) -> dict[str, Any]:
    """Make a file the draft of its flow; raises Misconfigured with every mistake and its line."""
    parsed = parse(file)
    check_lint(file, parsed.flow)
    if layout is not None:
        layout = dump_layout(_read_layout(layout))

    def work(conn: Connection) -> dict[str, Any]:
        _check_bindings(conn, parsed, bindings or {})
        flow_id = flows.save_draft(
            conn, parsed.flow, parsed.title, file, layout, dict(bindings or {}), parsed.keep_days
        )
        _audit(conn, "bring in flow", actor, flow=parsed.flow)
        return {"id": flow_id, "flow": parsed.flow, "unbound": _unbound(conn, parsed, flow_id)}

    return await runtime.db.run(work)


def check_lint(file: str, name: str) -> None:
    """Raise Misconfigured with every error that lint finds."""
    wrong = [m for m in lint(file, name) if m.severity == "error"]
    if wrong:
        told = "; ".join(f"line {m.line}{', ' + m.node if m.node else ''}: {m.message}" for m in wrong)
        raise Misconfigured(
            f"reading the flow {name}",
            answered=told,
            hint=wrong[0].fix,
            facts={"mistakes": [{"line": m.line, "node": m.node, "message": m.message, "fix": m.fix} for m in wrong]},
        )


def export(conn: Connection, name: str, version: int | None = None) -> dict[str, str]:
    """A flow as files: the draft, or a published version; bringing it in again changes nothing."""
    row = flows.get(conn, name)
    source = row if version is None else flows.version(conn, row.id, version)
    out = {f"{name}.yaml": source.draft if version is None else source.file}
    if json.loads(source.layout):
        out[f"{name}.layout.json"] = source.layout
    return out


def bind(conn: Connection, name: str, bindings: Mapping[str, str], actor: str) -> dict[str, str]:
    """Bind roles to Connections and pairs of this installation; takes effect at once, also for Runs under way."""
    row = flows.get(conn, name)
    _check_bindings(conn, parse(row.draft, name), bindings)
    sql = """update flow set bindings = bindings || cast(:bindings as jsonb), updated_at = now() where id = :id
             returning bindings"""
    found = conn.execute(text(sql), {"id": row.id, "bindings": json.dumps(dict(bindings))}).scalar_one()
    if row.version is not None:
        _listen(conn, row.id, parse(flows.version(conn, row.id, row.version).file, name), found, _now(conn))
    _audit(conn, "bind flow", actor, flow=name, bindings=dict(bindings))
    return dict(found)


async def publish(runtime: Runtime, name: str, *, notes: str = "", actor: str) -> int:
    """Make the draft the next version, which begins the Runs from now on; its own tests must pass."""
    row = await runtime.db.run(flows.get, name)
    file = parse(row.draft, name)
    check_lint(row.draft, name)
    failed = [v for v in await run_tests(compiled(file), runtime) if not v.passed]
    if failed:
        told = "; ".join(f"{v.name}: {v.why[0]}" for v in failed)
        raise Misconfigured(
            f"publishing {name}", answered=f"its own tests fail: {told}", hint="Run `isthmus test` on its file."
        )
    now = runtime.clock.now()

    def work(conn: Connection) -> int:
        current = flows.get(conn, name)
        unbound = _unbound(conn, file, current.id)
        if unbound:
            roles = " ".join(f"{role}=NAME" for role in unbound)
            raise Misconfigured(
                f"publishing {name}",
                answered=f"nothing is bound to its roles {', '.join(unbound)}",
                hint=f"Bind them: `isthmus flow bind {name} {roles}`.",
            )
        number = flows.add_version(
            conn, current.id, file=current.draft, layout=current.layout, notes=notes, author=actor
        )
        _go_live(conn, current.id, number, file, current.bindings, now)
        _audit(conn, "publish flow", actor, flow=name, version=number, notes=notes)
        runtime.flows.arm(conn)
        runtime.flows.wake(conn, current.id)
        return number

    return await runtime.db.run(work)


def roll_back(conn: Connection, runtime: Runtime, name: str, version: int | None, actor: str) -> int:
    """Let an earlier version begin the Runs again: the one before, or the one named. Runs under way keep theirs."""
    row = flows.get(conn, name)
    number = version if version is not None else (row.version or 0) - 1
    stored = flows.version(conn, row.id, number)
    _go_live(conn, row.id, number, parse(stored.file, name), row.bindings, runtime.clock.now())
    _audit(conn, "roll back flow", actor, flow=name, version=number)
    runtime.flows.arm(conn)
    runtime.flows.wake(conn, row.id)
    return number


def set_state(conn: Connection, runtime: Runtime, name: str, state: str, actor: str) -> str:
    """Pause a flow, or make a paused or halted one active again; triggers are accepted all the while."""
    row = flows.get(conn, name)
    if row.version is None:
        raise Misconfigured(
            f"making {name} {state}", answered="it was never published", hint=f"`isthmus flow publish {name}`."
        )
    flows.set_state(conn, row.id, state)
    _audit(conn, f"{'pause' if state == 'paused' else 'resume'} flow", actor, flow=name)
    if state == "active":
        runtime.flows.wake(conn, row.id)
    return state


async def begin(
    runtime: Runtime, name: str, given: Sequence[tuple[str, Mapping[str, Any]]], *, node: str = "", actor: str
) -> int:
    """Begin Runs by hand: (key, item). A key with a Run under way is taken up after it. Returns how many."""

    def work(conn: Connection) -> int:
        row = flows.get(conn, name)
        start = _start(conn, row, node)
        triggers = [flows.NewTrigger(flow_id=row.id, node=start, key=key, data=data) for key, data in given]
        runtime.flows.wake_all(conn, flows.accept(conn, triggers))
        _audit(conn, "begin run", actor, flow=name, keys=[key for key, _ in given][:100])
        return len(triggers)

    return await runtime.db.run(work)


def _start(conn: Connection, row: Any, node: str) -> str:
    if row.version is None:
        raise Misconfigured(
            f"beginning a Run of {row.name}",
            answered="it was never published",
            hint=f"Publish it: `isthmus flow publish {row.name}`; `--dry-run` tries the draft.",
        )
    return start_of(parse(flows.version(conn, row.id, row.version).file, row.name), node)


def start_of(file: FlowFile, node: str = "") -> str:
    """The trigger that is meant: the one named, the manual one, or the only one."""
    triggers = {name: one for name, one in file.nodes.items() if one.TRIGGER}
    if node:
        if node not in triggers:
            raise Misconfigured(
                f"beginning {file.flow} at {node}",
                answered="it is no trigger of the flow",
                hint=f"Its triggers are: {', '.join(triggers)}.",
            )
        return node
    manual = [name for name, one in triggers.items() if one.kind() == "manual"]
    found = manual if len(manual) == 1 else list(triggers)
    if len(found) != 1:
        raise Misconfigured(
            f"beginning {file.flow}",
            answered="it has several triggers",
            hint=f"Say which: {', '.join(found)}.",
        )
    return found[0]


async def dry_run(
    runtime: Runtime,
    name: str,
    given: Sequence[Mapping[str, Any]],
    *,
    key: str,
    node: str = "",
    published: bool = False,
) -> Trial:
    """Try the draft (or the published version): reads are real, nothing is written; effects say what they would do."""
    row = await runtime.db.run(flows.get, name)
    text_ = row.draft
    if published and row.version is not None:
        text_ = (await runtime.db.run(flows.version, row.id, row.version)).file
    flow = compiled(parse(text_, name), flow_id=row.id, bindings=row.bindings)
    world = await runtime.flows.world(row.id, row.name, row.bindings)
    return await attempt(flow, start_of(flow.file, node), given, key=key, world=world, clock=runtime.clock)


async def run_tests(flow: CompiledFlow, runtime: Runtime) -> list[Verdict]:
    """The tests that a flow carries."""
    return [await run_test(flow, test, runtime.clock) for test in flow.file.tests]


def set_secret(conn: Connection, runtime: Runtime, name: str, secret: str, value: str, actor: str) -> None:
    """Store a secret that the flow's own requests use."""
    row = flows.get(conn, name)
    flowsecrets.put(conn, runtime.keys, row.id, secret, Secret(value))
    _audit(conn, "set flow secret", actor, flow=name, secret=secret)


def new_hook(conn: Connection, name: str, actor: str) -> str:
    """A new path at which the flow's webhook trigger is called; an older one is worth nothing from now on."""
    row = flows.get(conn, name)
    told = chance.token_urlsafe(24)
    sql = "update flow set hook_digest = :digest, updated_at = now() where id = :id"
    conn.execute(text(sql), {"id": row.id, "digest": hashlib.sha256(told.encode()).digest()})
    _audit(conn, "new flow hook", actor, flow=name)
    return f"/flowhooks/{name}/{told}"


def take_delivery(conn: Connection, runtime: Runtime, name: str, secret: str, body: Any) -> str | None:
    """Begin a Run for a webhook's body; returns its key, or None when there is no such address."""
    row = conn.execute(text("select * from flow where name = :name"), {"name": name}).one_or_none()
    given = hashlib.sha256(secret.encode()).digest()
    known = bytes(row.hook_digest) if row is not None and row.hook_digest is not None else b""
    if not chance.compare_digest(given, known) or row is None or row.version is None:
        return None
    file = parse(flows.version(conn, row.id, row.version).file, name)
    found = [(node, one) for node, one in file.nodes.items() if isinstance(one, Webhook)]
    if not found or row.state not in flows.LISTENS:
        return None
    node, trigger = found[0]
    data = body if isinstance(body, dict) else {"value": body}
    key = _hook_key(runtime, name, node, trigger, data)
    runtime.flows.wake_all(conn, flows.accept(conn, [flows.NewTrigger(flow_id=row.id, node=node, key=key, data=data)]))
    return key


def _hook_key(runtime: Runtime, name: str, node: str, trigger: Webhook, data: dict[str, Any]) -> str:
    from isthmus.flows.item import Item, RunInfo
    from isthmus.mapping.problem import TransformProblem

    run = RunInfo(id=0, flow_id=0, flow=name, version=0, key="", started_at=runtime.clock.now())
    try:
        key = text_of(trigger.key, Item(run=run, key="", node=node, data=data))
    except TransformProblem as problem:
        key, why = "", problem.message
    else:
        why = "it is empty"
    if not key:
        raise IsthmusError(f"taking a webhook of {name}: its key cannot be told", answered=why)
    return key


# -- behind the verbs ----------------------------------------------------------------------------------------------


def _go_live(
    conn: Connection, flow_id: int, number: int, file: FlowFile, bindings: Mapping[str, str], now: Any
) -> None:
    flows.make_current(conn, flow_id, number)
    _listen(conn, flow_id, file, bindings, now)


def _listen(conn: Connection, flow_id: int, file: FlowFile, bindings: Mapping[str, str], now: Any) -> None:
    """What the published version listens to, by the nodes of its file."""
    found: list[flows.Listener] = []
    for name, node in file.nodes.items():
        if isinstance(node, RecordChanged):
            found.append(_record_listener(conn, name, "record", node, bindings))
        elif isinstance(node, Wait) and node.record is not None:
            found.append(_record_listener(conn, name, "wait", node.record, bindings))
        elif isinstance(node, Schedule):
            told = f"{node.cron}|{node.zone}"
            found.append(
                flows.Listener(node=name, kind="schedule", schedule=told, due_at=node.next_after(now).isoformat())
            )
        elif node.TRIGGER:
            found.append(flows.Listener(node=name, kind=node.kind()))
    flows.listen(conn, flow_id, found)


def _record_listener(conn: Connection, name: str, kind: str, told: Any, bindings: Mapping[str, str]) -> flows.Listener:
    if told.pair is not None:
        pair = pairs.get(conn, bindings[told.pair])
        return flows.Listener(node=name, kind=kind, pair_id=pair.id, entity=told.entity, side=told.side)
    row = connections.get(conn, bindings[told.connection])
    return flows.Listener(node=name, kind=kind, connection_id=row.id, entity=told.entity)


def _unbound(conn: Connection, file: FlowFile, flow_id: int) -> list[str]:
    row = flows.by_id(conn, flow_id)
    bound = row.bindings if row is not None else {}
    return [role for role in (*file.connections, *file.pairs) if role not in bound]


def _check_bindings(conn: Connection, file: FlowFile, bindings: Mapping[str, str]) -> None:
    for role, name in bindings.items():
        if role in FLOW_NETWORK:
            continue
        if role in file.connections:
            row = connections.get(conn, name)
            wanted = file.connections[role].kind
            if wanted is not None and row.kind != wanted and row.kind != "memory":
                raise Misconfigured(
                    f"binding the role {role} of {file.flow} to {name}",
                    answered=f"{name} is a {row.kind} connection, the flow was written for {wanted}",
                    hint=f"Bind a {wanted} connection, or change the kind in the flow's file.",
                )
        elif role in file.pairs:
            pairs.get(conn, name)
        else:
            roles = ", ".join([*file.connections, *file.pairs]) or "none"
            raise Misconfigured(
                f"binding roles of {file.flow}", answered=f"it has no role {role}", hint=f"Its roles are: {roles}."
            )


def _read_layout(layout: str) -> Mapping[str, Any]:
    try:
        found = json.loads(layout)
    except ValueError as error:
        raise Misconfigured("reading the layout", answered=str(error), hint="It is JSON, as export wrote it.") from None
    if not isinstance(found, dict):
        raise Misconfigured("reading the layout", answered="it is no object", hint="It is JSON, as export wrote it.")
    return found


def _now(conn: Connection) -> Any:
    return conn.execute(text("select now()")).scalar_one()


def _audit(conn: Connection, action: str, actor: str, **why: Any) -> None:
    auditlog.append(conn, [auditlog.Entry(action=action, actor=actor, why=why)])
