"""What a server answers: a stream of pieces of text."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mcnb.errors import McnbError, ServerError
from mcnb.models.drivers.openai.refusals import shown_reason, stream_refusal

if TYPE_CHECKING:
    import httpx

    from mcnb.models.drivers.openai.server import Server

_DONE = "[DONE]"


@dataclass(frozen=True)
class Piece:
    """A part of an answer.

    Attributes
    ----------
    text : str
        What goes on with the text; may be empty.
    reason : str or None
        Why it ended, in the last part that has text.
    prompt_tokens, output_tokens : int or None
        So far, where the server tells.
    about : mapping
        What it says about itself.
    """

    text: str
    reason: str | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


async def pieces(server: Server, response: httpx.Response, model: str) -> AsyncGenerator[Piece, None]:
    """Yield what a server answers, as it comes.

    Raises
    ------
    ServerError
        When it cannot be understood, breaks off, or comes to its end without saying why the text ends.
    McnbError
        What the server tells within the stream.
    """
    import httpx
    from httpx_sse import EventSource, SSEError

    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    ended = False
    try:
        if kind == "application/json":  # it does not stream
            await response.aread()
            yield _piece(server, response.text, model)
            return
        if kind != "text/event-stream":
            raise _unclear(server, f"it answers with {kind or 'nothing that has a type'}")
        async for event in EventSource(response).aiter_sse():
            if event.data.strip() == _DONE:
                if not ended:
                    raise _broken_off(server)
                return
            if not event.data.strip():
                continue
            piece = _piece(server, event.data, model)
            ended = ended or piece.reason is not None
            yield piece
    except McnbError:
        raise
    except httpx.TimeoutException as error:
        raise server.unreachable(error) from error
    except (httpx.HTTPError, httpx.StreamError, SSEError, OSError) as error:
        if not ended:
            raise _broken_off(server, shown_reason(error, server)) from error
        return
    if not ended:
        raise _broken_off(server)


def _piece(server: Server, data: str, model: str) -> Piece:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, Mapping):
        raise _unclear(server, f"a part of its answer is no JSON object: {shown_reason(ValueError(data[:80]), server)}")
    if found.get("error"):
        raise stream_refusal(server, found["error"], model)
    choices, usage = found.get("choices"), found.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    about = {key: found[key] for key in ("model", "system_fingerprint") if isinstance(found.get(key), str)}
    read, written = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    if not isinstance(choices, list) or not choices:
        if not usage and choices != []:
            raise _unclear(server, "a part of its answer has no 'choices'")
        return Piece("", None, read, written, about)
    choice = choices[0] if isinstance(choices[0], Mapping) else {}
    said = choice.get("delta") or choice.get("message") or {}
    text = choice.get("text") if "text" in choice else said.get("content") if isinstance(said, Mapping) else None
    if text is not None and not isinstance(text, str):
        raise _unclear(server, "a part of its answer has no text")
    reason = choice.get("finish_reason")
    return Piece(text or "", reason if isinstance(reason, str) else None, read, written, about)


def _count(usage: Mapping[str, Any], name: str) -> int | None:
    value = usage.get(name)
    return value if isinstance(value, int) and value >= 0 else None


def _unclear(server: Server, why: str) -> ServerError:
    return ServerError(
        f"the answer of {server.url} cannot be understood: {why}",
        hint="check that it is a server with OpenAI's API, and that 'base_url' is its base",
    )


def _broken_off(server: Server, why: str = "") -> ServerError:
    reason = f" ({why})" if why else ""
    return ServerError(
        f"{server.url} broke off in the middle of a text{reason}", hint="see the server's log; run it again"
    )
