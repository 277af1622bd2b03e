"""The engine of a loaded model: takes requests, and computes all it can in each forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from mcnb.errors import RunCancelledError, RunTimeoutError
from mcnb.models.engine.batch import MOST_SEQUENCES, Batch
from mcnb.models.engine.fitness import forward_for
from mcnb.models.engine.together import Member, compute_together
from mcnb.models.engine.work import Work
from mcnb.models.generation import compute
from mcnb.models.loaded import LoadedModel
from mcnb.models.prompting import Prepared, prepare
from mcnb.models.request import Generation


class Engine:
    """Computes what is asked of one model. Not thread-safe: all of it happens in its owner's thread.

    Parameters
    ----------
    loaded : LoadedModel
        The model.
    poll : callable
        Returns the requests that have come; asked at every step.

    Attributes
    ----------
    batch : Batch or None
        What is computed together; None for a model that only ``generate`` can compute, one request after the other.
    """

    def __init__(self, loaded: LoadedModel, poll: Callable[[], Iterable[Generation]]) -> None:
        forward = forward_for(loaded)
        self.batch = None if forward is None else Batch(loaded, forward)
        self._loaded = loaded
        self._poll = poll
        self._waiting: list[Generation] = []
        self._held: Work | None = None  # it has begun, and there is no room for it yet

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return bool(self._waiting or self._held or (self.batch is not None and self.batch.works))

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return len(self._waiting) + (self._held is not None)

    def step(self, *, between: bool = False) -> None:
        """Do a little of what there is to do: one token for all that grow, a part of the prompts that wait.

        Parameters
        ----------
        between : bool
            Whether it is a pause between two steps of ``generate``: then no other one is begun.
        """
        try:
            self._waiting += self._poll()
            self._leave()
            self._admit(between)
            if self.batch is not None:
                self.batch.step()
        except BaseException as error:  # whatever it is: nobody may wait for ever, and the next request has to work
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """End all there is with an error."""
        waiting, self._waiting = self._waiting, []
        held, self._held = self._held, None
        if held is not None:
            held.finish(error)
            held.tell()
        for generation in waiting:
            generation.settle(error)
        if self.batch is not None:
            self.batch.fail(error)

    def _leave(self) -> None:
        """End what nobody wants any more."""
        self._waiting = [generation for generation in self._waiting if not generation.future.cancelled()]
        works = [] if self.batch is None else [work for work in self.batch.works if work.stopped]
        if self._held is not None and self._held.stopped:
            works.append(self._held)
            self._held = None
        for work in works:
            try:
                work.generation.control.check()
            except (RunCancelledError, RunTimeoutError) as error:
                if self.batch is not None and work in self.batch.works:
                    self.batch.works.remove(work)
                work.finish(error)
                work.tell()

    def _admit(self, between: bool) -> None:
        """Let those take part whose turn it is, as far as there is room."""
        if self._held is not None and not self._has_room(self._held):
            return
        for generation in sorted(self._waiting, key=lambda one: one.due):
            alone = self.batch is None or generation.parameters.uses_beams
            if alone and between:
                continue
            prepared = self._begun(generation)
            if prepared is None:
                continue
            if alone:
                if self._may_be_padded(generation):
                    self._generate_padded(generation, prepared)
                else:
                    self._generate(generation, prepared)
                return
            if not self._has_room(Work(generation, prepared, self._loaded)):
                return

    def _has_room(self, work: Work) -> bool:
        self._held = work  # also while it is asked for: an error there must not lose it
        settled = self.batch is not None and self.batch.let_in(work)
        if settled:
            self._held = None
        return settled

    def _begun(self, generation: Generation) -> Prepared | None:
        """Take a request out of the queue; return its prompt, where somebody still wants it and it can be computed."""
        self._waiting.remove(generation)
        if not generation.begin():
            return None
        try:
            return prepare(
                self._loaded,
                generation.prompt,
                generation.parameters,
                on_text=generation.on_text,
                result=generation.result,
                on_prompt=generation.on_prompt,
            )
        except BaseException as error:  # whatever it is, the waiter must hear of it
            generation.settle(error)
            return None

    def _generate(self, generation: Generation, prepared: Prepared) -> None:
        """Have ``generate`` do what only it can; meanwhile the others go on between its steps."""
        between = None if self.batch is None else partial(self.step, between=True)
        try:
            compute(self._loaded, prepared, control=generation.control, between=between)
        except BaseException as error:
            generation.settle(error)
        else:
            generation.settle(None)

    def _may_be_padded(self, generation: Generation) -> bool:
        """Whether a generation may be computed in one call of ``generate`` with others, which changes its last bits."""
        return self._loaded.is_encoder_decoder and not generation.reproducible and not generation.parameters.uses_beams

    def _generate_padded(self, generation: Generation, prepared: Prepared) -> None:
        """Compute a generation with all others that may be; those that come later wait for the next call."""
        members = [(generation, Member(prepared, generation.control))]
        for other in sorted(filter(self._may_be_padded, self._waiting), key=lambda one: one.due):
            if len(members) == MOST_SEQUENCES:
                break
            if (found := self._begun(other)) is not None:
                members.append((other, Member(found, other.control)))
        for one, _ in members:
            one.result.batch_invariant = False
        compute_together(self._loaded, [member for _, member in members])
        for one, member in members:
            one.settle(member.error)
