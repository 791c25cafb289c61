"""Fetches and unpacks Odoo 19's Debian package without installing anything on the machine."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from odoo_rig.layout import Layout
from odoo_rig.outcome import RigError, RigUnavailable, say

PACKAGE = "odoo-19"
SUITE = "sid"
# scripts and fonts the package only links to; wanted for Odoo's own pages, dispensable for its API
COMPANIONS = (
    "fonts-dejavu-core",
    "fonts-font-awesome",
    "fonts-inconsolata",
    "fonts-montserrat",
    "fonts-ocr-b",
    "fonts-roboto-unhinted",
    "libjs-jquery",
    "libjs-jquery-form",
    "libjs-underscore",
)
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_PUBLIC_MIRROR = "http://deb.debian.org/debian"
_ROOM_NEEDED = 4 * 1024**3
_NEXT = "or point ISTHMUS_ODOO_DEB at a downloaded odoo-19_*.deb"


def ensure_unpacked(layout: Layout) -> str:
    """Has the package unpacked and returns its version; downloads only what is not there yet."""
    marker = layout.unpacked / ".version"
    if marker.exists():
        return marker.read_text().strip()
    room = shutil.disk_usage(layout.home).free
    if room < _ROOM_NEEDED:
        raise RigUnavailable(
            f"preparing {layout.home}: {room / 1024**3:.1f} GB are free and the rig needs"
            f" {_ROOM_NEEDED / 1024**3:.0f} GB; free some room or choose another --home"
        )
    if shutil.which("dpkg-deb") is None:
        raise RigUnavailable("unpacking Odoo: this machine has no dpkg-deb; the rig needs a Debian or Ubuntu system")
    archive = _downloaded(layout)
    say(f"unpacking {archive.name} (1.2 GB)")
    partial = layout.home / "unpacked.partial"
    shutil.rmtree(partial, ignore_errors=True)
    for each in (archive, *_companions(layout)):
        _run(["dpkg-deb", "-x", str(each), str(partial)], f"unpacking {each.name}", RigError)
    _fill_dangling_links(partial)
    version = _run(["dpkg-deb", "-f", str(archive), "Version"], f"reading {archive.name}", RigError).strip()
    (partial / ".version").write_text(version)
    shutil.rmtree(layout.unpacked, ignore_errors=True)
    partial.rename(layout.unpacked)
    return version


def _downloaded(layout: Layout) -> Path:
    given = os.environ.get("ISTHMUS_ODOO_DEB")
    if given:
        if not Path(given).is_file():
            raise RigError(f"taking Odoo from ISTHMUS_ODOO_DEB={given}: there is no such file")
        return Path(given)
    if not list(layout.packages.glob(f"{PACKAGE}_*.deb")):
        _download(layout)
    return max(layout.packages.glob(f"{PACKAGE}_*.deb"), key=lambda path: path.stat().st_mtime)


def _companions(layout: Layout) -> list[Path]:
    return [path for name in COMPANIONS for path in layout.packages.glob(f"{name}_*.deb")]


def _download(layout: Layout) -> None:
    if shutil.which("apt-get") is None:
        raise RigUnavailable(
            f"downloading {PACKAGE}: this machine has no apt-get; use a Debian or Ubuntu system {_NEXT}"
        )
    if not _KEYRING.exists():
        raise RigUnavailable(
            f"downloading {PACKAGE}: {_KEYRING} is missing, so Debian's signature cannot be checked;"
            f" install the package debian-archive-keyring {_NEXT}"
        )
    mirror = _mirror()
    say(f"downloading {PACKAGE} from {mirror} {SUITE} (123 MB)")
    with TemporaryDirectory(dir=layout.packages) as name:
        private = Path(name)
        (private / "lists" / "partial").mkdir(parents=True)
        (private / "cache" / "archives" / "partial").mkdir(parents=True)
        (private / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {mirror} {SUITE} main\n")
        apt = [
            "apt-get",
            *("-o", f"Dir::Etc::sourcelist={private}/sources.list"),
            *("-o", "Dir::Etc::sourceparts=-"),
            *("-o", f"Dir::State::lists={private}/lists"),
            *("-o", f"Dir::Cache={private}/cache"),
            *("-o", "APT::Sandbox::User=root"),
            *("-o", "Acquire::Languages=none"),
            *("-o", "Acquire::Retries=2"),
        ]
        _run([*apt, "update", "-qq", "--error-on=any"], f"reading the package list of {mirror}", RigUnavailable)
        _run([*apt, "download", "-qq", PACKAGE], f"downloading {PACKAGE}", RigUnavailable, private)
        companions = subprocess.run(
            [*apt, "download", "-qq", *COMPANIONS], cwd=private, capture_output=True, text=True, check=False
        )
        if companions.returncode != 0:
            say("some fonts and scripts could not be had; Odoo's pages will lack them, its API will not")
        for archive in private.glob("*.deb"):
            archive.rename(layout.packages / archive.name)


def _mirror() -> str:
    """`ISTHMUS_ODOO_MIRROR`, else the first Debian archive this machine's apt uses, else Debian's own."""
    given = os.environ.get("ISTHMUS_ODOO_MIRROR")
    if given:
        return given
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=False,
    )
    candidates = listed.stdout.split()
    for source in sorted(Path("/etc/apt").glob("**/*.sources")) + sorted(Path("/etc/apt").glob("**/*.list")):
        candidates += re.findall(r"\b(?:https?|file)://\S+", source.read_text(errors="replace"))
    for candidate in candidates:
        if candidate.rstrip("/").endswith("/debian"):
            return candidate.rstrip("/")
    return _PUBLIC_MIRROR


def _fill_dangling_links(root: Path) -> None:
    """Puts an empty file wherever a link of the package points at something that was not had."""
    inside = root.resolve()
    for path in root.rglob("*"):
        if path.is_symlink() and not path.exists():
            target = Path(os.path.normpath(path.parent.resolve() / os.readlink(path)))
            if target.is_relative_to(inside):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.touch()


def _run(command: list[str], doing: str, failure: type[RigError], cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = " ".join((done.stderr.strip() or done.stdout.strip()).split())[-600:]
        hint = f" (check the network and the mirror, {_NEXT})" if failure is RigUnavailable else ""
        raise failure(f"{doing}: {command[0]} answered {done.returncode}: {said}{hint}")
    return done.stdout
