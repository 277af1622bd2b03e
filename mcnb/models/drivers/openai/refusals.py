"""What a server answers instead of a text, in mcnb's errors."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from mcnb.errors import (
    ContextOverflowError,
    InvalidInputError,
    McnbError,
    ModelAccessError,
    ModelNotFoundError,
    QueueFullError,
    ServerError,
)

if TYPE_CHECKING:
    import httpx

    from mcnb.models.drivers.openai.server import Server

LONGEST_REASON = 300
"""Characters of what a server says that are passed on."""

_TOO_LONG = re.compile(
    r"context[_ ](length|window|size)|maximum context|exceeds? the (available )?context|"
    r"inputs? tokens \+ max_new_tokens|must have less than \d+ tokens|longer than the maximum model length",
    re.IGNORECASE,
)
"""How servers say that a prompt is too long."""

_NO_MODEL = re.compile(
    r"\bmodel\b.*\b(not found|does not exist|not exist|unknown|no such)|model_not_found", re.I | re.S
)


def refusal(server: Server, response: httpx.Response, model: str) -> McnbError:
    """Return the error that an answer means.

    Parameters
    ----------
    server : Server
        Who answered.
    response : httpx.Response
        Read, and not a success.
    model : str
        What was asked for.
    """
    status, said = response.status_code, _said(server, response)
    return _refusal(server, status, said, model, response.headers)


def stream_refusal(server: Server, error: Any, model: str) -> McnbError:
    """Return the error that a server told within a stream means."""
    said = _reason_in({"error": error}) or "without a reason"
    code = error.get("code") if isinstance(error, Mapping) else None
    status = code if isinstance(code, int) and 400 <= code < 600 else 500
    return _refusal(server, status, _shortened(said, server), model, {})


def _refusal(server: Server, status: int, said: str, model: str, headers: Mapping[str, str]) -> McnbError:
    url = server.url
    reason = f" ({said})" if said else ""
    if status in (401, 403):
        what = "refuses the API key" if server.key else "asks for an API key"
        return ModelAccessError(f"{url} {what}{reason}", hint="set 'api_key: ${env.NAME}' under 'options'")
    if _TOO_LONG.search(said) and status in (400, 413, 422, 500):
        return ContextOverflowError(
            f"the prompt and the output asked for do not fit into the context of {model} on {url}{reason}",
            hint="shorten the prompt, or lower max_output_length",
        )
    if status in (400, 404, 422) and _NO_MODEL.search(said):
        return no_model(server, model, reason)
    if status in (404, 405):
        hint = "'base_url' ends in /v1 with most servers" if not url.endswith("/v1") else "check 'base_url'"
        return ServerError(f"{url} does not offer this kind of request (status {status}{_behind(said)})", hint=hint)
    if status in (400, 413, 422):
        return InvalidInputError(
            f"{url} refuses the request{reason}",
            hint="where it does not know a parameter such as top_k, say 'extensions: false' under 'options'",
        )
    if status == 429 or (status == 503 and "retry-after" in headers):
        seconds = _seconds(headers.get("retry-after"))
        return QueueFullError(f"{url} takes no more requests now{reason}", retry_after=seconds, hint="try again later")
    if 300 <= status < 400:
        where = headers.get("location", "elsewhere")
        return ServerError(
            f"{url} sends to {where}, and is not followed there", hint="write that address as 'base_url'"
        )
    return ServerError(f"{url} failed (status {status}{_behind(said)})", hint="see the server's log")


def no_model(server: Server, model: str, reason: str = "", known: list[str] | None = None) -> ModelNotFoundError:
    """Return what to tell when a server does not have a model."""
    has = f"it has: {', '.join(known[:8])}; " if known else ""
    return ModelNotFoundError(
        f"{server.url} has no model {model}{reason}", hint=f"{has}set 'model' under 'options' to its name there"
    )


def shown_reason(error: Exception, server: Server) -> str:
    """Return what a library says of a failure, in a few words and without the key."""
    return _shortened(str(error) or type(error).__name__, server)


def _said(server: Server, response: httpx.Response) -> str:
    try:
        text = response.text
    except (RuntimeError, LookupError):  # it broke off before it was read
        return ""
    found = None
    with contextlib.suppress(ValueError, RecursionError):
        found = _reason_in(json.loads(text))
    if found is None and "html" in response.headers.get("content-type", ""):
        return ""  # a page for people
    return _shortened(text if found is None else found, server)


def _reason_in(body: Any) -> str | None:
    """Return the sentence in an error's body: servers put it in different places."""
    if isinstance(body, str):
        return body
    if isinstance(body, list):
        return "; ".join(filter(None, (_reason_in(item) for item in body[:3]))) or None
    if not isinstance(body, Mapping):
        return None
    texts = [_reason_in(body.get(name)) for name in ("error", "detail", "message", "msg")]
    code = body.get("code")
    text = next(filter(None, texts), None)
    return f"{code}: {text}" if text and isinstance(code, str) and code not in text else text


def _shortened(text: str, server: Server) -> str:
    if server.key:
        text = text.replace(server.key, "***")
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_REASON else text[: LONGEST_REASON - 3] + "..."


def _behind(said: str) -> str:
    return f": {said}" if said else ""


def _seconds(said: str | None) -> int:
    """Return how long to wait: a number of seconds or a date; 0 where the server does not say."""
    if said is None:
        return 0
    if said.strip().isdigit():
        return int(said)
    try:
        return max(1, int(parsedate_to_datetime(said).timestamp() - time.time()))
    except (TypeError, ValueError, OverflowError):
        return 0
