"""The execution of jobs that call components: get the model, generate, collect."""

from __future__ import annotations

import asyncio
import copy
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mcnb.compose.expressions import render
from mcnb.errors import McnbError, RunCancelledError, RunTimeoutError, UnsupportedModelError
from mcnb.models.cache import ModelCache
from mcnb.models.chat import Conversation, Prompt
from mcnb.models.control import Control
from mcnb.models.drivers.contract import Description
from mcnb.models.parameters import Origin
from mcnb.models.request import Priority
from mcnb.runtime.calls import ActionCall, JobInputs, render_calls
from mcnb.runtime.generations import Place, begin_record, complete_record, note_prompt
from mcnb.runtime.group import at_once, in_order
from mcnb.runtime.leases import LeasedModel, finished
from mcnb.runtime.plan import Pin, Step
from mcnb.runtime.run import Run
from mcnb.runtime.wording import part_name


class ComponentJobs:
    """Executes those jobs of one run.

    Parameters
    ----------
    run : Run
        Gets the events and the records of generations.
    cache : ModelCache
        Where models come from.
    folder : Path
        Where relative model paths start.
    secrets : tuple of str
        Blackened in records.
    pins : mapping of str to Pin
        By job id, for a repeated run.
    priority : str
        Of its generations.
    shown : collection of str
        The jobs whose pieces are the run's text so far.
    streamed : collection of str
        The jobs whose pieces are the run's text in the end.
    """

    def __init__(
        self,
        run: Run,
        *,
        cache: ModelCache,
        folder: Path,
        secrets: tuple[str, ...],
        pins: Mapping[str, Pin],
        priority: Priority,
        shown: Collection[str],
        streamed: Collection[str],
    ) -> None:
        self.run = run
        self.cache = cache
        self.folder = folder
        self.secrets = secrets
        self.pins = pins
        self.priority = priority
        self.shown = shown
        self.streamed = streamed

    async def results(
        self, step: Step, inputs: JobInputs, scope: Mapping[str, Any], place: Place, done: dict[int, Any]
    ) -> Any:
        """Make the calls of a job and return its result; of a job that repeats, the list of theirs.

        Parameters
        ----------
        step : Step
            The job and what it calls.
        inputs : JobInputs
            Of the calls.
        scope : mapping
            What the job's expressions see.
        place : Place
            Which of the job's runs and attempts it is.
        done : dict
            What earlier attempts have generated, by number; gets what this one generates.

        Raises
        ------
        McnbError
        """
        calls = render_calls(step, inputs, scope)
        if step.job.id in self.shown:
            self.run._begin_text(is_markdown=getattr(step.component, "task", "") == "chat-completion")
        asked = [
            _Asked(call, prompt, place, (item, len(calls)) if inputs.repeats else None, is_first=not offset)
            for item, call in enumerate(calls)
            for offset, prompt in enumerate(call.prompts)
        ]
        todo = [number for number in range(len(asked)) if number not in done]
        if todo:
            await self._generate_all(step, asked, todo, at_once(step, calls, scope), done)
        results = []
        number = 0
        for call in calls:
            texts = [done[number + offset] for offset in range(len(call.prompts))]
            number += len(texts)
            results.append(_result(step, call, texts))
        return results if inputs.repeats else results[0]

    async def _generate_all(
        self, step: Step, asked: Sequence[_Asked], todo: Sequence[int], size: int, done: dict[int, Any]
    ) -> None:
        """Generate what is asked for and not done yet, with the model held meanwhile."""
        model = LeasedModel(self.cache, step.model(self.folder, self.pins.get(step.job.id)), step.idle_timeout)
        group = Control()
        try:
            await model.get(self.run.control, self.run._progress)  # one asks for it, not all of the group
            await in_order(
                todo, size, lambda number: self._generate(step, asked[number], number, model, group), group.cancel, done
            )
        finally:
            model.release()

    async def _generate(
        self, step: Step, asked: _Asked, number: int, model: LeasedModel, group: Control
    ) -> str | list[str]:
        run, job = self.run, step.job.id
        call, prompt, place = asked.call, asked.prompt, asked.place
        if isinstance(prompt, Conversation):
            pin = self.pins.get(job)
            prompt = prompt.at(pin.now if pin is not None and pin.now is not None else run.record.created)
        lease = await model.get(run.control, run._progress)
        owner = lease.owner
        _check_task(step, owner.description)
        parameters = owner.parameters(run.record.parameters, call.parameters, self._seed(step, asked, number))
        parameters = replace(parameters, cap=run.record.max_output_tokens)
        whole = returns_full_text(step) and not owner.description.is_encoder_decoder
        shown = job in self.shown and not call.is_batch
        streamed = shown and job in self.streamed
        record = begin_record(step, place, number, parameters, lease, self.secrets)
        if isinstance(prompt, Conversation):
            record.now = prompt.now
        else:
            note_prompt(record, prompt, self.secrets)
            warning = owner.warning(prompt)
            if warning is not None and warning not in run.record.warnings:
                run.record.warnings.append(warning)

        before = [prompt] if whole and isinstance(prompt, str) else []

        def on_text(text: str, tokens: int) -> None:
            while before:  # until the model has accepted the prompt, it is no output
                run._token(job, number, before.pop(), 0, shown=shown, streamed=streamed)
            run._token(job, number, text, tokens, shown=shown, streamed=streamed)

        def on_prompt(tokens: int, budget: int) -> None:
            if asked.item is not None and asked.is_first:
                item, items = asked.item
                run._emit("job", {"job": job, "state": "processing", "item": item, "items": items})
            run._emit("prompt", {"job": job, "item": number, "tokens": tokens, "budget": budget})

        generation = owner.submit(
            prompt,
            parameters,
            control=run.control,
            on_text=on_text,
            on_prompt=on_prompt,
            priority=self.priority,
            reproducible=step.component.reproducible,
        )
        run.record.generations.append(record)
        try:
            with group.calling(generation.leave_queue):
                await finished(generation.future, run.control, generation.leave_queue)
        except McnbError as error:
            complete_record(record, generation, model.load_seconds(), error)
            if asked.item is None or isinstance(error, RunCancelledError | RunTimeoutError):
                raise
            raise _placed(error, f"{part_name('job', job)}, index {asked.item[0]}") from error
        except asyncio.CancelledError:  # another one of the group has failed, and this one never began
            run.record.generations.remove(record)
            raise
        else:
            complete_record(record, generation, model.load_seconds())
        finally:
            if isinstance(prompt, Conversation) and generation.result.prompt:  # rendered by the model's own template
                note_prompt(record, generation.result.prompt, self.secrets)
        texts = [prompt + text if whole and isinstance(prompt, str) else text for text in generation.result.texts]
        return texts if len(texts) > 1 else texts[0]

    def _seed(self, step: Step, asked: _Asked, number: int) -> tuple[int, Origin]:
        """Return the seed of the user, the document or the run; from a job's second generation on, one derived.

        A further attempt has the seed of the first: what did not fail is made as if nothing had.
        """
        record, given, turn = self.run.record, asked.call.parameters, asked.place.turn
        base, origin = record.seed, "library"
        if "seed" in record.parameters:
            origin = "user"
        elif given.get("seed") is not None:
            base, origin = given["seed"], "document"
        if number or turn > 1:
            base = derived_seed(base, step.job.id if turn == 1 else f"{step.job.id}:{turn}", number)
        return base, origin  # type: ignore[return-value]


