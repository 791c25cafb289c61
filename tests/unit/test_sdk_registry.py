"""Connectors are found by entry point, and wrong settings are told field by field without showing secrets."""

from __future__ import annotations

import pytest

from isthmus.sdk import Misconfigured, Rate, Secret
from isthmus.sdk.registry import find


def test_bng_is_installed_and_describes_its_settings() -> None:
    kind = find("bng")
    assert kind.name == "BNG"
    assert "client_secret" in kind.secret_names()
    assert "base_url" not in kind.secret_names()
    assert kind.rate({"base_url": "https://x", "client_id": "me"}) == Rate(5, 10)
    assert kind.rate({"base_url": "https://x", "client_id": "me", "calls_per_second": 50}) == Rate(50, 10)


def test_an_unknown_connector_is_told_with_those_there_are() -> None:
    with pytest.raises(Misconfigured, match="bgn") as caught:
        find("bgn")
    assert "Did you mean 'bng'?" in caught.value.hint


def test_wrong_settings_name_the_field_and_no_secret() -> None:
    with pytest.raises(Misconfigured) as caught:
        find("bng").parse({"base_url": 7, "colour": "red"}, {"client_secret": Secret("hunter2")})
    assert "base_url" in str(caught.value)
    assert "colour" in str(caught.value)
    assert "hunter2" not in str(caught.value.as_dict())
