"""Places for files in tests: a folder, and a real SFTP server on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

from isthmus.connectors.files import FolderConnector, FolderSettings, SftpConnector, SftpSettings
from isthmus.model.secret import Secret
from isthmus.sdk.network import NetworkPolicy
from isthmus.sdk.services import local_services

USER, PASSWORD = "mira", "open sesame"


def folder_at(path: Path) -> FolderConnector:
    """A connector of a folder; the test allows the folder by ISTHMUS_FOLDERS."""
    return FolderConnector(FolderSettings(path=str(path)), local_services())


@dataclass
class SftpPlace:
    """A running SFTP server and what it saw: the folder behind it, its port, its host key, how many logins."""

    root: Path
    port: int
    host_key: str
    logins: list[str] = field(default_factory=list)
    client_key: asyncssh.SSHKey | None = None

    def settings(self, **given: Any) -> SftpSettings:
        told: dict[str, Any] = {
            "host": "127.0.0.1", "port": self.port, "username": USER, "password": Secret(PASSWORD),
            "host_key": self.host_key, "path": "/", "connect_seconds": 5, "seconds": 10,
        }  # fmt: skip
        return SftpSettings(**{**told, **given})

    def connector(self, **given: Any) -> SftpConnector:
        """A connector of this server."""
        services = local_services(network=NetworkPolicy(allow_loopback=True))
        return SftpConnector(self.settings(**given), services)


@asynccontextmanager
async def sftp_server(root: Path) -> AsyncIterator[SftpPlace]:
    """A real SFTP server whose users see nothing but `root`."""
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    client_key = asyncssh.generate_private_key("ssh-ed25519")
    place = SftpPlace(root, 0, host_key.convert_to_public().get_fingerprint(), client_key=client_key)

    open_now: list[asyncssh.SSHServerConnection] = []

    class Server(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            open_now.append(conn)

        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            place.logins.append("password")
            return (username, password) == (USER, PASSWORD)

        def public_key_auth_supported(self) -> bool:
            return True

        def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
            place.logins.append("key")
            return username == USER and key == client_key.convert_to_public()

    def files(channel: Any) -> asyncssh.SFTPServer:
        return asyncssh.SFTPServer(channel, chroot=str(root).encode())

    listening = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=Server, server_host_keys=[host_key], sftp_factory=files
    )
    place.port = listening.get_port()
    try:
        yield place
    finally:
        listening.close()
        await listening.wait_closed()
        for conn in open_now:
            conn.abort()
            await conn.wait_closed()
