"""Signatures of webhook deliveries: BNG, gateway, shop and home-made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from isthmus.sdk import AuthFailed, Misconfigured, Secret
from isthmus.sdk.webhook import BNG, NMI, SHOPIFY, SignatureScheme, sign, verify

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STAMP = str(int(NOW.timestamp()))
BODY = b'{"EventID":"1"}'
SECRET = Secret("whsec-current")
OLD = Secret("whsec-before")
HOME_MADE = SignatureScheme(
    header="x-hub-signature-256", form="plain", stamp_key=None, prefix="sha256=", payload="{body}", stamp_is_time=False
)
STAMPED = SignatureScheme(
    header="x-sig", form="plain", stamp_header="x-time", payload="v0:{t}:{body}", encoding="base64", algorithm="sha512"
)


def test_a_known_signature_is_recognised() -> None:
    """The value was computed by hand with another tool: openssl dgst -sha256 -hmac."""
    hand_made = "866bb72800e4eb72370679a5461f9ab5aff4c322ddb0d7c60bde637841c7c238"
    verify(BNG, {"x-bng-signature": f"t={STAMP},v1={hand_made}"}, BODY, [SECRET], NOW)


@pytest.mark.parametrize("scheme", [BNG, NMI, SHOPIFY, HOME_MADE, STAMPED], ids=lambda s: s.header)
def test_a_genuine_delivery_passes_and_a_changed_one_does_not(scheme: SignatureScheme) -> None:
    headers = sign(scheme, BODY, SECRET, STAMP)
    verify(scheme, headers, BODY, [SECRET], NOW)
    with pytest.raises(AuthFailed):
        verify(scheme, headers, BODY + b" ", [SECRET], NOW)
    with pytest.raises(AuthFailed):
        verify(scheme, headers, BODY, [Secret("another")], NOW)
    with pytest.raises(AuthFailed, match="holds no signature"):
        verify(scheme, {}, BODY, [SECRET], NOW)


def test_two_secrets_are_accepted_while_one_replaces_the_other() -> None:
    verify(BNG, sign(BNG, BODY, OLD, STAMP), BODY, [SECRET, OLD], NOW)
    both = (
        sign(BNG, BODY, OLD, STAMP)["x-bng-signature"]
        + ","
        + sign(BNG, BODY, SECRET, STAMP)["x-bng-signature"].split(",")[1]
    )
    verify(BNG, {"x-bng-signature": both}, BODY, [SECRET], NOW)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_an_old_or_early_delivery_is_refused(seconds: int) -> None:
    stamp = str(int((NOW + timedelta(seconds=seconds)).timestamp()))
    with pytest.raises(AuthFailed, match="301 s"):
        verify(BNG, sign(BNG, BODY, SECRET, stamp), BODY, [SECRET], NOW)


def test_a_nonce_needs_no_time() -> None:
    verify(NMI, sign(NMI, BODY, SECRET, "not-a-time"), BODY, [SECRET], NOW)


def test_the_stamp_is_signed_too() -> None:
    headers = sign(BNG, BODY, SECRET, STAMP)
    later = headers["x-bng-signature"].replace(STAMP, str(int(STAMP) + 10))
    with pytest.raises(AuthFailed):
        verify(BNG, {"x-bng-signature": later}, BODY, [SECRET], NOW)


@pytest.mark.parametrize("value", ["", "t=,v1=", "v1=zz", "t=1,v1=", "garbage", "t=x,v1=00", "=,=", "t=1;v1=é"])
def test_garbage_is_refused_without_a_traceback(value: str) -> None:
    with pytest.raises(AuthFailed):
        verify(BNG, {"x-bng-signature": value}, BODY, [SECRET], NOW)


def test_without_a_secret_nothing_is_accepted() -> None:
    with pytest.raises(Misconfigured):
        verify(BNG, sign(BNG, BODY, Secret(""), STAMP), BODY, [Secret("")], NOW)
