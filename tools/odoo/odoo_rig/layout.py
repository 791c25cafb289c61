"""Decides where the rig keeps everything and which operating-system user runs PostgreSQL."""

import fcntl
import hashlib
import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from odoo_rig.outcome import RigError, say

# "/.s.PGSQL.5432" must still fit behind the directory in the 107 bytes of a socket address
_LONGEST_SOCKET_DIRECTORY = 90
_UNPRIVILEGED_NAMES = ("postgres", "nobody")


@dataclass(frozen=True)
class ServiceUser:
    """The unprivileged user PostgreSQL runs as when the rig itself is started by root."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Layout:
    """Every path of one rig. `cluster` may lie outside `home`, see `choose_layout`."""

    home: Path
    cluster: Path
    service_user: ServiceUser | None

    @property
    def packages(self) -> Path:
        return self.home / "packages"

    @property
    def unpacked(self) -> Path:
        return self.home / "unpacked"

    @property
    def environment(self) -> Path:
        return self.home / "environment"

    @property
    def odoo_data(self) -> Path:
        return self.home / "odoo-data"

    @property
    def state(self) -> Path:
        return self.home / "state"

    @property
    def config_file(self) -> Path:
        return self.state / "odoo.conf"

    @property
    def keys_file(self) -> Path:
        return self.state / "keys.json"

    @property
    def template_file(self) -> Path:
        return self.state / "template.json"

    @property
    def server_file(self) -> Path:
        return self.state / "server.json"

    @property
    def log_file(self) -> Path:
        return self.state / "odoo.log"

    @property
    def initialise_log(self) -> Path:
        return self.state / "initialise.log"

    def filestore(self, database: str) -> Path:
        return self.odoo_data / "filestore" / database


def default_home() -> Path:
    """`ISTHMUS_ODOO_HOME`, else `~/.cache/isthmus/odoo19`."""
    named = os.environ.get("ISTHMUS_ODOO_HOME")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "isthmus" / "odoo19"


def choose_layout(home: Path) -> Layout:
    """The paths of the rig at `home`.

    PostgreSQL refuses to run as root. Started by root, the rig runs it as an unprivileged user, and that
    user may not be able to enter `home` (root's own `~/.cache`, typically): then the cluster, and only the
    cluster, goes to a directory under /var/tmp. A home too deep for a socket address does the same.
    """
    home = home.resolve()
    service_user = _unprivileged_user() if os.geteuid() == 0 else None
    cluster = home / "cluster"
    too_deep = len(os.fsencode(cluster)) > _LONGEST_SOCKET_DIRECTORY
    if too_deep or (service_user is not None and not _can_enter(service_user, home)):
        digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:8]
        cluster = Path("/var/tmp") / f"isthmus-odoo-{os.getuid()}-{digest}"
    return Layout(home=home, cluster=cluster, service_user=service_user)


def prepare(layout: Layout) -> None:
    """Creates the directories, those with keys readable by the owner only."""
    for directory in (layout.home, layout.packages, layout.odoo_data):
        directory.mkdir(parents=True, exist_ok=True)
    layout.state.mkdir(mode=0o700, exist_ok=True)
    layout.cluster.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = layout.cluster.stat().st_uid
    allowed = {os.geteuid()} | ({layout.service_user.uid} if layout.service_user else set())
    if owner not in allowed:
        raise RigError(f"preparing {layout.cluster}: it belongs to user id {owner}; remove it or choose another --home")
    if layout.service_user is not None and owner != layout.service_user.uid:
        os.chown(layout.cluster, layout.service_user.uid, layout.service_user.gid)


@contextmanager
def only_one(layout: Layout) -> Iterator[None]:
    """Holds the rig's lock, waiting for another command that holds it.

    The descriptor is close-on-exec, so no daemon started meanwhile keeps the lock.
    """
    layout.home.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(layout.home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another rig command on {layout.home}")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _unprivileged_user() -> ServiceUser:
    for name in _UNPRIVILEGED_NAMES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServiceUser(name, entry.pw_uid, entry.pw_gid)
    raise RigError(
        f"choosing a user for PostgreSQL, which refuses to run as root: none of {_UNPRIVILEGED_NAMES} exists;"
        " run the rig as an ordinary user"
    )


def _can_enter(user: ServiceUser, directory: Path) -> bool:
    existing = next(parent for parent in (directory, *directory.parents) if parent.exists())
    probe = subprocess.run(
        ["/usr/bin/test", "-x", str(existing)],
        cwd="/",
        user=user.uid,
        group=user.gid,
        extra_groups=[],
        check=False,
    )
    return probe.returncode == 0
