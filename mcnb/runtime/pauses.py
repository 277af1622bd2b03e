"""Where the jobs of a run wait for a person."""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mcnb.compose.expressions import TypeSpec, render
from mcnb.compose.expressions.casts import cast
from mcnb.compose.schema import JobBase
from mcnb.compose.schema.policies import Pause as Asked
from mcnb.errors import ExpressionError, InvalidInputError
from mcnb.runtime.calls import JobInputs
from mcnb.runtime.deadline import Deadline
from mcnb.runtime.interruption import KEPT, Interruption, Pause
from mcnb.runtime.leases import finished
from mcnb.runtime.plan import Plan
from mcnb.runtime.record import Answer, Phase
from mcnb.runtime.redaction import blacken
from mcnb.runtime.run import Run
from mcnb.runtime.wording import part_name


class Pauses:
    """The interruptions of one run, one at a time: a second job that asks waits until the first has its answer.

    Parameters
    ----------
    run : Run
        Is interrupted and resumed.
    deadline : Deadline
        Stands still meanwhile.
    answers : sequence of Answer
        Of the run that is repeated: what they answer is not asked again.
    secrets : tuple of str
        Blackened in the record.
    """

    def __init__(self, run: Run, deadline: Deadline, answers: Sequence[Answer], secrets: tuple[str, ...]) -> None:
        self._run = run
        self._deadline = deadline
        self._known = deque(answers)
        self._secrets = secrets
        self._one_at_a_time = asyncio.Lock()

    async def before_calls(self, job: JobBase, inputs: JobInputs, scope: Mapping[str, Any]) -> JobInputs:
        """Return the inputs a job's calls go on with, when a person has seen them where the document wants that."""
        value = list(inputs.values) if inputs.repeats else inputs.values[0]
        value = await self.before(job, value, scope, of_items=inputs.repeats)
        return replace(inputs, values=tuple(value) if inputs.repeats else (value,))

    async def before(self, job: JobBase, value: Any, scope: Mapping[str, Any], *, of_items: bool = False) -> Any:
        """Return the input a job goes on with, when a person has seen it where the document wants that."""
        asked = job.interrupt.before if job.interrupt is not None else None
        if asked is None:
            return value
        return await self._value(job, asked, "before", value, scope, of_items=of_items)

    async def after(self, job: JobBase, output: Any, scope: Mapping[str, Any]) -> Any:
        """Return the output a job ends with, when a person has seen it where the document wants that."""
        asked = job.interrupt.after if job.interrupt is not None else None
        if asked is None:
            return output
        return await self._value(job, asked, "after", output, {**scope, "output": output})

    async def _value(
        self, job: JobBase, asked: Asked, phase: Phase, value: Any, scope: Mapping[str, Any], *, of_items: bool = False
    ) -> Any:
        where = f"{part_name('job', job.id)}: interrupt.{phase}"
        if asked.condition is not None and not _is_true(render(asked.condition, scope), where):
            return value
        message = render(asked.message, scope)
        shown = Interruption(
            job=job.id,
            phase=phase,
            message=None if message is None else str(message),
            metadata=render(asked.metadata, scope),
            value=copy.deepcopy(value),
        )
        pause = Pause(shown, value, of_items)
        known = next((item for item in self._known if (item.job, item.phase) == (shown.job, phase)), None)
        if known is not None:
            self._known.remove(known)
            value, answer = pause.replied(KEPT if known.kept else known.answer)
        else:
            value, answer = await self._reply(pause)
        self._run.record.answers.append(replace(answer, answer=blacken(answer.answer, self._secrets)))
        return value

    async def _reply(self, pause: Pause) -> tuple[Any, Answer]:
        async with self._one_at_a_time:
            self._run.control.check()
            self._deadline.stop()
            self._run._interrupt(pause)
            try:
                return await finished(pause.reply, self._run.control, pause.reply.cancel)
            finally:
                self._deadline.start()


def check_answered(plan: Plan) -> None:
    """Refuse a workflow that always asks a person: no row of it could end.

    Raises
    ------
    InvalidInputError
    """
    for job in plan.workflow.jobs:
        asked = job.interrupt
        pauses = {} if asked is None else {"before": asked.before, "after": asked.after}
        for phase, pause in pauses.items():
            if pause is not None and pause.condition is None:
                raise InvalidInputError(
                    f"{part_name('job', job.id)} asks a person {phase} each run, and nobody answers in a batch",
                    hint="give 'interrupt' a 'condition' that is false in a batch",
                )


def _is_true(value: Any, where: str) -> bool:
    try:
        return bool(cast(value, TypeSpec("boolean"), what=f"{where}.condition"))
    except ExpressionError as error:
        raise InvalidInputError(error.message) from error
