"""Envelope encryption: secrets under data keys, data keys under a master key that is never in the database."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from isthmus.errors import Misconfigured
from isthmus.model.secret import Secret

KEY_BYTES = 32
NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class MasterKey:
    """A master key with the id by which wrapped data keys name it."""

    id: str
    key: Secret

    @classmethod
    def from_hex(cls, text: str, where: str) -> MasterKey:
        """A key written as 64 hexadecimal digits; raises Misconfigured for anything else."""
        try:
            raw = bytes.fromhex(text.strip())
        except ValueError:
            raw = b""
        if len(raw) != KEY_BYTES:
            raise Misconfigured(
                f"reading the master key from {where}",
                answered="it is not 64 hexadecimal digits",
                hint="Make one with `openssl rand -hex 32`.",
            )
        return cls(hashlib.sha256(b"isthmus-master:" + raw).hexdigest()[:12], Secret(raw.hex()))

    @classmethod
    def new(cls) -> MasterKey:
        """A fresh random key."""
        return cls.from_hex(os.urandom(KEY_BYTES).hex(), "the system's random source")

    def cipher(self) -> AESGCM:
        return AESGCM(bytes.fromhex(self.key.reveal()))


@dataclass(slots=True)
class KeyRing:
    """The current master key and older ones that are still readable while a rotation is under way.

    `reload` reads the keys anew: a running process finds a key that another one has just rotated to.
    """

    current: MasterKey
    older: dict[str, MasterKey] = field(default_factory=dict)
    reload: Callable[[], KeyRing] | None = None

    def by_id(self, master_id: str) -> MasterKey:
        """The key of this id; raises Misconfigured when this process does not have it."""
        if master_id == self.current.id:
            return self.current
        if master_id in self.older:
            return self.older[master_id]
        if self.reload is not None:  # another process has rotated meanwhile
            fresh = self.reload()
            self.older = {**self.older, self.current.id: self.current, **fresh.older}
            self.current = fresh.current
            if master_id == self.current.id:
                return self.current
        raise Misconfigured(
            "opening stored secrets",
            answered=f"they are wrapped by master key {master_id}, which is not at hand",
            hint="Give the old key as well (ISTHMUS_MASTER_KEY_OLD, or master.key.old beside master.key).",
        )


def wrap(master: MasterKey, data_key: bytes) -> bytes:
    """A data key as it may rest in the database."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + master.cipher().encrypt(nonce, data_key, f"data-key:{master.id}".encode())


def unwrap(keys: KeyRing, master_id: str, wrapped: bytes) -> bytes:
    """The data key that `wrap` wrapped; raises Misconfigured when it was tampered with."""
    master = keys.by_id(master_id)
    return _open(master.cipher(), wrapped, f"data-key:{master_id}", "a data key")


def seal(data_key: bytes, place: str, value: Secret) -> bytes:
    """A secret encrypted for one place only: moved elsewhere in the database it does not open."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(data_key).encrypt(nonce, value.reveal().encode(), place.encode())


def unseal(data_key: bytes, place: str, ciphertext: bytes) -> Secret:
    """The secret that `seal` sealed for this place; raises Misconfigured when it does not open."""
    return Secret(_open(AESGCM(data_key), ciphertext, place, f"the secret {place}").decode())


def _open(cipher: AESGCM, sealed: bytes, place: str, what: str) -> bytes:
    try:
        return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.encode())
    except (InvalidTag, ValueError) as error:
        raise Misconfigured(
            f"opening {what}",
            answered="it was changed, moved, or sealed with another key",
            hint="Set the secret again with `isthmus connection rotate`.",
        ) from error


def load_keys(home: Path, environ: Mapping[str, str]) -> KeyRing:
    """The key ring: from ISTHMUS_MASTER_KEY, ISTHMUS_MASTER_KEY_COMMAND (a KMS client), else `home/master.key`.

    The file is made at first use, readable by its owner only. Older keys come from ISTHMUS_MASTER_KEY_OLD or
    `home/master.key.old`, one in a line.
    """
    older = [k for k in environ.get("ISTHMUS_MASTER_KEY_OLD", "").split() if k]
    old_file = home / "master.key.old"
    if old_file.exists():
        older.extend(old_file.read_text().split())
    ring = KeyRing(_current(home, environ), reload=lambda: load_keys(home, environ))
    for text in older:
        key = MasterKey.from_hex(text, "the older master keys")
        ring.older[key.id] = key
    return ring


def _current(home: Path, environ: Mapping[str, str]) -> MasterKey:
    if environ.get("ISTHMUS_MASTER_KEY"):
        return MasterKey.from_hex(environ["ISTHMUS_MASTER_KEY"], "ISTHMUS_MASTER_KEY")
    command = environ.get("ISTHMUS_MASTER_KEY_COMMAND")
    if command:
        done = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise Misconfigured(
                "asking ISTHMUS_MASTER_KEY_COMMAND for the master key",
                answered=f"it ended with {done.returncode}",
                hint="Run the command by hand; it has to print 64 hexadecimal digits.",
            )
        return MasterKey.from_hex(done.stdout, "ISTHMUS_MASTER_KEY_COMMAND")
    path = home / "master.key"
    if not path.exists():
        write_key(path, MasterKey.new())
    return MasterKey.from_hex(path.read_text(), str(path))


def write_key(path: Path, key: MasterKey) -> None:
    """Write a key file that only its owner can read, whole or not at all."""
    draft = path.with_name(path.name + ".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key.key.reveal() + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
