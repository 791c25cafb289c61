"""Registers what the tests of the gateway share."""

from __future__ import annotations

from gateway_rig import rig

__all__ = ["rig"]
