"""One generation, token by token, on a loaded model."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from mcnb.errors import ContextOverflowError, InternalError, McnbError, OutOfMemoryError, RunCancelledError, RunTimeoutError
from mcnb.models.control import Control
from mcnb.models.detokenizer import Detokenizer
from mcnb.models.loading import LoadedModel, generation_defaults
from mcnb.models.parameters import Parameters
from mcnb.models.sampling import make_sampler, row_seeds

FinishReason: TypeAlias = Literal[
    "eos", "stop_sequence", "max_output_length", "context_full", "cancelled", "timeout"
]

OnText: TypeAlias = Callable[[str, int], None]
"""Called with each new piece of text of the first sequence, and the number of tokens so far."""


@dataclass
class GenerationResult:
    """What one generation gave, whole or partial.

    Attributes
    ----------
    texts : list of str
        The continuation (or reply) of each sequence.
    finish_reasons : list of str
        One for each sequence.
    prompt_tokens, output_tokens : int
        Tokens read and written; of several sequences, their sum.
    output_budget : int
        New tokens that were allowed; less than asked for when the context was too short.
    clamped : bool
        Whether it was less.
    first_token_seconds, decode_seconds : float or None
        From the start of prompt processing to the first token, and from there to the last.
    batch_invariant : bool
        Whether the text depends on nothing but its record.
    """

    texts: list[str] = field(default_factory=list)
    finish_reasons: list[FinishReason] = field(default_factory=list)
    prompt_tokens: int = 0
    output_tokens: int = 0
    output_budget: int = 0
    clamped: bool = False
    first_token_seconds: float | None = None
    decode_seconds: float | None = None
    batch_invariant: bool = True


def generate(
    loaded: LoadedModel, prompt: str, parameters: Parameters, *, control: Control, on_text: OnText, result: GenerationResult
) -> None:
    """Generate, filling `result` as it goes, so that a partial text survives whatever ends it.

    Parameters
    ----------
    loaded : LoadedModel
        Used by the calling thread alone.
    prompt : str
        The rendered prompt.
    parameters : Parameters
        All of them.
    control : Control
        Checked before every layer.
    on_text : callable
        Gets the pieces of the first sequence, unless beams are searched.
    result : GenerationResult
        Filled here.

    Raises
    ------
    ContextOverflowError, OutOfMemoryError, RunCancelledError, RunTimeoutError, InternalError
    """
    import torch

    tokens = loaded.tokenizer(prompt, return_tensors="pt", verbose=False)
    length = int(tokens["input_ids"].shape[-1])
    result.prompt_tokens = length
    _budget(loaded, length, parameters, result)
    rows = _Rows(loaded, tokens["input_ids"][0].tolist(), parameters, on_text, result)
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
        raise
    except Exception as error:
        raise _explained(error, loaded) from error
    finally:
        loaded.control = Control()
        rows.stop_clock()


def _budget(loaded: LoadedModel, length: int, parameters: Parameters, result: GenerationResult) -> None:
    name, context = loaded.snapshot.name, loaded.context_length
    if length == 0 and not loaded.is_encoder_decoder:
        raise ContextOverflowError("the prompt is empty", hint="a model continues at least one token")
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
    result.output_budget = wanted if room is None else min(wanted, room)
    result.clamped = result.output_budget < wanted


def _arguments(
    loaded: LoadedModel, tokens: Any, parameters: Parameters, rows: _Rows, result: GenerationResult
) -> dict[str, Any]:
    import torch
    from transformers import LogitsProcessorList, StoppingCriteriaList

    config = generation_defaults(loaded)
    sequences, beams = parameters["num_return_sequences"], parameters["num_beams"]
    config.max_length = None
    config.min_length = 0
    config.max_new_tokens = result.output_budget
    config.min_new_tokens = min(parameters["min_output_length"], result.output_budget) or None
    config.num_beams = beams
    config.repetition_penalty = parameters["repetition_penalty"]
    config.pad_token_id = loaded.pad_token
    config.eos_token_id = sorted(loaded.end_tokens) or None
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
            make_sampler(
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
        "stopping_criteria": StoppingCriteriaList([rows.criterion()]),
    }


class _isolated_randomness:
    """Beam sampling draws from torch's global generator: seed it for the call, and give it back as it was."""

    def __init__(self, loaded: LoadedModel, parameters: Parameters) -> None:
        self.needed = parameters.uses_beams and parameters.samples
        self.seed = parameters["seed"]
        self.fork: Any = None

    def __enter__(self) -> None:
        if self.needed:
            import torch

            self.fork = torch.random.fork_rng()
            self.fork.__enter__()
            torch.manual_seed(self.seed)

    def __exit__(self, *exc: Any) -> None:
        if self.fork is not None:
            self.fork.__exit__(*exc)


