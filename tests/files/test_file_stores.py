"""A folder and an SFTP server: the same verbs, nothing outside of the folder, nothing half written."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from file_places import PASSWORD, SftpPlace, folder_at, sftp_server
from isthmus.connectors.files import FolderSettings
from isthmus.errors import AuthFailed, InvalidRecord, IsthmusError, Misconfigured, RefusedByTarget, Unavailable
from isthmus.model.secret import Secret
from isthmus.sdk.connector import ByKeys, Create, Everything, Failed
from isthmus.sdk.registry import find
from isthmus.sdk.services import local_services


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "files"
    root.mkdir()
    monkeypatch.setenv("ISTHMUS_FOLDERS", str(root))
    return root


@pytest.fixture(params=["folder", "sftp"])
async def place(request: pytest.FixtureRequest, root: Path) -> AsyncIterator[Any]:
    if request.param == "folder":
        yield folder_at(root)
        return
    async with sftp_server(root) as server:
        connector = server.connector()
        yield connector
        await connector.close()


async def content(place: Any, path: str, start: int = 0) -> bytes:
    return b"".join([piece async for piece in place.content(path, start)])


async def test_a_file_is_written_whole_found_read_and_moved(place: Any, root: Path) -> None:
    big = os.urandom(700_000)
    written = await place.put("out/deep/a.bin", big, "t1")
    assert (written.path, written.size) == ("out/deep/a.bin", len(big))
    assert (root / "out/deep/a.bin").read_bytes() == big
    assert await content(place, "out/deep/a.bin") == big
    assert await content(place, "out/deep/a.bin", 699_990) == big[-10:]
    await place.put("out/deep/a.bin", b"anew", "t2")
    assert await content(place, "out/deep/a.bin") == b"anew"
    assert [f.path for f in await place.listed("out/deep")] == ["out/deep/a.bin"]
    await place.move("out/deep/a.bin", "done/b.bin")
    assert await place.facts("out/deep/a.bin") is None
    assert (await place.facts("done/b.bin")).size == 4
    assert await place.facts("nowhere/c.bin") is None
    assert sorted(p.name for p in root.rglob("*") if p.is_file()) == ["b.bin"], "something unfinished was left"


async def test_a_move_replaces_nothing_and_names_what_is_missing(place: Any, root: Path) -> None:
    (root / "a").write_text("a")
    (root / "b").write_text("b")
    with pytest.raises(InvalidRecord, match="b is there already"):
        await place.move("a", "b")
    with pytest.raises(InvalidRecord, match=r"no ordinary file|there is no"):
        await place.move("c", "d")
    with pytest.raises(InvalidRecord):
        await content(place, "c")
    assert (root / "b").read_text() == "b"


LEADS_OUT = ["../secret", "/etc/passwd", "in/../../secret", "~/x", "a\\b", "in/a\nb", "x" * 300, ""]


@pytest.mark.parametrize("path", LEADS_OUT)
async def test_a_path_that_could_lead_out_is_refused(place: Any, root: Path, path: str) -> None:
    (root.parent / "secret").write_text("secret")
    for call in (place.facts(path), content(place, path), place.put(path, b"x", "t"), place.move(path, "y")):
        with pytest.raises(InvalidRecord):
            await call
    assert (root.parent / "secret").read_text() == "secret"


async def test_a_symbolic_link_leads_nowhere(place: Any, root: Path) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (root / "link").symlink_to(outside / "secret")
    (root / "door").symlink_to(outside)
    (root / "plain").write_text("p")
    assert [f.path for f in await place.listed("")] == ["plain"]
    for call in (
        content(place, "link"), content(place, "door/secret"), place.listed("door"), place.put("door/x", b"x", "t"),
        place.facts("link"), place.move("plain", "door/plain"), place.move("link", "taken"),
    ):  # fmt: skip
        with pytest.raises(IsthmusError):
            await call
    assert sorted(p.name for p in outside.iterdir()) == ["secret"]
    assert (root / "plain").exists()


async def test_the_seven_verbs_read_and_watch_files_and_refuse_to_write_records(place: Any, root: Path) -> None:
    (root / "a.csv").write_text("x")
    [schema] = await place.describe()
    assert schema.name == "file"
    assert not schema.can_create
    pages = [page async for page in place.changes("file", None)]
    (root / "b.csv").write_text("yy")
    later = [page async for page in place.changes("file", pages[-1].cursor)]
    assert [h.key for h in later[0].hints] == ["b.csv"]
    (root / "a.csv").unlink()
    gone = [page async for page in place.changes("file", later[-1].cursor)]
    assert [(h.key, h.gone) for h in gone[0].hints] == [("a.csv", True)]
    [page] = [page async for page in place.read("file", ByKeys(["b.csv", "a.csv"]), ["name", "size"])]
    assert [(r.key, dict(r.values)) for r in page] == [("b.csv", {"name": "b.csv", "size": 2})]
    [page] = [page async for page in place.read("file", Everything(), ["path"])]
    assert [r.key for r in page] == ["b.csv"]
    assert await place.exists("file", ["a.csv", "b.csv"]) == {"a.csv": False, "b.csv": True}
    [outcome] = await place.create("file", [Create(external_key="x", values={}, idempotency_key="x")])
    assert isinstance(outcome, Failed)
    assert [f.status for f in await place.check() if f.status != "ok"] == []


async def test_a_folder_outside_of_those_allowed_is_not_opened(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    (root / "door").symlink_to(outside)
    for path in (outside, tmp_path, root / "door", root / ".." / "elsewhere"):
        place = folder_at(path)
        [finding] = await place.check()
        assert (finding.status, "ISTHMUS_FOLDERS" in finding.fix) == ("problem", True)
        with pytest.raises(Misconfigured):
            await place.listed("")
    [finding] = await folder_at(root / "missing").check()
    assert finding.fix.startswith("Make it: mkdir")
    below = find("folder").make({"path": "in"}, {}, local_services())
    (root / "in").mkdir()
    assert [f.status for f in await below.check()] == ["ok", "ok"]
    assert FolderSettings().path == ""


@pytest.fixture
async def server(root: Path) -> AsyncIterator[SftpPlace]:
    async with sftp_server(root) as found:
        yield found


async def test_the_host_key_is_pinned_and_the_doctor_shows_the_one_it_saw(server: SftpPlace) -> None:
    bare = server.connector(host_key="")
    [finding] = await bare.check()
    assert server.host_key in finding.message
    assert "host_key" in finding.fix
    other = server.connector(host_key="SHA256:" + "A" * 43)
    with pytest.raises(AuthFailed, match=server.host_key.replace("+", r"\+")):
        await other.listed("")
    assert server.logins == [], "a password was sent to a server that is not the one"
    good = server.connector(host_key=f"SHA256:{'A' * 43}, {server.host_key}")
    assert [f.check for f in await good.check()] == ["login", "host key", "folder"]
    await good.close()


async def test_a_login_is_by_password_or_by_key_and_a_wrong_one_halts(server: SftpPlace) -> None:
    wrong = server.connector(password=Secret("wrong"))
    with pytest.raises(AuthFailed, match="refuses this login") as error:
        await wrong.listed("")
    assert "wrong" not in str(error.value.as_dict()).replace("wrong_", "")
    assert server.client_key is not None
    locked = server.client_key.export_private_key(passphrase="four words").decode()
    by_key = server.connector(password=None, private_key=Secret(locked), passphrase=Secret("four words"))
    assert await by_key.listed("") == []
    assert "key" in server.logins
    await by_key.close()
    for secrets in ({"private_key": Secret(locked)}, {"private_key": Secret("no key at all")}):
        with pytest.raises(AuthFailed, match="private key cannot be read") as unread:
            await server.connector(password=None, **secrets).listed("")
        assert "no key at all" not in repr(unread.value.as_dict())
    assert PASSWORD not in repr(server.settings())


async def test_a_server_that_went_away_is_unavailable_and_is_logged_in_anew(root: Path) -> None:
    async with sftp_server(root) as first:
        place = first.connector()
        assert await place.listed("") == []
        session = place._session
        assert session is not None
        session.ssh.abort()
        await session.ssh.wait_closed()
        assert await place.listed("") == []
    await place.close()
    with pytest.raises(Unavailable):
        await place.listed("")
    private = first.connector()
    private._network = local_services().network
    with pytest.raises(Misconfigured, match="this machine itself"):
        await private.listed("")


async def test_a_session_lost_in_the_middle_is_no_half_file_and_passes_by_itself(root: Path) -> None:
    async with sftp_server(root) as server:
        place = server.connector()
        big = os.urandom(20_000_000)
        await place.put("a.bin", b"before", "t0")

        async def cut() -> None:
            while not any(p.name.startswith(".isthmus-") and p.stat().st_size for p in root.iterdir()):
                await asyncio.sleep(0.005)
            assert place._session is not None
            place._session.ssh.abort()

        cutting = asyncio.create_task(cut())
        with pytest.raises(Unavailable):
            await place.put("a.bin", big, "t1")
        await cutting
        assert (root / "a.bin").read_bytes() == b"before"
        assert [f.path for f in await place.listed("")] == ["a.bin"], "what is unfinished is not seen"
        await place.put("a.bin", big, "t1")
        assert [p.name for p in root.iterdir()] == ["a.bin"]

        async def cut_off() -> None:
            async for _ in place.content("a.bin"):
                assert place._session is not None
                place._session.ssh.abort()

        with pytest.raises(Unavailable):
            await cut_off()
        assert await content(place, "a.bin") == big
        await place.close()


async def test_a_folder_without_the_right_to_write_refuses(server: SftpPlace, root: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    (root / "locked").mkdir(mode=0o500)
    for place in (server.connector(), folder_at(root)):
        with pytest.raises(RefusedByTarget):
            await place.put("locked/a", b"x", "t")
        await place.close()
