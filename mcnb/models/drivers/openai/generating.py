"""One generation on a server, from the prompt to the result."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time

from mcnb.errors import McnbError, NotSupportedError, RunCancelledError, RunTimeoutError
from mcnb.models.budget import set_budget
from mcnb.models.chat import Conversation
from mcnb.models.control import Control
from mcnb.models.drivers.openai.body import request_for
from mcnb.models.drivers.openai.catalog import Listed
from mcnb.models.drivers.openai.counting import Counter
from mcnb.models.drivers.openai.pieces import pieces
from mcnb.models.drivers.openai.row import Row
from mcnb.models.drivers.openai.server import Server
from mcnb.models.request import Generation
from mcnb.models.sampling import row_seeds


class Generating:
    """Computes generations on a server, in its owner's event loop.

    Parameters
    ----------
    server : Server
        Where.
    listed : Listed
        The model there.
    counter : Counter
        Counts a prompt's tokens, where that is needed.
    extensions : bool
        Whether the server may be sent what is not in OpenAI's own API.
    """

    def __init__(self, server: Server, listed: Listed, counter: Counter, *, extensions: bool) -> None:
        self._server = server
        self._listed = listed
        self._counter = counter
        self._extensions = extensions

    async def compute(self, generation: Generation) -> None:
        """Generate, filling the generation's result as it goes.

        Raises
        ------
        McnbError
        """
        parameters, result = generation.parameters, generation.result
        result.batch_invariant = False  # what else the server computes is not known here
        sequences = parameters["num_return_sequences"]
        rows = [Row(parameters, result, generation.on_text if not number else None) for number in range(sequences)]
        result.texts = [""] * sequences
        started = time.perf_counter()
        try:
            generation.control.check()
            await self._prepare(generation)
            started = time.perf_counter()
            for row, seed in zip(rows, row_seeds(parameters["seed"], sequences), strict=True):
                await self._row(generation, row, seed)
        except (asyncio.CancelledError, RunCancelledError, RunTimeoutError):
            for row in rows:
                row.cut("timeout" if _expired(generation.control) else "cancelled")
            raise
        except McnbError:
            for row in rows:
                row.cut()
            raise
        finally:
            _keep(generation, rows, started)

    async def _prepare(self, generation: Generation) -> None:
        """Decide how many tokens may follow; the prompt is counted only where that is needed."""
        prompt, parameters, result = generation.prompt, generation.parameters, generation.result
        result.prompt = json.dumps(prompt.messages, ensure_ascii=False) if isinstance(prompt, Conversation) else prompt
        context, limit = self._listed.context_length, parameters["max_input_length"]
        length = 0 if prompt == "" else None
        if length is None and (context is not None or limit is not None):
            length = await self._counter.count(prompt)
        if length is None and limit is not None:
            raise NotSupportedError(
                f"'max_input_length' cannot be kept: {self._server.url} does not tell how many tokens a prompt has",
                hint="remove it; the server refuses what is too long",
            )
        set_budget(self._listed.name, context, length, parameters, result)
        result.prompt_tokens = length or 0
        if generation.on_prompt is not None:
            generation.on_prompt(result.prompt_tokens, result.output_budget)

    async def _row(self, generation: Generation, row: Row, seed: int) -> None:
        result, name = generation.result, self._listed.name
        path, body = request_for(
            generation.prompt,
            generation.parameters,
            model=name,
            budget=result.output_budget,
            seed=seed,
            extensions=self._extensions,
        )
        async with self._server.answer(path, body, name) as response:
            stream = pieces(self._server, response, name)
            async with contextlib.aclosing(stream):
                async for piece in stream:
                    result.notes.update(piece.about)
                    result.prompt_tokens = piece.prompt_tokens or result.prompt_tokens
                    if row.take(piece):
                        break
        row.finish()
        if not result.prompt_tokens:
            result.prompt_tokens = await self._counter.count(generation.prompt) or 0


def _keep(generation: Generation, rows: list[Row], started: float) -> None:
    """Put what there is into the result."""
    result = generation.result
    result.texts = [row.text for row in rows]
    result.finish_reasons = [row.reason for row in rows if row.reason is not None]
    result.output_tokens = sum(row.tokens for row in rows)
    result.notes["tokens"] = "told by the server" if all(row.is_counted for row in rows) else "pieces of its stream"
    first = rows[0].first
    if first is not None:
        result.first_token_seconds = first - started
        result.decode_seconds = time.perf_counter() - first


def _expired(control: Control) -> bool:
    try:
        control.check()
    except RunTimeoutError:
        return True
    except McnbError:
        return False
    return False
