"""The owner of a model in llama.cpp's memory."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from mcnb.errors import InvalidInputError, ModelDamagedError, OutOfMemoryError
from mcnb.models.chat import Prompt, trained_for_chats
from mcnb.models.control import Control
from mcnb.models.drivers.contract import Description
from mcnb.models.drivers.llamacpp.generating import Generating
from mcnb.models.drivers.llamacpp.header import Header
from mcnb.models.drivers.llamacpp.library import library, loading, said
from mcnb.models.drivers.llamacpp.placement import Placement
from mcnb.models.drivers.llamacpp.vocabulary import Vocabulary
from mcnb.models.drivers.turns import Turns
from mcnb.models.parameters import Origin, Parameters, resolve
from mcnb.models.progress import Progress, Report
from mcnb.models.request import Generation, Priority
from mcnb.models.rows import OnPrompt, OnText
from mcnb.models.sources.gguf_file import GgufFile


class LlamaModel:
    """Owns a model in llama.cpp's memory; see ``drivers.contract.Owner``.

    Parameters
    ----------
    llama : llama_cpp.Llama
        From now on used by this owner's thread alone.
    description : Description
        What it is.
    """

    def __init__(self, llama: Any, description: Description) -> None:
        self.description = description
        self._llama = llama
        self._vocabulary = Vocabulary(llama)
        context = description.context_length or llama.n_ctx()
        self._generating = Generating(llama, description.name, self._vocabulary, context)
        self._turns = Turns(description.name, self._generating.compute)

    @classmethod
    def loaded(
        cls, file: GgufFile, header: Header, placement: Placement, *, control: Control, report: Report
    ) -> LlamaModel:
        """Load a file.

        Raises
        ------
        ModelDamagedError, OutOfMemoryError
        """
        started = time.perf_counter()
        control.check()
        report(Progress("load", file.name, 0, 0, "weights"))
        llama = _opened(file, placement)
        description = Description(
            driver="llamacpp",
            version=f"llama-cpp-python {library().__version__}",
            name=file.name,
            provider=file.provider,
            revision=file.revision,
            digests=dict(file.digests),
            device=placement.device,
            dtype=header.quantization,
            dtype_reason="as stored",
            threads=placement.n_threads,
            memory=file.size + placement.n_ctx * header.bytes_per_token,
            load_seconds=time.perf_counter() - started,
            context_length=placement.n_ctx,
            settings={
                "n_ctx": placement.n_ctx,
                "n_batch": placement.n_batch,
                "n_gpu_layers": placement.n_gpu_layers,
            },
        )
        try:
            control.check()
            return cls(llama, description)
        except BaseException:
            llama.close()
            raise

    @property
    def waiting(self) -> int:
        """See ``Owner``."""
        return self._turns.waiting

    @property
    def ended(self) -> bool:
        """See ``Owner``."""
        return False

    def parameters(self, user: Mapping[str, Any], document: Mapping[str, Any], seed: tuple[int, Origin]) -> Parameters:
        """See ``Owner``."""
        found = resolve(user, document, None, encoder_decoder=False, seed=seed)
        if found.uses_beams:
            message = "'num_beams' cannot be used with 'driver: llamacpp': llama.cpp searches no beams"
            errors = [{"field": "num_beams", "message": message}]
            raise InvalidInputError(message, errors=errors, hint="remove it, or use 'driver: huggingface'")
        return found

    def submit(
        self,
        prompt: Prompt,
        parameters: Parameters,
        *,
        control: Control,
        on_text: OnText,
        on_prompt: OnPrompt | None = None,
        priority: Priority = "interactive",
        reproducible: bool = True,
    ) -> Generation:
        """See ``Owner``."""
        generation = Generation(prompt, parameters, control, on_text, on_prompt, priority, reproducible)
        self._turns.submit(generation)
        return generation

    def count_tokens(self, prompt: Prompt) -> int:
        """See ``Owner``."""
        return len(self._generating.tokens_of(prompt)[1])

    def warning(self, text: str) -> str | None:
        """See ``Owner``."""
        if not self._generating.template or any(token in text for token in self._vocabulary.all_special_tokens):
            return None
        return trained_for_chats(self.description.name)

    def close(self) -> None:
        """See ``Owner``."""
        self._turns.close()
        self._llama.close()


def _opened(file: GgufFile, placement: Placement) -> Any:
    with loading(verbose=placement.verbose):
        try:
            return library().Llama(
                str(file.path),
                n_ctx=placement.n_ctx,
                n_batch=placement.n_batch,
                n_threads=placement.n_threads,
                n_threads_batch=placement.n_threads,
                n_gpu_layers=placement.n_gpu_layers,
                main_gpu=placement.main_gpu,
                last_n_tokens_size=placement.n_ctx,
                verbose=False,
            )
        except MemoryError as error:
            raise OutOfMemoryError(f"{file.name} does not fit into memory while loading") from error
        except (ValueError, RuntimeError, AssertionError) as error:
            why = said() or str(error)
            if "failed to allocate" in why or "out of memory" in why:
                raise OutOfMemoryError(
                    f"{file.name} does not fit into memory ({why})", hint="lower 'n_ctx' under 'options'"
                ) from error
            raise ModelDamagedError(
                f"{file.name}: {file.path} cannot be loaded ({why})", hint="fetch it again"
            ) from error
