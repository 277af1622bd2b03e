"""The generations that are computed together, in one forward pass for each token."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from mcnb.errors import OutOfMemoryError, RunCancelledError, RunTimeoutError
from mcnb.models.control import SharedControl
from mcnb.models.engine.attention import Segment
from mcnb.models.engine.forward import Forward
from mcnb.models.engine.prefixes import Prefixes
from mcnb.models.engine.turns import Turn, take_tokens
from mcnb.models.engine.work import Work
from mcnb.models.generation import explained
from mcnb.models.loaded import LoadedModel
from mcnb.models.memory import free_memory

MOST_SEQUENCES = 32
"""That grow at the same time."""

CHUNK = 64
"""Tokens of a prompt whose attention is computed in one call; a beginning can be shared in whole ones."""

GUESSING = 8
"""Tokens in a pass, up to which it takes hardly longer with some more of them: then next ones are guessed."""

STALL = 0.15
"""Seconds that the processing of prompts may add to a step in which other texts grow."""

PREFIX_SHARE = 0.05
"""Of the free memory: for beginnings that prompts share."""

MEMORY_SHARE = 0.9
"""Of the free memory: for keys and values."""


class Batch:
    """Generations that are computed together.

    Parameters
    ----------
    loaded : LoadedModel
        The model.
    forward : Forward
        Computes many sequences of it at once.

    Attributes
    ----------
    works : list of Work
        Those under way.
    prefixes : Prefixes
        Beginnings that prompts share.
    """

    def __init__(self, loaded: LoadedModel, forward: Forward) -> None:
        self.works: list[Work] = []
        self._ended: list[Work] = []
        self._loaded = loaded
        self._device = loaded.placement.device
        self._forward = forward
        self.prefixes = Prefixes(CHUNK, int(PREFIX_SHARE * free_memory(self._device)))
        self._pace = STALL / CHUNK  # seconds for a token of a prompt, so far

    def fail(self, error: BaseException) -> None:
        """End all generations with an error, and begin anew."""
        for work in list(self.works):
            self.end(work, error)
        if self._forward.slabs is not None:
            self._forward.slabs.clear()
        self._tell()

    def step(self) -> None:
        """Compute one token of all that grow, and a part of the prompts that wait; tell who waits for what ended."""
        try:
            self._advance()
            if self._forward.slabs is not None and self._ended:
                self._forward.slabs.tidy()
        finally:
            self._tell()

    def _tell(self) -> None:
        ended, self._ended = self._ended, []
        for work in ended:
            work.tell()

    def _advance(self) -> None:
        growing = sorted((Turn(one) for work in self.works for one in work.sequences), key=lambda turn: turn.where)
        if self._forward.one_at_a_time and any(work.generation.reproducible for work in self.works):
            self._step_apart(growing)
            return
        while len(growing) > MOST_SEQUENCES:  # of one generation that has more sequences than are computed at once
            self._compute(growing[:MOST_SEQUENCES], [])
            growing = [turn for turn in growing[MOST_SEQUENCES:] if turn.sequence.work in self.works]
        for turn in growing:
            turn.guesses = turn.sequence.guess(GUESSING // len(growing) - 1)
        taken = sum(1 + len(turn.guesses) for turn in growing)
        together = taken + CHUNK <= self._forward.shapes.most
        prompts = list(self._prompts(len(growing), self._forward.shapes.most - (taken if together else 0)))
        if growing or prompts:
            self._compute(growing, prompts if together else [])
        if prompts and not together:
            self._compute([], prompts)

    def _step_apart(self, growing: Sequence[Turn]) -> None:
        """Compute every sequence in a pass of its own, where its neighbours would change it."""
        for turn in growing:
            if turn.sequence.work in self.works:
                self._compute([turn], [])
        for work, segment in list(self._prompts(0, self._forward.shapes.most)):
            if work in self.works:
                self._compute([], [(work, segment)])

    def let_in(self, work: Work) -> bool:
        """Let a generation take part when there is room for it; one that would never find room fails at once.

        Returns
        -------
        bool
            Whether that is settled; otherwise it has to wait.
        """
        sequences = work.count + sum(other.count for other in self.works)
        if self.works and sequences > MOST_SEQUENCES:
            return False
        needed = work.room * self._forward.bytes_per_token
        taken = sum(other.room * self._forward.bytes_per_token - other.memory for other in self.works)
        free = int(MEMORY_SHARE * free_memory(self._device))
        if needed + taken > free and self.prefixes.memory:
            self.prefixes.clear()
            free = int(MEMORY_SHARE * free_memory(self._device))
        if needed + taken > free:
            if self.works:
                return False
            work.finish(self._too_big(work, needed, free))
            self._ended.append(work)
            return True
        if self._forward.one_at_a_time and not work.generation.reproducible:
            work.generation.result.batch_invariant = False
        self.works.append(work)
        return True

    def _too_big(self, work: Work, needed: int, free: int) -> OutOfMemoryError:
        tokens = max(0, free // (self._forward.bytes_per_token * work.count) - len(work.prompt))
        fits = f"max_output_length {tokens:,} would fit" if tokens else "shorten the prompt, or choose a smaller model"
        return OutOfMemoryError(
            f"{self._loaded.snapshot.name}: {work.tokens:,} tokens need {needed / 1e9:.1f} GB for keys and values, and "
            f"{self._device} has {free / 1e9:.1f} GB for them",
            hint=fits,
        )

    def end(self, work: Work, error: BaseException | None = None) -> None:
        """End a generation, whole or not."""
        self.works.remove(work)
        work.finish(error)
        self._ended.append(work)

    # --- what is computed -------------------------------------------------------------------------------------------

    def _prompts(self, growing: int, room: int) -> Iterator[tuple[Work, Segment]]:
        """Yield chunks of prompts: as many as a step has time for, the oldest and shortest prompts first."""
        if growing:
            room = min(room, max(CHUNK, int(STALL / self._pace)))
        begun = set()
        reading = [work for work in self.works if not work.growing]
        for work in sorted(reading, key=lambda one: one.generation.due + one.left * self._pace):
            for segment in work.chunks(self.prefixes):
                if len(segment.tokens) > room:
                    return
                if (beginning := work.chunk_key(segment)) in begun and not work.is_last(segment):
                    break  # somebody with the same beginning computes it now
                begun.add(beginning)
                room -= len(segment.tokens)
                yield work, segment

    def _compute(self, turns: Sequence[Turn], prompts: Sequence[tuple[Work, Segment]]) -> None:
        """Compute a pass, and take what comes of it."""
        segments: list[Segment] = []
        wanted: list[int] = []
        for turn in turns:
            turn.place = len(wanted)
            segments += turn.segments()
            wanted += range(len(wanted), len(segments))
        at = len(segments)
        for work, segment in prompts:
            segments.append(segment)
            at += len(segment.tokens)
            if work.is_last(segment):
                wanted.append(at - 1)
        works = list(dict.fromkeys([*(turn.sequence.work for turn in turns), *(work for work, _ in prompts)]))
        before, self._loaded.control = self._loaded.control, SharedControl([work.generation.control for work in works])
        started = time.perf_counter()
        try:
            scores = self._scores(segments, wanted)
            self._note_pace(time.perf_counter() - started, sum(len(segment.tokens) for _, segment in prompts))
            for work, segment in prompts:
                work.keep(segment, self.prefixes)
        except (RunCancelledError, RunTimeoutError):
            return  # all of them are stopped, and leave at the next step
        except BaseException as error:
            for work in works:
                self.end(work, error)
            return
        finally:
            self._loaded.control = before
        first = len(wanted) - sum(work.is_last(segment) for work, segment in prompts)
        take_tokens(scores, [*turns, *self._begun(prompts, first)], self.end)

    def _begun(self, prompts: Sequence[tuple[Work, Segment]], place: int) -> Iterator[Turn]:
        """Yield the turns of sequences whose prompts are processed now."""
        for work, segment in prompts:
            if work.is_last(segment):
                try:
                    work.begin_to_grow()
                except BaseException as error:
                    self.end(work, error)
                yield from (Turn(sequence, place) for sequence in list(work.sequences))
                place += 1

    def _scores(self, segments: Sequence[Segment], wanted: Sequence[int]) -> Any:
        try:
            return self._forward(segments, wanted)
        except Exception as error:
            if not isinstance(explained(error, self._loaded), OutOfMemoryError) or not self.prefixes.memory:
                raise
        self.prefixes.clear()
        return self._forward(segments, wanted)

    def _note_pace(self, seconds: float, tokens: int) -> None:
        if tokens >= CHUNK:  # a few say more of the pass than of themselves
            self._pace += 0.3 * (seconds / tokens - self._pace)
