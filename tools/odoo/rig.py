"""Brings a real Odoo 19 up and down and hands out clean databases on it.

python tools/odoo/rig.py up                  # first time about three minutes, then seconds
python tools/odoo/rig.py fresh my_database   # a clean copy of the initialised database
python tools/odoo/rig.py status | list | drop NAME | shell-exec NAME FILE | down | purge
"""

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path

from odoo_rig.databases import DEFAULT, Databases
from odoo_rig.environment import ensure_environment
from odoo_rig.layout import Layout, choose_layout, default_home, only_one, prepare
from odoo_rig.odoo import Odoo, Serving
from odoo_rig.outcome import RigError, RigUnavailable, say
from odoo_rig.package import ensure_unpacked
from odoo_rig.postgres import Cluster

EXIT_FAILED = 1
EXIT_UNAVAILABLE = 3

Facts = dict[str, str | int | float | bool | list[str]]


class Rig:
    """The verbs of the command line over one home directory."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.cluster = Cluster(layout)
        self.odoo = Odoo(layout, self.cluster.socket_directory)
        self.databases = Databases(layout, self.cluster, self.odoo)

    def up(self, port: int | None) -> Facts:
        """Has everything running and returns how to reach the default database."""
        started = time.monotonic()
        with only_one(self.layout):
            prepare(self.layout)
            version = ensure_unpacked(self.layout)
            ensure_environment(self.layout)
            self.cluster.start()
            self.databases.ensure_template(version)
            server = self.odoo.serve(port)
            if not self.databases.exists(DEFAULT):
                self.databases.fresh(DEFAULT, server.url)
            self.databases.drop_stale_tests(time.time())
        took = round(time.monotonic() - started, 1)
        say(f"Odoo {version} is up at {server.url}")
        return self._access(server, DEFAULT) | {"odoo_version": version, "seconds": took}

    def fresh(self, name: str) -> Facts:
        """Makes a clean database and returns how to reach it."""
        server = self._running()
        started = time.monotonic()
        self.databases.fresh(name, server.url)
        return self._access(server, name) | {"seconds": round(time.monotonic() - started, 2)}

    def drop(self, names: list[str]) -> Facts:
        """Drops databases; a name that is not there is no error."""
        self._running()
        return {"dropped": [name for name in names if self.databases.drop(name)]}

    def run_script(self, name: str, script: str) -> str:
        """Runs Python source on the server's side of database `name`; returns what it printed."""
        self._running()
        if not self.databases.exists(name):
            raise RigError(f"running a script on {name}: there is no such database; see `rig.py list`")
        return self.odoo.run_script(name, script)

    def status(self) -> Facts:
        """What runs now; starts nothing."""
        server = self.odoo.serving()
        accepts = self.cluster.accepts()
        facts: Facts = {
            "home": str(self.layout.home),
            "cluster": str(self.layout.cluster),
            "odoo": "running" if server else "stopped",
            "postgres": "running" if accepts else "stopped",
        }
        if server:
            facts |= {"url": server.url, "pid": server.pid}
        if accepts:
            facts["databases"] = self.databases.names()
        return facts

    def down(self) -> Facts:
        """Ends the two servers and keeps all data."""
        with only_one(self.layout):
            ended = {"odoo": self.odoo.stop(), "postgres": self.cluster.stop()}
        say("stopped; everything is kept for the next `up`")
        return {"stopped": [name for name, was_running in ended.items() if was_running]}

    def purge(self) -> Facts:
        """Ends the servers and removes everything the rig ever made."""
        with only_one(self.layout):
            self.odoo.stop()
            self.cluster.stop()
            removed = [path for path in (self.layout.cluster, self.layout.home) if path.exists()]
            for path in removed:
                shutil.rmtree(path)
        return {"removed": [str(path) for path in removed]}

    def _running(self) -> Serving:
        server = self.odoo.serving()
        if server is None or not self.cluster.accepts():
            raise RigError(f"looking for the rig at {self.layout.home}: it is not up; run `python {sys.argv[0]} up`")
        return server

    def _access(self, server: Serving, database: str) -> Facts:
        keys = self.databases.keys()
        sync, low, admin = (keys[login] for login in ("sync@example.test", "low@example.test", "admin"))
        return {
            "url": server.url,
            "database": database,
            "login": "sync@example.test",
            "password": sync["password"],
            "api_key": sync["key"],
            "low_login": "low@example.test",
            "low_password": low["password"],
            "low_key": low["key"],
            "admin_login": "admin",
            "admin_password": admin["password"],
            "admin_key": admin["key"],
            "dsn": self.cluster.dsn(database),
            "home": str(self.layout.home),
            "keys_file": str(self.layout.keys_file),
        }


def main() -> int:
    """Runs one command; 0 done, 1 failed, 3 Odoo cannot be had on this machine."""
    arguments = _parser().parse_args()
    os.umask(0o022)  # PostgreSQL's user, when it is another one, must be able to enter the home
    try:
        rig = Rig(choose_layout(arguments.home))
        if arguments.command == "shell-exec":
            source = sys.stdin.read() if arguments.file == Path("-") else arguments.file.read_text()
            sys.stdout.write(rig.run_script(arguments.name, source))
            return 0
        _print(_facts(rig, arguments), arguments.json)
    except RigError as failure:
        sys.stderr.write(f"{failure}\n")
        return EXIT_UNAVAILABLE if isinstance(failure, RigUnavailable) else EXIT_FAILED
    return 0


def _facts(rig: Rig, arguments: argparse.Namespace) -> Facts:
    match arguments.command:
        case "up":
            return rig.up(arguments.port)
        case "fresh":
            return rig.fresh(arguments.name)
        case "drop":
            return rig.drop(arguments.names)
        case "list" | "status":
            return rig.status()
        case "down":
            return rig.down()
        case _:
            return rig.purge()


def _print(facts: Facts, as_json: bool) -> None:
    if as_json:
        print(json.dumps(facts))
        return
    for name, value in facts.items():
        print(f"{name}={','.join(value) if isinstance(value, list) else value}")


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--home", type=Path, default=default_home(), help="where the rig keeps everything")
    shared.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, says: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, parents=[shared], help=says)

    up = command("up", "bring the rig up, from nothing if need be")
    up.add_argument("--port", type=int, help="port of Odoo on 127.0.0.1 (default: the last one, or a free one)")
    command("down", "end the servers and keep the data")
    command("status", "say what runs")
    command("list", "the same as status")
    command("purge", "end the servers and remove everything")
    command("fresh", "make a clean database").add_argument("name")
    command("drop", "drop databases").add_argument("names", nargs="+")
    shell = command("shell-exec", "run a Python file in `odoo shell` (it has env and must commit)")
    shell.add_argument("name")
    shell.add_argument("file", type=Path, help="a file, or - for stdin")
    return parser


if __name__ == "__main__":
    sys.exit(main())
