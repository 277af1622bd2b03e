"""The only place of the model layer that knows versions of other packages, and works around what they do."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from functools import lru_cache
from typing import Any

from mcnb.models.control import Control

MINIMUM_TRANSFORMERS = (5, 5)
"""Earlier releases could be made to run code of a repository (CVE-2026-4372, CVE-2026-5241)."""

_loading = threading.Lock()


@lru_cache(maxsize=1)
def pip_reports_progress() -> bool:
    """Whether pip can print its progress for programs (``--progress-bar raw``, since 24.1)."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        major, minor = (int(part) for part in version("pip").split(".")[:2])
    except (PackageNotFoundError, ValueError):
        return False
    return (major, minor) >= (24, 1)


def import_transformers() -> Any:
    """Import transformers for use: no telemetry, no conversion service, no notes on stderr from our threads.

    Raises
    ------
    mcnb.errors.UnsupportedModelError
        When it is not installed, or too old to be safe.
    """
    from mcnb.errors import UnsupportedModelError

    os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    try:
        import torch  # noqa: F401
        import transformers
    except ImportError as error:
        raise UnsupportedModelError(
            f"models need {error.name}, which is not installed", hint="pip install 'mcnb[kernel]'"
        ) from error
    found = tuple(int(part) for part in transformers.__version__.split(".")[:2])
    if found < MINIMUM_TRANSFORMERS:
        raise UnsupportedModelError(
            f"transformers {transformers.__version__} is too old to be safe",
            hint=f"pip install 'transformers>={'.'.join(map(str, MINIMUM_TRANSFORMERS))}'",
        )
    _quiet_own_threads()
    return transformers


def import_code(family: Any, config: Any) -> None:
    """Import the code of a model's architecture, which transformers does at its first use.

    Parameters
    ----------
    family : type
        ``AutoModelForCausalLM`` or the like.
    config : transformers.PretrainedConfig
        The model's.
    """
    family._model_mapping[type(config)]


def import_peft() -> Any:
    """Import peft for use: without what it lets transformers say about names that will go."""
    import warnings

    from mcnb.errors import UnsupportedModelError
    from mcnb.models.quantizing._compat import import_bitsandbytes

    with contextlib.suppress(UnsupportedModelError):  # peft imports it where it is there
        import_bitsandbytes()
    warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
    import peft

    return peft


def import_hub() -> Any:
    """Import huggingface_hub for use: no telemetry, no notes on stderr from our threads.

    Raises
    ------
    mcnb.errors.UnsupportedModelError
        When it is not installed.
    """
    from mcnb.errors import UnsupportedModelError

    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import huggingface_hub
    except ImportError as error:
        raise UnsupportedModelError(
            f"models need {error.name}, which is not installed", hint="pip install 'mcnb[kernel]'"
        ) from error
    _quiet_own_threads()
    return huggingface_hub


_HUB_SETTINGS = {"HF_HUB_DISABLE_XET": True, "DOWNLOAD_CHUNK_SIZE": 1 << 20}
_hub_lock = threading.Lock()
_hub_users = 0
_hub_before: dict[str, Any] = {}


@contextlib.contextmanager
def plain_downloads() -> Iterator[None]:
    """Within the block, the hub's client downloads by plain HTTP, in chunks of 1 MB.

    Its other way, Xet, cannot be stopped for one download alone and is often blocked where HTTP is not; its own chunks
    of 10 MB make progress and cancelling slow on a thin line.
    """
    global _hub_users
    from huggingface_hub import constants

    with _hub_lock:
        _hub_users += 1
        if _hub_users == 1:
            for name, value in _HUB_SETTINGS.items():
                _hub_before[name] = before = getattr(constants, name)
                setattr(constants, name, min(before, value) if type(value) is int else value)
    try:
        yield
    finally:
        with _hub_lock:
            _hub_users -= 1
            if not _hub_users:
                for name, before in _hub_before.items():
                    setattr(constants, name, before)


def _from_elsewhere(record: logging.LogRecord) -> bool:
    """Whether a note comes from a thread that is not mcnb's, or must be seen anyway."""
    return not (record.threadName or "").startswith("mcnb-") or record.levelno >= logging.ERROR


