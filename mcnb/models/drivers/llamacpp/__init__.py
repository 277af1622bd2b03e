"""llama.cpp as the engine: GGUF files as they are, in this process, on the CPU or what its build supports.

==============  ==========================================================================
``library``     the binding, and what it would write where nobody asked
``header``      what a file says about its model, without loading it
``placement``   on which device, how many threads, how long a context
``vocabulary``  tokens, text, and what control tokens are
``template``    conversations, with the chat template that the file carries
``generating``  one generation, token by token
``owner``       the one thread that uses a model
==============  ==========================================================================
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import cached_property

from mcnb.errors import OutOfMemoryError
from mcnb.models.control import Control
from mcnb.models.drivers.llamacpp.header import Header, read_header
from mcnb.models.drivers.llamacpp.owner import LlamaModel
from mcnb.models.drivers.llamacpp.placement import Placement, place
from mcnb.models.progress import Report
from mcnb.models.sources import fetch_gguf
from mcnb.models.sources.gguf_file import GgufFile
from mcnb.models.spec import ModelSpec


class FoundFile:
    """A GGUF file and how it would be loaded."""

    device = "cpu"

    def __init__(self, file: GgufFile, header: Header, placement: Placement) -> None:
        self._file = file
        self._header = header
        self._placement = placement

    @property
    def key(self) -> Hashable:
        """See ``Found``."""
        return (self._file.identity, self._placement)

    @property
    def size(self) -> int:
        """See ``Found``: counting is cheap here, and a long context may take more than the file."""
        return self.needed()

    @cached_property
    def _cache(self) -> int:
        return self._placement.n_ctx * self._header.bytes_per_token

    def needed(self) -> int:
        """See ``Found``: the file, keys and values of a whole context, scores of the tokens computed at once."""
        return self._file.size + self._cache + self._placement.n_batch * self._header.vocabulary * 4

    def refusal(self, free: int) -> OutOfMemoryError:
        """See ``Found``."""
        parts = f"file {self._file.size / 1e9:.1f} GB, {self._placement.n_ctx:,} tokens {self._cache / 1e9:.1f} GB"
        return OutOfMemoryError(
            f"{self._file.name} needs {self.needed() / 1e9:.1f} GB ({parts}) and {free / 1e9:.1f} GB are free",
            hint="lower 'n_ctx' under 'options', close other programs, or choose a smaller file",
        )

    def load(self, control: Control, report: Report) -> LlamaModel:
        """See ``Found``."""
        return LlamaModel.loaded(self._file, self._header, self._placement, control=control, report=report)


class LlamaCpp:
    """Finds GGUF files."""

    packages = ("llama_cpp", "filelock", "psutil")
    extra = "llamacpp"

    def find(self, spec: ModelSpec, *, control: Control, report: Report, loaded: int) -> FoundFile:
        """See ``Driver``."""
        file = fetch_gguf(spec.source, spec.folder, control=control, report=report)
        header = read_header(file.path, file.name, file.identity)
        return FoundFile(file, header, place(spec, header, file.name))


DRIVER = LlamaCpp()
