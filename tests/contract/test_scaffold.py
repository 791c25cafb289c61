"""`isthmus connector new` makes packages whose tests pass at once, from a form or from an OpenAPI document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from scaffolded import installed, run_its_tests
from test_bng import running_bng
from typer.testing import CliRunner

from isthmus.cli.connector import app
from isthmus.connectors.rest import rest_kind
from isthmus.connectors.rest.drafting import draft
from isthmus.connectors.rest.manifest import parse_manifest
from isthmus.sdk import Misconfigured
from isthmus.sdk.registry import FOLDERS, described, find
from isthmus.testing.contract import EntityScenario, Scenario, broken_promises

SHOP = Path(__file__).parent / "shop_openapi.yaml"


def isthmus(*args: str, code: int = 0) -> dict[str, Any]:
    """What `isthmus connector …` says with --json."""
    done = CliRunner().invoke(app, [*args, "--json"])
    assert done.exit_code == code, done.output
    return json.loads(done.output)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A connectors folder of the test's own."""
    monkeypatch.setenv(FOLDERS, str(tmp_path / "connectors"))
    return tmp_path / "connectors"


def test_a_new_package_passes_its_tests_at_once(tmp_path: Path) -> None:
    made = isthmus("new", "acme_two", "--into", str(tmp_path / "pkg"))
    assert "src/isthmus_acme_two/manifest.yaml" in made["files"]
    said = run_its_tests(tmp_path / "pkg", installed(tmp_path / "pkg", tmp_path / "site"))
    assert "22 passed" in said
    test = (tmp_path / "pkg/tests/test_acme_two.py").read_text().splitlines()
    assert [line for line in test if line.startswith("Test")] == [
        'TestAcmeTwo = contract("acme_two", Path(__file__).parent, live="stand-in")'
    ]


def test_a_package_from_a_document_passes_its_tests_at_once(tmp_path: Path) -> None:
    made = isthmus("new", "shop", "--openapi", str(SHOP), "--into", str(tmp_path / "pkg"))
    assert any("/goods/{goodId}/pictures" in doubt for doubt in made["doubts"])
    said = run_its_tests(tmp_path / "pkg", installed(tmp_path / "pkg", tmp_path / "site"))
    assert " passed" in said
    assert "failed" not in said


def test_a_document_of_another_style_is_understood() -> None:
    told = parse_manifest(draft(yaml.safe_load(SHOP.read_text()), "shop", "Shop").manifest, "shop")
    good = told.entities["good"]
    assert (told.base_url, good.path) == ("https://eu.shop.example", "/rest/v2/goods")
    assert (told.auth.style, told.auth.prefix) == ("key", "Bearer ")
    paging = told.paging
    assert (paging.style, paging.first_page, paging.size_param, paging.size) == ("page", 0, "pageSize", 50)
    assert (good.rows, told.wording.record, told.wording.body) == ("result.items", "result", "good")
    assert (good.key, good.version, good.changed_at, good.external_key) == (
        "id", "revision", "modifiedOn", "externalRef"
    )  # fmt: skip
    assert good.filters is not None
    assert (good.filters.updated_since, good.filters.by_external_key) == ("modifiedAfter", "externalRef")
    assert {name for name, one in good.fields.items() if one.readonly} == {"id", "revision", "modifiedOn", "stock"}
    assert {name for name, one in good.fields.items() if one.required} == {"title", "price"}
    assert told.idempotency.header == "X-Idempotency-Key"
    assert good.update is not None
    assert (good.update.method, good.update.style) == ("PATCH", "partial")
    assert told.entities["buyer"].create is None


async def test_what_is_drafted_from_bngs_own_document_works_on_bng(tmp_path: Path) -> None:
    async with (
        running_bng() as live,
        aiohttp.ClientSession() as session,
        session.get(f"{live.url}/openapi.json") as answer,
    ):
        document = await answer.json()
    drafted = draft(document, "bng_two", "BNG two").manifest
    assert {"customer", "product", "vendor", "sales_order", "gl_entry"} <= set(drafted["entities"])
    (tmp_path / "manifest.yaml").write_text(yaml.safe_dump(drafted))
    scenario = Scenario(
        settings={"base_url": "{server}", "client_id": "contract"},
        secrets={"client_secret": "bng-contract-secret-1"},
        refused={"client_secret": "wrong-secret-987654"},
        skip={"changes_resume_from_the_middle": "drafts take lists as unordered"},
        entities={
            "customer": EntityScenario(
                sample={"CompanyName": "Company {n}", "Email": "{n}@example.org", "CreditLimit": "12.50"},
                change={"CompanyName": "Changed {n}"},
                bad={"CompanyName": "No e-mail"},
                missing_key="00000000-0000-7000-8000-000000000000",
            )
        },
    )
    assert await broken_promises(rest_kind(tmp_path / "manifest.yaml"), scenario, running_bng) == {}


def test_a_manifest_in_the_folder_is_a_connector_of_its_own(own_folder: Path) -> None:
    isthmus("new", "corner", "--openapi", str(SHOP), "--only-manifest")
    assert [path.name for path in own_folder.iterdir()] == ["corner.yaml"]
    assert [kind.key for kind in described()] == ["corner"]
    assert find("corner").name == "Corner Shop"
    listed = {one["key"]: one for one in isthmus("list")}
    assert (listed["corner"]["from"], listed["bng"]["from"]) == ("described", "installed")
    assert "api_key" in {one["name"] for one in isthmus("show", "corner")["settings"] if one["secret"]}


def test_a_manifest_that_changed_is_read_again(own_folder: Path) -> None:
    isthmus("new", "corner", "--only-manifest")
    path = own_folder / "corner.yaml"
    assert find("corner").name == "Corner"
    path.write_text(path.read_text().replace("name: Corner", "name: Round the corner"))
    assert find("corner").name == "Round the corner"


def test_a_manifest_under_another_name_than_its_key_is_told(own_folder: Path) -> None:
    isthmus("new", "corner", "--only-manifest")
    (own_folder / "corner.yaml").rename(own_folder / "shop.yaml")
    with pytest.raises(Misconfigured, match="its key is 'corner'") as caught:
        find("shop")
    assert "corner.yaml" in caught.value.hint


@pytest.mark.parametrize("name", ["Acme", "9lives", "class", "bng", "a-b", "../x"])
def test_a_name_that_cannot_be_a_key_is_refused(name: str, tmp_path: Path) -> None:
    error = isthmus("new", name, "--into", str(tmp_path / "pkg"), code=1)["error"]
    assert (error["kind"], (tmp_path / "pkg").exists()) == ("Misconfigured", False)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    isthmus("new", "acme_two", "--into", str(tmp_path))
    (tmp_path / "README.md").write_text("mine")
    error = isthmus("new", "acme_two", "--into", str(tmp_path), code=1)["error"]
    assert "README.md" in error["doing"]
    assert (tmp_path / "README.md").read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("swagger: '2.0'\npaths: {}\n", "not of version 3"),
        ("openapi: 3.1.0\npaths: {}\n", "no path answers a list"),
        ("[1, 2]", "holds no document"),
        ("{", "cannot be read"),
    ],
)
def test_a_useless_document_is_told_as_one(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "doc.yaml").write_text(text)
    arguments = ("new", "acme_two", "--openapi", str(tmp_path / "doc.yaml"), "--into", str(tmp_path / "pkg"))
    assert told in isthmus(*arguments, code=1)["error"]["doing"]
