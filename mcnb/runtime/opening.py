"""Opening a compose file for running in this process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from mcnb.compose import Environment, load_document
from mcnb.runtime.compose import Compose
from mcnb.runtime.runtime import Runtime


def load(
    *paths: str | Path,
    text: str | None = None,
    name: str = "<text>",
    env_files: Iterable[str | Path] = (),
    env: Mapping[str, str] | None = None,
    runtime: Runtime | None = None,
) -> Compose:
    """Load a compose file for running in this process.

    Parameters
    ----------
    *paths : str or Path
        Files, or a folder with one; by default ``model-compose.yml`` of the working directory. Mappings of later files
        are merged over earlier ones.
    text : str, optional
        The YAML itself, in place of files.
    name : str
        What to call the text in messages.
    env_files : iterable of path
        ``.env`` files for ``${env.NAME}``; by default the one beside the compose file.
    env : mapping, optional
        Values that win over files and the process's environment.
    runtime : Runtime, optional
        By default the one of this process.

    Returns
    -------
    Compose

    Raises
    ------
    DocumentError
        With every problem found, each with its file, line and column.
    """
    environment = Environment(tuple(Path(path) for path in env_files), env)
    document = load_document(*paths, text=text, name=name, environment=environment)
    compose = Compose(document, runtime, environment)
    compose.runtime.preload(compose.document)
    return compose
