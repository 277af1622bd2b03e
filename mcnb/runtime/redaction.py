"""What must not be written down: environment values, and access tokens that stand in a document."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from mcnb.compose import Document
from mcnb.compose.schema import HuggingFaceSource, LocalSource, PyPISource
from mcnb.errors import McnbError
from mcnb.runtime.plan import components_of

REDACTED = "***"
SHORTEST_SECRET = 4
"""Characters; shorter values are words like ``0`` and ``yes``, which would blacken half of a text."""

_FROM_ENVIRONMENT = re.compile(r"\s*\$\{\s*env\.\w+\s*\}\s*")

_SECRET = {"model": "token", "options": "api_key"}
"""Parts of a component, and what of them is nobody's business."""

_Error = TypeVar("_Error", bound=McnbError)


def secrets_of(document: Document) -> tuple[str, ...]:
    """Return the texts to blacken for a document, the longest first: a shorter one may be part of it.

    The name of a model is no secret, even where it comes from the environment: records and messages tell it.
    """
    found = {*document.env.values(), *_tokens(document.source)} - set(_models(document))
    return tuple(sorted((text for text in found if len(text) >= SHORTEST_SECRET), key=len, reverse=True))


def _models(document: Document) -> Iterator[str]:
    for component in components_of(document):
        match component.model:
            case HuggingFaceSource(repository=name) | LocalSource(path=name):
                yield name
            case PyPISource(package=name, version=version):
                yield from (name, f"pypi:{name}", f"pypi:{name}=={version}")


def _tokens(source: Any) -> Iterator[str]:
    if isinstance(source, Mapping):
        for key, value in source.items():
            name = _SECRET.get(key)
            if name is not None and isinstance(value, Mapping) and isinstance(value.get(name), str):
                yield value[name]
            yield from _tokens(value)
    elif isinstance(source, list):
        for value in source:
            yield from _tokens(value)


def blacken(value: Any, secrets: tuple[str, ...]) -> Any:
    """Blacken secrets in all texts of JSON data."""
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, REDACTED)
        return value
    if isinstance(value, Mapping):
        return {key: blacken(item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [blacken(item, secrets) for item in value]
    return value


def blacken_error(error: _Error, secrets: tuple[str, ...]) -> _Error:
    """Return an error whose message tells no secret; a copy where it did, as other runs may hold the same error."""
    message, hint = blacken(error.message, secrets), blacken(error.hint, secrets)
    if (message, hint) == (error.message, error.hint):
        return error
    told = copy.copy(error)
    told.message, told.hint, told.args = message, hint, (message,)
    return told


def without_tokens(source: Any) -> Any:
    """Return a document's content with the access tokens that stand in it blackened; ``${env.NAME}`` stays."""
    return _with_tokens(source, lambda token: token if _FROM_ENVIRONMENT.fullmatch(token) else REDACTED)


def without_blackened(source: Any) -> Any:
    """Return a record's document without its blackened tokens: sent to the hub or a server, they would be refused."""
    return _with_tokens(source, lambda token: None if token == REDACTED else token)


def _with_tokens(source: Any, change: Any) -> Any:
    if isinstance(source, list):
        return [_with_tokens(item, change) for item in source]
    if not isinstance(source, Mapping):
        return source
    found = {key: _with_tokens(value, change) for key, value in source.items()}
    for key, name in _SECRET.items():
        part = found.get(key)
        if isinstance(part, dict) and isinstance(part.get(name), str):
            token = change(part[name])
            found[key] = {**part, name: token} if token else {k: v for k, v in part.items() if k != name}
    return found
