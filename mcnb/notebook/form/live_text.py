"""The text of a run while it grows: its own pieces, or those of the job that is at work before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mcnb.runtime import Event

_BEFORE = ""
"""In place of a job that begins again: what it wrote before is not what is shown next."""

_ENDED = ("completed", "failed", "cancelled")


class LiveText:
    """Puts the text together that readers see grow.

    A workflow of several jobs has no text of its own until the last one writes. Until then the job at work is shown,
    and where several are, the first until it ends: texts that take turns could not be read. The next one is then shown
    from its beginning.
    """

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._source: tuple[str, int | None] | None = None
        self._ended: set[str] = set()
        self._waiting: dict[tuple[str, int | None], list[str]] = {}

    def __str__(self) -> str:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return "".join(self._pieces)

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def take(self, events: Iterable[Event]) -> tuple[str, bool]:
        """Take in further events.

        Returns
        -------
        text : str
            The new piece.
        anew : bool
            Whether the text begins anew with it.
        """
        new: list[str] = []
        anew = False
        for event in events:
            if event.type == "job":
                self._take_job(event.data)
            if event.type != "token" or not event.data["text"]:
                continue
            job = event.data["job"]
            source = (job, None if event.data["streamed"] else event.data["item"])
            if source != self._source:
                if self._source and self._source[0] != job and self._source[0] not in self._ended:
                    self._waiting.setdefault(source, []).append(event.data["text"])
                    continue
                anew = anew or self._source is not None
                self._source = source
                self._pieces = self._waiting.pop(source, [])
                new = list(self._pieces)
            new.append(event.data["text"])
            self._pieces.append(event.data["text"])
        return "".join(new), anew

    def _take_job(self, data: Mapping[str, Any]) -> None:
        job = data["job"]
        if data["state"] in _ENDED:
            self._ended.add(job)
        elif data["state"] == "processing" and "item" not in data:  # also a further attempt, or turn of a loop
            self._ended.discard(job)
            if self._source and self._source[0] == job:
                self._source = (_BEFORE, None)
                self._ended.add(_BEFORE)
