"""The owner of a model on a server: takes generations, and sends as many as the server may have at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine, Mapping
from concurrent.futures import CancelledError
from importlib.metadata import version
from typing import Any, TypeVar

from mcnb.errors import InternalError, McnbError, RunCancelledError
from mcnb.models.chat import Prompt
from mcnb.models.control import Control
from mcnb.models.drivers.contract import Description
from mcnb.models.drivers.openai.body import parameters_for
from mcnb.models.drivers.openai.catalog import Listed, look_up
from mcnb.models.drivers.openai.counting import Counter
from mcnb.models.drivers.openai.generating import Generating
from mcnb.models.drivers.openai.server import Server
from mcnb.models.loop_thread import LoopThread
from mcnb.models.parameters import Origin, Parameters
from mcnb.models.request import Generation, Priority, full_queue
from mcnb.models.rows import OnPrompt, OnText

AT_ONCE = 32
"""Generations that the server has at a time; it has a queue of its own."""

_T = TypeVar("_T")


class ServedModel:
    """Owns the connections to a model on a server; see ``drivers.contract.Owner``.

    Parameters
    ----------
    server : Server
        Where it is.
    listed : Listed
        The model there.
    loop : LoopThread
        In which the server was asked for it.
    provider : str
        Of the document.
    extensions : bool
        Whether the server may be sent what is not in OpenAI's own API.
    load_seconds : float
        How long asking took.
    """

    def __init__(
        self,
        server: Server,
        listed: Listed,
        loop: LoopThread,
        *,
        provider: str,
        extensions: bool,
        load_seconds: float,
    ) -> None:
        self._server = server
        self._loop = loop
        self._extensions = extensions
        self._counter = Counter(server, listed.name)
        self._lock = threading.Lock()
        self._closed = False
        self._waiting: list[Generation] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self._generating = Generating(server, listed, self._counter, extensions=extensions)
        self.description = Description(
            driver="openai",
            version=f"httpx {version('httpx')}",
            name=listed.name,
            provider=provider,
            revision=None,
            device="server",
            dtype="as served",
            dtype_reason="chosen by the server",
            threads=0,
            memory=0,
            load_seconds=load_seconds,
            context_length=listed.context_length,
            settings={"base_url": server.url, "extensions": extensions, **listed.about},
        )

    @classmethod
    def opened(
        cls, server: Server, name: str | None, *, provider: str, extensions: bool, control: Control
    ) -> ServedModel:
        """Ask a server for a model; see ``catalog.look_up``."""
        started = time.perf_counter()
        loop = LoopThread("mcnb-server")
        try:
            listed = _waited_for(look_up(server, name), loop, control)
        except BaseException:
            _waited_for(server.close(), loop, Control())
            loop.let_go()()
            raise
        seconds = time.perf_counter() - started
        return cls(server, listed, loop, provider=provider, extensions=extensions, load_seconds=seconds)

    @property
    def waiting(self) -> int:
        """How many generations wait to be sent."""
        return len(self._waiting)

    @property
    def ended(self) -> bool:
        """See ``Owner``."""
        return False

    def parameters(self, user: Mapping[str, Any], document: Mapping[str, Any], seed: tuple[int, Origin]) -> Parameters:
        """See ``Owner``."""
        return parameters_for(user, document, seed, extensions=self._extensions)

    def warning(self, text: str) -> str | None:
        """See ``Owner``; a server does not tell what its model was trained for."""
        return None

    def count_tokens(self, prompt: Prompt) -> int | None:
        """See ``Owner``."""
        return _waited_for(self._counter.count(prompt), self._loop, Control())

    def submit(
        self,
        prompt: Prompt,
        parameters: Parameters,
        *,
        control: Control,
        on_text: OnText,
        on_prompt: OnPrompt | None = None,
        priority: Priority = "interactive",
        reproducible: bool = True,
    ) -> Generation:
        """See ``Owner``."""
        generation = Generation(prompt, parameters, control, on_text, on_prompt, priority, reproducible)
        with self._lock:
            if self._closed:
                generation.settle(InternalError(f"{self.description.name} is not in use any more"))
            elif full := full_queue(self.description.name, len(self._waiting)):
                generation.settle(full)
            else:
                self._waiting.append(generation)
                self._loop.started().call_soon_threadsafe(self._send_more)
        return generation

    def close(self) -> None:
        """See ``Owner``."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        _waited_for(self._end(), self._loop, Control())
        self._loop.let_go()()

    async def _end(self) -> None:
        while self._under_way:
            await asyncio.wait(self._under_way)
            await asyncio.sleep(0)  # those that take their place begin
        await self._server.close()

    def _send_more(self) -> None:
        """Send what waits, as far as there is room: those whose turn it is."""
        while len(self._under_way) < AT_ONCE:
            with self._lock:
                if not self._waiting:
                    return
                generation = min(self._waiting, key=lambda one: one.due)
                self._waiting.remove(generation)
            if generation.begin():
                task = asyncio.get_running_loop().create_task(self._generate(generation))
                self._under_way.add(task)
                task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._send_more()

    async def _generate(self, generation: Generation) -> None:
        """Compute one generation and tell who waits, when the connection is free again or closed."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        control = generation.control
        error: BaseException | None = None

        def stop() -> None:
            if task is not None:
                loop.call_soon_threadsafe(task.cancel)

        try:
            with control.calling(stop):
                await self._generating.compute(generation)
        except asyncio.CancelledError:
            try:
                control.check()
                error = RunCancelledError("the generation was cancelled")
            except McnbError as stopped:
                error = stopped
        except BaseException as failed:  # whatever it is, the waiter must hear of it
            error = failed
        generation.settle(error)


def _waited_for(work: Coroutine[Any, Any, _T], loop: LoopThread, control: Control) -> _T:
    """Wait in another thread for work in the loop; it ends when the control says stop."""
    future = asyncio.run_coroutine_threadsafe(work, loop.started())
    with control.calling(future.cancel):
        try:
            return future.result()
        except CancelledError:
            control.check()
            raise
