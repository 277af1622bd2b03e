"""What an error reply of a server says, as one of mcnb's errors."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from mcnb.errors import (
    InternalError,
    InvalidInputError,
    McnbError,
    NotFoundError,
    QueueFullError,
    ServerError,
    error_of,
)

if TYPE_CHECKING:
    import httpx

LONGEST_RETRY = 3600
"""Seconds: a server that asks for more is not taken at its word."""

_TOKEN_HINT = "give the one that the server printed when it started: token='...', or MCNB_TOKEN in the environment"  # noqa: S105 - no secret


def json_of(response: httpx.Response) -> Any:
    """Return the JSON of a reply; None when it is something else."""
    try:
        return response.json()
    except (ValueError, RecursionError):  # an HTML page of a proxy, or a body that was cut
        return None


def error_from(response: httpx.Response, url: str, *, has_token: bool) -> McnbError:
    """Return what a reply that is no success says.

    Parameters
    ----------
    response : Response
        Read to its end.
    url : str
        The server's.
    has_token : bool
        Whether a token was sent.
    """
    data = json_of(response)
    told = data.get("error") if isinstance(data, dict) else None
    status = response.status_code
    is_general = status in (401, 403, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)  # what to do is known better here
    if isinstance(told, dict) and isinstance(told.get("code"), str) and not is_general:
        return _told(told["code"], str(told.get("message") or "it gave no reason"), data, response)
    if status in (401, 403) or (response.is_redirect and "/login" in response.headers.get("location", "")):
        wrong = "does not accept this token" if has_token else "asks for a token"
        return ServerError(f"the server at {url} {wrong}", hint=_TOKEN_HINT)
    if response.is_redirect:
        target = response.headers.get("location", "").partition("?")[0]
        return ServerError(f"the server at {url} sends elsewhere, to {target}", hint="connect to that address instead")
    if status == HTTPStatus.NOT_FOUND:
        return ServerError(f"the server at {url} has no such address", hint="is it a Jupyter server with mcnb?")
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return InvalidInputError("the input is larger than the server takes", hint="send less at a time")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return QueueFullError(f"the server at {url} has too much to do", retry_after=retry_after(response))
    return ServerError(
        f"the server at {url} answered {status_text(status)}", hint="its log says more; what stands between may, too"
    )


def cannot_understand(url: str, what: str) -> ServerError:
    """Return the error for a reply that is not what was asked for."""
    return ServerError(
        f"the server at {url} gave a reply that cannot be understood: {what}",
        hint="is its version of mcnb the same as this one?",
    )


def retry_after(response: httpx.Response) -> int:
    """Return the seconds that a reply asks to wait."""
    text = response.headers.get("retry-after", "")
    return min(int(text), LONGEST_RETRY) if text.isascii() and text.isdigit() else 1


def status_text(status: int) -> str:
    """Return a status as people know it: ``502 Bad Gateway``."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def run_error(state: str, data: Any) -> McnbError | None:
    """Return the error of a run as a reply tells it; None of one that is completed."""
    if state == "completed":
        return None
    told = data if isinstance(data, dict) else {}
    code = "cancelled" if state == "cancelled" else str(told.get("code") or "internal")
    return error_of(code, str(told.get("message") or f"the run is {state}"))


def _told(code: str, message: str, data: dict[str, Any], response: httpx.Response) -> McnbError:
    """Return the error that a server of mcnb tells."""
    if code == InvalidInputError.code:
        errors = data.get("errors")
        listed = errors if isinstance(errors, list) else []
        known = [item for item in listed if isinstance(item, dict) and {"field", "message"} <= item.keys()]
        return InvalidInputError(message, errors=[{key: str(text) for key, text in item.items()} for item in known])
    if code == QueueFullError.code:
        return QueueFullError(message, retry_after=retry_after(response))
    if code == NotFoundError.code:
        return NotFoundError(message)
    found = error_of(code, message)
    return ServerError(message) if isinstance(found, InternalError) and code != InternalError.code else found
