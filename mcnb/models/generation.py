"""One generation, token by token, on a loaded model."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import Any

from mcnb.errors import (
    InternalError,
    McnbError,
    OutOfMemoryError,
    RunCancelledError,
    RunTimeoutError,
)
from mcnb.models.chat import Prompt
from mcnb.models.control import Control
from mcnb.models.loaded import LoadedModel
from mcnb.models.parameters import Parameters
from mcnb.models.prompting import Prepared, prepare
from mcnb.models.rows import FinishReason, GenerationResult, OnPrompt, OnText, Rows
from mcnb.models.sampling import Sampler, row_seeds

__all__ = ["FinishReason", "GenerationResult", "OnPrompt", "OnText", "generate"]


def generate(
    loaded: LoadedModel,
    prompt: Prompt,
    parameters: Parameters,
    *,
    control: Control,
    on_text: OnText,
    result: GenerationResult,
    on_prompt: OnPrompt | None = None,
) -> None:
    """Generate, filling `result` as it goes, so that a partial text survives whatever ends it.

    Parameters
    ----------
    loaded : LoadedModel
        Used by the calling thread alone.
    prompt : str or Conversation
        A rendered prompt, or messages that the model's chat template renders; the answer to them ends with its turn.
    parameters : Parameters
        All of them.
    control : Control
        Checked before every layer.
    on_text : callable
        Gets the pieces of the first sequence; all at the end when beams are searched.
    result : GenerationResult
        Filled here.
    on_prompt : callable, optional
        Told the tokens of the prompt and the output budget before anything is computed.

    Raises
    ------
    ContextOverflowError, InvalidInputError, UnsupportedModelError, OutOfMemoryError, RunCancelledError,
    RunTimeoutError, InternalError
    """
    prepared = prepare(loaded, prompt, parameters, on_text=on_text, result=result, on_prompt=on_prompt)
    compute(loaded, prepared, control=control)


def compute(
    loaded: LoadedModel, prepared: Prepared, *, control: Control, between: Callable[[], object] | None = None
) -> None:
    """Generate from a prepared prompt; see ``generate``.

    Parameters
    ----------
    loaded : LoadedModel
        Used by the calling thread alone.
    prepared : Prepared
        The prompt.
    control : Control
        Checked before every layer.
    between : callable, optional
        Called after every step: others may use the model then.
    """
    import torch

    rows = prepared.rows
    rows.between = between
    parameters, result = rows.parameters, rows.result
    before = loaded.control
    loaded.control = control
    try:
        control.check()
        with torch.inference_mode(), _isolated_randomness(loaded, parameters):
            output = loaded.model.generate(**_arguments(loaded, prepared.tokens, parameters, rows, result))
        rows.complete(output)
    except RunCancelledError:
        rows.cut("cancelled")
        raise
    except RunTimeoutError:
        rows.cut("timeout")
        raise
    except McnbError:
        rows.keep()
        raise
    except Exception as error:
        rows.keep()
        raise explained(error, loaded) from error
    finally:
        loaded.control = before
        rows.stop_clock()


_OTHER_ALGORITHMS = (
    "assistant_early_exit",
    "constraints",
    "diversity_penalty",
    "dola_layers",
    "epsilon_cutoff",
    "eta_cutoff",
    "force_words_ids",
    "guidance_scale",
    "max_time",
    "min_p",
    "num_beam_groups",
    "penalty_alpha",
    "prompt_lookup_num_tokens",
    "speculation_type",
    "stop_strings",
    "token_healing",
    "top_h",
    "typical_p",
    "use_mtp",
    "watermarking_config",
)
"""What a model's config may ask for besides our parameters: other ways to choose tokens, some with downloaded code."""


def generation_config(loaded: LoadedModel, parameters: Parameters, ends: frozenset[int], budget: int) -> Any:
    """Return transformers' config of a call: the model's own where mcnb has no parameter for it.

    Parameters
    ----------
    loaded : LoadedModel
        The model.
    parameters : Parameters
        Of the call.
    ends : frozenset of int
        The tokens that end a text.
    budget : int
        New tokens at most.
    """
    config = copy.deepcopy(loaded.defaults)
    for name in _OTHER_ALGORITHMS:
        setattr(config, name, None)
    config.max_length = None
    config.min_length = 0
    config.max_new_tokens = budget
    config.min_new_tokens = min(parameters["min_output_length"], budget) or None
    config.num_beams = parameters["num_beams"]
    config.repetition_penalty = parameters["repetition_penalty"]
    config.pad_token_id = loaded.pad_token
    config.eos_token_id = sorted(ends) or None
    config.return_dict_in_generate = False
    config.use_cache = True
    config.do_sample = False
    config.temperature, config.top_k, config.top_p = 1.0, 50, 1.0
    config.num_return_sequences = 1
    return config


def _arguments(
    loaded: LoadedModel, tokens: Any, parameters: Parameters, rows: Rows, result: GenerationResult
) -> dict[str, Any]:
    import torch
    from transformers import LogitsProcessorList, StoppingCriteriaList

    sequences = parameters["num_return_sequences"]
    config = generation_config(loaded, parameters, rows.ends, result.output_budget)
    processors = LogitsProcessorList()
    ids, mask = tokens["input_ids"], tokens.get("attention_mask")
    mask = torch.ones_like(ids) if mask is None else mask
    if parameters.uses_beams:
        config.num_return_sequences = sequences
        config.length_penalty, config.early_stopping = parameters["length_penalty"], parameters["early_stopping"]
        if parameters.samples:
            config.do_sample = True
            config.temperature, config.top_k = parameters["temperature"], parameters["top_k"]
            config.top_p = parameters["top_p"]
    elif parameters.samples:
        ids, mask = ids.repeat(sequences, 1), mask.repeat(sequences, 1)
        processors.append(
            Sampler(
                temperature=parameters["temperature"],
                top_k=parameters["top_k"],
                top_p=parameters["top_p"],
                seeds=row_seeds(parameters["seed"], sequences),
                device=loaded.placement.device,
            )
        )
    device = loaded.placement.device
    return {
        "inputs": ids.to(device),
        "attention_mask": mask.to(device),
        "generation_config": config,
        "logits_processor": processors,
        "stopping_criteria": StoppingCriteriaList([rows]),
    }


@contextlib.contextmanager
def _isolated_randomness(loaded: LoadedModel, parameters: Parameters) -> Iterator[None]:
    """Beam sampling draws from torch's own generator: seed it for the call, and give it back as it was."""
    if not (parameters.uses_beams and parameters.samples):
        yield
        return
    import torch

    kind, _, number = loaded.placement.device.partition(":")
    index, seed = int(number or 0), parameters["seed"]
    with torch.random.fork_rng(devices=[index] if kind == "cuda" else []):
        if kind == "cuda":
            with torch.cuda.device(index):
                torch.cuda.manual_seed(seed)
        elif kind == "mps":
            torch.mps.manual_seed(seed)
        else:
            torch.random.default_generator.manual_seed(seed)
        yield


def explained(error: Exception, loaded: LoadedModel) -> McnbError:
    """Return what to tell of an exception in a model."""
    import torch

    text = " ".join(str(error).split())
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "not enough memory" in text:
        return OutOfMemoryError(
            f"{loaded.snapshot.name}: the generation does not fit into memory",
            hint="shorten the prompt, lower max_output_length or num_return_sequences",
        )
    return InternalError(f"{loaded.snapshot.name}: generating failed ({type(error).__name__}: {text[:300]})")
