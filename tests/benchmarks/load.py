"""Requests to one contender, all at once or one by one as they arrive."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .prompts import Prompts
from .two_servers import Answer, Side

PAUSE = 0.3
"""Seconds before each turn: threads of the one before may still spin, and are not to be measured."""

LIKE = 0.15
"""How far the tokens of a text, counted anew, may be from those it was made of."""


@dataclass(frozen=True)
class Request:
    """What is asked for, and how many seconds after the turn's begin."""

    prompt: str
    tokens: int
    at: float = 0.0


@dataclass(frozen=True)
class Turn:
    """What one contender made of its requests."""

    answers: list[Answer]
    tokens: int
    seconds: float

    @property
    def rate(self) -> float:
        """Tokens in a second, from the first request to the last text's end."""
        return self.tokens / self.seconds

    @property
    def firsts(self) -> list[float]:
        """When each answer's first piece came, in seconds after its request."""
        return [answer.first for answer in self.answers]


class Load:
    """Asks, and checks that what was asked for came."""

    def __init__(self, prompts: Prompts) -> None:
        self._prompts = prompts

    async def turn(self, side: Side, requests: Sequence[Request]) -> Turn:
        """Give a contender all requests and wait for all texts."""
        await asyncio.sleep(PAUSE)
        async with side.client() as client:
            started = time.perf_counter()
            answers = await asyncio.gather(*(self._asked(side, client, request) for request in requests))
            seconds = time.perf_counter() - started
        for request, answer in zip(requests, answers, strict=True):
            self.check(side, request, answer)
        return Turn(list(answers), sum(request.tokens for request in requests), seconds)

    async def _asked(self, side: Side, client: Any, request: Request) -> Answer:
        if request.at:
            await asyncio.sleep(request.at)
        return await side.streamed(client, request.prompt, request.tokens)

    def check(self, side: Side, request: Request, answer: Answer) -> None:
        """See to it that an answer has the tokens that were asked for; who does not count them is counted."""
        if answer.tokens:
            if answer.tokens != request.tokens:
                raise RuntimeError(f"{side.name} made {answer.tokens} tokens instead of {request.tokens}")
            return
        found = self._prompts.count(answer.text)
        if abs(found - request.tokens) > max(3, LIKE * request.tokens):
            raise RuntimeError(f"{side.name}: a text has {found} tokens instead of {request.tokens}: {answer.text!r}")
