"""Runs the unpacked Odoo: once with a task, on a script, or as the serving process."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from odoo_rig.layout import Layout
from odoo_rig.outcome import RigError, say
from odoo_rig.postgres import ODOO_ROLE, SOCKET_PORT

WORKERS = 2
_ANSWER_WITHIN_S = 60
_END_WITHIN_S = 20
_PORT_FREE_WITHIN_S = 10
_INHERITED = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH")
_SILENT = ["--workers=0", "--max-cron-threads=0", "--no-http", "--pidfile="]


@dataclass(frozen=True)
class Serving:
    """What is remembered of the serving process; pid and create_time together name it for good."""

    pid: int
    create_time: float
    port: int
    internal_port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Odoo:
    """The Odoo of one rig."""

    def __init__(self, layout: Layout, socket_directory: Path) -> None:
        self.layout = layout
        self.socket_directory = socket_directory

    def write_config(self, port: int, internal_port: int) -> None:
        """Writes odoo.conf. No database is named, so each request chooses one by `X-Odoo-Database`."""
        lines = {
            "db_host": self.socket_directory,
            "db_port": SOCKET_PORT,
            "db_user": ODOO_ROLE,
            "db_maxconn": 32,
            "data_dir": self.layout.odoo_data,
            "http_interface": "127.0.0.1",
            "http_port": port,
            "gevent_port": internal_port,
            "workers": WORKERS,
            # scheduled jobs of every test database would compete with what is being measured
            "max_cron_threads": os.environ.get("ISTHMUS_ODOO_CRON", "0"),
            "limit_time_cpu": 600,
            "limit_time_real": 1200,
            "limit_memory_soft": 2 * 1024**3,
            "limit_memory_hard": 6 * 1024**3,
            "with_demo": False,
            "list_db": True,
        }
        body = "".join(f"{name} = {value}\n" for name, value in lines.items())
        self.layout.config_file.write_text("[options]\n" + body)

    def run_once(self, database: str, *arguments: str) -> None:
        """Runs Odoo on `database` without serving, until it stops by itself."""
        command = self._command("-d", database, *_SILENT, *arguments, "--stop-after-init")
        with self.layout.initialise_log.open("a") as log:
            done = subprocess.run(
                command,
                env=self._environ(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode != 0:
            raise RigError(
                f"running Odoo on {database} with {' '.join(arguments)}: it ended with {done.returncode};"
                f" see {self.layout.initialise_log}"
            )

    def run_script(self, database: str, script: str) -> str:
        """Runs Python source in `odoo shell` on `database` and returns what it printed.

        The script has `env`; it must commit by itself. Any exception in it fails the call.
        """
        end = "ISTHMUS-RIG-SCRIPT-ENDED"
        done = subprocess.run(
            [*self._command("shell", before_config=True), "-d", database, *_SILENT, "--log-level=error"],
            env=self._environ(),
            input=f"{script}\nprint({end!r})\n",
            capture_output=True,
            text=True,
            check=False,
        )
        printed, found, _ = done.stdout.rpartition(end)
        if done.returncode != 0 or not found:
            said = (done.stderr.strip() or done.stdout.strip())[-1500:]
            raise RigError(f"running a script on {database}: it did not reach its end:\n{said}")
        return printed

    def serving(self) -> Serving | None:
        """The serving process if it runs; a record left by a crash or a reused number counts as none."""
        recorded = self._recorded()
        if recorded is None:
            return None
        try:
            process = psutil.Process(recorded.pid)
            alive = process.status() != psutil.STATUS_ZOMBIE
            same = abs(process.create_time() - recorded.create_time) < 1
        except psutil.NoSuchProcess:
            return None
        return recorded if alive and same else None

    def serve(self, port: int | None) -> Serving:
        """Has the server answer, on `port` or on the port it had last time or on a free one."""
        running = self.serving()
        if port is not None and (running is None or port != running.port) and not _is_free(port):
            raise RigError(f"starting Odoo on 127.0.0.1:{port}: the port is taken; choose another --port")
        if running is not None and port not in (None, running.port):
            say(f"moving the server from port {running.port} to {port}")
            self.stop()
            running = None
        if running is not None and self._listens(running):
            return running
        if running is not None:
            say(f"the server with process id {running.pid} does not listen; starting it again")
            self.stop()
        before = self._recorded()
        if port is None and before is not None and self._becomes_free(before.port):
            port = before.port
        port = port or _free_port()
        internal_port = _free_port()
        self.write_config(port, internal_port)
        say(f"starting Odoo on 127.0.0.1:{port}")
        with (self.layout.state / "server.out").open("w") as out:
            child = subprocess.Popen(
                [*self._command(), f"--logfile={self.layout.log_file}"],
                env=self._environ(),
                cwd=self.layout.home,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started = Serving(child.pid, psutil.Process(child.pid).create_time(), port, internal_port)
        self.layout.server_file.write_text(json.dumps(asdict(started)))
        give_up = time.monotonic() + _ANSWER_WITHIN_S
        while not self._answers(started):
            if child.poll() is not None or time.monotonic() > give_up:
                raise RigError(
                    f"waiting for Odoo on 127.0.0.1:{port}: no answer; see {self.layout.log_file}"
                    f" and {self.layout.state / 'server.out'}"
                )
            time.sleep(0.1)
        return started

    def stop(self) -> bool:
        """Ends the serving process and its workers; returns whether there was one."""
        running = self.serving()
        if running is None:
            return False
        master = psutil.Process(running.pid)
        family = [master, *master.children(recursive=True)]
        master.terminate()
        _, alive = psutil.wait_procs(family, timeout=_END_WITHIN_S)
        for process in alive:
            process.send_signal(signal.SIGKILL)
        psutil.wait_procs(alive, timeout=5)
        return True

    def _recorded(self) -> Serving | None:
        try:
            return Serving(**json.loads(self.layout.server_file.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def _listens(self, server: Serving) -> bool:
        """Whether connections are taken; both workers may be busy for minutes, so no answer is asked for."""
        give_up = time.monotonic() + _ANSWER_WITHIN_S
        while time.monotonic() < give_up and self.serving() is not None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", server.port)) == 0:
                    return True
            time.sleep(0.1)
        return False

    def _becomes_free(self, port: int) -> bool:
        """Whether the port is free or soon will be: workers outlive a killed master by seconds."""
        give_up = time.monotonic() + _PORT_FREE_WITHIN_S
        while not _is_free(port):
            if time.monotonic() > give_up:
                return False
            time.sleep(0.2)
        return True

    def _answers(self, server: Serving) -> bool:
        try:
            with urllib.request.urlopen(f"{server.url}/json/version", timeout=10) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return False

    def _command(self, *arguments: str, before_config: bool = False) -> list[str]:
        python = str(self.layout.environment / "bin" / "python")
        config = ["-c", str(self.layout.config_file)]
        odoo = [python, str(self.layout.unpacked / "usr" / "bin" / "odoo")]
        return [*odoo, *arguments, *config] if before_config else [*odoo, *config, *arguments]

    def _environ(self) -> dict[str, str]:
        libraries = self.layout.unpacked / "usr" / "lib" / "python3" / "dist-packages"
        # nothing else of the caller's environment: it may hold secrets, and Odoo reads ODOO_* and PG*
        kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        return {**kept, "PYTHONPATH": str(libraries), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