class _Rows:
    """Follows the rows of a generation: their text, their ends, the clock."""

    def __init__(
        self, loaded: LoadedModel, prompt: list[int], parameters: Parameters, on_text: OnText, result: GenerationResult
    ) -> None:
        self.loaded = loaded
        self.parameters = parameters
        self.result = result
        self.on_text = on_text
        self.prompt = [] if loaded.is_encoder_decoder else prompt
        self.ends = loaded.end_tokens
        sequences = parameters["num_return_sequences"]
        self.pieces: list[list[str]] = [[] for _ in range(sequences)]
        self.counts = [0] * sequences
        self.reasons: list[FinishReason | None] = [None] * sequences
        self.readers = [self.reader() for _ in range(sequences)]
        self.started = time.perf_counter()
        self.first: float | None = None
        result.texts = [""] * sequences

    def reader(self) -> Detokenizer:
        return Detokenizer(self.loaded.tokenizer, self.prompt, self.parameters["stop_sequences"])

    def criterion(self) -> Any:
        """Return the stopping criterion through which ``generate`` shows each step."""
        import torch
        from transformers import StoppingCriteria

        rows = self

        class Follow(StoppingCriteria):  # type: ignore[misc]
            def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
                rows.loaded.control.check()
                rows.first = rows.first or time.perf_counter()
                if rows.parameters.uses_beams:
                    stopped = [False] * input_ids.shape[0]
                else:
                    stopped = [rows.take(row, token) for row, token in enumerate(input_ids[:, -1].tolist())]
                return torch.tensor(stopped, dtype=torch.bool, device=input_ids.device)

        return Follow()

    def take(self, row: int, token: int) -> bool:
        """Take a row's next token; return whether the row is finished."""
        if self.reasons[row] is not None:
            return True
        self.counts[row] += 1
        reader = self.readers[row]
        if token in self.ends:
            self.reasons[row] = "eos"
        else:
            self.say(row, reader.add(token))
            if reader.stopped:
                self.reasons[row] = "stop_sequence"
            elif self.counts[row] >= self.result.output_budget:
                self.reasons[row] = "context_full" if self.result.clamped else "max_output_length"
        if self.reasons[row] is not None:
            self.say(row, reader.finish())
        return self.reasons[row] is not None

    def say(self, row: int, text: str) -> None:
        if text:
            self.pieces[row].append(text)
        if row == 0 and (text or self.counts[0] == 1):
            self.on_text(text, self.counts[0])

    def complete(self, output: Any) -> None:
        """Take the finished sequences; those of beams arrive only now."""
        if self.parameters.uses_beams:
            skip = 1 if self.loaded.is_encoder_decoder else len(self.prompt)
            for row, tokens in enumerate(output[:, skip:].tolist()):
                for token in tokens:
                    if self.take(row, token):
                        break
                if self.reasons[row] is None:
                    self.say(row, self.readers[row].finish())
                    self.reasons[row] = "eos"
        self.fill()

    def cut(self, reason: FinishReason) -> None:
        """Keep what there is."""
        for row, reader in enumerate(self.readers):
            if self.reasons[row] is None:
                self.say(row, reader.finish())
                self.reasons[row] = reason
        self.fill()

    def fill(self) -> None:
        result = self.result
        result.texts = ["".join(pieces) for pieces in self.pieces]
        result.finish_reasons = [reason or "eos" for reason in self.reasons]
        result.output_tokens = sum(self.counts)

    def stop_clock(self) -> None:
        if self.first is not None:
            self.result.first_token_seconds = self.first - self.started
            self.result.decode_seconds = time.perf_counter() - self.first


def _explained(error: Exception, loaded: LoadedModel) -> McnbError:
    import torch

    text = " ".join(str(error).split())
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "not enough memory" in text:
        return OutOfMemoryError(
            f"{loaded.snapshot.name}: the generation does not fit into memory",
            hint="shorten the prompt, lower max_output_length or num_return_sequences",
        )
    return InternalError(f"{loaded.snapshot.name}: generating failed ({type(error).__name__}: {text[:300]})")
