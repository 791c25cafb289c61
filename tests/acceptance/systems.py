"""The two systems of a campaign, the proxies before them, and everything else that has to be started and ended."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.acceptance.bng import Bng
from tests.acceptance.installation import ROOT
from tests.acceptance.odoo import Odoo, SandboxOdoo

RIG = ROOT / "tools" / "odoo" / "rig.py"
ODOO_WRITES = (
    r"/json/2/[^/ ]+/(create|write|load|run|unlink)\b"
    r'|"(create|write|load|run|unlink)"|<string>(create|write|load|run|unlink)</string>'
)
BNG_WRITES = r"^(POST|PUT) /api/v1/(customers|vendors|products)"


class Started:
    """One child process that prints a JSON line when it is ready."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", module, *arguments, "--print-ready"], stdout=subprocess.PIPE, cwd=ROOT
        )
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError(f"{module} did not start: exit {self._child.wait()}")
        self.told: dict[str, Any] = json.loads(line)

    def close(self) -> None:
        """End it."""
        self._child.terminate()
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        if self._child.stdout is not None:
            self._child.stdout.close()


class Proxy:
    """A fault proxy in a process of its own."""

    def __init__(self, upstream: str, *, seed: int, writes: str) -> None:
        self._started = Started(
            "isthmus.testing.fault_proxy", "--upstream", upstream, "--seed", str(seed), "--writes", writes
        )
        self.url: str = self._started.told["url"]
        self._control: str = self._started.told["control_url"]
        self._writes = writes

    def plan(self, rate: float, kinds: Sequence[str] | None = None, **more: Any) -> None:
        """From now on, so many of all requests meet a fault."""
        told = {"rate": rate, "writes": self._writes, **({"kinds": list(kinds)} if kinds else {}), **more}
        self._call("PUT", "/plan", told)

    def calm(self) -> None:
        """No more faults; the counts stay."""
        self._call("DELETE", "/plan")

    def told(self) -> dict[str, Any]:
        """Counts so far."""
        return dict(self._call("GET", "/"))

    def close(self) -> None:
        """End it."""
        self._started.close()

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._control + path, data=data, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)


@dataclass
class Systems:
    """Odoo and BNG, how to reach them directly, and how the product is told to reach them."""

    odoo: Odoo
    bng: Bng
    left: Proxy
    right: Proxy
    erp: dict[str, Any]
    books: dict[str, Any]
    real: bool
    closing: list[Any] = field(default_factory=list)

    def reset(self) -> None:
        """Empty both sandboxes; a real Odoo cannot be."""
        assert not self.real
        for told, key in ((self.erp, self.erp["sandbox_key"]), (self.books, self.books["admin_key"])):
            request = urllib.request.Request(f"{told['url']}/sandbox/reset", data=b"{}", method="POST")
            request.add_header("Authorization", f"Bearer {key}")
            request.add_header("Content-Type", "application/json")
            with urllib.request.urlopen(request, timeout=20) as answer:
                answer.read()

    def close(self) -> None:
        """End everything that was started."""
        self.left.close()
        self.right.close()
        for one in self.closing:
            one.close()


class Fresh:
    """A clean database of the real Odoo's rig, dropped at the end."""

    def __init__(self) -> None:
        name = f"test_{int(time.time()):08x}_{uuid.uuid4().hex[:8]}"
        up = subprocess.run(
            [sys.executable, str(RIG), "fresh", "--json", name], capture_output=True, text=True, check=False
        )
        if up.returncode != 0:
            raise RuntimeError(f"making a database on the real Odoo: {up.stderr[-2000:]}")
        self.told: dict[str, Any] = json.loads(up.stdout)

    def close(self) -> None:
        """Drop it."""
        subprocess.run([sys.executable, str(RIG), "drop", self.told["database"]], capture_output=True, check=False)


def start(which: str, seed: int) -> Systems:
    """Start `real` (the rig's Odoo 19) or `sandbox`, the BNG sandbox, and a proxy before each."""
    bng_server = Started("isthmus.sandbox.bng")
    told = bng_server.told
    bng = Bng(told["url"], told["client_id"], told["client_secret"], told["admin_key"])
    odoo: Odoo
    if which == "real":
        fresh = Fresh()
        erp = fresh.told
        odoo = Odoo(erp["url"], erp["database"], erp["admin_key"])
        closing: list[Any] = [bng_server, fresh]
    else:
        server = Started("isthmus.sandbox.odoo")
        erp = server.told
        odoo = SandboxOdoo(erp["url"], erp["database"], erp["odoo_admin_key"], erp["admin_key"])
        erp = {**erp, "sandbox_key": erp["admin_key"], "admin_key": erp["odoo_admin_key"]}
        erp["admin_login"] = erp["odoo_admin_login"]
        closing = [bng_server, server]
    odoo.wait_until_it_answers()
    return Systems(
        odoo=odoo,
        bng=bng,
        left=Proxy(erp["url"], seed=seed, writes=ODOO_WRITES),
        right=Proxy(told["url"], seed=seed + 1, writes=BNG_WRITES),
        erp=erp,
        books=told,
        real=which == "real",
        closing=closing,
    )
