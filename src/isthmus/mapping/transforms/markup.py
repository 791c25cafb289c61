"""Transforms between HTML and plain text."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from html import escape
from html.parser import HTMLParser
from typing import Any

import re2

from isthmus.mapping.transform import Build, Example, Step, Transform, no_change
from isthmus.mapping.transforms.text import as_text

_BLOCKS = frozenset(
    (
        *("p", "div", "section", "article", "header", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol"),
        *("table", "tr", "blockquote", "pre", "figure", "hr", "dl", "dt", "dd"),
    )
)
_HIDDEN = frozenset(("script", "style", "head", "title", "template"))
_SPACE = re2.compile(r"[ \t\r\n\x0b\x0c\xa0]+")
_MANY_BREAKS = re2.compile(r"\n{3,}")
_SPACED_BREAK = re2.compile(r" *\n *")
_TAG = re2.compile(r"</?[A-Za-z][^<>]*>|<!--")


class _Reader(HTMLParser):
    """Collects the text of a document: blocks and list items on lines of their own."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self._hidden += 1
        elif tag == "br":
            self.parts.append("\n")
        elif tag == "li":
            self.parts.append("\x00- ")
        elif tag in _BLOCKS:
            self.parts.append("\x00")
        elif tag in ("td", "th"):
            self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in _HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag in _BLOCKS or tag == "li":
            self.parts.append("\x00")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(_SPACE.sub(" ", data.replace("\x00", "")))


def html_to_text(html: str) -> str:
    """The readable text of HTML; paragraphs and list items are lines, scripts and styles are left out."""
    return str(_short_html_to_text(html)) if len(html) < _SHORT else _html_to_text(html)


_SHORT = 4_000
"""Notes up to this length are kept for the next read: the same record is read many times."""


def _html_to_text(html: str) -> str:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    text = "".join(reader.parts)
    # A block boundary breaks the line once, however many elements end or begin there.
    text = "\n".join(chunk for chunk in (c.strip(" ") for c in text.split("\x00")) if chunk)
    return str(_MANY_BREAKS.sub("\n\n", _SPACED_BREAK.sub("\n", text))).strip()


_short_html_to_text = lru_cache(maxsize=4_096)(_html_to_text)


def text_to_html(text: str) -> str:
    """Plain text as one HTML paragraph with line breaks."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return f"<p>{'<br>'.join(escape(line, quote=False) for line in lines)}</p>"


class HtmlToText(Transform):
    """Reads HTML as plain text and writes plain text as HTML; formatting stays where the text is unchanged."""

    name = "html_to_text"
    label = "HTML to text"
    group = "text"
    examples = (
        Example(raw="<p>Good &amp; cheap<br/>since 1990</p>", value="Good & cheap\nsince 1990",
                back="<p>Good &amp; cheap<br>since 1990</p>"),
        Example(raw="<ul><li>One</li><li>Two</li></ul>", value="- One\n- Two", back="<p>- One<br>- Two</p>"),
        Example(raw="<p><br></p>", value=None),
        Example(raw="<script>alert(1)</script>ok", value="ok", back="<p>ok</p>"),
    )  # fmt: skip

    def build(self, at: Build) -> Step:
        path = at.paths.get("", "")

        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            return html_to_text(as_text(value)) or None

        def write(value: Any, record: Mapping[str, Any]) -> Any:
            now = record.get(path)
            if isinstance(now, str) and now and html_to_text(now) == value:
                return now
            return text_to_html(as_text(value))

        return self.step(read, write)


class TextToHtml(Transform):
    """Reads plain text as HTML and writes HTML back as plain text."""

    name = "text_to_html"
    label = "Text to HTML"
    group = "text"
    examples = (
        Example(raw="a < b\nc", value="<p>a &lt; b<br>c</p>"),
        Example(raw="<b>x</b>", value="<p>&lt;b&gt;x&lt;/b&gt;</p>"),
    )

    def build(self, at: Build) -> Step:
        return self.step(
            lambda value, _: text_to_html(as_text(value)), lambda value, _: html_to_text(as_text(value)) or None
        )


class StripHtml(Transform):
    """Reads text that may carry HTML as plain text; text without tags stays as it is, writing leaves the text alone."""

    name = "strip_html"
    label = "Strip HTML"
    group = "text"
    examples = (
        Example(raw="<p>Oak &amp; steel</p>", value="Oak & steel", back="Oak & steel"),
        Example(raw="weight < 5 kg & small", value="weight < 5 kg & small"),
        Example(raw="<br>", value=None),
    )

    def build(self, at: Build) -> Step:
        def read(value: Any, _record: Mapping[str, Any]) -> Any:
            text = as_text(value)
            return (html_to_text(text) or None) if _TAG.search(text) else text

        return self.step(read, no_change)
