"""The other side's own words, read out of an error body of any shape: JSON, text, HTML, nothing at all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict

LONGEST = 300
_MESSAGE_KEYS = (
    "message",
    "error_description",
    "detail",
    "errormessage",
    "error_message",
    "title",
    "description",
    "msg",
)
_CODE_KEYS = ("code", "error_code", "errorcode", "type", "error", "status")
_WRAPPERS = ("error", "errors", "fault", "exception", "data", "result", "detail")
_TRACE = re.compile(r"traceback \(most recent call last\)|^\s+at [\w.$<>]+\(", re.IGNORECASE | re.MULTILINE)
_TOKEN = re.compile(
    r"(?i)\b(bearer\s+|basic\s+|(?:api[_-]?key|token|secret|password)[\"']?\s*[:=]\s*[\"']?)[^\s\"',;&]{4,}"
)


class ErrorShape(BaseModel):
    """Where a system's error bodies hold what; each a path like `Error.Message`. Unset: looked for by usual names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str | None = None
    message: str | None = None
    details: str | None = None
    detail_field: str = "Field"
    detail_code: str = "Code"
    detail_message: str = "Message"
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Detail:
    """One complaint about one field."""

    field: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """An error body, understood as far as possible; `said` is one short clean sentence, never empty."""

    status: int
    said: str
    code: str = ""
    details: tuple[Detail, ...] = ()
    request_id: str = ""
    html: bool = False

    def names(self, *fields: str) -> bool:
        """Whether a detail complains about one of `fields`, or the sentence mentions one of them."""
        wanted = {name.lower() for name in fields if name}
        if any(detail.field.lower() in wanted for detail in self.details):
            return True
        return any(re.search(rf"\b{re.escape(name)}\b", self.said.lower()) for name in wanted)


def read_error(status: int, body: bytes, shape: ErrorShape | None = None) -> ErrorAnswer:
    """Understand an error body; any bytes are survived. Secrets and tracebacks are left out."""
    shape = shape or ErrorShape()
    text = body.decode("utf-8", "replace").strip()
    if not text:
        return ErrorAnswer(status, f"{status} without a word")
    decoded = decode_json(body)
    if decoded is not None and not isinstance(decoded, int | float | bool):
        return error_from(status, decoded, shape)
    if looks_like_html(text):
        return ErrorAnswer(status, f"{status} {_clean(_html_words(text)) or 'an HTML page'}", html=True)
    return ErrorAnswer(status, f"{status} {_clean(text)}")


def error_from(status: int, decoded: Any, shape: ErrorShape | None = None) -> ErrorAnswer:
    """The same for a body, or an item's error within a batch answer, that is decoded already."""
    shape = shape or ErrorShape()
    code = _text(dig(decoded, shape.code)) if shape.code else ""
    message = _text(dig(decoded, shape.message)) if shape.message else ""
    code = code or _first_word(decoded, _CODE_KEYS)
    details = tuple(_details(dig(decoded, shape.details) if shape.details else _usual_details(decoded), shape))
    told = "; ".join(_tell(detail) for detail in details[:3])
    message = message or _first_word(decoded, _MESSAGE_KEYS)
    if not message and not told:
        message = _any_text(decoded)
    parts = [part for part in (code if code != message else "", message, told) if part]
    request_id = _text(dig(decoded, shape.request_id)) if shape.request_id else ""
    return ErrorAnswer(status, _clean(f"{status} {': '.join(parts)}"), code, details, request_id)


def decode_json(body: bytes) -> Any:
    """The decoded body, or None when it is no JSON."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def looks_like_html(text: str) -> bool:
    """Whether a body is a web page: the sign of a wrong URL, a proxy or a login page in between."""
    start = text.lstrip()[:200].lower()
    return start.startswith(("<!doctype html", "<html", "<head", "<body")) or "<html" in start


def dig(value: Any, path: str | None) -> Any:
    """What lies at a dotted path inside decoded JSON (numbers index lists), or None."""
    if not path:
        return value
    for part in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, Sequence) and not isinstance(value, str | bytes) and part.isdigit():
            value = value[int(part)] if int(part) < len(value) else None
        else:
            return None
    return value


def _details(value: Any, shape: ErrorShape) -> Iterator[Detail]:
    if isinstance(value, Mapping):  # {"email": ["is invalid"]}
        for name, said in value.items():
            yield Detail(str(name), "", _text(said) or _any_text(said))
    elif isinstance(value, list):
        for entry in value:
            if isinstance(entry, Mapping):
                parts = (shape.detail_field, shape.detail_code, shape.detail_message)
                field, code, message = (_text(entry.get(part)) for part in parts)
                yield Detail(field, code, message or _first_word(entry, _MESSAGE_KEYS))
            elif entry:
                yield Detail("", "", _text(entry))


def _usual_details(decoded: Any) -> Any:
    """Complaints per field where they usually are: `{"errors": {"email": ["is invalid"]}}`."""
    if not isinstance(decoded, Mapping):
        return None
    lower = {str(name).lower(): inner for name, inner in decoded.items()}
    return next((lower[name] for name in ("errors", "details") if isinstance(lower.get(name), Mapping)), None)


def _tell(detail: Detail) -> str:
    return " ".join(part for part in (detail.field, detail.message or detail.code) if part)


def _first_word(value: Any, keys: Sequence[str], depth: int = 0) -> str:
    if depth > 4:
        return ""
    if isinstance(value, list):
        return next((word for entry in value[:3] if (word := _first_word(entry, keys, depth + 1))), "")
    if not isinstance(value, Mapping):
        return ""
    lower = {str(name).lower(): inner for name, inner in value.items()}
    for key in keys:
        if isinstance(lower.get(key), str) and lower[key].strip():
            return str(lower[key])
    inside = [lower[name] for name in _WRAPPERS if isinstance(lower.get(name), Mapping | list)]
    return next((word for inner in inside if (word := _first_word(inner, keys, depth + 1))), "")


def _any_text(value: Any, depth: int = 0) -> str:
    """All texts of a body without familiar names, in order: better than silence."""
    if isinstance(value, str):
        return value
    if depth > 4:
        return ""
    if isinstance(value, Mapping):
        words = [(str(name), _any_text(inner, depth + 1)) for name, inner in value.items()]
        return "; ".join(f"{name}: {word}" for name, word in words[:6] if word)
    if isinstance(value, list):
        return "; ".join(word for inner in value[:6] if (word := _any_text(inner, depth + 1)))
    return ""


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or value is None:
        return ""
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list):
        return ", ".join(word for entry in value[:5] if (word := _text(entry)))
    return ""


def _html_words(text: str) -> str:
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    if title and title.group(1).strip():
        return f"an HTML page: {unescape(title.group(1))}"
    bare = re.sub(r"(?is)<(script|style)\b.*?</\1>|<[^>]*>", " ", text)
    words = _clean(unescape(bare))
    return f"an HTML page: {words}" if words else ""


def _clean(text: str) -> str:
    """One short line: no traceback, control characters, secrets or runs of blanks."""
    trace = _TRACE.search(text)
    if trace:
        text = text[: trace.start()] or text.strip().splitlines()[-1]
    text = _TOKEN.sub(r"\1•••", text)
    text = re.sub(r"[\x00-\x1f\x7f\s]+", " ", text).strip()
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"
