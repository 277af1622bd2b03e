"""Telling a row that failed from a job that cannot work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mcnb.errors import McnbError, ModelError, error_of

PATIENCE = 8
"""Rows that fail for want of the model before the job gives up, when none has been completed."""


class Trouble:
    """Holds back the first rows that fail for want of a model, until it is clear whose fault that is.

    A million rows with the same error are no result: a model that cannot be had is the job's failure. Where others
    are completed, it is that of the row.

    Parameters
    ----------
    before : int
        Rows of the job that were completed.
    """

    def __init__(self, before: int = 0) -> None:
        self._completed = before
        self._held: list[dict[str, Any]] = []

    def sifted(self, results: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the results that can be kept.

        Raises
        ------
        McnbError
            What the first rows failed with, all of them.
        """
        for result in results:
            if self._completed or not _lacks_model(result):
                self._completed += result["state"] == "completed"
                if self._completed:
                    yield from self.rest()
                yield result
                continue
            self._held.append(result)
            if len(self._held) >= PATIENCE:
                self._give_up(result["error"])

    def rest(self) -> list[dict[str, Any]]:
        """Return what was held back: of so few rows it is the result."""
        found, self._held = self._held, []
        return found

    def _give_up(self, error: dict[str, str]) -> None:
        found = error_of(error["code"], error["message"])
        raise type(found)(f"no row can be computed: {found.message}") if isinstance(found, McnbError) else found


def _lacks_model(result: dict[str, Any]) -> bool:
    error = result["error"]
    return error is not None and isinstance(error_of(error["code"], ""), ModelError)
