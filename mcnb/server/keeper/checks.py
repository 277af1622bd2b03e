"""A request against the workflow it names, before anything is written."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mcnb.compose import Document, check_input
from mcnb.compose.suggest import listed
from mcnb.errors import InvalidInputError
from mcnb.runtime.order import with_seed
from mcnb.runtime.plan import make_plan
from mcnb.server.catalog import Catalog
from mcnb.server.keeper.request import PRIORITIES, RunRequest, Settings

MAX_SEQUENCES = 8
MAX_STOP_SEQUENCES = 8
MAX_STOP_CHARACTERS = 128
MAX_KEY = 255
"""Characters of an idempotency key and of a session's id."""

_Error = dict[str, str]


@dataclass(frozen=True)
class Checked:
    """A request that can be run.

    Attributes
    ----------
    workflow : str
        The public id.
    document : Document
        What runs.
    request : dict
        What the row keeps: ``workflow`` (its id in the document), ``input, seed, parameters, timeout,
        max_output_tokens``.
    """

    workflow: str
    document: Document
    request: dict[str, Any]


def check_request(request: RunRequest, catalog: Catalog, settings: Settings) -> Checked:
    """Look the workflow up and check everything. Large documents take a while: call it in a thread.

    Raises
    ------
    NotFoundError
        When there is no such workflow.
    InvalidInputError
        With everything that is wrong, by field.
    NotSupportedError
        For parts of the workflow that this version only validates.
    """
    catalog.refresh()
    entry = catalog.find(request.workflow_id)
    return check_run(request, entry.id, entry.document, entry.workflow.id, settings)


def check_run(request: RunRequest, public: str, document: Document, workflow: str, settings: Settings) -> Checked:
    """Check a request for a workflow of a document; as ``check_request``."""
    errors: list[_Error] = [*_wrong_terms(request, settings)]
    values: dict[str, Any] = {}
    overrides: dict[str, Any] = {}
    seed = 0
    try:
        values = check_input(document.inputs(workflow), request.input)
    except InvalidInputError as error:
        errors += error.errors or [{"field": "input", "message": str(error)}]
    try:
        overrides, seed = with_seed(_mapping(request.parameters), _integer(request.seed))
        errors += _over_the_caps(overrides, settings)
    except InvalidInputError as error:
        errors += error.errors
    if errors:
        raise InvalidInputError("; ".join(error["message"] for error in errors), errors=errors)
    make_plan(document, document.workflow(workflow))
    timeout = settings.default_timeout if request.timeout is None else float(request.timeout)
    kept = {
        "workflow": workflow,
        "input": values,
        "seed": seed,
        "parameters": {name: _plain(value) for name, value in overrides.items()},
        "timeout": timeout,
        "max_output_tokens": settings.max_output_tokens,
    }
    return Checked(public, document, kept)


def request_digest(request: RunRequest) -> str:
    """Return the SHA-256 of what a caller asks for, the idempotency key left out.

    Raises
    ------
    InvalidInputError
        When it is nested too deeply to be written.
    """
    asked = {name: value for name, value in vars(request).items() if name != "idempotency_key"}
    try:
        text = json.dumps(asked, sort_keys=True, default=repr, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"the request is no JSON data ({error})") from error
    return hashlib.sha256(text.encode()).hexdigest()


def check_key(key: str | None) -> None:
    """Check an idempotency key.

    Raises
    ------
    InvalidInputError
    """
    if key is not None and not _is_name(key):
        message = f"an idempotency key has 1 to {MAX_KEY} printable characters"
        raise InvalidInputError(message, errors=[{"field": "Idempotency-Key", "message": message}])


def _wrong_terms(request: RunRequest, settings: Settings) -> Iterator[_Error]:
    """Tell what is wrong with how a run is to be run."""
    if request.timeout is not None and (wrong := _wrong_timeout(request.timeout, settings.max_timeout)):
        yield {"field": "timeout", "message": wrong}
    if request.priority not in PRIORITIES:
        yield {"field": "priority", "message": f"priority has to be one of {listed(PRIORITIES)}"}
    if request.kernel_id is not None and not _is_name(request.kernel_id):
        yield {"field": "kernel_id", "message": f"kernel_id has to have 1 to {MAX_KEY} printable characters"}
    if request.session_id is not None and not _is_name(request.session_id):
        yield {"field": "session_id", "message": f"session_id has to have 1 to {MAX_KEY} printable characters"}
    if request.metadata is not None and not _is_json_mapping(request.metadata):
        yield {"field": "metadata", "message": "metadata has to be a mapping of names to JSON values"}


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_KEY and value.isprintable()


def _wrong_timeout(timeout: Any, most: float) -> str | None:
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        return "timeout has to be a number of seconds"
    if not timeout > 0 or (isinstance(timeout, float) and not math.isfinite(timeout)):
        return f"timeout has to be more than 0 seconds, got {timeout}"
    return f"timeout can be at most {most:g} seconds" if timeout > most else None


def _is_json_mapping(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()  # half a character cannot be stored
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _plain(value: Any) -> Any:
    """Return a checked parameter as the store gives it back."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str.__str__(value) if isinstance(value, str) else value


def _mapping(parameters: Any) -> dict[str, Any]:
    if isinstance(parameters, dict):
        return parameters
    message = "parameters has to be a mapping of names to values"
    raise InvalidInputError(message, errors=[{"field": "parameters", "message": message}])


def _integer(seed: Any) -> int | None:
    if seed is None or (isinstance(seed, int) and not isinstance(seed, bool)):
        return seed
    message = "seed has to be an integer"
    raise InvalidInputError(message, errors=[{"field": "seed", "message": message}])


def _over_the_caps(overrides: dict[str, Any], settings: Settings) -> Iterator[_Error]:
    """Tell what the server refuses although a notebook would run it."""

    def most(name: str, limit: int, got: int) -> _Error:
        return {"field": name, "message": f"{name} can be at most {limit} on this server, got {got}"}

    if (count := overrides.get("num_return_sequences", 1)) > MAX_SEQUENCES:
        yield most("num_return_sequences", MAX_SEQUENCES, count)
    tokens = overrides.get("max_output_length", 0)
    if settings.max_output_tokens is not None and tokens > settings.max_output_tokens:
        yield most("max_output_length", settings.max_output_tokens, tokens)
    stops = overrides.get("stop_sequences", ())
    stops = (stops,) if isinstance(stops, str) else stops
    if len(stops) > MAX_STOP_SEQUENCES:
        message = f"at most {MAX_STOP_SEQUENCES} stop_sequences are allowed on this server, got {len(stops)}"
        yield {"field": "stop_sequences", "message": message}
    if any(not _is_unicode(stop) for stop in stops):
        message = "one of stop_sequences holds half a character (a lone surrogate), which is not Unicode"
        yield {"field": "stop_sequences", "message": message}
    if any(len(stop) > MAX_STOP_CHARACTERS for stop in stops):
        message = f"each of stop_sequences can have at most {MAX_STOP_CHARACTERS} characters on this server"
        yield {"field": "stop_sequences", "message": message}


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
