"""What a connector of a place for files offers beside the seven verbs: list, look, read, put whole, move.

Paths are relative to the connection's own folder, parts joined by `/`. A store never leaves that folder: not by `..`,
not by an absolute path, not by a symbolic link.
"""

from __future__ import annotations

import unicodedata
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from isthmus.errors import InvalidRecord

PART = ".isthmus-"
"""How the names of files begin that are still being written."""

UNFINISHED = (".tmp", ".part", ".partial", ".filepart", ".crdownload", ".swp", "~")
"""How the names end that other programs give to files they are still writing."""

CHUNK = 256 * 1024
"""Bytes that are read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """One file as it stands there: its path, its bytes, and when it was last changed by that system's clock."""

    path: str
    size: int
    modified: datetime


class FileStore(ABC):
    """A place for files. All verbs raise only IsthmusError."""

    @abstractmethod
    async def listed(self, folder: str) -> Sequence[FileFacts]:
        """The regular files in one folder, by name; links, and names that begin with a dot, are left out."""

    @abstractmethod
    async def facts(self, path: str) -> FileFacts | None:
        """One file as it stands now; None when there is none."""

    @abstractmethod
    def content(self, path: str, start: int = 0) -> AsyncIterator[bytes]:
        """The bytes of a file in pieces, from `start`; InvalidRecord when there is no such file."""

    @abstractmethod
    async def put(self, path: str, content: bytes, token: str) -> FileFacts:
        """Write a whole file, or nothing: it appears at once, in place of one that was there.

        Folders on the way are made. `token` names the unfinished file, so that a repeat continues none but its own.
        """

    @abstractmethod
    async def move(self, path: str, to: str) -> None:
        """Give a file another path; InvalidRecord when there is none, or one already at the new path."""


def plain_path(path: str, doing: str) -> tuple[str, ...]:
    """The parts of a path below the connection's folder; InvalidRecord for one that could lead out of it."""
    why = ""
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    if path.startswith(("/", "~")) or "\\" in path:
        why = "it is no path below the connection's folder"
    elif ".." in parts:
        why = "it leads out of the connection's folder"
    elif any(unicodedata.category(letter) in ("Cc", "Cs") for letter in path):
        why = "it holds a character that no file name may hold"
    elif any(len(part.encode()) > 255 for part in parts):
        why = "a name in it is longer than 255 bytes"
    if why:
        raise InvalidRecord(
            doing,
            record=path,
            answered=f"{path!r}: {why}",
            hint="Give a path below the folder of the connection, as inbox/orders.csv.",
        )
    return parts


def file_path(path: str, doing: str) -> tuple[str, ...]:
    """The same for a path that names a file."""
    parts = plain_path(path, doing)
    if not parts or path.endswith("/"):
        raise InvalidRecord(
            doing, record=path, answered=f"{path!r} names no file", hint="Give a path as inbox/orders.csv."
        )
    return parts


def is_finished(name: str) -> bool:
    """Whether a name is that of a finished file, as far as names tell."""
    return not name.startswith(".") and not name.lower().endswith(UNFINISHED)
