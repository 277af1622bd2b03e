"""A generation under way in vLLM's engine: its texts, what was asked for, what has come."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from mcnb.errors import InternalError, RunCancelledError, RunTimeoutError
from mcnb.models.parameters import Parameters
from mcnb.models.prompting import Prepared
from mcnb.models.request import Generation
from mcnb.models.sampling import row_seeds

Send = Callable[[Mapping[str, Any]], object]

_names = map(str, itertools.count(1))


class Work:
    """A generation under way.

    Parameters
    ----------
    generation : Generation
        What is asked for.
    prepared : Prepared
        Its prompt, and the rows that follow its texts.
    send : callable
        Gives the engine an order, from any thread.

    Attributes
    ----------
    live : dict of str to int
        What the engine computes now: its name there, and the row that it is.
    alone : bool
        Whether nothing else was computed meanwhile: only then does a text not depend on what else is computed.
    """

    def __init__(self, generation: Generation, prepared: Prepared, send: Send) -> None:
        self.generation = generation
        self.live: dict[str, int] = {}
        self.alone = True
        self._rows = prepared.rows
        self._prompt = prepared.ids
        self._send = send
        parameters = generation.parameters
        count = parameters["num_return_sequences"]
        self._pending = list(enumerate(row_seeds(parameters["seed"], count)))
        self._at_once = 1 if generation.reproducible else count
        self._params = self._as_vllm_says(parameters)
        self._error: BaseException | None = None
        self._calling = contextlib.ExitStack()

    @property
    def done(self) -> bool:
        """Whether the engine has nothing of it any more."""
        return not self.live and not self._pending

    def start(self) -> None:
        """Ask for its first texts."""
        self._calling.enter_context(self.generation.control.calling(self._abort))
        self._ask()

    def take(self, answer: Mapping[str, Any]) -> None:
        """Take what the engine says of one of its texts; what goes wrong here is of this generation alone."""
        row = self.live[answer["id"]]
        try:
            if "error" in answer:
                raise InternalError(f"vLLM could not compute the text ({answer['error']})")
            if self._error is None:
                self._take(row, answer["tokens"], answer["finish"])
        except BaseException as error:  # of who listens, of the control, of the engine: who waits must hear of it
            self._give_up(error)
        if "error" in answer or answer["finish"] is not None:
            del self.live[answer["id"]]
            self._ask()
        elif self._rows.reasons[row] is not None:
            self._send({"abort": answer["id"]})  # a stop sequence was found

    def fail(self, error: BaseException) -> None:
        """End it where the engine is there no more."""
        self._error = self._error or error
        self._pending.clear()
        self.live.clear()

    def settle(self, *, invariant: bool) -> None:
        """Tell who waits what came of it; `invariant` engines give the same text whatever else they compute."""
        self._calling.close()
        error, rows, result = self._error, self._rows, self.generation.result
        result.batch_invariant = invariant or (self.alone and self.generation.reproducible)
        try:
            if isinstance(error, RunCancelledError):
                rows.cut("cancelled")
            elif isinstance(error, RunTimeoutError):
                rows.cut("timeout")
            elif error is None:
                rows.cut("eos")
            else:
                rows.keep()
        except BaseException as failed:  # of who listens
            error = error or failed
        rows.stop_clock()
        self.generation.settle(error)

    def _take(self, row: int, tokens: list[int], finish: str | None) -> None:
        rows, control = self._rows, self.generation.control
        if rows.reasons[row] is not None:
            return  # it was complete for us already
        control.check()
        for token in tokens:
            rows.note_step()
            if rows.take(row, token):
                return
            control.check()
        if finish == "length":  # before our own count: the context is shorter than it was told to be
            rows.reasons[row] = "context_full"
        elif finish is not None and finish != "stop":
            raise InternalError(f"vLLM ended the text for a reason of its own: {finish}")

    def _give_up(self, error: BaseException) -> None:
        self._error = self._error or error
        self._pending.clear()
        self._abort()

    def _ask(self) -> None:
        """Ask for the next texts: one after the other where they have to repeat, else all at once."""
        control = self.generation.control
        while self._pending and len(self.live) < self._at_once:
            row, seed = self._pending.pop(0)
            name = next(_names)
            self.live[name] = row
            self._send({"generate": name, "tokens": self._prompt, "params": {**self._params, "seed": seed}})
        if control.stopped:
            self._abort()

    def _abort(self) -> None:
        """Have the engine stop; from any thread. It answers when it has."""
        for name in list(self.live):
            self._send({"abort": name})

    def _as_vllm_says(self, parameters: Parameters) -> dict[str, Any]:
        budget, draws = self.generation.result.output_budget, parameters.samples
        return {
            "max_tokens": budget,
            "min_tokens": min(parameters["min_output_length"], budget),
            "stop_token_ids": sorted(self._rows.ends),
            "temperature": parameters["temperature"] if draws else 0.0,
            "top_k": parameters["top_k"] if draws else 0,
            "top_p": parameters["top_p"] if draws else 1.0,
            "repetition_penalty": parameters["repetition_penalty"],
            # with keys and values of another prompt's beginning, last bits differ from those of a prompt on its own
            "skip_reading_prefix_cache": self.generation.reproducible,
        }
