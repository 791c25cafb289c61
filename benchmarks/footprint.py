"""What the service costs when nothing happens: memory, CPU, start-up; and how fast the command line answers.

python benchmarks/footprint.py [--seconds 30]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from harness import HERE, Installation, installation, say
from latency import prepare


def family(home: Installation, service: int) -> list[psutil.Process]:
    """The service and every process of the installation's own PostgreSQL."""
    found = [psutil.Process(service), *psutil.Process(service).children(recursive=True)]
    first_line = (home.home / "postgres" / "postmaster.pid").read_text().splitlines()[0]
    server = psutil.Process(int(first_line))
    return list({p.pid: p for p in [*found, server, *server.children(recursive=True)]}.values())


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """CPU time they have used so far."""
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def memory_mb(processes: list[psutil.Process]) -> float:
    """Memory that goes away when they end: proportional share, so that pages they share count once."""
    return sum(process.memory_full_info().pss for process in processes if process.is_running()) / 1e6


def help_seconds() -> float:
    """The fastest of five `isthmus --help`."""
    times = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "isthmus", "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    given = parser.parse_args()
    figures: dict[str, Any] = {"help_seconds": round(help_seconds(), 2)}
    with installation(HERE / "stub") as home:
        prepare(home, Path("/dev/null"))
        started = time.perf_counter()
        with home.serving() as (_, pid):
            figures["ready_seconds"] = round(time.perf_counter() - started, 2)
            time.sleep(8)
            processes = family(home, pid)
            before = cpu_seconds(processes)
            time.sleep(given.seconds)
            figures["idle_cpu_percent_of_one_core"] = round((cpu_seconds(processes) - before) / given.seconds * 100, 1)
            processes = family(home, pid)
            figures["memory_mb"] = round(memory_mb(processes))
            figures["service_rss_mb"] = round(psutil.Process(pid).memory_info().rss / 1e6)
    say("footprint", figures)


if __name__ == "__main__":
    main()
