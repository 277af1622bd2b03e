"""Where ``%compose`` takes its document from. It is read anew for every run, so that edits take effect at once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from mcnb.compose import Environment
from mcnb.runtime import Compose, load


@dataclass(frozen=True)
class Source:
    """Files, or the body of a cell.

    Attributes
    ----------
    files : tuple of str
        Compose files; none means the one of the working directory.
    text : str or None
        The cell's body, in place of files.
    environment : Environment
        What ``-e NAME=VALUE`` said.
    """

    files: tuple[str, ...] = ()
    text: str | None = None
    environment: Environment = field(default_factory=Environment)

    def with_environment(self, more: Environment) -> Source:
        """Return the source with further values of ``-e``."""
        overrides = {**(self.environment.overrides or {}), **(more.overrides or {})}
        return replace(self, environment=Environment(overrides=overrides))

    def open(self) -> Compose:
        """Load the document.

        Raises
        ------
        DocumentError
            With every problem found.
        """
        return load(*self.files, text=self.text, name="<cell>", env=self.environment.overrides)
