"""The file an output is written to."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mcnb.errors import InvalidInputError, McnbError


class OutputFile:
    """A file to write whole or not at all.

    Parameters
    ----------
    path : str
        As given by the user; a link is followed, and a device is written into.

    Raises
    ------
    InvalidInputError
        When it cannot be written.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path).expanduser().resolve()
        reason = self._refusal()
        if reason:
            raise InvalidInputError(f"-o {path}: {reason}")

    def _refusal(self) -> str | None:
        folder = self.path.parent
        if self.path.is_dir():
            return "this is a folder"
        if not folder.is_dir():
            return f"there is no folder {folder}"
        writable = self._is_special or os.access(folder, os.W_OK)
        return (
            None if writable and (not self.path.exists() or os.access(self.path, os.W_OK)) else "it cannot be written"
        )

    @property
    def _is_special(self) -> bool:
        return self.path.exists() and not self.path.is_file()

    def write(self, text: str) -> None:
        """Write the text.

        Raises
        ------
        McnbError
            When it cannot be written after all.
        """
        scratch = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            if self._is_special:  # never put a file in place of /dev/null
                self.path.write_bytes(text.encode())
                return
            scratch.write_bytes(text.encode())
            if self.path.exists():
                shutil.copymode(self.path, scratch)
            scratch.replace(self.path)
        except OSError as error:
            if scratch.exists():
                scratch.unlink()
            raise McnbError(f"the output could not be written to {self.path} ({error.strerror})") from error
