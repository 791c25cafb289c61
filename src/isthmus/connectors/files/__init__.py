"""Places for files: a folder of this machine, and a server that speaks SFTP."""

from isthmus.connectors.files.folder import FolderConnector
from isthmus.connectors.files.settings import FolderSettings, SftpSettings
from isthmus.connectors.files.sftp import SftpConnector
from isthmus.sdk import ConnectorKind

_LIMITS = (
    "Files are read, written and moved by the nodes of flows; a pair cannot sync them as records.",
    "A file that others write slowly is told from a finished one only by its rest, its name or a marker.",
)

folder = ConnectorKind(
    key="folder",
    name="Folder",
    summary="A folder of this machine, inside the folders that the installation allows: files for flows.",
    settings=FolderSettings,
    build=FolderConnector,
    known_limits=_LIMITS,
)

sftp = ConnectorKind(
    key="sftp",
    name="SFTP server",
    summary="A folder on a server that speaks SFTP, its host key pinned: files for flows.",
    settings=SftpSettings,
    build=SftpConnector,
    known_limits=(*_LIMITS, "A server without posix-rename replaces a file by removing the old one first."),
)

__all__ = ["FolderConnector", "FolderSettings", "SftpConnector", "SftpSettings", "folder", "sftp"]
