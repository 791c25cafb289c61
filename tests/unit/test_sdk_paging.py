"""Walking lists by cursor, page, offset and link."""

from __future__ import annotations

import pytest

from isthmus.sdk import Misconfigured
from isthmus.sdk.paging import Page, Paging, first_page, next_page, resume_token, resumed

URL = "https://api.example/v1/things"


def after(paging: Paging, page: Page, decoded: object, rows: int, link: str = "") -> Page | None:
    return next_page(paging, page, decoded, {"link": link} if link else {}, rows, asked=page.url or URL)


def test_a_cursor_is_followed_to_its_end() -> None:
    paging = Paging(style="cursor", more_path="Paging.HasMore")
    first = first_page(paging)
    assert first.params == {"limit": "100"}
    second = after(paging, first, {"Paging": {"NextCursor": "abc", "HasMore": True}}, 100)
    assert second is not None
    assert second.params == {"limit": "100", "cursor": "abc"}
    assert after(paging, second, {"Paging": {"NextCursor": "def", "HasMore": False}}, 100) is None
    assert after(paging, second, {"Paging": {"NextCursor": None}}, 100) is None


def test_a_cursor_that_leads_to_itself_does_not_loop() -> None:
    paging = Paging(style="cursor")
    page = after(paging, first_page(paging), {"Paging": {"NextCursor": "abc"}}, 100)
    assert page is not None
    with pytest.raises(Misconfigured, match="leads to itself"):
        after(paging, page, {"Paging": {"NextCursor": "abc"}}, 100)


def test_pages_are_counted_until_one_is_not_full() -> None:
    paging = Paging(style="page", size=2, size_param="per_page")
    second = after(paging, first_page(paging), [1, 2], 2)
    assert second is not None
    assert second.params == {"per_page": "2", "page": "2"}
    assert after(paging, second, [3], 1) is None
    assert after(paging, second, [], 0) is None


def test_offsets_count_the_rows_that_came() -> None:
    paging = Paging(style="offset", size=50, total_path="total")
    second = after(paging, first_page(paging), {"total": 70}, 40)
    assert second is not None
    assert second.params == {"limit": "50", "offset": "40"}
    assert after(paging, second, {"total": 70}, 30) is None


def test_a_link_header_is_followed_relative_or_not() -> None:
    paging = Paging(style="link")
    first = first_page(paging)
    header = '</v1/things?page=1>; rel="prev", </v1/things?page=3>; rel="next"'
    page = after(paging, first, [], 5, header)
    assert page is not None
    assert page.url == "https://api.example/v1/things?page=3"
    assert after(paging, page, [], 5, '<https://api.example/v1/things?page=1>; rel="first"') is None
    with pytest.raises(Misconfigured):
        after(paging, page, [], 5, f"<{page.url}>; rel=next")


@pytest.mark.parametrize("style", ["cursor", "page", "offset"])
def test_a_page_is_asked_for_again_by_its_token(style: str) -> None:
    paging = Paging(style=style, size=2)  # type: ignore[arg-type]  # the words are those of the form
    first = first_page(paging)
    assert resume_token(paging, first) == ""
    second = after(paging, first, {"Paging": {"NextCursor": "abc"}}, 2)
    assert second is not None
    token = resume_token(paging, second)
    again = resumed(paging, token)
    assert again is not None
    assert (again.params, again.skipped, resume_token(paging, again)) == (
        second.params,
        second.skipped if style != "cursor" else 0,
        token,
    )


def test_what_is_no_token_of_this_system_begins_at_the_beginning() -> None:
    for style, token in (("cursor", "page:3"), ("page", "page:x"), ("offset", "offset:-1"), ("link", "link:https://x"),
                         ("none", "none:1"), ("page", ""), ("page", "42")):  # fmt: skip
        assert resumed(Paging(style=style), token) is None, token  # type: ignore[arg-type]  # the words of the form
