"""Keeping the record of a generation: what it is made with, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from mcnb.errors import McnbError, RunCancelledError, RunTimeoutError
from mcnb.models.cache import Lease
from mcnb.models.parameters import Parameters
from mcnb.models.request import Generation
from mcnb.runtime.plan import Step
from mcnb.runtime.provenance import sha256
from mcnb.runtime.record import LONGEST_PROMPT, GenerationRecord
from mcnb.runtime.redaction import blacken


@dataclass(frozen=True)
class Place:
    """Which run of a job it is: its turn in a loop, and the attempt; both count from 1."""

    turn: int = 1
    attempt: int = 1


def begin_record(
    step: Step, place: Place, number: int, parameters: Parameters, lease: Lease, secrets: tuple[str, ...]
) -> GenerationRecord:
    """Return the record of a generation that is about to start; its prompt is noted when it is known."""
    model = lease.owner.description
    return GenerationRecord(
        job=step.job.id,
        item=number,
        component=step.component.id,
        model={
            "name": model.name,
            "provider": model.provider,
            "revision": model.revision,
            "digests": dict(model.digests),
        },
        driver=blacken({"name": model.driver, "version": model.version, **model.settings}, secrets),
        device=model.device,
        dtype=model.dtype,
        dtype_reason=model.dtype_reason,
        threads=model.threads,
        cache_hit=lease.hit,
        prompt=None,
        prompt_sha256="",
        parameters=blacken(parameters.to_dict(), secrets),
        turn=place.turn,
        attempt=place.attempt,
    )


def note_prompt(record: GenerationRecord, prompt: str, secrets: tuple[str, ...]) -> None:
    """Note the prompt as the model gets it, secrets blackened; of a long one the hash alone."""
    record.prompt = blacken(prompt, secrets) if len(prompt) <= LONGEST_PROMPT else None
    record.prompt_sha256 = sha256(prompt)


def complete_record(
    record: GenerationRecord, generation: Generation, load_seconds: float, error: McnbError | None = None
) -> None:
    """Note what came of a generation, also where it has failed."""
    result = generation.result
    record.prompt_tokens = result.prompt_tokens
    record.output_tokens = result.output_tokens
    record.output_budget = result.output_budget
    record.clamped = result.clamped
    record.finish_reasons = list(result.finish_reasons)
    if not record.finish_reasons and isinstance(error, RunCancelledError | RunTimeoutError):
        record.finish_reasons = [error.code]  # it was stopped before it began
    record.batch_invariant = result.batch_invariant
    record.driver = {**record.driver, **result.notes}
    record.timings = {
        "queue": generation.queue_seconds,
        "load": load_seconds,
        "first_token": result.first_token_seconds,
        "decode": result.decode_seconds,
    }
