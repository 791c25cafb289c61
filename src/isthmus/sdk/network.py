"""What may be reached from here: the guard against user-supplied URLs that point inside, and the TLS rules."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from isthmus.errors import Misconfigured

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Cloud metadata services that live outside the link-local ranges.
_METADATA = {ipaddress.ip_address("100.100.100.200"), ipaddress.ip_address("fd00:ec2::254")}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class AddressRefused(OSError):
    """A host name resolved only to addresses that the policy refuses."""

    def __init__(self, host: str, address: str, reason: str) -> None:
        super().__init__(f"{host} is {address}, {reason}")
        self.host = host
        self.address = address
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPolicy:
    """Which hosts may be called. Public addresses always; the rest only as said here.

    `allow` holds networks ("10.1.0.0/16"), addresses or host names that are allowed although they are internal;
    link-local and cloud metadata addresses are reachable in no other way. `ca_file` adds a private authority.
    """

    allow_loopback: bool = False
    allow_private: bool = False
    allow: tuple[str, ...] = ()
    ca_file: str | None = None

    def check_url(self, url: str, doing: str) -> SplitResult:
        """The parts of a URL that may be called; raises Misconfigured with the fix otherwise.

        Names are judged again when they resolve (see `GuardedResolver`); literal addresses are judged here.
        """
        parts = _split(url, doing)
        host = parts.hostname or ""
        if parts.scheme == "http" and not is_loopback(host):
            raise Misconfigured(
                f"{doing}: {url} is plain http",
                hint="Use https://; plain http is accepted only for this machine (127.0.0.1).",
                facts={"url": url},
            )
        literal = _literal(host)
        if literal is not None and (reason := self.refuses(literal, host)):
            raise refused(doing, host, str(literal), reason)
        return parts

    def refuses(self, address: Address, host: str) -> str | None:
        """Why this address may not be called, or None when it may."""
        address = _unwrap(address)
        if self._named(address, host):
            return None
        if address.is_loopback:
            return None if self.allow_loopback else "this machine itself"
        if address.is_link_local or address in _METADATA:
            return "a link-local or cloud metadata address"
        if address.is_multicast or address.is_unspecified:
            return "no address of a single host"
        if not address.is_global:
            return None if self.allow_private else "a private address"
        return None

    def _named(self, address: Address, host: str) -> bool:
        for entry in self.allow:
            try:
                if address in ipaddress.ip_network(entry, strict=False):
                    return True
            except ValueError:
                if entry.lower().rstrip(".") == host.lower().rstrip("."):
                    return True
        return False


class GuardedResolver(AbstractResolver):
    """Resolves names and drops addresses that the policy refuses.

    The connection is made to exactly the addresses given here, so a name that resolves differently a moment
    later (DNS rebinding) gains nothing.
    """

    def __init__(self, policy: NetworkPolicy, inner: AbstractResolver | None = None) -> None:
        self._policy = policy
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        good: list[ResolveResult] = []
        bad: AddressRefused | None = None
        for entry in found:
            reason = self._policy.refuses(ipaddress.ip_address(entry["host"].split("%")[0]), host)
            if reason is None:
                good.append(entry)
            else:
                bad = AddressRefused(host, entry["host"], reason)
        if not good and bad is not None:
            raise bad
        return good

    async def close(self) -> None:
        await self._inner.close()


def refused(doing: str, host: str, address: str, reason: str) -> Misconfigured:
    """The error for a host that the policy does not let us call."""
    shown = host if host == address else f"{host} ({address})"
    return Misconfigured(
        f"{doing}: {shown} is {reason}, which may not be called",
        hint=f"Correct the URL, or allow this host: add {host} to the allowed internal hosts.",
        facts={"host": host, "address": address},
    )


@lru_cache(maxsize=8)
def tls_context(ca_file: str | None = None) -> ssl.SSLContext:
    """TLS 1.2 or newer with certificates checked; `ca_file` (PEM) is trusted besides the system's authorities."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file:
        context.load_verify_locations(cafile=ca_file)
    return context


def is_loopback(host: str) -> bool:
    """Whether a host name or literal address means this machine."""
    if host.lower().rstrip(".") == "localhost" or host.lower().endswith(".localhost"):
        return True
    literal = _literal(host)
    return literal is not None and _unwrap(literal).is_loopback


def origin(parts: SplitResult) -> tuple[str, str, int]:
    """Scheme, host and port: two URLs with equal origins lead to the same server."""
    return parts.scheme, (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def _split(url: str, doing: str) -> SplitResult:
    try:
        parts = urlsplit(url.strip())
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or "\\" in url or any(c.isspace() for c in url.strip()):
        raise Misconfigured(
            f"{doing}: {url!r} is not the address of a server",
            hint="Give a full URL such as https://example.com.",
            facts={"url": url},
        )
    if parts.username or parts.password:
        raise Misconfigured(
            f"{doing}: the URL holds a login",
            hint="Take the user name and password out of the URL; they belong into the connection's secrets.",
        )
    return parts


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        pass
    try:  # 127.1, 0x7f000001, 2130706433: forms that the C library reads as addresses
        return ipaddress.ip_address(socket.inet_aton(host))
    except OSError:
        return None


def _unwrap(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one, where the network would use that."""
    if isinstance(address, ipaddress.IPv6Address):
        for inner in _inner_addresses(address):
            if inner is not None:
                return inner
    return address


def _inner_addresses(address: ipaddress.IPv6Address) -> Sequence[ipaddress.IPv4Address | None]:
    nat64 = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped, address.sixtofour, teredo, nat64
