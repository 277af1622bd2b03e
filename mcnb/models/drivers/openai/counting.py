"""How many tokens a prompt has: OpenAI's API does not tell, the servers of open models do, each at its own place."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mcnb.errors import ServerError
from mcnb.models.chat import Conversation, Prompt

if TYPE_CHECKING:
    from mcnb.models.drivers.openai.server import Server

_PLACES = ("/tokenize", "/extras/tokenize/count")
"""Of vLLM and llama.cpp's own server, and of llama-cpp-python's."""


class Counter:
    """Counts with a server's own tokenizer.

    Parameters
    ----------
    server : Server
        It.
    model : str
        By its name there.
    """

    def __init__(self, server: Server, model: str) -> None:
        self._server = server
        self._model = model
        self._places = list(_PLACES)

    async def count(self, prompt: Prompt) -> int | None:
        """Return the tokens of a prompt; None where the server cannot tell."""
        for place in tuple(self._places):
            body: dict[str, Any] = {"model": self._model}
            if isinstance(prompt, Conversation):
                body["messages"] = prompt.messages
            else:
                body |= {"prompt": prompt, "content": prompt, "input": prompt, "add_special": True}
            with contextlib.suppress(ServerError, ValueError):
                answer = await self._server.ask("POST", f"{self._server.root}{place}", body)
                if answer.is_success and (found := _count(answer.json())) is not None:
                    return found
                if answer.status_code in (404, 405) and place in self._places:
                    self._places.remove(place)
        return None


def _count(answer: Any) -> int | None:
    if not isinstance(answer, Mapping):
        return None
    if isinstance(answer.get("count"), int):
        return int(answer["count"])
    tokens = answer.get("tokens")
    return len(tokens) if isinstance(tokens, list) else None
