"""The execution of component jobs: render, get the model, generate, collect."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mcnb.compose.expressions import render
from mcnb.compose.schema import Action, GenerationParams
from mcnb.errors import InvalidInputError
from mcnb.models.cache import Lease, ModelCache
from mcnb.models.control import Control
from mcnb.models.owner import Generation
from mcnb.models.parameters import DEFAULTS, Origin, Parameters, check_parameters
from mcnb.runtime.plan import Pin, Step
from mcnb.runtime.record import LONGEST_PROMPT, GenerationRecord, blacken, sha256
from mcnb.runtime.run import Run

MAX_REPEAT = 100_000

_T = TypeVar("_T")


@dataclass(frozen=True)
class _Call:
    """One call of an action, rendered: everything that can be wrong with it is known before a model is loaded."""

    scope: Mapping[str, Any]
    prompts: tuple[str, ...]
    is_batch: bool
    parameters: Mapping[str, Any]


class ComponentJobs:
    """Executes the component jobs of one run.

    Parameters
    ----------
    run : Run
        Gets the events and the records of generations.
    input : mapping
        The run's input.
    cache : ModelCache
        Where models come from.
    folder : Path
        Where relative model paths start.
    env : mapping
        What ``${env...}`` stands for; blackened in records.
    pins : mapping of str to Pin
        By component id, for a repeated run.
    streamed : str or None
        The job whose pieces are the run's text.
    """

    def __init__(
        self,
        run: Run,
        input: Mapping[str, Any],
        *,
        cache: ModelCache,
        folder: Path,
        env: Mapping[str, str],
        pins: Mapping[str, Pin],
        streamed: str | None,
    ) -> None:
        self.run = run
        self.sources = {"input": input, "env": env, "context": {"run_id": run.id}}
        self.cache = cache
        self.folder = folder
        self.env = env
        self.pins = pins
        self.streamed = streamed

    async def execute(self, step: Step, outputs: Mapping[str, Any]) -> Any:
        """Execute one job and return its output.

        Parameters
        ----------
        step : Step
            The job and what it calls.
        outputs : mapping
            Of the jobs before it, by id.

        Raises
        ------
        McnbError
        """
        job, control = step.job, self.run.control
        control.check()
        self.run._emit("job", {"job": job.id, "state": "processing"})
        scope = {**self.sources, "jobs": {name: {"output": value} for name, value in outputs.items()}}
        count = _repeat_count(render(job.repeat_count, scope), job.id)
        scopes = [scope] if count is None else [{**scope, "index": index} for index in range(count)]
        calls = [self._rendered(step, _job_input(job.input, inner)) for inner in scopes]
        results = []
        number = 0
        leased = _Leased(self.cache, step.model(self.folder, self.pins.get(step.component.id)), step.idle_timeout)
        try:
            for item, call in enumerate(calls):
                if count is not None:
                    self.run._emit("job", {"job": job.id, "state": "processing", "item": item, "items": count})
                results.append(await self._call(step, call, number, leased))
                number += len(call.prompts)
        finally:
            leased.release()
        outcome: Any = results[0] if count is None else results
        if job.output is not None:
            outcome = render(job.output, {**scope, "output": outcome})
        self.run._emit("job", {"job": job.id, "state": "completed"})
        return outcome

    def _rendered(self, step: Step, values: Any) -> _Call:
        action = step.action
        scope = {**self.sources, "input": values}
        prompt = render(getattr(action, "prompt", None), scope)
        prompts = prompt if isinstance(prompt, list) else [prompt]
        if any(text is None for text in prompts):
            raise InvalidInputError(
                f"job '{step.job.id}': the prompt is missing", hint=f"the action's prompt is {action_prompt(action)}"
            )
        texts = tuple(text if isinstance(text, str) else str(text) for text in prompts)
        return _Call(scope, texts, isinstance(prompt, list), _given_parameters(action, scope))

    async def _call(self, step: Step, call: _Call, number: int, leased: _Leased) -> Any:
        """Call the action once; a list of prompts gives a list of results."""
        texts = [
            await self._generate(step, prompt, call.parameters, number + offset, leased)
            for offset, prompt in enumerate(call.prompts)
        ]
        result: Any = texts if call.is_batch else texts[0]
        if step.action.output is None:
            return result
        return render(step.action.output, {**call.scope, "result": result, "result[]": result})

    async def _generate(
        self, step: Step, prompt: str, given: Mapping[str, Any], number: int, leased: _Leased
    ) -> str | list[str]:
        run = self.run
        lease = await leased.get(run)
        owner = lease.owner
        parameters = owner.parameters(run.record.parameters, given, self._seed(step, given, number))
        whole = returns_full_text(step) and not owner.loaded.is_encoder_decoder
        record = self._record(step, number, prompt, parameters, lease)

        def on_text(text: str, tokens: int) -> None:
            run._token(step.job.id, number, text, tokens, streamed=step.job.id == self.streamed)

        if whole:
            on_text(prompt, 0)
        generation = owner.submit(prompt, parameters, control=run.control, on_text=on_text)
        try:
            await _finished(generation.future, run.control, generation.leave_queue)
        finally:
            _complete(record, generation, leased.load_seconds())
            run.record.generations.append(record)
        texts = [prompt + text if whole else text for text in generation.result.texts]
        return texts if len(texts) > 1 else texts[0]

    def _seed(self, step: Step, given: Mapping[str, Any], number: int) -> tuple[int, Origin]:
        """The seed of the user, the document or the run; for every generation but a job's first derived from it."""
        record = self.run.record
        base, origin = record.seed, "library"
        if "seed" in record.parameters:
            origin = "user"
        elif given.get("seed") is not None:
            base, origin = given["seed"], "document"
        return (base if number == 0 else derived_seed(base, step.job.id, number)), origin  # type: ignore[return-value]

    def _record(self, step: Step, number: int, prompt: str, parameters: Parameters, lease: Lease) -> GenerationRecord:
        loaded = lease.owner.loaded
        snapshot, placement = loaded.snapshot, loaded.placement
        return GenerationRecord(
            job=step.job.id,
            item=number,
            component=step.component.id,
            model={
                "name": snapshot.name,
                "provider": snapshot.provider,
                "revision": snapshot.revision,
                "digests": dict(snapshot.digests),
            },
            device=placement.device,
            dtype=placement.dtype,
            dtype_reason=placement.reason,
            threads=lease.owner.threads,
            cache_hit=lease.hit,
            prompt=blacken(prompt, self.env) if len(prompt) <= LONGEST_PROMPT else None,
            prompt_sha256=sha256(prompt),
            parameters=parameters.to_dict(),
        )


