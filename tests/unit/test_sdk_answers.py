"""Error bodies of every shape become one short clean sentence, and statuses a next action."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.sdk.answers import LONGEST, ErrorShape, dig, read_error
from isthmus.sdk.statuses import Meaning, meaning

BNG = ErrorShape(code="Error.Code", message="Error.Message", details="Error.Details", request_id="Error.RequestID")


def test_the_described_shape_is_read_whole() -> None:
    body = {
        "Error": {
            "Code": "ValidationFailed",
            "Message": "The body is not valid",
            "RequestID": "r-1",
            "Details": [{"Field": "Email", "Code": "Required", "Message": "must be given"}],
        }
    }
    error = read_error(400, json.dumps(body).encode(), BNG)
    assert error.said == "400 ValidationFailed: The body is not valid: Email must be given"
    assert (error.code, error.request_id, error.details[0].field) == ("ValidationFailed", "r-1", "Email")
    assert error.names("email")
    assert not error.names("SKU")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "409 without a word"),
        (b"  ", "409 without a word"),
        (b'{"message": "taken"}', "409 taken"),
        (b'{"error": {"message": "taken", "code": "dup"}}', "409 dup: taken"),
        (b'{"errors": [{"detail": "taken"}]}', "409 taken"),
        (b'{"errors": {"email": ["is taken", "is odd"]}}', "409 email is taken, is odd"),
        (b'{"error": "invalid_client", "error_description": "Who?"}', "409 invalid_client: Who?"),
        (b'["taken"]', "409 taken"),
        (b'"taken"', "409 taken"),
        (b'{"weird": {"place": "taken"}}', "409 weird: place: taken"),
        (b"plain\n\n  text", "409 plain text"),
        (b"42", "409 42"),
        (
            b"<html><head><title>502 Bad Gateway</title></head><body>x</body></html>",
            "409 an HTML page: 502 Bad Gateway",
        ),
        (b"<!DOCTYPE html><body><script>x=1</script><p>Log&nbsp;in</p></body>", "409 an HTML page: Log in"),
        (b"\xff\xfe\x00", "409 \ufffd\ufffd"),
    ],
)
def test_any_body_gives_a_sentence(body: bytes, said: str) -> None:
    assert read_error(409, body).said == said


def test_no_traceback_and_no_secret_is_passed_on() -> None:
    trace = b'{"message": "It broke. Traceback (most recent call last):\\n  File \\"x.py\\", line 1"}'
    assert read_error(500, trace).said == "500 It broke."
    assert "abcdef123456" not in read_error(401, b"bad token: abcdef123456 for Bearer abcdef123456").said


@given(st.binary(max_size=300), st.integers(100, 599))
def test_no_bytes_break_the_reader(body: bytes, status: int) -> None:
    error = read_error(status, body, BNG)
    assert error.said
    assert len(error.said) <= LONGEST
    assert "\n" not in error.said


def test_a_path_into_nothing_is_none() -> None:
    assert dig({"a": [{"b": 1}]}, "a.0.b") == 1
    assert dig({"a": [{"b": 1}]}, "a.1.b") is None
    assert dig("text", "a.b") is None
    assert dig({"a": 1}, None) == {"a": 1}


def test_a_server_error_is_unknown_for_a_write_and_a_retry_for_a_read() -> None:
    assert meaning(500, writing=True) is Meaning.UNKNOWN
    assert meaning(504, writing=True) is Meaning.UNKNOWN
    assert meaning(500, writing=False) is Meaning.RETRY
    assert meaning(503, writing=True) is Meaning.RETRY


def test_a_row_overrides_the_table_and_the_unknown_is_no_silent_retry() -> None:
    assert meaning(409, writing=True) is Meaning.CLASH
    assert meaning(409, writing=True, rows={409: Meaning.STALE}) is Meaning.STALE
    assert meaning(418, writing=True) is Meaning.REJECT
    assert meaning(302, writing=False) is Meaning.SET_UP
    assert meaning(204, writing=True) is Meaning.OK
