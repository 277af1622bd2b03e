"""What ``mcnb up`` was asked for."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mcnb.compose import Document, Environment, load_document

TOKEN_NAMES = ("MCNB_TOKEN", "JUPYTER_TOKEN")


@dataclass(frozen=True)
class ServiceOptions:
    """The options of a service.

    Attributes
    ----------
    files : tuple of str
        The compose files; none means the one of the working directory.
    env_files : tuple of str
        ``--env-file``.
    env : mapping
        ``-e``.
    host, port, web_port
        In place of those of the document.
    gateway_url : str or None
        The kernel gateway where models run; None means this machine.
    token : str
        What requests have to carry; the empty text means that nothing is asked for.
    open_browser : bool
        Whether to open the form in a browser.
    detached : bool
        Whether the terminal is given back.
    """

    files: tuple[str, ...] = ()
    env_files: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    host: str | None = None
    port: int | None = None
    web_port: int | None = None
    gateway_url: str | None = None
    token: str = field(default="", repr=False)
    open_browser: bool = False
    detached: bool = False

    @property
    def environment(self) -> Environment:
        """Where ``${env.NAME}`` takes its values from."""
        return Environment(tuple(Path(path).absolute() for path in self.env_files), dict(self.env))

    def document(self) -> Document:
        """Load the document, or raise DocumentError."""
        return load_document(*self.files, environment=self.environment)

    def to_json(self) -> str:
        """Write the options for another process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> ServiceOptions:
        """Read what ``to_json`` wrote."""
        data = json.loads(text)
        return cls(**{**data, "files": tuple(data["files"]), "env_files": tuple(data["env_files"])})


def chosen_token() -> str:
    """Return the token of the environment, or a new one."""
    return next((found for name in TOKEN_NAMES if (found := os.environ.get(name, "").strip())), None) or (
        secrets.token_hex(24)
    )
