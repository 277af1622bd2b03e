"""One generation, token by token, on a loaded model."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

from mcnb.errors import (
    ContextOverflowError,
    InternalError,
    InvalidInputError,
    McnbError,
    OutOfMemoryError,
    RunCancelledError,
    RunTimeoutError,
)
from mcnb.models.chat import Conversation, Prompt, end_of_turn, render_chat
from mcnb.models.control import Control
from mcnb.models.loaded import LoadedModel
from mcnb.models.parameters import Parameters
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
    import torch

    ends = loaded.end_tokens
    if isinstance(prompt, Conversation):
        result.prompt, ids = render_chat(loaded, prompt)
        tokens: Any = {"input_ids": torch.tensor([ids], dtype=torch.long)}
        ends |= end_of_turn(loaded)
    else:
        result.prompt = prompt
        tokens = loaded.tokenizer(prompt, return_tensors="pt", verbose=False)
    length = int(tokens["input_ids"].shape[-1])
    result.prompt_tokens = length
    result.batch_invariant = not (parameters.uses_beams and parameters.samples)
    _budget(loaded, length, parameters, result)
    if on_prompt is not None:
        on_prompt(length, result.output_budget)
    rows = Rows(
        loaded,
        tokens["input_ids"][0].tolist(),
        parameters,
        on_text,
        result,
        ends=ends,
        stands_alone=loaded.is_encoder_decoder or isinstance(prompt, Conversation),
    )
    loaded.control = control
    try:
        control.check()
        with torch.inference_mode(), _isolated_randomness(loaded, parameters):
            output = loaded.model.generate(**_arguments(loaded, tokens, parameters, rows, result))
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
        raise _explained(error, loaded) from error
    finally:
        loaded.control = Control()
        rows.stop_clock()


def _budget(loaded: LoadedModel, length: int, parameters: Parameters, result: GenerationResult) -> None:
    name, context = loaded.snapshot.name, loaded.context_length
    if length == 0 and not loaded.is_encoder_decoder:
        raise InvalidInputError("the prompt is empty", hint="a model continues at least one token")
    limit = parameters["max_input_length"]
    if limit is not None and length > limit:
        raise ContextOverflowError(
            f"the prompt has {length:,} tokens and max_input_length is {limit:,}",
            hint="shorten it or raise max_input_length; nothing is cut off silently",
        )
    room = None if context is None else context if loaded.is_encoder_decoder else context - length
    too_long = context is not None and (length > context if loaded.is_encoder_decoder else length >= context)
    if too_long:
        raise ContextOverflowError(
            f"the prompt has {length:,} tokens and {name} can see {context:,} at once",
            hint="shorten the prompt or choose a model with a longer context",
        )
    wanted = parameters["max_output_length"]
    if loaded.is_encoder_decoder and room is not None:
        room -= 1  # the decoder's start token
    result.output_budget = min(limit for limit in (wanted, room, parameters.cap) if limit is not None)
    result.clamped = result.output_budget < wanted


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


def _arguments(
    loaded: LoadedModel, tokens: Any, parameters: Parameters, rows: Rows, result: GenerationResult
) -> dict[str, Any]:
    import torch
    from transformers import LogitsProcessorList, StoppingCriteriaList

    config = copy.deepcopy(loaded.defaults)
    for name in _OTHER_ALGORITHMS:
        setattr(config, name, None)
    sequences, beams = parameters["num_return_sequences"], parameters["num_beams"]
    config.max_length = None
    config.min_length = 0
    config.max_new_tokens = result.output_budget
    config.min_new_tokens = min(parameters["min_output_length"], result.output_budget) or None
    config.num_beams = beams
    config.repetition_penalty = parameters["repetition_penalty"]
    config.pad_token_id = loaded.pad_token
    config.eos_token_id = sorted(rows.ends) or None
    config.return_dict_in_generate = False
    config.use_cache = True
    config.do_sample = False
    config.temperature, config.top_k, config.top_p = 1.0, 50, 1.0
    config.num_return_sequences = 1
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


def _explained(error: Exception, loaded: LoadedModel) -> McnbError:
    import torch

    text = " ".join(str(error).split())
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "not enough memory" in text:
        return OutOfMemoryError(
            f"{loaded.snapshot.name}: the generation does not fit into memory",
            hint="shorten the prompt, lower max_output_length or num_return_sequences",
        )
    return InternalError(f"{loaded.snapshot.name}: generating failed ({type(error).__name__}: {text[:300]})")
