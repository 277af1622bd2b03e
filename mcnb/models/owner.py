"""The one thread that uses a loaded model. Callers talk to it through a queue."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Any

from mcnb.errors import InternalError, McnbError
from mcnb.models.chat import Prompt
from mcnb.models.control import Control
from mcnb.models.generation import GenerationResult, OnPrompt, OnText, generate
from mcnb.models.loaded import LoadedModel, release
from mcnb.models.parameters import Origin, Parameters, resolve


@dataclass
class Generation:
    """One request to a model.

    Attributes
    ----------
    result : GenerationResult
        Filled while it runs; holds the partial text when it is stopped.
    future : Future
        Gets the result, or the exception that ended the generation.
    queue_seconds : float
        How long it waited for its turn.
    """

    prompt: Prompt
    parameters: Parameters
    control: Control
    on_text: OnText
    on_prompt: OnPrompt | None = None
    result: GenerationResult = field(default_factory=GenerationResult)
    future: Future[GenerationResult] = field(default_factory=Future)
    submitted: float = field(default_factory=time.perf_counter)
    queue_seconds: float = 0.0

    def leave_queue(self) -> None:
        """Give up at once when it has not started; a started one notices its control."""
        self.future.cancel()


class ModelOwner:
    """Owns a loaded model.

    Parameters
    ----------
    loaded : LoadedModel
        From now on used by this owner's thread alone.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        import torch

        self.loaded = loaded
        self.threads = torch.get_num_threads()
        self._lock = threading.Lock()
        self._closed = False
        self._queue: queue.SimpleQueue[Generation | None] = queue.SimpleQueue()
        name = f"mcnb-model-{loaded.snapshot.name}"
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def parameters(self, user: Mapping[str, Any], document: Mapping[str, Any], seed: tuple[int, Origin]) -> Parameters:
        """Decide every generation parameter of a call; see ``parameters.resolve``."""
        return resolve(
            user,
            document,
            self.loaded.defaults,
            encoder_decoder=self.loaded.is_encoder_decoder,
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
    ) -> Generation:
        """Queue a generation; never blocks. `on_text` and `on_prompt` are called by the owner's thread."""
        generation = Generation(prompt, parameters, control, on_text, on_prompt)
        with self._lock:
            if self._closed:
                _settle(generation, InternalError(f"{self.loaded.snapshot.name} has left memory"))
            else:
                self._queue.put(generation)
        return generation

    def close(self) -> None:
        """End the thread after what is queued, and free the model's memory."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        release(self.loaded)

    def _serve(self) -> None:
        import torch

        torch.get_num_threads()  # torch sets a thread up at its first use, and would forget what was said before
        torch.set_num_threads(self.threads)
        while (generation := self._queue.get()) is not None:
            self._generate(generation)
            del generation  # what the caller holds on to with it must not stay until the next one comes

    def _generate(self, generation: Generation) -> None:
        if not generation.future.set_running_or_notify_cancel():
            return
        generation.queue_seconds = time.perf_counter() - generation.submitted
        try:
            generate(
                self.loaded,
                generation.prompt,
                generation.parameters,
                control=generation.control,
                on_text=generation.on_text,
                result=generation.result,
                on_prompt=generation.on_prompt,
            )
        except McnbError as error:
            _settle(generation, error)
        except BaseException as error:  # whatever it is, the waiter must hear of it
            wrapped = InternalError(f"the generation failed ({type(error).__name__}: {error})")
            wrapped.__cause__ = error
            _settle(generation, wrapped)
        else:
            _settle(generation, None)


def _settle(generation: Generation, error: McnbError | None) -> None:
    with contextlib.suppress(InvalidStateError):
        if error is None:
            generation.future.set_result(generation.result)
        else:
            generation.future.set_exception(error)
