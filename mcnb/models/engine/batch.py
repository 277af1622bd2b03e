"""The generations that are computed together, in one forward pass for each token."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from mcnb.errors import OutOfMemoryError, RunCancelledError, RunTimeoutError
from mcnb.models.control import Control
from mcnb.models.engine.attention import Segment
from mcnb.models.engine.choosing import choose
from mcnb.models.engine.forward import Forward
from mcnb.models.engine.prefixes import Prefixes
from mcnb.models.engine.work import Sequence as Growing
from mcnb.models.engine.work import Work
from mcnb.models.estimate import cache_values
from mcnb.models.generation import explained
from mcnb.models.loaded import LoadedModel
from mcnb.models.memory import free_memory

_Part: TypeAlias = "tuple[Work, Growing | None, Segment]"
"""What is computed: of whom, of which sequence (none for a prompt), and which tokens."""

MOST_SEQUENCES = 32
"""That grow at the same time."""

CHUNK = 64
"""Tokens of a prompt whose attention is computed in one call; a beginning can be shared in whole ones."""

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
        self._loaded = loaded
        self._device = loaded.placement.device
        self._forward = forward
        self._bytes = cache_values(loaded.model.config) * loaded.model.dtype.itemsize
        self.prefixes = Prefixes(CHUNK, int(PREFIX_SHARE * free_memory(self._device)))
        self._pace = STALL / CHUNK  # seconds for a token of a prompt, so far

    def step(self) -> None:
        """Compute one token of all that grow, and a part of the prompts that wait."""
        for parts in self._passes():
            self._compute(parts)

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
        needed = work.tokens * self._bytes
        taken = sum(other.tokens * self._bytes - other.memory for other in self.works)
        free = int(MEMORY_SHARE * free_memory(self._device))
        if needed + taken > free and self.prefixes.memory:
            self.prefixes.clear()
            free = int(MEMORY_SHARE * free_memory(self._device))
        if needed + taken > free:
            if self.works:
                return False
            work.finish(self._too_big(work, needed, free))
            return True
        self.works.append(work)
        return True

    def _too_big(self, work: Work, needed: int, free: int) -> OutOfMemoryError:
        tokens = max(0, free // (self._bytes * work.count) - len(work.prompt))
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

    # --- what is computed -------------------------------------------------------------------------------------------

    def _passes(self) -> Iterator[list[_Part]]:
        """Yield what is computed together: of whom, of which sequence (none for a prompt), and what."""
        growing: list[_Part] = [(work, one, one.segment) for work in self.works for one in work.sequences]
        apart = len(growing) + CHUNK > self._forward.shapes.most
        prompts = list(self._prompts(len(growing), apart))
        if self._forward.one_at_a_time:
            yield from ([part] for part in (*growing, *prompts))
            return
        for parts in (growing, prompts) if apart else (growing + prompts,):
            if parts:
                yield parts

    def _prompts(self, growing: int, apart: bool) -> Iterator[_Part]:
        """Yield chunks of prompts: as many as a step has time for, the oldest and shortest prompts first."""
        room = self._forward.shapes.most - (0 if apart else growing)
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
                yield work, None, segment

    def _compute(self, parts: Sequence[_Part]) -> None:
        works = list({id(work): work for work, _, _ in parts}.values())
        segments = [segment for _, _, segment in parts]
        ends = [0]
        for segment in segments:
            ends.append(ends[-1] + len(segment.tokens))
        asking = [number for number, (work, sequence, segment) in enumerate(parts) if sequence or work.is_last(segment)]
        before, self._loaded.control = self._loaded.control, _Everybody(works)
        started = time.perf_counter()
        try:
            scores = self._scores(segments, [ends[number + 1] - 1 for number in asking])
            read = [(work, segment) for work, sequence, segment in parts if sequence is None]
            if read:
                self._note_pace(time.perf_counter() - started, sum(len(segment.tokens) for _, segment in read))
            for work, segment in read:
                work.keep(segment, self.prefixes)
        except (RunCancelledError, RunTimeoutError):
            return  # all of them are stopped, and leave at the next step
        except BaseException as error:
            for work in works:
                self.end(work, error)
            return
        finally:
            self._loaded.control = before
        self._choose(scores, [parts[number] for number in asking])

    def _scores(self, segments: Sequence[Segment], wanted: Sequence[int]) -> Any:
        try:
            return self._forward(segments, wanted)
        except Exception as error:
            if not isinstance(explained(error, self._loaded), OutOfMemoryError) or not self.prefixes.memory:
                raise
        self.prefixes.clear()
        return self._forward(segments, wanted)

    def _note_pace(self, seconds: float, tokens: int) -> None:
        self._pace += 0.3 * (seconds / tokens - self._pace)

    def _choose(self, scores: Any, parts: Sequence[_Part]) -> None:
        """Choose the next tokens, and end the generations that are complete with them."""
        places, sequences = [], []
        for place, (work, sequence, _) in enumerate(parts):
            try:
                if sequence is None:
                    work.begin_to_grow()
            except BaseException as error:
                self.end(work, error)
                continue
            found = [sequence] if sequence is not None else list(work.sequences)
            sequences += found
            places += [place] * len(found)
        if not sequences:
            return
        mine = scores if places == list(range(len(scores))) else scores[places]
        tokens = choose(mine, [one.chooser for one in sequences], [one.tokens for one in sequences])
        told = set()
        for sequence, token in zip(sequences, tokens, strict=True):
            work = sequence.work
            if work not in self.works:
                continue
            try:
                if isinstance(token, Exception):
                    raise token
                if id(work) not in told:
                    told.add(id(work))
                    work.rows.note_step()
                work.take(sequence, token)
            except BaseException as error:  # of this generation alone
                self.end(work, error)
            else:
                if not work.sequences:
                    self.end(work)


class _Everybody(Control):
    """Lets a pass go on as long as somebody wants what it computes."""

    def __init__(self, works: Sequence[Work]) -> None:
        super().__init__()
        self._controls = [work.generation.control for work in works]

    def check(self) -> None:
        if all(control.stopped for control in self._controls):
            self._controls[0].check()