@dataclass(frozen=True)
class _Asked:
    """One generation of a job; `item` says which one it is for (from 0) of how many, in a job that repeats."""

    call: ActionCall
    prompt: Prompt
    place: Place
    item: tuple[int, int] | None
    is_first: bool


def _result(step: Step, call: ActionCall, texts: list[Any]) -> Any:
    """Return the result of one call; a list of prompts gives a list."""
    result: Any = texts if call.is_batch else texts[0]
    if step.action.output is None:
        return result
    return render(step.action.output, {**call.scope, "result": result, "result[]": result})


def _check_task(step: Step, model: Description) -> None:
    """Refuse a model that was not made for the task.

    Raises
    ------
    UnsupportedModelError
    """
    if getattr(step.component, "task", "") == "text-to-text" and not model.is_encoder_decoder:
        raise UnsupportedModelError(
            f"{model.name} continues texts, it does not turn them into others",
            hint="use 'task: text-generation', or name an encoder-decoder model such as T5 or BART",
        )


def _placed(error: McnbError, where: str) -> McnbError:
    """Return a copy of an error that says where: other runs may hold the same one."""
    told = copy.copy(error)
    told.message = f"{where}: {error.message}"
    told.args = (told.message,)
    return told


def returns_full_text(step: Step) -> bool:
    """Whether a step's output begins with its prompt."""
    said = getattr(step.action, "return_full_text", False)  # a chat has no such key
    return said if said is not None else getattr(step.component, "task", "") == "text-generation"


def derived_seed(seed: int, job: str, number: int | str) -> int:
    """Return the seed of a further generation: the same for the same run seed, job and place in it."""
    digest = hashlib.sha256(f"{seed}:{job}:{number}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1
