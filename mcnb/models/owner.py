"""The one thread that uses a loaded model. Callers talk to it through a queue.

It ends when there is nothing to do, and a new one begins with the next request. Every thread that has multiplied keeps
workers of its own (OpenMP), and when these are more than there are cores, each of them sleeps after every product
instead of waiting for the next one: a text then takes half as long again. So a model that nobody asks has none.
"""

from __future__ import annotations

import atexit
import contextlib
import copy
import queue
import threading
import time
import weakref
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, cached_property
from typing import Any

from mcnb.errors import InternalError
from mcnb.models.chat import Conversation, Prompt, plain_text_warning, render_chat
from mcnb.models.control import Control
from mcnb.models.drivers.contract import Description
from mcnb.models.engine import Engine
from mcnb.models.loaded import LoadedModel, release
from mcnb.models.parameters import Origin, Parameters, resolve
from mcnb.models.request import Generation, Priority, full_queue
from mcnb.models.rows import OnPrompt, OnText

__all__ = ["Generation", "ModelOwner"]

_owners: weakref.WeakSet[ModelOwner] = weakref.WeakSet()

LAST_STEP = 2.0
"""Seconds that a step may take to its end when Python leaves."""

LINGER = 0.05
"""Seconds without a request after which the thread ends."""

TOGETHER = 0.001
"""Seconds after a request in which the next one counts as coming at the same time..."""

ALL_TOGETHER = 0.02
"""... and after the first one of them in which they do."""


class ModelOwner:
    """Owns a loaded model.

    Parameters
    ----------
    loaded : LoadedModel
        From now on used by this owner's thread alone.
    settings : mapping, optional
        What else was done to it, for records.
    """

    def __init__(self, loaded: LoadedModel, settings: Mapping[str, Any] | None = None) -> None:
        import torch

        self._settings = settings or {}

        self.loaded = loaded
        self.threads = torch.get_num_threads()
        self._lock = threading.Lock()
        self._closed = False
        self._come: list[Generation] = []
        self._ending = False
        self._queue: queue.SimpleQueue[Generation | None] = queue.SimpleQueue()
        self._engine = Engine(loaded, self._poll)
        self._thread: threading.Thread | None = None
        self._stepping = threading.Lock()
        self._resting = False
        self._counting = threading.Lock()
        _owners.add(self)
        _rest_at_exit()

    @cached_property
    def description(self) -> Description:
        """What the model is; see ``drivers.contract``."""
        import transformers

        snapshot, placement = self.loaded.snapshot, self.loaded.placement
        return Description(
            driver="huggingface",
            version=transformers.__version__,
            name=snapshot.name,
            provider=snapshot.provider,
            revision=snapshot.revision,
            digests=dict(snapshot.digests),
            device=placement.device,
            dtype=placement.dtype,
            dtype_reason=placement.reason,
            threads=self.threads,
            memory=self.loaded.memory,
            load_seconds=self.loaded.load_seconds,
            context_length=self.loaded.context_length,
            is_encoder_decoder=self.loaded.is_encoder_decoder,
            settings=self._settings,
        )

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return self._queue.qsize() + self._engine.waiting

    @property
    def ended(self) -> bool:
        """See ``Owner``."""
        return False

    def parameters(self, user: Mapping[str, Any], document: Mapping[str, Any], seed: tuple[int, Origin]) -> Parameters:
        """Decide every generation parameter of a call; see ``parameters.resolve``."""
        return resolve(
            user,
            document,
            self.loaded.defaults,
            encoder_decoder=self.description.is_encoder_decoder,
            seed=seed,
        )

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
        """Queue a generation; never blocks. `on_text` and `on_prompt` are called by the owner's thread."""
        generation = Generation(prompt, parameters, control, on_text, on_prompt, priority, reproducible)
        name = self.loaded.snapshot.name
        with self._lock:
            if self._closed:
                generation.settle(InternalError(f"{name} has left memory"))
            elif full := full_queue(name, self.waiting):
                generation.settle(full)
            else:
                self._queue.put(generation)
                self._wake()
        return generation

    def count_tokens(self, prompt: Prompt) -> int:
        """Return the tokens of a prompt; see ``drivers.contract``."""
        with self._counting:
            loaded = self._for_counting
            if isinstance(prompt, Conversation):
                return len(render_chat(loaded, prompt)[1])
            return len(loaded.tokenizer(prompt, verbose=False)["input_ids"])

    @cached_property
    def _for_counting(self) -> LoadedModel:
        """The model with a tokenizer of its own: the thread's may be in use."""
        return replace(self.loaded, tokenizer=copy.deepcopy(self.loaded.tokenizer))

    def warning(self, text: str) -> str | None:
        """Say that a model trained for chats gets plain text; see ``drivers.contract``."""
        return plain_text_warning(self.loaded, text)

    def _wake(self) -> None:
        if self._thread is None:
            name = f"mcnb-model-{self.loaded.snapshot.name}"
            self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread after what is queued, and free the model's memory."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            thread = self._thread
            if thread is not None:
                self._queue.put(None)
        if thread is not None:
            thread.join()
        self._engine.batch = None  # its caches go with the model
        self.__dict__.pop("_for_counting", None)
        release(self.loaded)

    def _serve(self) -> None:
        import torch

        torch.get_num_threads()  # torch sets a thread up at its first use, and would forget what was said before
        torch.set_num_threads(self.threads)
        engine = self._engine
        while not self._ending or engine.busy:
            if not engine.busy:
                try:
                    self._gather()
                except queue.Empty:
                    with self._lock:
                        if self._queue.empty():
                            self._thread = None
                            return
                    continue
            with self._stepping:
                engine.step()
            if self._resting:
                threading.Event().wait()  # Python leaves, and this thread with it

    def _gather(self) -> None:
        """Wait for a request, and then for those that come at the same time: they begin in one step.

        Raises
        ------
        queue.Empty
            When none has come for a while.
        """
        self._take(self._queue.get(timeout=LINGER))
        end = time.monotonic() + ALL_TOGETHER
        with contextlib.suppress(queue.Empty):
            while not self._ending and time.monotonic() < end:
                self._take(self._queue.get(timeout=TOGETHER))

    def rest(self) -> None:
        """Let the step that is under way end, and begin no other one."""
        self._resting = True
        self._stepping.acquire(timeout=LAST_STEP)

    def _poll(self) -> list[Generation]:
        """Return the requests that have come."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._take(self._queue.get_nowait())
        come, self._come = self._come, []
        return come

    def _take(self, generation: Generation | None) -> None:
        if generation is None:
            self._ending = True
        else:
            self._come.append(generation)


@cache
def _rest_at_exit() -> None:
    """Have all threads rest when Python leaves: one that is in torch then would take the process down with it."""

    def rest() -> None:
        for owner in list(_owners):
            owner.rest()

    atexit.register(rest)
