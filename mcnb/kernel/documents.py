"""The documents of a server's runs: each is checked once, and stays only in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mcnb.compose import Document, Environment, document_from_source

MOST = 32
"""Documents that are kept; a server serves a few."""


class Documents:
    """The latest documents, by what they say, where they are and the environment values in them."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, Document] = OrderedDict()

    def get(self, said: Mapping[str, Any]) -> Document:
        """Return the document of a ``run`` message.

        Parameters
        ----------
        said : mapping
            ``digest, source, folder, files, env``; the environment values are in no file of this machine.

        Raises
        ------
        DocumentError
            When it is none that this version can load.
        """
        env = {str(name): str(value) for name, value in said["env"].items()}
        files = tuple(said["files"])
        key = said["digest"], said["folder"], files, tuple(sorted(env.items()))
        found = self._known.get(key)
        if found is None:
            made = document_from_source(said["source"], Path(said["folder"]), Environment(overrides=env))
            found = replace(made, files=files)
            self._known[key] = found
            if len(self._known) > MOST:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return found
