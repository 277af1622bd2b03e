"""A server as the engine: any that speaks the completions and chat completions of OpenAI's API.

=============  ======================================================================================
``server``     where it is; requests to it, tried again where that is safe
``refusals``   what it answers instead of a text, in mcnb's errors
``body``       what is asked: parameters in the API's words
``pieces``     what it answers: a stream of pieces
``catalog``    what models it has
``counting``   how many tokens a prompt has, where the server can tell
``row``        one text as it grows
``generating`` one generation, from the prompt to the result
``owner``      takes generations, and sends as many as the server may have at once
=============  ======================================================================================

Nothing is sent anywhere but to the address that the document names.
"""

from __future__ import annotations

from collections.abc import Hashable

from mcnb.compose.durations import parse_duration
from mcnb.compose.schema import HuggingFaceSource
from mcnb.errors import InternalError
from mcnb.models.control import Control
from mcnb.models.drivers.openai.owner import ServedModel
from mcnb.models.drivers.openai.server import SILENCE, Server
from mcnb.models.progress import Report
from mcnb.models.sources import describe
from mcnb.models.spec import ModelSpec


class FoundOnServer:
    """A model of a server, not asked for yet."""

    device = "server"
    size = 0

    def __init__(self, spec: ModelSpec) -> None:
        options, source = spec.options, spec.source
        if options.base_url is None:
            raise InternalError("a component without a server was not refused")
        self._server = Server(
            options.base_url.rstrip("/"),
            options.api_key,
            silence=SILENCE if options.timeout is None else parse_duration(options.timeout),
        )
        self._extensions = options.extensions
        self._provider = source.provider
        self._name = options.model or (source.repository if isinstance(source, HuggingFaceSource) else None)
        self._known_as = describe(source)

    @property
    def key(self) -> Hashable:
        """See ``Found``."""
        return (*self._server.identity, self._name or self._known_as, self._extensions)

    def needed(self) -> int:
        """See ``Found``."""
        return 0

    def refusal(self, free: int) -> InternalError:
        """See ``Found``."""
        return InternalError("a model of a server needs no memory here")

    def load(self, control: Control, report: Report) -> ServedModel:
        """Ask the server whether it has the model; see ``Found``."""
        return ServedModel.opened(
            self._server, self._name, provider=self._provider, extensions=self._extensions, control=control
        )


class OpenAI:
    """Finds models on servers."""

    packages = ("httpx", "httpx_sse")
    extra = "openai"

    def find(self, spec: ModelSpec, *, control: Control, report: Report, loaded: int) -> FoundOnServer:
        """See ``Driver``; nothing is asked yet."""
        return FoundOnServer(spec)


DRIVER = OpenAI()
