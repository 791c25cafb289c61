"""Leases: who may act for a key now. Every take-over raises the epoch, which fences whatever ran before."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text


class LeaseLost(Exception):
    """Another worker has taken over; what this one planned must not be sent any more."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to act for `key` at `epoch`."""

    key: str
    epoch: int

    def fence(self, conn: Connection) -> None:
        """Raise LeaseLost unless this lease is still the current one; holds it until the transaction ends."""
        sql = "select 1 from lease where key = :key and epoch = :epoch for share"
        if conn.execute(text(sql), {"key": self.key, "epoch": self.epoch}).scalar() is None:
            raise LeaseLost(f"the lease of {self.key} was taken over")


def take(conn: Connection, key: str) -> Lease:
    """Take the lease of a key over, from whoever had it; waits for a transaction that it fences just now."""
    sql = """insert into lease (key, epoch) values (:key, 1)
             on conflict (key) do update set epoch = lease.epoch + 1, taken_at = now() returning epoch"""
    return Lease(key, int(conn.execute(text(sql), {"key": key}).scalar_one()))
