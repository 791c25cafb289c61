"""The documents are true: their commands run, their links lead somewhere, their reference equals the code."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from markdown_blocks import LINK, ROOT, WARM, Reader, blocks, documents

from isthmus.store.database import Database

RUN = ["README.md", "docs/tutorial/first-pair.md", "docs/howto/rotate-keys.md", "docs/howto/write-a-flow.md"]
"""Pages whose commands are followed from the first to the last."""


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the command is loaded already; the first page alone would load it a dozen times."""
    path = tmp_path_factory.mktemp("warm") / "s"
    serving = subprocess.Popen([sys.executable, str(WARM), "serve", str(path)])
    while not path.exists():
        assert serving.poll() is None, "it ended"
        time.sleep(0.05)
    yield path
    serving.terminate()
    serving.wait()


@pytest.fixture
def reader(database: Database, tmp_path: Path, warm: Path) -> Iterator[Reader]:
    made = Reader(
        tmp_path,
        {
            "ISTHMUS_HOME": str(tmp_path / "home"),
            "DATABASE_URL": database.url.render_as_string(hide_password=False),
        },
        warm,
    )
    yield made
    made.close()


@pytest.mark.parametrize("page", RUN)
def test_the_commands_of_a_page_run_from_the_first_to_the_last(page: str, reader: Reader) -> None:
    reader.follow(ROOT / page)


@pytest.mark.parametrize("page", documents(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file(page: Path) -> None:
    broken = []
    for found in LINK.finditer(page.read_text()):
        target = found["target"].partition("#")[0]
        if target and not re.match(r"[a-z]+:", target) and not (page.parent / target).exists():
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", documents(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_block_is_followed_or_says_why_not(page: Path) -> None:
    followed = page.relative_to(ROOT).as_posix() in RUN
    silent = [
        f"line {block.line}"
        for block in blocks(page)
        if block.language == "sh" and not followed and not block.mark.startswith("not run: ")
    ]
    assert silent == []


@pytest.mark.parametrize("page", documents(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_yaml_and_json_block_can_be_read(page: Path) -> None:
    for block in blocks(page):
        if block.language in ("yaml", "json"):
            yaml.safe_load(block.code)


def test_every_command_in_a_document_exists() -> None:
    from isthmus.cli.main import COMMANDS

    unknown = []
    for page in documents():
        for found in re.finditer(r"`isthmus ([a-z]+)\b|^isthmus ([a-z]+)\b", page.read_text(), re.MULTILINE):
            name = found[1] or found[2]
            if name not in COMMANDS:
                unknown.append(f"{page.relative_to(ROOT)}: isthmus {name}")
    assert unknown == []


def test_the_reference_is_what_the_code_says() -> None:
    checked = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "docs.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, f"run `make docs`\n{checked.stdout}{checked.stderr}"


def test_every_environment_variable_that_is_read_is_in_the_reference() -> None:
    read = set()
    for path in (ROOT / "src" / "isthmus").rglob("*.py"):
        if path.relative_to(ROOT / "src" / "isthmus").parts[0] in ("sandbox", "testing", "demo"):
            continue
        read |= set(re.findall(r"""environ(?:\.get)?[(\[]"([A-Z_]+)\"""", path.read_text()))
    internal = {"ISTHMUS_POSTGRES_UNSAFE_FAST"}  # for tests: a database that may be lost
    assert read - internal <= set(_docs_tool().ENVIRONMENT)


def test_the_glossary_has_every_state_that_the_store_knows() -> None:
    told = set(re.findall(r"^\| (\w+) \| `(\w+)` \|", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE))
    for word in ("pair", "intent", "link", "change", "conflict"):
        for state in _states(word):
            assert (word, state) in {(of.lower(), name) for of, name in told}, f"{word} {state}"


def test_a_decision_is_less_than_a_page_and_has_its_parts() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert len(pages) >= 8
    for page in pages:
        text = page.read_text()
        assert text.count("\n") <= 50, page.name
        for part in ("## Decision", "## Because", "## Consequences"):
            assert part in text, f"{page.name} lacks {part}"


def test_the_changelog_has_a_section_for_what_is_not_released() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in text
    assert re.search(r"^### (Added|Changed|Fixed|Removed)$", text, re.MULTILINE)


def _states(word: str) -> set[str]:
    """The words that the product's SQL compares a state with, where the table is plain."""
    found = set()
    default = re.search(
        rf"CREATE TABLE {word} \(.*?state TEXT DEFAULT '(\w+)'",
        (ROOT / "src/isthmus/store/migrations/versions/r0002_sync_core.sql").read_text(),
        re.DOTALL,
    )
    if default:
        found.add(default[1])
    return found


def _docs_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_tool", ROOT / "tools" / "docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
