"""The guard against URLs that lead inside."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver

from isthmus.sdk import Misconfigured, NetworkPolicy
from isthmus.sdk.network import AddressRefused, GuardedResolver, tls_context

INSIDE = [
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://10.1.2.3/",
    "https://192.168.0.1/",
    "https://172.16.5.5/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data",
    "https://[fe80::1]/",
    "https://[fd00:ec2::254]/",
    "https://100.100.100.200/",
    "https://0.0.0.0/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[64:ff9b::a00:1]/",
    "https://[2002:7f00:1::]/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://127.1/",
    "https://224.0.0.1/",
]


@pytest.mark.parametrize("url", INSIDE)
def test_addresses_inside_are_refused(url: str) -> None:
    with pytest.raises(Misconfigured, match="may not be called"):
        NetworkPolicy().check_url(url, "reading")


@pytest.mark.parametrize("url", ["https://8.8.8.8/", "https://example.com/", "https://[2606:4700::1111]/"])
def test_public_addresses_pass(url: str) -> None:
    assert NetworkPolicy().check_url(url, "reading").scheme == "https"


@pytest.mark.parametrize(
    "url", ["http://example.com", "ftp://example.com", "example.com", "https://", "https://a b.c", ""]
)
def test_what_is_no_https_address_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured):
        NetworkPolicy(allow_private=True).check_url(url, "reading")


def test_a_login_inside_a_url_is_refused_and_not_shown() -> None:
    with pytest.raises(Misconfigured) as caught:
        NetworkPolicy().check_url("https://me:hunter2@example.com", "reading")
    assert "hunter2" not in str(caught.value.as_dict())


def test_plain_http_is_for_this_machine_only() -> None:
    policy = NetworkPolicy(allow_loopback=True, allow_private=True)
    assert policy.check_url("http://127.0.0.1:8069", "reading")
    assert policy.check_url("http://localhost:8069", "reading")
    with pytest.raises(Misconfigured, match="plain http"):
        policy.check_url("http://10.0.0.5", "reading")


def test_private_addresses_may_be_allowed_but_metadata_only_by_name() -> None:
    policy = NetworkPolicy(allow_private=True)
    assert policy.check_url("https://10.0.0.5", "reading")
    with pytest.raises(Misconfigured, match="metadata"):
        policy.check_url("https://169.254.169.254", "reading")
    assert NetworkPolicy(allow=("169.254.0.0/16",)).check_url("https://169.254.169.254", "reading")


class Answers(AbstractResolver):
    """A name service that says something else each time."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[Any]:
        return [
            {"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": 0}
            for address in self._answers.pop(0)
        ]

    async def close(self) -> None:
        pass


async def test_a_name_is_judged_by_what_it_resolves_to_each_time() -> None:
    resolver = GuardedResolver(
        NetworkPolicy(), Answers(["93.184.216.34"], ["127.0.0.1"], ["10.0.0.1", "93.184.216.34"])
    )
    assert [entry["host"] for entry in await resolver.resolve("evil.example", 443)] == ["93.184.216.34"]
    with pytest.raises(AddressRefused):
        await resolver.resolve("evil.example", 443)
    assert [entry["host"] for entry in await resolver.resolve("evil.example", 443)] == ["93.184.216.34"]


async def test_a_host_may_be_allowed_by_its_name() -> None:
    resolver = GuardedResolver(NetworkPolicy(allow=("odoo.internal",)), Answers(["10.0.0.7"]))
    assert (await resolver.resolve("odoo.internal", 443))[0]["host"] == "10.0.0.7"


def test_old_tls_is_switched_off() -> None:
    assert tls_context().minimum_version.name == "TLSv1_2"
    assert tls_context().check_hostname
