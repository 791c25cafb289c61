"""Rotation of the master key while everything runs."""

from __future__ import annotations

import os
from typing import Any

from isthmus.operate.runtime import Runtime
from isthmus.security.vault import MasterKey, write_key
from isthmus.store import secrets
from isthmus.store.postgres import home


async def rotate(runtime: Runtime) -> dict[str, Any]:
    """Wrap every data key by a new master key; returns its id and how many were re-wrapped.

    Data keys, and so every other process's opened secrets, stay as they are. The old key is kept beside the new
    one until the files are tidied up by hand, so that a process started before finds its way.
    """
    from_environment = os.environ.get("ISTHMUS_MASTER_KEY") or os.environ.get("ISTHMUS_MASTER_KEY_COMMAND")
    if not from_environment:
        folder = home()
        old = runtime.keys.current
        new = MasterKey.new()
        kept = folder / "master.key.old"
        lines = kept.read_text().split() if kept.exists() else []
        descriptor = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write("\n".join([*lines, old.key.reveal()]) + "\n")
        write_key(folder / "master.key", new)
        runtime.keys.older[old.id] = old
        runtime.keys.current = new
    count = await runtime.db.run(secrets.rewrap, runtime.keys)
    return {"current": runtime.keys.current.id, "rewrapped": count}
