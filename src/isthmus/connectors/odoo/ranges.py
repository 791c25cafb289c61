"""Sets of ids as short text: runs of consecutive ids take the room of one. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def pack(ids: Iterable[int]) -> str:
    """`3-7,9` for 3, 4, 5, 6, 7 and 9."""
    runs: list[list[int]] = []
    for one in sorted(set(ids)):
        if runs and one == runs[-1][1] + 1:
            runs[-1][1] = one
        else:
            runs.append([one, one])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def unpack(text: str) -> set[int]:
    """The ids that `pack` wrote down."""
    out: set[int] = set()
    for run in text.split(",") if text else ():
        first, _, last = run.partition("-")
        out.update(range(int(first), int(last or first) + 1))
    return out
