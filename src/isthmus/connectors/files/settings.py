"""What a person fills in to reach a place for files."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, Field, field_validator

from isthmus.sdk import Secret

_PIN = re.compile(r"^(SHA256:[A-Za-z0-9+/]{43}=?|(ssh-|ecdsa-|sk-)[a-z0-9@.\-]+ [A-Za-z0-9+/=]+( .*)?)$")


class FolderSettings(BaseModel):
    """One folder of this machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(
        default="",
        description="The folder: absolute, or below the first folder that ISTHMUS_FOLDERS allows.",
    )


class SftpSettings(BaseModel):
    """One login to a server that speaks SFTP."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(min_length=1, description="The name or address of the server.")
    port: int = Field(default=22, ge=1, le=65535, description="The port of its SSH service.")
    username: str = Field(min_length=1, description="Who logs in there.")
    password: Secret | None = Field(default=None, description="The password, where the server takes one.")
    private_key: Secret | None = Field(default=None, description="The private key in OpenSSH or PEM form.")
    passphrase: Secret | None = Field(default=None, description="What opens the private key, if it is locked.")
    host_key: str = Field(
        default="",
        description="The server's public key or its SHA256 fingerprint; several divided by commas while it changes.",
    )
    path: str = Field(default=".", description="The folder there; without a slash in front, below the login's own.")
    connect_seconds: float = Field(default=10.0, gt=0, le=120, description="Seconds to wait for a connection.")
    seconds: float = Field(default=60.0, gt=0, le=3600, description="Seconds to wait for each answer.")

    @field_validator("host_key")
    @classmethod
    def _is_pin(cls, told: str) -> str:
        for one in pins(told):
            if not _PIN.match(one):
                raise ValueError("give a public key (`ssh-ed25519 AAAA…`) or its fingerprint (`SHA256:…`)")
        return told


def pins(told: str) -> list[str]:
    """The host keys that a setting names."""
    return [one.strip() for one in re.split(r"[,\n]", told) if one.strip()]
