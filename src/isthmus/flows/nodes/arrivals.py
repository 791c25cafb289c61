"""Triggers that watch a place for files: each file begins one Run, once it is complete."""

from __future__ import annotations

import fnmatch
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from isthmus.errors import InvalidRecord
from isthmus.flows.node import ConnectionRole, Duration, Sample, Trigger, span
from isthmus.sdk.files import is_finished, plain_path

FIRST_BYTES = 1024
_FILE = {"path": "inbox/orders.csv", "name": "orders.csv", "size": 120}


class FileArrived(Trigger):
    """A file lies in a folder or on an SFTP server and is complete: it has not changed for a while.

    Each file begins one Run, whatever happens in between. It stays where it is and is remembered, or is moved first,
    so that the folder shows what is still to come. The item says which under `file`: path, name, size, modified, and
    the digest of its content where that is what it is known by.
    """

    LABEL: ClassVar[str] = "File arrived"
    SAMPLE: ClassVar[Sample] = Sample(
        config={"connection": "inbox", "folder": "inbox", "pattern": "*.csv"},
        input={"file": _FILE},
        output={"file": _FILE},
    )

    type: Literal["file_arrived"] = "file_arrived"
    connection: ConnectionRole = Field(description="The folder or SFTP server that is watched.")
    folder: str = Field("", description="The folder below that of the connection; folders in it are not looked into.")
    pattern: str | list[str] = Field("*", description="Names that are meant, as *.csv; small and capital are the same.")
    quiet: Duration = Field("5s", description="How long a file must not have changed to count as complete.")
    marker: str | None = Field(
        None, min_length=1, description="A file is complete once a second one has its name and this behind, as .done."
    )
    known_by: Literal["name", "content"] = Field(
        "name", description="What makes it another file: name, size and time, or its content under whatever name."
    )
    then: Literal["remember", "move"] = Field("remember", description="What happens to a file that is taken.")
    move_to: str = Field("taken", description="The folder it is moved to, below that of the connection.")

    @field_validator("folder", "move_to")
    @classmethod
    def _is_below(cls, path: str) -> str:
        try:
            return "/".join(plain_path(path, "reading the folder"))
        except InvalidRecord as error:
            raise ValueError(str(error.answered)) from None

    @model_validator(mode="after")
    def _moves_away(self) -> FileArrived:
        if self.then == "move" and self.move_to == self.folder:
            raise ValueError("move_to is the folder that is watched; name another one")
        return self

    def wants(self, name: str) -> bool:
        """Whether a file of this name is meant and may be complete."""
        patterns = [self.pattern] if isinstance(self.pattern, str) else self.pattern
        if not is_finished(name) or (self.marker is not None and name.endswith(self.marker)):
            return False
        return any(fnmatch.fnmatchcase(name.casefold(), one.casefold()) for one in patterns)

    def rest(self) -> float:
        """Seconds a file must not have changed."""
        return span(self.quiet).total_seconds()

    def media_type(self, head: bytes) -> str | None:
        """What the beginning of a file shows it to be; None when it is not looked at."""
        return None

    def wrong(self, head: bytes) -> str:
        """Why a file of this beginning is not what is meant; empty when it is."""
        return ""

    def looks_inside(self) -> bool:
        """Whether the beginning of a file matters."""
        return False


class DocumentArrived(FileArrived):
    """A document has arrived as a file, PDF or XML, and is complete; the same content is taken once, by any name.

    The item refers to it under `file`, with `media_type` and the digest of its content; it is stored nowhere else, so
    let it be moved where nobody changes it. Nodes that read it refuse one that is not the same any more.
    """

    LABEL: ClassVar[str] = "Document arrived"
    SAMPLE: ClassVar[Sample] = Sample(
        config={"connection": "inbox", "folder": "bills"},
        input={"file": {"path": "bills/7.pdf", "media_type": "application/pdf"}},
        output={"file": {"path": "bills/7.pdf", "media_type": "application/pdf"}},
    )

    type: Literal["document_arrived"] = "document_arrived"  # type: ignore[assignment]  # another word for another kind
    pattern: str | list[str] = Field(["*.pdf", "*.xml"], description="Names that are meant: PDF and XML files.")
    known_by: Literal["name", "content"] = Field(
        "content", description="What makes it another file: its content, or name, size and time."
    )

    def media_type(self, head: bytes) -> str | None:
        start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if b"%PDF-" in head:
            return "application/pdf"
        if start.startswith(b"<?xml") or (start.startswith(b"<") and not start[:9].lower().startswith(b"<!doctype")):
            return "application/xml"
        return None

    def wrong(self, head: bytes) -> str:
        return "" if self.media_type(head) else "it is neither PDF nor XML, whatever its name says"

    def looks_inside(self) -> bool:
        return True


def file_item(facts: Any, digest: str | None, original: str, media_type: str | None) -> dict[str, Any]:
    """The item of a file that was taken."""
    told = {
        "path": facts.path,
        "name": original.rpartition("/")[2],
        "size": facts.size,
        "modified": facts.modified.isoformat(),
    }
    if facts.path != original:
        told["original"] = original
    if digest is not None:
        told["digest"] = digest
    if media_type is not None:
        told["media_type"] = media_type
    return {"file": told}
