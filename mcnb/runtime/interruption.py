"""Interruption: a run that waits for a person before or after a job."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mcnb.compose.plain_values import plain_values
from mcnb.errors import InvalidInputError
from mcnb.runtime.record import Answer, Phase
from mcnb.runtime.wording import part_name


class Kept(enum.Enum):
    """No answer was given: the value stays. Null is an answer."""

    KEPT = "kept"


KEPT = Kept.KEPT


@dataclass(frozen=True)
class Interruption:
    """What a run asks a person.

    Attributes
    ----------
    job : str
        The job's id.
    phase : str
        ``before`` or ``after`` the job.
    message : str or None
        The document's words to the person.
    metadata : Any
        The document's, for programs.
    value : Any
        What an answer replaces: the job's input (``before``; of a repeated job the list of its inputs) or the job's
        output (``after``).
    """

    job: str
    phase: Phase
    message: str | None = None
    metadata: Any = None
    value: Any = None

    def to_dict(self) -> dict[str, Any]:
        """Return the interruption as it stands in its event."""
        return asdict(self)

    @property
    def question(self) -> str:
        """The message, or words in its place."""
        named = part_name("job", self.job)
        return self.message or f"{named} {'is about to start' if self.phase == 'before' else 'is done'}"

    @property
    def text(self) -> str | None:
        """The one text of the value, which a person edits; None when it holds none or several."""
        if isinstance(self.value, str):
            return self.value
        name = _text_entry(self.value)
        return None if name is None else str(self.value[name])

    def answer_from_text(self, text: str) -> Any:
        """Turn what a person typed into an answer: the value's text where it is one text, otherwise JSON.

        Raises
        ------
        InvalidInputError
            When it has to be JSON and is not.
        """
        if isinstance(self.value, str):
            return text
        if name := _text_entry(self.value):
            return {**self.value, name: text}
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            hint = f"it replaces {json.dumps(self.value, ensure_ascii=False)[:200]}"
            raise InvalidInputError(f"{self._named}: the answer has to be JSON ({error})", hint=hint) from error

    def answered(self, answer: Any, *, of_items: bool = False) -> Any:
        """Return what an answer makes of the value.

        Parameters
        ----------
        answer : Any
            JSON data.
        of_items : bool
            Whether the value is the list of a repeated job's inputs.

        Raises
        ------
        InvalidInputError
            When it does not fit.
        """
        if self.phase == "after":
            return answer
        if not of_items:
            return self._input(answer, self.value)
        if not isinstance(answer, list) or len(answer) != len(self.value):
            raise InvalidInputError(f"{self._named} has to be a list of {len(self.value)} inputs")
        return [self._input(new, old) for new, old in zip(answer, self.value, strict=True)]

    def plain(self, answer: Any) -> Any:
        """Return an answer as JSON data of its own, or raise InvalidInputError."""
        try:
            return plain_values({"answer": answer})["answer"]
        except InvalidInputError as error:
            raise InvalidInputError(f"{self._named}: {error.message}", hint=error.hint) from error

    @property
    def _named(self) -> str:
        return f"the answer {self.phase} {part_name('job', self.job)}"

    def _input(self, answer: Any, value: Any) -> Any:
        """Check that an answer can be the input in place of another one."""
        if isinstance(value, Mapping):
            if isinstance(answer, str) and (name := _text_entry(value)):
                return {**value, name: answer}
            if not isinstance(answer, Mapping):
                hint = f"its input has {', '.join(value) or 'no values'}"
                raise InvalidInputError(f"{self._named} has to be a mapping of names to values", hint=hint)
        return answer


def _text_entry(value: Any) -> str | None:
    """Return the name of the only text of a mapping."""
    if not isinstance(value, Mapping):
        return None
    names = [name for name, item in value.items() if isinstance(item, str)]
    return names[0] if len(names) == 1 else None


@dataclass(frozen=True)
class Pause:
    """An interruption with what waits for its answer.

    Attributes
    ----------
    interruption : Interruption
        As the person sees it; its value is a copy, which readers may do with what they like.
    value : Any
        What the run goes on with when the value is kept.
    of_items : bool
        As in ``Interruption.answered``.
    reply : Future
        Gets the value to go on with, and the answer for the record.
    """

    interruption: Interruption
    value: Any
    of_items: bool = False
    reply: Future[tuple[Any, Answer]] = field(default_factory=Future)

    def replied(self, answer: Any) -> tuple[Any, Answer]:
        """Return what ``reply`` gets for an answer, or raise InvalidInputError."""
        asked = replace(self.interruption, value=self.value)
        if answer is KEPT:
            return self.value, Answer(asked.job, asked.phase, kept=True)
        plain = asked.plain(answer)
        return asked.answered(plain, of_items=self.of_items), Answer(asked.job, asked.phase, plain)
