"""A folder on a server that speaks SFTP: the host key is pinned, one session is kept open and renewed when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from isthmus.connectors.files.connector import FilesConnector
from isthmus.connectors.files.settings import SftpSettings, pins
from isthmus.sdk import (
    AuthFailed,
    Finding,
    InvalidRecord,
    IsthmusError,
    Misconfigured,
    RefusedByTarget,
    Services,
    Unavailable,
)
from isthmus.sdk.files import CHUNK, PART, FileFacts, file_path, plain_path

if TYPE_CHECKING:
    import asyncssh

Answer = TypeVar("Answer")
KEEPALIVE_SECONDS = 15
_HOST_KEY_FIX = "Ask the owner of the server whether it is theirs, then set host_key to it."


@dataclass(slots=True)
class _Session:
    """One login: the connection, its SFTP channel, and the real path of the connection's folder."""

    ssh: asyncssh.SSHClientConnection
    sftp: asyncssh.SFTPClient
    root: str


class SftpConnector(FilesConnector):
    """Speaks to one server, as one user, in one folder."""

    key: ClassVar[str] = "sftp"

    def __init__(self, settings: SftpSettings, services: Services) -> None:
        self._settings = settings
        self._network = services.network
        self._session: _Session | None = None
        self._opening = asyncio.Lock()
        self._seen: str | None = None

    @property
    def _where(self) -> str:
        return f"{self._settings.host}:{self._settings.port}"

    async def look_around(self) -> Sequence[Finding]:
        session = await self._open()
        out = [
            Finding(check="login", status="ok", message=f"{self._settings.username} is logged in at {self._where}."),
            Finding(check="host key", status="ok", message=f"The server shows the key that is pinned: {self._seen}."),
        ]
        found = await self.listed("")
        out.append(Finding(check="folder", status="ok", message=f"{session.root} holds {len(found)} files."))
        return out

    # -- the session ---------------------------------------------------------------------------------------------

    async def _open(self) -> _Session:
        async with self._opening:
            if self._session is not None and not self._session.ssh.is_closed():
                return self._session
            self._session = await self._login()
            return self._session

    async def _login(self) -> _Session:
        import asyncssh

        doing = f"logging in at {self._where} as {self._settings.username}"
        address = await self._address(doing)
        seen: list[str] = []
        wanted = _fingerprints(self._settings.host_key)

        class Pinned(asyncssh.SSHClient):
            def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
                seen.append(key.get_fingerprint())
                return seen[-1] in wanted

        given = self._settings
        try:
            ssh, _ = await asyncssh.create_connection(
                Pinned,
                address,
                given.port,
                username=given.username,
                password=given.password.reveal() if given.password else None,
                client_keys=[self._key(doing)] if given.private_key else None,
                known_hosts=([], [], []),
                agent_path=None,
                config=None,
                gss_host=None,
                connect_timeout=given.connect_seconds,
                login_timeout=given.connect_seconds,
                keepalive_interval=KEEPALIVE_SECONDS,
            )
            sftp = await ssh.start_sftp_client()
            root = str(await sftp.realpath(given.path or "."))
        except asyncssh.HostKeyNotVerifiable as error:
            raise self._wrong_host_key(doing, seen) from error
        except asyncssh.PermissionDenied as error:
            raise AuthFailed(
                doing,
                answered="the server refuses this login",
                hint="Check user name and secrets; replace them: `isthmus connection rotate NAME --secret …`.",
            ) from error
        except asyncssh.SFTPError as error:
            hint = "Correct the setting path of the connection."
            raise Misconfigured(doing, answered=f"{given.path}: {error.reason}", hint=hint) from error
        except (OSError, asyncssh.Error, TimeoutError) as error:
            raise Unavailable(doing, answered=_said(error)) from error
        self._seen = seen[-1] if seen else None
        return _Session(ssh, sftp, root)

    async def _address(self, doing: str) -> str:
        """The address that is called: the first one that the rules of the network allow."""
        host = self._settings.host
        try:
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(host, self._settings.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise Unavailable(doing, answered=f"the name {host} is not known here") from error
        reason = ""
        for entry in found:
            address = str(entry[4][0])
            reason = self._network.refuses(ipaddress.ip_address(address.split("%")[0]), host) or ""
            if not reason:
                return address
        raise Misconfigured(
            doing,
            answered=f"{host} is {reason}, which may not be called",
            hint="Correct the host, or set allow_private_network=true (allow_loopback=true for this machine).",
        )

    def _key(self, doing: str) -> asyncssh.SSHKey:
        import asyncssh

        given = self._settings
        assert given.private_key is not None, "asked for only then"
        try:
            return asyncssh.import_private_key(
                given.private_key.reveal(), given.passphrase.reveal() if given.passphrase else None
            )
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
            # The library's own words may hold a part of what it could not read.
            raise AuthFailed(
                doing,
                answered="the private key cannot be read, or its passphrase does not open it",
                hint="Give it again: `--secret private_key=@FILE`, and `--secret passphrase` if it is locked.",
            ) from None

    def _wrong_host_key(self, doing: str, seen: Sequence[str]) -> IsthmusError:
        shown = seen[-1] if seen else "none that can be read"
        if not self._settings.host_key:
            told = f"no host key is pinned; the server shows {shown}"
            return Misconfigured(doing, answered=told, hint=_HOST_KEY_FIX)
        told = f"the server shows the host key {shown}, which is not the one that is pinned"
        hint = f"Somebody may be in between, and nothing was sent. {_HOST_KEY_FIX}"
        return AuthFailed(doing, answered=told, hint=hint)

    async def _asked(self, call: Awaitable[Answer], doing: str, path: str) -> Answer:
        """An answer of the server; its errors as what happens next."""
        import asyncssh

        try:
            async with asyncio.timeout(self._settings.seconds):
                return await call
        except asyncssh.SFTPNoSuchFile as error:
            hint = "Look whether it was moved."
            raise InvalidRecord(doing, record=path, answered=f"there is no {path}", hint=hint) from error
        except asyncssh.SFTPPermissionDenied as error:
            hint = "Give the login of the connection the right to it there, then retry."
            raise RefusedByTarget(
                doing, record=path, answered=error.reason or "permission denied", hint=hint
            ) from error
        except (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection) as error:
            raise Unavailable(doing, record=path, answered=_said(error)) from error
        except asyncssh.SFTPError as error:
            raise RefusedByTarget(doing, record=path, answered=error.reason or type(error).__name__) from error
        except (OSError, asyncssh.Error, TimeoutError) as error:
            raise Unavailable(doing, record=path, answered=_said(error)) from error

    async def _folder(self, session: _Session, parts: Sequence[str], doing: str) -> str:
        """The real path of a folder below the connection's; refused when a link there leads out of it."""
        told = "/".join(parts)
        full = "/".join((session.root.rstrip("/"), *parts)) or "/"
        real = str(await self._asked(session.sftp.realpath(full), doing, told))
        if real != full:
            raise InvalidRecord(
                doing, record=told, answered=f"{told} leads over a symbolic link", hint="Links are not followed."
            )
        return full

    async def _ordinary(self, session: _Session, full: str, doing: str, path: str) -> asyncssh.SFTPAttrs:
        import asyncssh

        found = await self._asked(session.sftp.lstat(full), doing, path)
        if found.type != asyncssh.FILEXFER_TYPE_REGULAR:
            raise InvalidRecord(
                doing, record=path, answered=f"{path} is no ordinary file", hint="Links are not followed."
            )
        return found

    # -- files ---------------------------------------------------------------------------------------------------

    async def listed(self, folder: str) -> Sequence[FileFacts]:
        import asyncssh

        doing = f"listing {folder or 'the folder'} at {self._where}"
        parts = plain_path(folder, doing)
        session = await self._open()
        full = await self._folder(session, parts, doing)
        names = await self._asked(session.sftp.readdir(full), doing, folder)
        found = [
            _facts("/".join((*parts, str(one.filename))), one.attrs)
            for one in names
            if not str(one.filename).startswith(".") and one.attrs.type == asyncssh.FILEXFER_TYPE_REGULAR
        ]
        return sorted(found, key=lambda one: one.path)

    async def facts(self, path: str) -> FileFacts | None:
        doing = f"looking at {path} at {self._where}"
        parts = file_path(path, doing)
        session = await self._open()
        try:
            folder = await self._folder(session, parts[:-1], doing)
            return _facts("/".join(parts), await self._ordinary(session, f"{folder}/{parts[-1]}", doing, path))
        except InvalidRecord as error:
            import asyncssh

            if isinstance(error.__cause__, asyncssh.SFTPNoSuchFile):
                return None
            raise

    async def content(self, path: str, start: int = 0) -> AsyncIterator[bytes]:
        doing = f"reading {path} at {self._where}"
        parts = file_path(path, doing)
        session = await self._open()
        full = f"{await self._folder(session, parts[:-1], doing)}/{parts[-1]}"
        await self._ordinary(session, full, doing, path)
        file: Any = await self._asked(session.sftp.open(full, "rb"), doing, path)
        try:
            at = start
            while piece := await self._asked(file.read(CHUNK, at), doing, path):
                at += len(piece)
                yield piece
        finally:
            with contextlib.suppress(IsthmusError):  # what was read is whole; a lost session has closed it as well
                await self._asked(file.close(), doing, path)

    async def put(self, path: str, content: bytes, token: str) -> FileFacts:
        doing = f"writing {path} at {self._where}"
        parts = file_path(path, doing)
        session = await self._open()
        folder = await self._made(session, parts[:-1], doing)
        part, full = f"{folder}/{PART}{token}.part", f"{folder}/{parts[-1]}"
        file: Any = await self._asked(session.sftp.open(part, "wb"), doing, path)
        for at in range(0, len(content), CHUNK):
            await self._asked(file.write(content[at : at + CHUNK], at), doing, path)
        await self._asked(file.close(), doing, path)
        written = await self._asked(session.sftp.stat(part), doing, path)
        if written.size != len(content):
            told = f"it took {written.size} of {len(content)} bytes"
            raise Unavailable(doing, record=path, answered=told)
        await self._replace(session, part, full, doing, path)
        return _facts("/".join(parts), await self._ordinary(session, full, doing, path))

    async def move(self, path: str, to: str) -> None:
        doing = f"moving {path} to {to} at {self._where}"
        source, target = file_path(path, doing), file_path(to, doing)
        session = await self._open()
        full = f"{await self._folder(session, source[:-1], doing)}/{source[-1]}"
        await self._ordinary(session, full, doing, path)
        if await self.facts(to) is not None:
            raise InvalidRecord(doing, record=path, answered=f"{to} is there already", hint="Take it away first.")
        folder = await self._made(session, target[:-1], doing)
        await self._asked(session.sftp.rename(full, f"{folder}/{target[-1]}"), doing, path)

    async def _made(self, session: _Session, parts: Sequence[str], doing: str) -> str:
        """A folder, made where it is not there yet."""
        for n in range(1, len(parts) + 1):
            full = "/".join((session.root.rstrip("/"), *parts[:n]))
            if not await self._asked(session.sftp.exists(full), doing, "/".join(parts[:n])):
                await self._asked(session.sftp.makedirs(full, exist_ok=True), doing, "/".join(parts[:n]))
        return await self._folder(session, parts, doing)

    async def _replace(self, session: _Session, part: str, full: str, doing: str, path: str) -> None:
        import asyncssh

        try:
            async with asyncio.timeout(self._settings.seconds):
                await session.sftp.posix_rename(part, full)
            return
        except asyncssh.SFTPOpUnsupported:
            pass
        except (OSError, asyncssh.Error, TimeoutError) as error:
            raise Unavailable(doing, record=path, answered=_said(error)) from error
        if await self._asked(session.sftp.exists(full), doing, path):
            await self._asked(session.sftp.remove(full), doing, path)
        await self._asked(session.sftp.rename(part, full), doing, path)

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.sftp.exit()
            session.ssh.close()
            await session.ssh.wait_closed()


def _fingerprints(told: str) -> set[str]:
    """The pinned host keys as fingerprints."""
    import asyncssh

    out = set()
    for one in pins(told):
        if one.startswith("SHA256:"):
            out.add(one.rstrip("="))
            continue
        try:
            out.add(asyncssh.import_public_key(one).get_fingerprint())
        except asyncssh.KeyImportError as error:
            raise Misconfigured(
                "reading the setting host_key",
                answered=str(error),
                hint="Give the line as `ssh-keyscan HOST` tells it.",
            ) from error
    return out


def _facts(path: str, found: asyncssh.SFTPAttrs) -> FileFacts:
    return FileFacts(path=path, size=int(found.size or 0), modified=datetime.fromtimestamp(int(found.mtime or 0), UTC))


def _said(error: BaseException) -> str:
    return str(getattr(error, "reason", "") or error) or type(error).__name__
