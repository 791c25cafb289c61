"""No file of the project holds a secret, a place of the machine it was written on, or unfinished business."""

from __future__ import annotations

import re

import pytest
from source_tree import ROOT, tracked

PRIVATE_KEY = re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s*[A-Za-z0-9+/=]{20}")
KNOWN_FORMS = re.compile(
    r"\b(?:ghp_[A-Za-z0-9]{36}|AKIA[0-9A-Z]{16}|xox[bap]-[0-9A-Za-z-]{20,}|sk_live_[0-9A-Za-z]{20,}|ist_[\w-]{43})\b"
)
MACHINE = re.compile(r"(?<![\w.])/(?:work|home/[a-z]+|Users/[a-z]+|root)/[\w.]")
UNFINISHED = re.compile(r"#.*\b(?:TODO|FIXME|XXX|HACK)\b")
INDEXES = re.compile(r'(?:registry|url) = "(https?|file)://(?P<host>[^/"]*)')
LOCKED_FROM = {"pypi.org", "files.pythonhosted.org"}

OWN = "tests/house/test_secrets.py"
BINARY = {".png", ".ico", ".woff2", ".pdf", ".xlsx", ".gz"}


def texts() -> list[tuple[str, str]]:
    """Path and text of every file but this one, the lock and binary ones."""
    out = []
    for path in tracked():
        name = path.relative_to(ROOT).as_posix()
        if name not in (OWN, "uv.lock", "LICENSE") and path.suffix not in BINARY:
            out.append((name, path.read_text(errors="replace")))
    return out


@pytest.mark.parametrize("pattern", [PRIVATE_KEY, KNOWN_FORMS], ids=["private key", "token"])
def test_no_file_holds_a_secret(pattern: re.Pattern[str]) -> None:
    assert [name for name, text in texts() if pattern.search(text)] == []


def test_no_file_names_a_place_on_the_machine_it_was_written_on() -> None:
    found = [f"{name}: {hit.group()}" for name, text in texts() for hit in MACHINE.finditer(text)]
    assert not found, "\n".join(found)


def test_nothing_is_left_unfinished() -> None:
    found = [
        f"{name}: {hit.group()}" for name, text in texts() if name.endswith(".py") for hit in UNFINISHED.finditer(text)
    ]
    assert not found, "\n".join(found)


def test_everything_locked_comes_from_the_public_index() -> None:
    hosts = {hit["host"] for hit in INDEXES.finditer((ROOT / "uv.lock").read_text())}
    assert hosts <= LOCKED_FROM
