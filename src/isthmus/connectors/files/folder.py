"""A folder of this machine: every step is taken from an open folder, and none over a symbolic link."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, ClassVar

from isthmus.connectors.files.connector import FilesConnector
from isthmus.connectors.files.settings import FolderSettings
from isthmus.sdk import Finding, InvalidRecord, IsthmusError, Misconfigured, RefusedByTarget, Services, Unavailable
from isthmus.sdk.files import CHUNK, PART, FileFacts, file_path, plain_path

FOLDERS = "ISTHMUS_FOLDERS"
"""Names the folders that connections may use; without it there is one, `files` in the installation's home."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


def allowed() -> list[Path]:
    """The folders that connections may use."""
    told = os.environ.get(FOLDERS)
    if told:
        return [Path(part).expanduser() for part in told.split(os.pathsep) if part]
    return [Path(os.environ.get("ISTHMUS_HOME") or "~/.isthmus").expanduser() / "files"]


class FolderConnector(FilesConnector):
    """Speaks to one folder of this machine."""

    key: ClassVar[str] = "folder"

    def __init__(self, settings: FolderSettings, services: Services) -> None:
        self._settings = settings

    def root(self) -> Path:
        """The folder itself; Misconfigured when it lies outside of what the installation allows."""
        roots = [root.resolve() for root in allowed()]
        root = (roots[0] / Path(self._settings.path).expanduser()).resolve()
        if not any(root == one or root.is_relative_to(one) for one in roots):
            raise Misconfigured(
                f"opening the folder {self._settings.path}",
                answered=f"it lies outside of the folders that connections may use: {', '.join(map(str, roots))}",
                hint=f"Name a folder in there, or start the service with {FOLDERS} naming more of them.",
            )
        return root

    async def look_around(self) -> Sequence[Finding]:
        root = self.root()
        if not root.is_dir():
            fix = f"Make it: mkdir -p {root}"
            return [Finding(check="folder", status="problem", message=f"There is no folder {root}.", fix=fix)]
        found = await self.listed("")
        out = [Finding(check="folder", status="ok", message=f"{root} can be read; it holds {len(found)} files.")]
        if os.access(root, os.W_OK | os.X_OK):
            out.append(Finding(check="writing", status="ok", message="Files can be written and moved there."))
        else:
            told = "Files can be read but neither written nor moved there."
            fix = f"Give the user that runs Isthmus the right to write to {root}, if flows shall."
            out.append(Finding(check="writing", status="warning", message=told, fix=fix))
        return out

    async def listed(self, folder: str) -> Sequence[FileFacts]:
        return await asyncio.to_thread(self._listed, folder)

    async def facts(self, path: str) -> FileFacts | None:
        return await asyncio.to_thread(self._facts, path)

    async def content(self, path: str, start: int = 0) -> AsyncIterator[bytes]:
        file = await asyncio.to_thread(self._opened, path, start)
        try:
            while piece := await asyncio.to_thread(file.read, CHUNK):
                yield piece
        except OSError as error:
            raise _told(error, f"reading {path}", path) from error
        finally:
            file.close()

    async def put(self, path: str, content: bytes, token: str) -> FileFacts:
        return await asyncio.to_thread(self._put, path, content, token)

    async def move(self, path: str, to: str) -> None:
        await asyncio.to_thread(self._move, path, to)

    # -- in a thread ---------------------------------------------------------------------------------------------

    @contextmanager
    def _folder(self, parts: Sequence[str], doing: str, *, make: bool = False) -> Iterator[int]:
        """An open folder below the root, reached name by name."""
        root = self.root()
        try:
            at = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise Misconfigured(
                doing, answered=f"{root}: {error.strerror}", hint=f"Make the folder {root}, readable for Isthmus."
            ) from error
        try:
            for name in parts:
                if make:
                    try:
                        os.mkdir(name, dir_fd=at)
                    except FileExistsError:
                        pass
                following = os.open(name, _FOLDER, dir_fd=at)
                os.close(at)
                at = following
            yield at
        except IsthmusError:
            raise
        except OSError as error:
            raise _told(error, doing, "/".join(parts)) from error
        finally:
            os.close(at)

    def _listed(self, folder: str) -> list[FileFacts]:
        doing = f"listing {folder or 'the folder'}"
        parts = plain_path(folder, doing)
        with self._folder(parts, doing) as at:
            found = []
            with os.scandir(at) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or not entry.is_file(follow_symlinks=False):
                        continue
                    try:
                        state = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue  # gone since it was listed
                    found.append(_facts("/".join((*parts, entry.name)), state))
        return sorted(found, key=lambda one: one.path)

    def _facts(self, path: str) -> FileFacts | None:
        parts = file_path(path, f"looking at {path}")
        try:
            with self._folder(parts[:-1], f"looking at {path}") as at:
                state = os.stat(parts[-1], dir_fd=at, follow_symlinks=False)
        except InvalidRecord as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise
        if not stat.S_ISREG(state.st_mode):
            raise _no_file(f"looking at {path}", path)
        return _facts("/".join(parts), state)

    def _opened(self, path: str, start: int) -> BinaryIO:
        parts = file_path(path, f"reading {path}")
        with self._folder(parts[:-1], f"reading {path}") as at:
            number = os.open(parts[-1], _FILE, dir_fd=at)
        if not stat.S_ISREG(os.fstat(number).st_mode):
            os.close(number)
            raise _no_file(f"reading {path}", path)
        file = os.fdopen(number, "rb")
        file.seek(start)
        return file

    def _put(self, path: str, content: bytes, token: str) -> FileFacts:
        parts = file_path(path, f"writing {path}")
        with self._folder(parts[:-1], f"writing {path}", make=True) as at:
            part = f"{PART}{token}.part"
            number = os.open(part, _NEW, 0o640, dir_fd=at)
            with os.fdopen(number, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, parts[-1], src_dir_fd=at, dst_dir_fd=at)
            os.fsync(at)
            return _facts("/".join(parts), os.stat(parts[-1], dir_fd=at, follow_symlinks=False))

    def _move(self, path: str, to: str) -> None:
        doing = f"moving {path} to {to}"
        source, target = file_path(path, doing), file_path(to, doing)
        with self._folder(source[:-1], doing) as here, self._folder(target[:-1], doing, make=True) as there:
            if not stat.S_ISREG(os.stat(source[-1], dir_fd=here, follow_symlinks=False).st_mode):
                raise _no_file(doing, path)
            try:
                os.stat(target[-1], dir_fd=there, follow_symlinks=False)
            except FileNotFoundError:
                os.rename(source[-1], target[-1], src_dir_fd=here, dst_dir_fd=there)
                os.fsync(there)
            else:
                raise InvalidRecord(doing, record=path, answered=f"{to} is there already", hint="Take it away first.")


def _facts(path: str, state: os.stat_result) -> FileFacts:
    return FileFacts(path=path, size=state.st_size, modified=datetime.fromtimestamp(state.st_mtime_ns / 1e9, UTC))


def _no_file(doing: str, path: str) -> InvalidRecord:
    return InvalidRecord(doing, record=path, answered=f"{path} is no ordinary file", hint="Links are not followed.")


def _told(error: OSError, doing: str, path: str) -> IsthmusError:
    """What the machine said, as what happens next."""
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return InvalidRecord(
            doing, record=path, answered=f"{path} leads over a symbolic link or a file", hint="Links are not followed."
        )
    if error.errno == errno.ENOENT:
        return InvalidRecord(doing, record=path, answered=f"there is no {path}", hint="Look whether it was moved.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        hint = "Give the user that runs Isthmus the right to it, then retry."
        return RefusedByTarget(doing, record=path, answered=str(error.strerror), hint=hint)
    return Unavailable(doing, record=path, answered=str(error.strerror))
