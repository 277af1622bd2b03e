"""The owner of a model in vLLM's engine: takes generations, and has the engine compute them together."""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from queue import SimpleQueue
from typing import Any

from mcnb.errors import InternalError, InvalidInputError, McnbError
from mcnb.models.chat import Conversation, Prompt, plain_text_warning, render_chat
from mcnb.models.control import Control
from mcnb.models.drivers.contract import Description
from mcnb.models.drivers.vllm.process import EngineProcess
from mcnb.models.drivers.vllm.refusals import has_ended
from mcnb.models.drivers.vllm.work import Work
from mcnb.models.loaded import LoadedModel
from mcnb.models.parameters import Origin, Parameters, resolve
from mcnb.models.prompting import prepare
from mcnb.models.request import Generation, Priority, full_queue
from mcnb.models.rows import OnPrompt, OnText


@dataclass
class RemoteModel(LoadedModel):
    """A model whose weights another process has: what makes tokens of a text, and text of tokens, is here."""

    @property
    def is_encoder_decoder(self) -> bool:
        """Others are refused before they are loaded."""
        return False


class VllmModel:
    """Owns a model in vLLM's engine; see ``drivers.contract.Owner``.

    Parameters
    ----------
    process : EngineProcess
        It is ready.
    answers : SimpleQueue
        Gets what it says.
    model : RemoteModel
        The model's tokenizer, and what it says of itself.
    description : Description
        What it is.
    at_once : int
        Texts that the engine computes at a time; others wait here, in the order of their priority.
    invariant : bool
        Whether the engine gives the same text whatever else it computes.
    """

    def __init__(
        self,
        process: EngineProcess,
        answers: SimpleQueue[Any],
        model: RemoteModel,
        description: Description,
        *,
        at_once: int,
        invariant: bool,
    ) -> None:
        self.description = description
        self._process = process
        self._answers = answers
        self._model = model
        self._at_once = at_once
        self._invariant = invariant
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._waiting: list[Generation] = []
        self._works: list[Work] = []
        self._closed = False
        self._gone: McnbError | None = None
        self._thread = threading.Thread(target=self._serve, name=f"mcnb-model-{description.name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many generations wait to be given to the engine; it may have some of them wait again."""
        return len(self._waiting)

    @property
    def ended(self) -> bool:
        """See ``Owner``."""
        return self._gone is not None

    def parameters(self, user: Mapping[str, Any], document: Mapping[str, Any], seed: tuple[int, Origin]) -> Parameters:
        """See ``Owner``."""
        found = resolve(user, document, self._model.defaults, encoder_decoder=False, seed=seed)
        if found.uses_beams:
            message = "'num_beams' cannot be used with 'driver: vllm': its engine searches no beams"
            errors = [{"field": "num_beams", "message": message}]
            raise InvalidInputError(message, errors=errors, hint="remove it, or use 'driver: huggingface'")
        return found

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
        name = self.description.name
        with self._lock:
            if self._closed:
                generation.settle(InternalError(f"{name} has left memory"))
            elif self._gone is not None:
                generation.settle(self._gone)
            elif full := full_queue(name, len(self._waiting)):
                generation.settle(full)
            else:
                self._waiting.append(generation)
                self._answers.put(None)
        return generation

    def count_tokens(self, prompt: Prompt) -> int:
        """See ``Owner``."""
        with self._counting:
            if isinstance(prompt, Conversation):
                return len(render_chat(self._for_counting, prompt)[1])
            return len(self._for_counting.tokenizer(prompt, verbose=False)["input_ids"])

    @cached_property
    def _for_counting(self) -> LoadedModel:
        """The model with a tokenizer of its own: the thread's may be in use."""
        return replace(self._model, tokenizer=copy.deepcopy(self._model.tokenizer))

    def warning(self, text: str) -> str | None:
        """See ``Owner``."""
        return plain_text_warning(self._model, text)

    def close(self) -> None:
        """See ``Owner``."""
        with self._lock:
            self._closed = True
        self._answers.put(None)
        self._thread.join()
        self._process.stop()

    def _serve(self) -> None:
        while True:
            answer = self._answers.get()
            if answer is not None:
                self._take(answer)
            self._send_more()
            for work in [work for work in self._works if work.done]:
                self._works.remove(work)
                work.settle(invariant=self._invariant)
            self._send_more()
            with self._lock:
                if self._closed and not self._waiting and not self._works:
                    return

    def _take(self, answer: Mapping[str, Any]) -> None:
        if "died" in answer or "ended" in answer:
            self._end(answer)
        elif "id" in answer:
            for work in self._works:
                if answer["id"] in work.live:
                    work.take(answer)
                    return

    def _end(self, answer: Mapping[str, Any]) -> None:
        """Tell everybody that the engine is there no more."""
        self._process.kill()
        self._process.stop()  # then all that it has said is here, and its memory is free
        with self._lock:
            if self._gone is None:
                told = answer.get("died") or f"its process ended with status {answer.get('ended')}"
                self._gone = has_ended(self.description.name, told, self._process.lines)
            leaving, self._waiting = self._waiting, []
        for generation in leaving:
            if generation.begin():
                generation.settle(self._gone)
        for work in self._works:
            work.fail(self._gone)

    def _send_more(self) -> None:
        """Give the engine what waits, as far as it can compute that together: those whose turn it is."""
        while self._gone is None and sum(len(work.live) for work in self._works) < self._at_once:
            with self._lock:
                self._waiting = [one for one in self._waiting if not one.future.cancelled()]
                if not self._waiting:
                    return
                generation = min(self._waiting, key=lambda one: one.due)
                self._waiting.remove(generation)
            if generation.begin():
                self._begin(generation)

    def _begin(self, generation: Generation) -> None:
        try:
            generation.control.check()
            prepared = prepare(
                self._model,
                generation.prompt,
                generation.parameters,
                on_text=generation.on_text,
                result=generation.result,
                on_prompt=generation.on_prompt,
            )
            work = Work(generation, prepared, self._process.send)
        except BaseException as error:  # whatever it is, the waiter must hear of it
            generation.settle(error)
            return
        if self._works:
            for other in (*self._works, work):
                other.alone = False
        self._works.append(work)
        work.start()
