"""The management API over HTTP, as it is served."""

from __future__ import annotations

import pytest

from joined import Service, Systems, command


async def test_health_needs_no_token_and_everything_else_does(service: Service) -> None:
    assert (await service.call("GET", "/health", token=""))[0] == 200
    for path in ("/api/v1/status", "/api/v1/pairs", "/api/v1/key"):
        assert (await service.call("GET", path, token=""))[0] == 401
        assert (await service.call("GET", path, token="ist_wrong"))[0] == 401
        assert (await service.call("GET", path))[0] == 200


async def test_a_role_may_do_its_own_and_no_more(service: Service) -> None:
    _, made = await service.call("POST", "/api/v1/tokens", {"name": "ann", "role": "viewer"})
    viewer = made["token"]
    assert (await service.call("GET", "/api/v1/status", token=viewer))[0] == 200
    status, told = await service.call("POST", "/api/v1/deadletters/retry", {"numbers": []}, token=viewer)
    assert status == 403
    assert "operator" in str(told)
    assert (await service.call("GET", "/api/v1/tokens", token=viewer))[0] == 403
    assert (await service.call("DELETE", "/api/v1/tokens/ann"))[1] == {"revoked": 1}
    assert (await service.call("GET", "/api/v1/status", token=viewer))[0] == 401


async def test_an_error_is_told_as_on_the_command_line(service: Service) -> None:
    status, told = await service.call("GET", "/api/v1/pairs/nowhere")
    assert status == 422
    assert told["error"]["kind"] == "Misconfigured"
    assert told["error"]["hint"]


async def test_the_answer_of_the_api_is_the_answer_of_the_command(joined: Systems, service: Service) -> None:
    import asyncio

    status, loaded = await service.call("POST", "/api/v1/pairs/main/load", {})
    assert status == 200
    assert loaded["done"]["customer"]["held"] == 0
    for verb, path, arguments in (
        ("GET", "/api/v1/pairs", ("pair", "list")),
        ("GET", "/api/v1/connections", ("connection", "list")),
        ("GET", "/api/v1/deadletters", ("deadletters", "list")),
        ("GET", "/api/v1/pairs/main/changesets", ("undo", "main")),
        ("GET", "/api/v1/key", ("key", "show")),
    ):
        status, told = await service.call(verb, path)
        assert status == 200
        said = (await asyncio.to_thread(command, *arguments, "--json")).json
        assert _plain(told) == _plain(said), path


@pytest.mark.parametrize("body", [{"winner": "up", "numbers": [1]}, {"numbers": "x"}, []])
async def test_a_body_that_does_not_fit_is_refused_with_its_place(service: Service, body: object) -> None:
    status, told = await service.call("POST", "/api/v1/conflicts/settle", body)
    assert status == 422
    assert told["detail"][0]["loc"]


def _plain(value: object) -> object:
    """Instants are written with T by one and with a space by the other."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value.replace("T", " ").replace("Z", "+00:00") if isinstance(value, str) else value
