"""Everybody who is measured, started when first asked for and ended at the end."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType

import mcnb
from mcnb.models.home import home
from tests.reliability.server_process import free_port

from . import contenders
from .bare import Bare
from .load import Load
from .prompts import Prompts
from .settings import Settings
from .two_servers import Side, compose_file, started_peer


class Field:
    """Starts whom a benchmark wants beside it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.prompts = Prompts(settings.model)
        self.load = Load(self.prompts)
        self._stack = ExitStack()
        self._bare: dict[str, Bare] = {}

    def __enter__(self) -> Field:
        name = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="mcnb-", ignore_cleanup_errors=True))
        self.folder = Path(name)
        self._port = free_port()
        self.document = compose_file(self.folder, self.settings.model, self._port)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @cached_property
    def here(self) -> contenders.Here:
        """The Runtime of this process, its model loaded."""
        found = contenders.Here("mcnb", "", {}, mcnb.load(str(self.document)))
        found.compose.runtime.submit(
            found.compose.document, "streamed", {"prompt": "Once upon a time", "tokens": 4}
        ).result()
        self.settings.say(f"mcnb computes in {found.loaded.placement.dtype} ({found.loaded.placement.reason})")
        return found

    @cached_property
    def up(self) -> Side:
        """``mcnb up``."""
        _ = self.here  # what is measured of the machine is known when the server starts
        return self._stack.enter_context(contenders.up(self.document, home(), self.folder / "up"))

    @cached_property
    def others(self) -> list[Side]:
        """The servers of others, as far as their environments were named."""
        found: list[Side] = []
        if self.settings.peer is None:
            self.settings.say("no --peer: the lines of model-compose are left out")
        else:
            started = started_peer(self.settings.peer, self.document, self._port, self.prompts)
            found.append(self._stack.enter_context(started))
        if self.settings.llama_cpp is None:
            self.settings.say("no --llama-cpp: the lines of llama.cpp's server are left out")
        else:
            llama = contenders.llama_cpp(self.settings.llama_cpp, self.settings.gguf, self.folder)
            found.append(self._stack.enter_context(llama))
        return found

    def bare(self, dtype: str) -> Bare:
        """transformers alone, in a process of its own."""
        if dtype not in self._bare:
            self._bare[dtype] = Bare(self.settings.model, dtype)
            self._stack.callback(self._bare[dtype].close)
            self._bare[dtype].generate(["Once upon a time"], 4)
        return self._bare[dtype]
