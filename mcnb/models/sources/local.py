"""Models that are already on this machine: a folder, or a ``.gguf`` file."""

from __future__ import annotations

from pathlib import Path

from mcnb.compose.schema import LocalSource
from mcnb.errors import ModelNotFoundError
from mcnb.models.control import Control
from mcnb.models.progress import Report
from mcnb.models.snapshot import Snapshot, check_snapshot
from mcnb.models.sources.gguf import converted, the_one
from mcnb.models.sources.gguf_file import GgufFile


def open_local(source: LocalSource, folder: Path, *, allow_pickle: bool, control: Control, report: Report) -> Snapshot:
    """Return the checked snapshot of a local path.

    Raises
    ------
    ModelNotFoundError
        When there is nothing at the path.
    ModelDamagedError, UnsafeModelError, UnsupportedModelError
    """
    path = _place(source, folder)
    if path.is_dir() and not any(path.glob("*.safetensors")) and not any(path.glob("*.bin")):
        name = the_one([file.name for file in path.glob("*.gguf")], "*.gguf")
        path = path / name if name else path
    if path.suffix == ".gguf" and path.is_file():
        path = converted(path, source.path, control=control, report=report)
    if not path.is_dir():
        what = "neither a model's folder nor a .gguf file" if path.exists() else "no file or folder"
        raise ModelNotFoundError(
            f"{source.path}: there is {what} at {path}", hint="relative paths start at the compose file's folder"
        )
    snapshot = Snapshot(source.path, "local", path)
    check_snapshot(snapshot, allow_pickle=allow_pickle)
    return snapshot


def open_file(source: LocalSource, folder: Path) -> GgufFile:
    """Return a local GGUF file: the path itself, or the only one in a folder.

    Raises
    ------
    ModelNotFoundError
        When there is none, or several.
    """
    path = _place(source, folder)
    if path.is_dir() and (name := the_one([file.name for file in path.glob("*.gguf")], "*.gguf")):
        path = path / name
    if not path.is_file():
        raise ModelNotFoundError(
            f"{source.path}: there is no .gguf file at {path}", hint="relative paths start at the compose file's folder"
        )
    return GgufFile(source.path, "local", path)


def _place(source: LocalSource, folder: Path) -> Path:
    return (folder / Path(source.path).expanduser()).resolve()
