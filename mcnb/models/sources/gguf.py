"""GGUF files: converted once to safetensors beside them, so that every later load takes seconds.

The conversion runs in a process of its own: it can be stopped at any moment, and the memory it takes (about four
times the file) goes back to the system when it ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

from mcnb.errors import ModelDamagedError, ModelError, UnsupportedModelError
from mcnb.models.control import Control
from mcnb.models.home import exclusive, models_home, need_space, written_whole
from mcnb.models.progress import Progress, Report

MANIFEST = "mcnb-conversion.json"
FORMAT = 1
"""Raised when the conversion changes; older results are then made anew."""


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
    _check_magic(path, name)
    target = (beside or _writable_place(path)) / f"{path.stem}-safetensors"
    if _is_current(target, path):
        return target
    with exclusive(target):
        if not _is_current(target, path):
            need_space(target, 4 * path.stat().st_size, f"converting {path.name}")
            with written_whole(target) as scratch:
                _convert(path, scratch, name, control, report)
                (scratch / MANIFEST).write_text(json.dumps(_stamp(path)))
    return target


def _check_magic(path: Path, name: str) -> None:
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ModelDamagedError(f"{name}: {path} is not a GGUF file", hint="fetch it again")


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
    control.check()
    report(Progress("convert", name, 0, 0, "tensors"))
    process = subprocess.Popen(
        [sys.executable, "-m", "mcnb.models.sources.gguf_conversion", str(path), str(target)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONUTF8": "1", "HF_HUB_OFFLINE": "1"},
    )
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(process, control, stop), name="mcnb-convert-watch", daemon=True)
    watcher.start()
    messages: list[str] = []
    reader = threading.Thread(target=_drain, args=(process.stderr, messages), name="mcnb-convert-log", daemon=True)
    reader.start()
    outcome: dict[str, str] = {}
    try:
        assert process.stdout is not None
        for line in process.stdout:
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if "error" in said:
                outcome = said
            else:
                report(Progress("convert", name, said["done"], said["total"], "tensors"))
        process.wait()
    finally:
        stop.set()
        if process.poll() is None:
            process.kill()
            process.wait()
        watcher.join()
        reader.join()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
    control.check()
    if outcome.get("error") == "unsupported":
        raise UnsupportedModelError(f"{name}: {outcome['message']}", hint=outcome.get("hint"))
    if outcome or process.returncode:
        detail = outcome.get("message") or " ".join("".join(messages[-5:]).split())[-300:]
        kind = ModelDamagedError if outcome.get("error") == "damaged" else ModelError
        raise kind(f"{name}: {path} could not be converted ({detail})", hint="fetch the file again")


def _watch(process: subprocess.Popen[str], control: Control, stop: threading.Event) -> None:
    while not stop.wait(0.05):
        try:
            control.check()
        except Exception:  # cancelled or out of time: the caller's own check says which
            process.terminate()
            return


def _drain(stream: IO[str] | None, into: list[str]) -> None:
    for line in stream or ():
        into.append(line)
        del into[:-50]
