"""Says what the rig is doing and why it could not."""

import sys
import time

_started = time.monotonic()


class RigError(Exception):
    """The rig failed; the message names the step, the values and the next thing to do."""


class RigUnavailable(RigError):
    """Odoo cannot be had on this machine (no apt, no package, no network, no room)."""


def say(sentence: str) -> None:
    """Writes one progress line to stderr, with the seconds since this command started."""
    sys.stderr.write(f"[odoo rig {time.monotonic() - _started:5.1f} s] {sentence}\n")
    sys.stderr.flush()
