"""The execution of component jobs: get the model, generate, collect."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mcnb.compose.expressions import render
from mcnb.errors import McnbError, RunCancelledError, RunTimeoutError
from mcnb.models.cache import Lease, ModelCache
from mcnb.models.chat import Conversation, Prompt
from mcnb.models.owner import Generation
from mcnb.models.parameters import Origin, Parameters
from mcnb.runtime.calls import ActionCall, JobInputs, render_calls, render_inputs
from mcnb.runtime.leases import LeasedModel, finished
from mcnb.runtime.pauses import Pauses
from mcnb.runtime.plan import Pin, Step
from mcnb.runtime.record import LONGEST_PROMPT, GenerationRecord, sha256
from mcnb.runtime.redaction import blacken
from mcnb.runtime.run import Run


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
        What ``${env...}`` stands for.
    secrets : tuple of str
        Blackened in records.
    pins : mapping of str to Pin
        By job id, for a repeated run.
    pauses : Pauses
        Where jobs wait for a person.
    shown : str or None
        The job whose pieces are the run's text so far.
    streamed : str or None
        The job whose pieces are the run's text in the end.
    """

    def __init__(
        self,
        run: Run,
        input: Mapping[str, Any],
        *,
        cache: ModelCache,
        folder: Path,
        env: Mapping[str, str],
        secrets: tuple[str, ...],
        pins: Mapping[str, Pin],
        pauses: Pauses,
        shown: str | None,
        streamed: str | None,
    ) -> None:
        self.run = run
        self.sources = {"input": input, "env": env, "context": {"run_id": run.id}}
        self.cache = cache
        self.folder = folder
        self.secrets = secrets
        self.pins = pins
        self.pauses = pauses
        self.shown = shown
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
        job = step.job.id
        self.run.control.check()
        if job == self.shown:
            self.run.markdown = getattr(step.component, "task", "") == "chat-completion"
        self.run._emit("job", {"job": job, "state": "processing"})
        try:
            output = await self._output(step, outputs)
        except RunCancelledError:
            self.run._emit("job", {"job": job, "state": "cancelled"})
            raise
        except Exception:
            self.run._emit("job", {"job": job, "state": "failed"})
            raise
        self.run._emit("job", {"job": job, "state": "completed"})
        return output

    async def _output(self, step: Step, outputs: Mapping[str, Any]) -> Any:
        job = step.job
        scope = {**self.sources, "jobs": {name: {"output": value} for name, value in outputs.items()}}
        inputs = await self.pauses.before(step, render_inputs(step, scope), scope)
        output = await self._results(step, inputs, scope)
        if job.output is not None:
            output = render(job.output, {**scope, "output": output})
        return await self.pauses.after(step, output, scope)

    async def _results(self, step: Step, inputs: JobInputs, scope: Mapping[str, Any]) -> Any:
        """Make the calls of a job; a repeated one gives a list."""
        job = step.job
        calls = render_calls(step, inputs, scope)
        results = []
        number = 0
        model = LeasedModel(self.cache, step.model(self.folder, self.pins.get(job.id)), step.idle_timeout)
        try:
            for item, call in enumerate(calls):
                if inputs.repeats:
                    told = {"job": job.id, "state": "processing", "item": item, "items": len(calls)}
                    self.run._emit("job", told)
                results.append(await self._call(step, call, number, model))
                number += len(call.prompts)
        finally:
            model.release()
        return results if inputs.repeats else results[0]

    async def _call(self, step: Step, call: ActionCall, number: int, model: LeasedModel) -> Any:
        """Call the action once; a list of prompts gives a list of results."""
        texts = [
            await self._generate(step, call, prompt, number + offset, model)
            for offset, prompt in enumerate(call.prompts)
        ]
        result: Any = texts if call.is_batch else texts[0]
        if step.action.output is None:
            return result
        return render(step.action.output, {**call.scope, "result": result, "result[]": result})

    async def _generate(
        self, step: Step, call: ActionCall, prompt: Prompt, number: int, model: LeasedModel
    ) -> str | list[str]:
        run, job = self.run, step.job.id
        if isinstance(prompt, Conversation):
            pin = self.pins.get(job)
            prompt = prompt.at(pin.now if pin is not None and pin.now is not None else run.record.created)
        lease = await model.get(run.control, run._progress)
        owner = lease.owner
        parameters = owner.parameters(run.record.parameters, call.parameters, self._seed(step, call.parameters, number))
        whole = returns_full_text(step) and not owner.loaded.is_encoder_decoder
        shown = job == self.shown and not call.is_batch
        streamed = shown and job == self.streamed
        record = self._record(step, number, prompt, parameters, lease)

        before = [prompt] if whole and isinstance(prompt, str) else []

        def on_text(text: str, tokens: int) -> None:
            while before:  # until the model has accepted the prompt, it is no output
                run._token(job, number, before.pop(), 0, shown=shown, streamed=streamed)
            run._token(job, number, text, tokens, shown=shown, streamed=streamed)

        def on_prompt(tokens: int, budget: int) -> None:
            run._emit("prompt", {"job": job, "item": number, "tokens": tokens, "budget": budget})

        generation = owner.submit(prompt, parameters, control=run.control, on_text=on_text, on_prompt=on_prompt)
        run.record.generations.append(record)
        try:
            await finished(generation.future, run.control, generation.leave_queue)
        except McnbError as error:
            _complete(record, generation, model.load_seconds(), error)
            raise
        else:
            _complete(record, generation, model.load_seconds())
        finally:
            if isinstance(prompt, Conversation) and generation.result.prompt:  # rendered by the model's own template
                self._note_prompt(record, generation.result.prompt)
        texts = [prompt + text if whole and isinstance(prompt, str) else text for text in generation.result.texts]
        return texts if len(texts) > 1 else texts[0]

    def _seed(self, step: Step, given: Mapping[str, Any], number: int) -> tuple[int, Origin]:
        """Return the seed of the user, the document or the run; from a job's second generation on, one derived."""
        record = self.run.record
        base, origin = record.seed, "library"
        if "seed" in record.parameters:
            origin = "user"
        elif given.get("seed") is not None:
            base, origin = given["seed"], "document"
        return (base if number == 0 else derived_seed(base, step.job.id, number)), origin  # type: ignore[return-value]

    def _record(
        self, step: Step, number: int, prompt: Prompt, parameters: Parameters, lease: Lease
    ) -> GenerationRecord:
        loaded = lease.owner.loaded
        snapshot, placement = loaded.snapshot, loaded.placement
        record = GenerationRecord(
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
            prompt=None,
            prompt_sha256="",
            parameters=blacken(parameters.to_dict(), self.secrets),
            now=prompt.now if isinstance(prompt, Conversation) else None,
        )
        if isinstance(prompt, str):
            self._note_prompt(record, prompt)
        return record

    def _note_prompt(self, record: GenerationRecord, prompt: str) -> None:
        record.prompt = blacken(prompt, self.secrets) if len(prompt) <= LONGEST_PROMPT else None
        record.prompt_sha256 = sha256(prompt)


def returns_full_text(step: Step) -> bool:
    """Whether a step's output begins with its prompt."""
    said = getattr(step.action, "return_full_text", False)  # a chat has no such key
    return said if said is not None else getattr(step.component, "task", "") == "text-generation"


def derived_seed(seed: int, job: str, number: int) -> int:
    """Return the seed of a further generation: the same for the same run seed, job and place in it."""
    digest = hashlib.sha256(f"{seed}:{job}:{number}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def _complete(
    record: GenerationRecord, generation: Generation, load_seconds: float, error: McnbError | None = None
) -> None:
    result = generation.result
    record.prompt_tokens = result.prompt_tokens
    record.output_tokens = result.output_tokens
    record.output_budget = result.output_budget
    record.clamped = result.clamped
    record.finish_reasons = list(result.finish_reasons)
    if not record.finish_reasons and isinstance(error, RunCancelledError | RunTimeoutError):
        record.finish_reasons = [error.code]  # it was stopped before it began
    record.batch_invariant = result.batch_invariant
    record.timings = {
        "queue": generation.queue_seconds,
        "load": load_seconds,
        "first_token": result.first_token_seconds,
        "decode": result.decode_seconds,
    }
