"""Whether a webhook delivery is genuine: signatures over the raw body, compared in constant time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from isthmus.errors import AuthFailed, Misconfigured
from isthmus.model.secret import Secret


class SignatureScheme(BaseModel):
    """How a system signs its deliveries, as data.

    `payload` is what is signed: text with the places `{t}` (the stamp in the header) and `{body}` (the raw body).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    header: str = Field(default="x-bng-signature", description="The header that carries the signature.")
    form: Literal["pairs", "plain"] = Field(
        default="pairs", description="pairs: `t=…,v1=…`; plain: the signature alone, perhaps behind a prefix."
    )
    stamp_key: str | None = Field(default="t", description="The name of the stamp in a header of pairs.")
    signature_key: str = Field(default="v1", description="The name of the signature in a header of pairs; may repeat.")
    prefix: str = Field(default="", description="What stands before the signature in a plain header, like `sha256=`.")
    algorithm: Literal["sha256", "sha512", "sha1"] = Field(default="sha256", description="The hash inside the HMAC.")
    encoding: Literal["hex", "base64"] = Field(default="hex", description="How the signature is written.")
    payload: str = Field(default="{t}.{body}", description="What is signed, with the places {t} and {body}.")
    stamp_is_time: bool = Field(
        default=True, description="The stamp is unix seconds and must be fresh; else it is opaque."
    )
    tolerance_seconds: int = Field(default=300, ge=1, description="How old or early a stamp may be.")
    stamp_header: str | None = Field(
        default=None, description="The header that carries the stamp, when it has its own."
    )


BNG = SignatureScheme()
"""`X-BNG-Signature: t=<unix>,v1=<hex>` over `t.body`, five minutes of tolerance."""

NMI = SignatureScheme(header="webhook-signature", signature_key="s", stamp_is_time=False)
"""`Webhook-Signature: t=<nonce>,s=<hex>` over `t.body`; the nonce is opaque, deliveries are told apart by event id."""

SHOPIFY = SignatureScheme(
    header="x-shopify-hmac-sha256",
    form="plain",
    stamp_key=None,
    encoding="base64",
    payload="{body}",
    stamp_is_time=False,
)
"""`X-Shopify-Hmac-Sha256: <base64>` over the body."""

SCHEMES: Mapping[str, SignatureScheme] = {"bng": BNG, "nmi": NMI, "shopify": SHOPIFY}


def verify(
    scheme: SignatureScheme, headers: Mapping[str, str], body: bytes, secrets: Sequence[Secret], now: datetime
) -> None:
    """Accept a genuine delivery; raise AuthFailed otherwise. Any of `secrets` may have signed (rotation).

    Header names are lower-case. Every candidate is compared with every secret, so timing tells nothing.
    """
    doing = "verifying a webhook delivery"
    usable = [secret for secret in secrets if secret]
    if not usable:
        raise Misconfigured(f"{doing}: this connection has no webhook secret", hint="Set its webhook secret.")
    stamp, signatures = _parts(scheme, headers)
    if not signatures:
        raise AuthFailed(
            f"{doing}: the header {scheme.header} holds no signature",
            hint="Check that the sender signs its deliveries, and the signature scheme of the connection.",
        )
    if scheme.stamp_is_time:
        _check_age(scheme, stamp, now, doing)
    before, _, after = scheme.payload.replace("{t}", stamp).partition("{body}")
    signed = before.encode() + body + after.encode()
    good = False
    for secret in usable:
        expected = hmac.new(secret.reveal().encode(), signed, scheme.algorithm).digest()
        for given in signatures:
            good |= hmac.compare_digest(expected, given)
    if not good:
        raise AuthFailed(
            f"{doing}: the signature does not match",
            hint="Compare the webhook secret here with the one of the subscription; it may have been rotated.",
        )


def sign(scheme: SignatureScheme, body: bytes, secret: Secret, stamp: str = "") -> dict[str, str]:
    """The headers a sender of this scheme would add: for tests and for our own outgoing hooks."""
    before, _, after = scheme.payload.replace("{t}", stamp).partition("{body}")
    digest = hmac.new(secret.reveal().encode(), before.encode() + body + after.encode(), scheme.algorithm).digest()
    written = digest.hex() if scheme.encoding == "hex" else base64.b64encode(digest).decode()
    if scheme.form == "plain":
        headers = {scheme.header: scheme.prefix + written}
        return headers | ({scheme.stamp_header: stamp} if scheme.stamp_header else {})
    head = f"{scheme.stamp_key}={stamp}," if scheme.stamp_key else ""
    return {scheme.header: f"{head}{scheme.signature_key}={written}"}


def body_digest(body: bytes) -> str:
    """A name for a delivery whose system gives none: equal bodies are the same delivery."""
    return hashlib.sha256(body).hexdigest()


def _parts(scheme: SignatureScheme, headers: Mapping[str, str]) -> tuple[str, list[bytes]]:
    value = headers.get(scheme.header.lower(), "").strip()
    stamp = headers.get(scheme.stamp_header.lower(), "").strip() if scheme.stamp_header else ""
    written: list[str] = []
    if scheme.form == "plain":
        if value.startswith(scheme.prefix):
            written.append(value[len(scheme.prefix) :])
    else:
        for part in re.split(r"\s*[,;]\s*", value):
            name, _, given = part.partition("=")
            if name == scheme.signature_key:
                written.append(given)
            elif scheme.stamp_key and name == scheme.stamp_key:
                stamp = given
    return stamp, [raw for text in written if text and (raw := _decoded(scheme, text)) is not None]


def _decoded(scheme: SignatureScheme, text: str) -> bytes | None:
    try:
        return bytes.fromhex(text) if scheme.encoding == "hex" else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return None


def _check_age(scheme: SignatureScheme, stamp: str, now: datetime, doing: str) -> None:
    if not re.fullmatch(r"[0-9]{1,12}", stamp):
        raise AuthFailed(f"{doing}: the stamp {stamp[:20]!r} is no time", hint="Check the signature scheme.")
    age = now.timestamp() - int(stamp)
    if abs(age) > scheme.tolerance_seconds:
        raise AuthFailed(
            f"{doing}: it was signed {abs(age):.0f} s {'ago' if age > 0 else 'in the future'}",
            hint="Check the clocks of both machines; older deliveries are refused because they may be replays.",
        )
