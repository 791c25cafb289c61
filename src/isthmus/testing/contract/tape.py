"""Recorded calls: what was asked and answered, in order, without a secret in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import yaml

HIDDEN = "•••"
KEPT_HEADERS = ("content-type", "date", "retry-after", "etag", "link", "location")
_SECRET_NAMES = re.compile(r"(token|secret|password|passwd|api_?key|authorization|credential)", re.IGNORECASE)
_NOT_SECRET = re.compile(r"^(token_type|next_?page_?token|page_?token)$", re.IGNORECASE)
_BEARER = re.compile(r"\b(?:Bearer|Basic)[ \t]+[A-Za-z0-9._~+/=-]{8,}")


@dataclass(slots=True)
class Call:
    """One request and its answer; `body` and `answer` are decoded JSON, or text."""

    method: str
    path: str
    query: list[tuple[str, str]]
    body: Any
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    answer: Any = None
    used: bool = False

    def asks(self, other: Call) -> bool:
        """Whether this is the same request as `other`; the order of query parameters does not matter."""
        mine = (self.method, self.path, sorted(self.query), self.body)
        return mine == (other.method, other.path, sorted(other.query), other.body)

    def __str__(self) -> str:
        query = "&".join(f"{name}={value}" for name, value in self.query)
        return f"{self.method} {self.path}{f'?{query}' if query else ''}"


@dataclass(slots=True)
class Tape:
    """A recording: calls, and the moment at which the clock stood when it was made."""

    calls: list[Call] = field(default_factory=list)
    recorded_at: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def find(self, asked: Call) -> Call | None:
        """The answer to play for a request: each recorded call is played once."""
        for call in self.calls:
            if not call.used and call.asks(asked):
                call.used = True
                return call
        return None

    def unused(self) -> list[str]:
        """Recorded calls that nobody asked for."""
        return [str(call) for call in self.calls if not call.used]

    def save(self, path: Path, secrets: Iterable[str]) -> None:
        """Write the recording; refuses one that holds any of `secrets` or looks as if it held one."""
        told = {
            "recorded_at": self.recorded_at.isoformat(),
            "calls": [
                {
                    "ask": str(call),
                    **({"body": call.body} if call.body is not None else {}),
                    "status": call.status,
                    **({"headers": call.headers} if call.headers else {}),
                    **({"answer": call.answer} if call.answer is not None else {}),
                }
                for call in self.calls
            ],
        }
        text = yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=120)
        found = leaks(text, secrets)
        if found:
            raise ValueError(f"saving {path.name}: the recording holds a secret: {', '.join(found)}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def load_tape(path: Path) -> Tape:
    """The recording in a file."""
    told = yaml.safe_load(path.read_text(encoding="utf-8"))
    calls: list[Call] = []
    for entry in told["calls"]:
        method, _, target = entry["ask"].partition(" ")
        path_part, _, query = target.partition("?")
        calls.append(
            Call(
                method=method,
                path=path_part,
                query=parse_query(query),
                body=entry.get("body"),
                status=entry["status"],
                headers=entry.get("headers", {}),
                answer=entry.get("answer"),
            )
        )
    return Tape(calls, datetime.fromisoformat(told["recorded_at"]))


def parse_query(query: str) -> list[tuple[str, str]]:
    """Query parameters, kept as they were written (no decoding, so that they can be written again)."""
    return [(name, value) for name, _, value in (part.partition("=") for part in query.split("&") if part)]


def understood(raw: bytes, content_type: str) -> Any:
    """A body as it is recorded: JSON decoded and secrets hidden; of a form the names only; else text."""
    if not raw:
        return None
    if "form-urlencoded" in content_type:
        return {"form": sorted(name for name, _ in parse_qsl(raw.decode("utf-8", "replace")))}
    try:
        return hide(json.loads(raw))
    except ValueError:
        return _BEARER.sub(HIDDEN, raw.decode("utf-8", "replace"))


def hide(value: Any) -> Any:
    """Decoded JSON with the values of secret-sounding names hidden."""
    if isinstance(value, Mapping):
        return {
            name: HIDDEN if _is_secret(str(name)) and isinstance(inner, str) and inner else hide(inner)
            for name, inner in value.items()
        }
    return [hide(inner) for inner in value] if isinstance(value, list) else value


def leaks(text: str, secrets: Iterable[str] = ()) -> list[str]:
    """What in a recording looks like a secret, described without showing it."""
    found = [f"a known secret of {len(secret)} characters" for secret in secrets if len(secret) >= 6 and secret in text]
    found += ["a bearer or basic login"] if _BEARER.search(text) else []
    for match in re.finditer(r"""["']?([\w-]+)["']?\s*[:=]\s*["']?([^\s"',}]+)""", text):
        name, value = match.groups()
        if _is_secret(name) and value not in (HIDDEN, "null", "''", '""', "[]") and len(value) >= 6:
            found.append(f"a value for {name}")
    return found


def _is_secret(name: str) -> bool:
    return bool(_SECRET_NAMES.search(name)) and not _NOT_SECRET.match(name)