class _Leased:
    """The model of a job: asked for at the first generation, given back at the end."""

    def __init__(self, cache: ModelCache, spec: Any, idle_timeout: float | None) -> None:
        self._cache = cache
        self._spec = spec
        self._idle_timeout = idle_timeout
        self._lease: Lease | None = None
        self._told = False

    async def get(self, run: Run) -> Lease:
        while self._lease is None:
            waiter = self._cache.acquire(self._spec, run._progress)
            ready = await _finished(waiter.future, run.control, waiter.leave)
            self._lease = self._cache.lease(ready)
        return self._lease

    def load_seconds(self) -> float:
        """Seconds of loading that the generation asking first had to wait for."""
        if self._lease is None or self._lease.hit or self._told:
            return 0.0
        self._told = True
        return self._lease.owner.loaded.load_seconds

    def release(self) -> None:
        if self._lease is not None:
            self._lease.release(self._idle_timeout)


async def _finished(future: Future[_T], control: Control, stop: Callable[[], None]) -> _T:
    """Wait for work in another thread; when the run is stopped, tell that work and wait until it has ended."""
    with control.calling(stop):
        try:
            return await asyncio.shield(asyncio.wrap_future(future))
        except asyncio.CancelledError:
            control.check()  # it left the queue before it began
            raise


def _repeat_count(value: Any, job: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, str) and value.strip().isdigit():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_REPEAT:
        raise InvalidInputError(f"job '{job}': repeat_count has to be an integer from 0 to {MAX_REPEAT:,}, got {value!r}")
    return value


def _job_input(tree: Any, scope: Mapping[str, Any]) -> Any:
    return scope["input"] if tree is None else render(tree, scope)


def action_prompt(action: Action) -> str:
    """Return an action's prompt as written, for messages."""
    prompt = getattr(action, "prompt", None)
    return ", ".join(map(str, prompt)) if isinstance(prompt, list) else str(prompt)


def _given_parameters(action: Action, scope: Mapping[str, Any]) -> dict[str, Any]:
    """What the document says of the generation parameters, expressions evaluated and values checked."""
    given: dict[str, Any] = {}
    for name in DEFAULTS:
        owner = action.params if name in GenerationParams.model_fields else action
        value = render(getattr(owner, name), scope)
        given[name] = list(value) if isinstance(value, tuple) else value
    return check_parameters(given)


def returns_full_text(step: Step) -> bool:
    """Whether a step's output begins with its prompt."""
    said = step.action.return_full_text
    return said if said is not None else getattr(step.component, "task", "") == "text-generation"


def derived_seed(seed: int, job: str, number: int) -> int:
    """Return the seed of a further generation: the same for the same run seed, job and place in it."""
    digest = hashlib.sha256(f"{seed}:{job}:{number}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def _complete(record: GenerationRecord, generation: Generation, load_seconds: float) -> None:
    result = generation.result
    record.prompt_tokens = result.prompt_tokens
    record.output_tokens = result.output_tokens
    record.output_budget = result.output_budget
    record.clamped = result.clamped
    record.finish_reasons = list(result.finish_reasons)
    record.batch_invariant = result.batch_invariant
    record.timings = {
        "queue": generation.queue_seconds,
        "load": load_seconds,
        "first_token": result.first_token_seconds,
        "decode": result.decode_seconds,
    }
