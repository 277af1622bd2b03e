"""Models that are already on this machine: a folder, or a ``.gguf`` file."""

from __future__ import annotations

from pathlib import Path

from mcnb.compose.schema import LocalSource
from mcnb.errors import ModelNotFoundError
from mcnb.models.control import Control
from mcnb.models.progress import Report
from mcnb.models.snapshot import Snapshot
from mcnb.models.sources.gguf import converted


def open_local(source: LocalSource, folder: Path, *, control: Control, report: Report) -> Snapshot:
    """Return the snapshot of a local path.

    Raises
    ------
    ModelNotFoundError
        When there is nothing at the path.
    """
    path = (folder / Path(source.path).expanduser()).resolve()
    if path.is_dir():
        files = sorted(path.glob("*.gguf"))
        if len(files) != 1 or any(path.glob("*.safetensors")) or any(path.glob("*.bin")):
            return Snapshot(source.path, "local", path)
        path = files[0]
    if path.suffix == ".gguf" and path.is_file():
        return Snapshot(source.path, "local", converted(path, source.path, control=control, report=report))
    what = "no file or folder" if not path.exists() else "neither a model's folder nor a .gguf file"
    raise ModelNotFoundError(
        f"{source.path}: there is {what} at {path}", hint="relative paths start at the compose file's folder"
    )
