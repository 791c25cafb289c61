"""Walking through long lists: by cursor, page number, offset or link header, described as data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urljoin

from pydantic import BaseModel, ConfigDict, Field

from isthmus.errors import Misconfigured
from isthmus.sdk.answers import dig


class Paging(BaseModel):
    """How a system hands out long lists. Paths point into the answer's JSON, like `Paging.NextCursor`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    style: Literal["none", "cursor", "page", "offset", "link"] = Field(
        default="none",
        description="cursor: the answer names the next page; page: numbers; offset: rows to skip; link: header.",
    )
    size_param: str | None = Field(default="limit", description="The parameter for rows per page.")
    size: int = Field(default=100, ge=1, description="Rows per page.")
    cursor_param: str = Field(default="cursor", description="The parameter that takes the next page's cursor.")
    next_path: str = Field(default="Paging.NextCursor", description="Where the answer holds the next cursor.")
    more_path: str | None = Field(default=None, description="Where the answer says whether more follows.")
    page_param: str = Field(default="page", description="The parameter for the page number.")
    first_page: int = Field(default=1, description="The number of the first page.")
    offset_param: str = Field(default="offset", description="The parameter for the rows to skip.")
    total_path: str | None = Field(default=None, description="Where the answer holds the number of all rows.")


@dataclass(frozen=True, slots=True)
class Page:
    """One page to ask for: parameters to add, or a whole URL from a link header. `skipped` rows came before."""

    params: Mapping[str, str]
    url: str | None = None
    number: int = 0
    skipped: int = 0
    token: str = ""


def first_page(paging: Paging, size: int | None = None) -> Page:
    """The first page, with `size` rows if given."""
    return _page(paging, size, number=paging.first_page)


def next_page(
    paging: Paging,
    page: Page,
    decoded: Any,
    headers: Mapping[str, str],
    rows: int,
    *,
    asked: str,
    size: int | None = None,
) -> Page | None:
    """The page after `page`, which was `asked` for at that full URL and held `rows` rows; None at the end.

    A page that is not full is no end by itself where the system says whether more follows. Raises Misconfigured
    when the same page would be asked again: a wrong path must not loop.
    """
    more = dig(decoded, paging.more_path) if paging.more_path else None
    if paging.style == "none" or more is False:
        return None
    if paging.style == "cursor":
        return _by_cursor(paging, page, dig(decoded, paging.next_path), size)
    if paging.style == "link":
        return _by_link(page, headers.get("link", ""), asked)
    seen = page.skipped + rows
    total = dig(decoded, paging.total_path) if paging.total_path else None
    full = rows >= (size or paging.size)
    ended = seen >= total if isinstance(total, int) else not (more or full)
    if rows == 0 or ended:
        return None
    return _page(paging, size, number=page.number + 1, skipped=seen)


def _by_cursor(paging: Paging, page: Page, found: Any, size: int | None) -> Page | None:
    if found in (None, ""):
        return None
    token = str(found)
    if token == page.token:
        raise Misconfigured(
            f"reading a long list: the cursor {token!r} leads to itself",
            hint=f"Check the paging of the manifest: is the next cursor at {paging.next_path!r}?",
        )
    return _page(paging, size, number=page.number + 1, token=token)


def _by_link(page: Page, header: str, asked: str) -> Page | None:
    """RFC 8288: `<https://…?page=2>; rel="next"`."""
    for target, rest in re.findall(r"<([^>]*)>([^<]*)", header):
        if re.search(r"""(?i)\brel\s*=\s*"?[^";]*\bnext\b""", rest):
            url = urljoin(asked, target)
            if url == page.url:
                raise Misconfigured("reading a long list: the link to the next page leads to itself")
            return Page({}, url=url, number=page.number + 1)
    return None


def _page(paging: Paging, size: int | None, *, number: int, skipped: int = 0, token: str = "") -> Page:
    params: dict[str, str] = {}
    if paging.size_param:
        params[paging.size_param] = str(size or paging.size)
    if paging.style == "page":
        params[paging.page_param] = str(number)
    elif paging.style == "offset":
        params[paging.offset_param] = str(skipped)
    elif paging.style == "cursor" and token:
        params[paging.cursor_param] = token
    return Page(params, number=number, skipped=skipped, token=token)


def resume_token(paging: Paging, page: Page) -> str:
    """What `resumed` takes to ask for this page again; empty for the first one, and for links, which lead anywhere."""
    told = {"cursor": page.token, "page": str(page.number), "offset": str(page.skipped)}.get(paging.style, "")
    first = page.number == paging.first_page and not page.skipped
    return "" if first or not told else f"{paging.style}:{told}"


def resumed(paging: Paging, token: str | None, size: int | None = None) -> Page | None:
    """The page of a token of `resume_token`; None for what is none of this system's."""
    style, _, told = (token or "").partition(":")
    if style != paging.style or not told:
        return None
    if style == "cursor":
        return _page(paging, size, number=paging.first_page + 1, token=told)
    if not (told.isascii() and told.isdigit()):
        return None
    if style == "page":
        before = int(told) - paging.first_page
        return _page(paging, size, number=int(told), skipped=max(0, before) * (size or paging.size))
    return _page(paging, size, number=paging.first_page + 1, skipped=int(told)) if style == "offset" else None
