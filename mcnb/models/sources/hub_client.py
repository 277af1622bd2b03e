"""Asking the hub: its answers and failures in mcnb's words, downloads with progress."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from mcnb.compose.schema import HuggingFaceSource
from mcnb.errors import ModelAccessError, ModelDamagedError, ModelDownloadError, ModelNotFoundError
from mcnb.models._compat import import_hub, plain_downloads
from mcnb.models.catalog import similar_repositories
from mcnb.models.control import Control, abandonable
from mcnb.models.sources.hub_cache import HubFile

ATTEMPTS = 3
"""How often a request is made that the network or the server failed."""

PAUSE = 0.2
"""Seconds before the second time; twice as many before the next."""

PATIENCE = 10.0
"""Seconds to wait for an answer."""

_T = TypeVar("_T")


def endpoint() -> str | None:
    """Return the hub's address when the environment names another one."""
    return os.environ.get("HF_ENDPOINT") or None


def is_offline() -> bool:
    """Return whether the environment forbids to ask the hub."""
    words = (os.environ.get("HF_HUB_OFFLINE", ""), os.environ.get("TRANSFORMERS_OFFLINE", ""))
    return any(word.upper() in ("1", "ON", "YES", "TRUE") for word in words)


class HubClient:
    """Asks the hub for one repository. What blocks is left behind when the control says stop.

    Parameters
    ----------
    source : HuggingFaceSource
        The repository, its revision and the token.
    control : Control
        Says stop.
    """

    def __init__(self, source: HuggingFaceSource, control: Control) -> None:
        self._hub = import_hub()
        self._source = source
        self._control = control
        self._options = {"endpoint": endpoint(), "token": source.token or None, "library_name": "mcnb"}

    def listing(self) -> tuple[str, list[HubFile]]:
        """Return the commit the revision stands for, and its files.

        Raises
        ------
        ModelNotFoundError, ModelAccessError, ModelDownloadError
        """
        source = self._source

        def ask() -> Any:
            api = self._hub.HfApi(**self._options)
            return api.model_info(source.repository, revision=source.revision, files_metadata=True, timeout=PATIENCE)

        info = self._asked(ask)
        files = [HubFile(f.rfilename, f.size, f.lfs.sha256 if f.lfs else None, f.blob_id) for f in info.siblings or ()]
        return str(info.sha), files

    def download(self, commit: str, file: HubFile, cache: Path, tell: Callable[[int], None]) -> Path:
        """Bring one file into the cache.

        Parameters
        ----------
        commit : str
            Of the repository.
        file : HubFile
            Listed there.
        cache : Path
            The cache folder.
        tell : callable
            Gets the bytes that have arrived; they start again when an attempt fails.

        Raises
        ------
        ModelNotFoundError, ModelAccessError, ModelDownloadError, ModelDamagedError
        """
        bar = _bar_class(tell, self._control)

        def get() -> str:
            with plain_downloads():
                return str(
                    self._hub.hf_hub_download(
                        self._source.repository,
                        file.name,
                        revision=commit,
                        cache_dir=cache,
                        tqdm_class=bar,
                        **self._options,
                    )
                )

        path = Path(self._asked(get))
        if file.size is not None and path.stat().st_size != file.size:
            raise ModelDamagedError(
                f"{self._source.repository}: {path} has {path.stat().st_size:,} bytes instead of {file.size:,}",
                hint="run it again",
            )
        return path

    def _asked(self, ask: Callable[[], _T]) -> _T:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return abandonable(ask, self._control, "mcnb-hub")
            except Exception as error:
                failure = self._explained(error)
                if failure is error:
                    raise
                if not isinstance(failure, _PassingError):
                    raise failure from error
                if attempt == ATTEMPTS:
                    raise ModelDownloadError(
                        f"{self._source.repository} could not be downloaded: {failure}",
                        hint="check the connection and run it again: whole files that have arrived are kept",
                    ) from error
                self._control.wait(PAUSE * 2 ** (attempt - 1))
        raise AssertionError("unreachable")

    def _explained(self, error: Exception) -> Exception:
        """Return what an exception means: one of mcnb's errors, ``_PassingError``, or the exception itself."""
        errors = self._hub.errors
        name = self._source.repository
        if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
            error = error.__cause__  # "not in the cache either" says nothing; why the hub did not give it does
        if isinstance(error, errors.GatedRepoError):
            return ModelAccessError(
                f"{name} asks for its terms to be accepted and for a token",
                hint="accept them on the model's page, then set 'token: ${env.HF_TOKEN}'",
            )
        if isinstance(error, errors.RepositoryNotFoundError):
            return _not_found(name)
        if isinstance(error, errors.RevisionNotFoundError):
            return ModelNotFoundError(f"{name} has no revision '{self._source.revision}'")
        if isinstance(error, errors.EntryNotFoundError) and not isinstance(error, errors.LocalEntryNotFoundError):
            return ModelNotFoundError(f"{name}: a file is missing on the hub ({first_line(error)})")
        response = getattr(error, "response", None)
        if response is not None:
            status = response.status_code
            if status < 500 and status not in (408, 429):
                return ModelDownloadError(f"{name}: the hub answered {status} ({first_line(error)})")
            return _PassingError(f"the hub answered {status}")
        if isinstance(error, errors.HTTPError | ConnectionError | TimeoutError):
            return _PassingError(f"{endpoint() or 'the hub'} cannot be reached ({first_line(error)})")
        if isinstance(error, OSError) and error.errno is None:  # the client's own: a file shorter than announced
            return _PassingError(first_line(error))
        return error


class _PassingError(Exception):
    """A failure that may be over in a moment."""


def _not_found(name: str) -> ModelNotFoundError:
    close = similar_repositories(name)
    hint = f"did you mean {' or '.join(close)}?" if close else "check the name; a private repository needs 'token'"
    return ModelNotFoundError(f"there is no repository {name} on the hub", hint=hint)


def first_line(error: Exception) -> str:
    """Return what an exception says, in one short line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _bar_class(tell: Callable[[int], None], control: Control) -> Any:
    """Return a stand-in for tqdm: it tells bytes, shows nothing, and ends the download when the run is cancelled."""
    from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[misc]
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
