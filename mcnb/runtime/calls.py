"""The calls a job makes, rendered: everything that can be wrong with them is known before a model is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcnb.compose.expressions import TypeSpec, render
from mcnb.compose.expressions.casts import cast
from mcnb.compose.schema import Action, ChatCompletionAction, ComponentJob, GenerationParams
from mcnb.errors import ExpressionError, InvalidInputError
from mcnb.models.chat import Prompt
from mcnb.models.parameters import DEFAULTS, check_parameters
from mcnb.runtime.messages import render_messages
from mcnb.runtime.plan import Step
from mcnb.runtime.wording import part_name

MAX_REPEAT = 100_000


@dataclass(frozen=True)
class ActionCall:
    """One call of an action.

    Attributes
    ----------
    scope : mapping
        What the expressions of the action see.
    prompts : tuple of str or Conversation
        One, or those of a batch; a chat's is a conversation.
    is_batch : bool
        Whether the action's prompt is a list; its result is then one too.
    parameters : mapping
        What the document says of the generation parameters, evaluated and checked.
    """

    scope: Mapping[str, Any]
    prompts: tuple[Prompt, ...]
    is_batch: bool
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class JobInputs:
    """The inputs of a job's calls, in order.

    Attributes
    ----------
    values : tuple
        One for each call.
    repeats : bool
        Whether the job's result is a list of theirs.
    items : tuple
        Of a for-each: what the inputs were made from.
    """

    values: tuple[Any, ...]
    repeats: bool
    items: tuple[Any, ...] = ()


def render_inputs(job: ComponentJob, scope: Mapping[str, Any]) -> JobInputs:
    """Render the inputs of a job's calls: one, or ``repeat_count`` of them, each with its ``${index}``.

    Parameters
    ----------
    job : ComponentJob
        The job.
    scope : mapping
        What its expressions see: ``input, jobs, env, context``.

    Raises
    ------
    InvalidInputError, ExpressionError
        For a count out of range, a value of the wrong type.
    """
    count = _repeat_count(job, scope)
    if count is None:
        return JobInputs((_input(job, scope),), repeats=False)
    return JobInputs(tuple(_input(job, {**scope, "index": index}) for index in range(count)), repeats=True)


def render_calls(step: Step, inputs: JobInputs, scope: Mapping[str, Any]) -> tuple[ActionCall, ...]:
    """Render the calls of a job, one for each of its inputs.

    Parameters
    ----------
    step : Step
        The job and what it calls.
    inputs : JobInputs
        As rendered, or as a person wants them.
    scope : mapping
        As in ``render_inputs``.

    Raises
    ------
    InvalidInputError, ExpressionError
        For a missing prompt, a wrong message, a parameter out of range, a value of the wrong type.
    """
    outer = {"env": scope["env"], "context": scope["context"]}
    return tuple(
        _call(step, {"input": values, **outer}, f", index {index}" if inputs.repeats else "")
        for index, values in enumerate(inputs.values)
    )


def _repeat_count(job: ComponentJob, scope: Mapping[str, Any]) -> int | None:
    if job.repeat_count is None:
        return None
    what = f"{part_name('job', job.id)}: repeat_count"
    try:
        value = cast(render(job.repeat_count, scope), TypeSpec("integer"), what=what)
    except ExpressionError as error:
        raise InvalidInputError(error.message) from error
    if value is None:
        raise InvalidInputError(f"{what} has no value", hint=f"it is {job.repeat_count}")
    if not 0 <= value <= MAX_REPEAT:
        raise InvalidInputError(f"{what} has to be from 0 to {MAX_REPEAT:,}, got {value:,}")
    return int(value)


def _input(job: ComponentJob, scope: Mapping[str, Any]) -> Any:
    return scope["input"] if job.input is None else render(job.input, scope)


def _call(step: Step, scope: Mapping[str, Any], number: str) -> ActionCall:
    where = f"{part_name('job', step.job.id)}{number}"
    if isinstance(step.action, ChatCompletionAction):
        conversation = render_messages(step.action, scope, where)
        return ActionCall(scope, (conversation,), False, _given_parameters(step.action, scope))
    template = getattr(step.action, "prompt", None)
    prompt = render(template, scope)
    prompts = prompt if isinstance(prompt, list) else [prompt]
    if None in prompts:
        written = ", ".join(map(str, template)) if isinstance(template, list) else str(template)
        raise InvalidInputError(f"{where}: the prompt is missing", hint=f"the action's prompt is {written}")
    texts = tuple(text if isinstance(text, str) else str(text) for text in prompts)
    return ActionCall(scope, texts, isinstance(prompt, list), _given_parameters(step.action, scope))


def _given_parameters(action: Action, scope: Mapping[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name in DEFAULTS:
        owner = action.params if name in GenerationParams.model_fields else action
        value = render(getattr(owner, name), scope)
        given[name] = list(value) if isinstance(value, tuple) else value
    return check_parameters(given)
