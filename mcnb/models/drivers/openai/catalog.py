"""What models a server has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mcnb.errors import ModelNotFoundError, ServerError
from mcnb.models.drivers.openai.refusals import no_model, refusal

if TYPE_CHECKING:
    from mcnb.models.drivers.openai.server import Server


@dataclass(frozen=True)
class Listed:
    """A model of a server.

    Attributes
    ----------
    name : str
        By which it is asked for.
    context_length : int or None
        Tokens it can see at once, where the server tells.
    about : mapping
        Who serves it, where the server tells.
    """

    name: str
    context_length: int | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


async def look_up(server: Server, name: str | None) -> Listed:
    """Ask a server for a model.

    Parameters
    ----------
    server : Server
        It.
    name : str or None
        By which the document knows it; None takes the only one there is.

    Raises
    ------
    ModelNotFoundError
        When the server does not have it; or has several, and none is named.
    ServerError, ModelAccessError
    """
    answer = await server.ask("GET", f"{server.url}/models")
    if answer.status_code in (404, 405, 501) and name is not None:
        return Listed(name)  # it has no list; the first generation tells
    if not answer.is_success:
        raise refusal(server, answer, name or "its model")
    try:
        found = list(answer.json()["data"])
        known = {str(item["id"]): item for item in found}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ServerError(
            f"{server.url} answers, but its list of models cannot be understood",
            hint="check that it is a server with OpenAI's API, and that 'base_url' is its base",
        ) from error
    if name is None:
        if len(known) != 1:
            has = ", ".join(list(known)[:8]) or "none"
            raise ModelNotFoundError(
                f"{server.url} has {len(known):,} models, and the document names none by a name of the server",
                hint=f"set 'model' under 'options'; it has: {has}",
            )
        name = next(iter(known))
    if name not in known and f"{name}:latest" in known:  # as Ollama writes them
        name = f"{name}:latest"
    if name not in known:
        raise no_model(server, name, known=list(known))
    return Listed(name, _context(known[name]), _about(known[name]))


def _context(item: Mapping[str, Any]) -> int | None:
    for value in (item.get("max_model_len"), item.get("context_length"), item.get("context_window")):
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def _about(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"owned_by": item["owned_by"]} if isinstance(item.get("owned_by"), str) else {}
