"""GGUF files: converted once to safetensors beside them, so that every later load takes seconds.

The conversion runs in a process of its own: it can be stopped at any moment, and the memory it takes (about four
times the file) goes back to the system when it ends.
"""

from __future__ import annotations

import fnmatch
import json
import os
from collections.abc import Iterable
from pathlib import Path

from mcnb.errors import DiskFullError, ModelDamagedError, ModelError, ModelNotFoundError, UnsupportedModelError
from mcnb.models.child import run_child
from mcnb.models.control import Control
from mcnb.models.home import exclusive, models_home, need_space, written_whole
from mcnb.models.progress import Progress, Report, Throttled

MANIFEST = "mcnb-conversion.json"
FORMAT = 1
"""Raised when the conversion changes; older results are then made anew."""


def the_one(names: Iterable[str], wanted: str) -> str | None:
    """Return the one file that a name or a pattern means; None when there is none.

    Raises
    ------
    ModelNotFoundError
        When there are several.
    """
    names = sorted(names)
    found = [n for n in names if n == wanted] or [n for n in names if fnmatch.fnmatch(Path(n).name, wanted)]
    if len(found) > 1:
        raise ModelNotFoundError(
            f"'{wanted}' means {len(found)} files: {', '.join(found[:8])}", hint="name one of them with 'filename'"
        )
    return found[0] if found else None


def converted(path: Path, name: str, *, control: Control, report: Report, beside: Path | None = None) -> Path:
    """Return the folder of safetensors made from a GGUF file, making it on first use.

    Parameters
    ----------
    path : Path
        The GGUF file.
    name : str
        The model, for messages.
    beside : Path, optional
        Where the folder is made; by default beside the file, or in mcnb's own folder when that cannot be written.

    Raises
    ------
    ModelDamagedError
        When the file is cut or not GGUF.
    UnsupportedModelError
        When transformers cannot read its architecture.
    """
    check_magic(path, name)
    target = (beside or _writable_place(path)) / f"{path.stem}-safetensors"
    if _is_current(target, path):
        return target
    with exclusive(target, control):
        if not _is_current(target, path):
            need_space(target, 4 * path.stat().st_size, f"converting {path.name}")
            with written_whole(target) as scratch:
                _convert(path, scratch, name, control, report)
                (scratch / MANIFEST).write_text(json.dumps(_stamp(path)))
    return target


def check_magic(path: Path, name: str) -> None:
    """Make sure that a file is there, and is a GGUF file.

    Raises
    ------
    ModelDamagedError
    """
    if not path.is_file():
        raise ModelDamagedError(f"{name}: {path} is missing", hint="fetch it again")
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ModelDamagedError(f"{name}: {path} is cut or not a GGUF file", hint="fetch it again")


def _writable_place(path: Path) -> Path:
    if os.access(path.parent, os.W_OK):
        return path.parent
    return models_home() / "converted" / str(path.parent).strip("/\\").replace(os.sep, "-").replace(":", "")


def _stamp(path: Path) -> dict[str, int]:
    stat = path.stat()
    return {"format": FORMAT, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _is_current(target: Path, path: Path) -> bool:
    try:
        return bool(json.loads((target / MANIFEST).read_text()) == _stamp(path))
    except (OSError, ValueError):
        return False


def _convert(path: Path, target: Path, name: str, control: Control, report: Report) -> None:
    tell = Throttled(report)
    tell(Progress("convert", name, 0, 0, "tensors"))
    outcome: dict[str, str] = {}
    notes: list[str] = []

    def hear(line: str) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            notes.append(line.strip())
            del notes[:-5]
        elif "error" in said:
            outcome.update(said)
        else:
            tell(Progress("convert", name, said["done"], said["total"], "tensors"))

    module = "mcnb.models.sources.gguf_conversion"
    offline = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    status = run_child(["-m", module, str(path), str(target)], control=control, env=offline, on_line=hear)
    if not outcome and not status:
        return
    message = outcome.get("message") or " ".join(notes)[-300:] or f"status {status}"
    kind = outcome.get("error")
    if kind == "unsupported":
        raise UnsupportedModelError(f"{name}: {message}", hint=outcome.get("hint"))
    if kind == "disk":
        raise DiskFullError(f"the disk became full while converting {path.name} in {target.parent}")
    error = ModelDamagedError if kind == "damaged" else ModelError
    raise error(f"{name}: {path} could not be converted ({message})", hint="fetch the file again")
