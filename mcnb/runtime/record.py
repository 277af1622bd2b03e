"""Record: everything needed to repeat a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

from pydantic import TypeAdapter, ValidationError

from mcnb.errors import InvalidInputError

FORMAT = 1
LONGEST_PROMPT = 100_000
"""Characters; of a longer prompt the record keeps the hash alone."""

Phase: TypeAlias = Literal["before", "after"]
"""Where in a job a run is interrupted."""


@dataclass(frozen=True)
class Usage:
    """Tokens of a run: read and written, over all its generations."""

    prompt_tokens: int = 0
    output_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Both together."""
        return self.prompt_tokens + self.output_tokens


@dataclass
class GenerationRecord:
    """What one generation was made with and what it took.

    Attributes
    ----------
    job, item, component : str, int, str
        Where in the workflow; `item` counts from 0 within a repeated job.
    model : dict
        ``name, provider, revision, digests``.
    driver : dict
        The engine: its ``name`` and ``version``, and what else was chosen for it.
    device, dtype, dtype_reason, threads
        Where it ran.
    prompt : str or None
        The rendered prompt, environment values blackened; None when it is too long, or a conversation that was never
        rendered.
    prompt_sha256 : str
        Of the prompt as the model got it.
    now : float or None
        What a chat template that writes the date took for now, in seconds since 1970; None without a chat.
    turn, attempt : int, int
        Which run of the job it was, in a loop, and which attempt of that; both count from 1.
    parameters : dict
        Every generation parameter: ``{"value": ..., "source": "user" | "document" | "model" | "library"}``.
    finish_reasons : list of str
        One for each sequence.
    timings : dict
        Seconds: ``queue, load, first_token, decode``.
    """

    job: str
    item: int
    component: str
    model: dict[str, Any]
    device: str
    dtype: str
    dtype_reason: str
    threads: int
    cache_hit: bool
    prompt: str | None
    prompt_sha256: str
    parameters: dict[str, Any]
    prompt_tokens: int = 0
    output_tokens: int = 0
    output_budget: int = 0
    clamped: bool = False
    finish_reasons: list[str] = field(default_factory=list)
    batch_invariant: bool = True
    now: float | None = None
    turn: int = 1
    attempt: int = 1
    timings: dict[str, float | None] = field(default_factory=dict)
    driver: dict[str, Any] = field(default_factory=dict)


@dataclass
class Answer:
    """What a person answered, as it stands in a record.

    Attributes
    ----------
    job, phase : str
        Which interruption it was.
    answer : Any
        What replaced the value.
    kept : bool
        Whether the value stayed as it was.
    """

    job: str
    phase: Phase
    answer: Any = None
    kept: bool = False


@dataclass
class Way:
    """Which way a run took at a job, where that was for the run to find out.

    Attributes
    ----------
    job, turn : str, int
        Where; `turn` counts from 1 and says which run of the job it was, in a loop.
    after : list of str or None
        Of a job that waits for any of several: those that came before it.
    to : str or None
        The job that a routing job led to.
    error : dict or None
        ``code, message`` of what it failed with, when its ``on_error`` went on without it.
    """

    job: str
    turn: int
    after: list[str] | None = None
    to: str | None = None
    error: dict[str, str] | None = None


@dataclass
class Record:
    """Everything needed to repeat a run.

    Attributes
    ----------
    run_id, workflow, state : str
        Which run it was and how it ended.
    created : float
        Seconds since 1970.
    document : dict
        ``digest, files, folder, source`` (the content as written) and ``env`` (the names of the environment values it
        uses; never the values).
    input : dict
        What the caller gave.
    parameters : dict
        The caller's overrides of generation parameters.
    seed : int
        Of the run; generations derive theirs from it.
    max_output_tokens : int or None
        New tokens that each generation was allowed at most, whatever was asked for; a generation whose budget was less
        than asked for is ``clamped``.
    generations : list of GenerationRecord
        In the order in which they were started.
    answers : list of Answer
        What people answered to interruptions, environment values blackened; a repeated run answers the same.
    ways : list of Way
        Which ways it took; a repeated run takes the same.
    warnings : list of str
        What worked, and would hardly have been meant so.
    versions, hardware : dict
        Of the libraries and the machine.
    timings : dict
        Seconds: ``queue, load, first_token, decode, total``.
    output_sha256 : str or None
        Of the output as canonical JSON.
    """

    run_id: str
    workflow: str
    created: float
    document: dict[str, Any]
    input: dict[str, Any]
    parameters: dict[str, Any]
    seed: int
    state: str = "pending"
    generations: list[GenerationRecord] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    ways: list[Way] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    hardware: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float | None] = field(default_factory=dict)
    output_sha256: str | None = None
    max_output_tokens: int | None = None
    format: int = FORMAT

    @property
    def usage(self) -> Usage:
        """Tokens over all generations."""
        return Usage(
            sum(generation.prompt_tokens for generation in self.generations),
            sum(generation.output_tokens for generation in self.generations),
        )

    @property
    def used_seed(self) -> int:
        """The seed the first generation was made with: the document's own, where it says one, else the run's."""
        said = self.generations[0].parameters.get("seed") if self.generations else None
        return int(said["value"]) if said and said["source"] == "document" else self.seed

    @property
    def finish_reasons(self) -> list[str]:
        """The ends of all sequences, in order."""
        return [reason for generation in self.generations for reason in generation.finish_reasons]

    @property
    def tokens_per_second(self) -> float | None:
        """Speed of decoding, the first token of each generation not counted; None when there is nothing to tell."""
        seconds = sum(generation.timings.get("decode") or 0.0 for generation in self.generations)
        tokens = sum(max(0, generation.output_tokens - 1) for generation in self.generations)
        return tokens / seconds if seconds > 0 and tokens else None

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON data."""
        usage = self.usage
        return {
            **asdict(self),
            "usage": {
                "prompt_tokens": usage.prompt_tokens,
                "output_tokens": usage.output_tokens,
                "total_tokens": usage.total_tokens,
            },
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Record:
        """Read a record back.

        Raises
        ------
        InvalidInputError
            When it is not one.
        """
        hint = "'mcnb run --record' writes one that can be repeated"
        if data.get("format") != FORMAT:
            raise InvalidInputError(f"not a record of format {FORMAT}", hint=hint)
        try:
            found = TypeAdapter(cls).validate_python({key: value for key, value in data.items() if key != "usage"})
        except ValidationError as error:
            said = error.errors(include_url=False)[0]
            where = ".".join(map(str, said["loc"]))
            raise InvalidInputError(f"the record cannot be read: {where}: {said['msg']}", hint=hint) from error
        if not isinstance(found.document.get("source"), dict) or not isinstance(found.document.get("folder"), str):
            raise InvalidInputError("the record cannot be read: it holds no document", hint=hint)
        return found