def _quiet_own_threads() -> None:
    for name in ("transformers", "huggingface_hub"):
        for handler in logging.getLogger(name).handlers:
            if _from_elsewhere not in handler.filters:
                handler.addFilter(_from_elsewhere)


@contextlib.contextmanager
def weights_progress(tell: Callable[[int, int], None], control: Control) -> Iterator[None]:
    """Within the block, transformers' bar "Loading weights" calls ``tell(done, total)`` instead of being drawn.

    What `tell` raises ends the loading. One model loads at a time; waiting for one's turn ends when the control says
    stop.
    """
    from transformers.utils import logging as hf_logging

    class Bar:
        def __init__(self, items: Iterable[Any] = (), *_: Any, **options: Any) -> None:
            self.items = items
            self.total = options.get("total") or (len(items) if isinstance(items, Sized) else 0)

        def __iter__(self) -> Iterator[Any]:
            for number, item in enumerate(self.items):
                tell(number, self.total)
                yield item
            tell(self.total, self.total)

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: Any) -> None:
            pass

        def update(self, n: int = 1) -> None:
            pass

        def close(self) -> None:
            pass

        def set_description(self, *_: Any, **__: Any) -> None:
            pass

        set_postfix = set_description

    mine = threading.get_ident()

    def hook(factory: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if threading.get_ident() == mine:
            return Bar(*arguments, **options)
        return previous(factory, arguments, options) if previous else factory(*arguments, **options)

    with control.locked(_loading):
        previous = hf_logging.set_tqdm_hook(hook)
        try:
            yield
        finally:
            hf_logging.set_tqdm_hook(previous)


@lru_cache(maxsize=1)
def _tells_control_tokens_apart() -> bool:
    """Whether this release can take what looks like a special token in a message as text."""
    import inspect

    from transformers import PreTrainedTokenizerBase

    return "sanitize_control_tokens" in inspect.signature(PreTrainedTokenizerBase.apply_chat_template).parameters


def chat_tokens(tokenizer: Any, messages: list[dict[str, str]], text: str, options: Mapping[str, Any]) -> list[int]:
    """Return the tokens of a rendered conversation; a special token that somebody wrote into a message is text."""
    ids: list[int]
    if _tells_control_tokens_apart():
        ids = tokenizer.apply_chat_template(messages, return_dict=False, sanitize_control_tokens=True, **options)
    else:
        ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return list(ids)


def logits_processors(model: Any, config: Any, length: int, device: str, *, encoder_ids: Any = None) -> list[Any]:
    """Return what changes the scores of a generation by its config: penalties, forbidden tokens, lengths.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        A causal one.
    config : transformers.GenerationConfig
        Of this call alone; it is changed.
    length : int
        Tokens of the prompt; of an encoder-decoder model those that its decoder starts with.
    device : str
        Where the scores are.
    encoder_ids : torch.Tensor, optional
        The prompt of an encoder-decoder model, of shape (1, tokens).
    """
    model._prepare_special_tokens(config, True, device=device)
    found = model._get_logits_processor(
        config, input_ids_seq_length=length, encoder_input_ids=encoder_ids, device=device, model_kwargs={}
    )
    return [_NoEndYet.instead_of(processor) or processor for processor in found]


class _NoEndYet:
    """No end token before a text is long enough, as transformers has it, which looks through all tokens for them."""

    def __init__(self, ends: Any, length: int) -> None:
        self._ends = ends
        self._length = length

    @classmethod
    def instead_of(cls, processor: Any) -> _NoEndYet | None:
        """Return the same for a processor of that kind, None for others."""
        kind = type(processor).__name__
        if kind == "MinLengthLogitsProcessor":
            return cls(processor.eos_token_id, processor.min_length)
        if kind == "MinNewTokensLengthLogitsProcessor":
            return cls(processor.eos_token_id, processor.prompt_length_to_skip + processor.min_new_tokens)
        return None

    def __call__(self, ids: Any, scores: Any) -> Any:
        """Change the scores where they are, of shape (1, vocabulary)."""
        if ids.shape[-1] < self._length:
            scores[:, self._ends] = -math.inf
        return scores
