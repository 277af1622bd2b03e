"""A generation under way: its sequences, how far its prompt is, what it still has to compute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mcnb.errors import McnbError, RunCancelledError, RunTimeoutError
from mcnb.models._compat import logits_processors
from mcnb.models.engine.attention import Segment
from mcnb.models.engine.choosing import Chooser
from mcnb.models.engine.drafts import Drafts
from mcnb.models.engine.prefixes import ROOT, Key, Prefixes
from mcnb.models.engine.row_cache import SMALLEST, RowCache
from mcnb.models.engine.slabs import room_for
from mcnb.models.generation import explained, generation_config
from mcnb.models.loaded import LoadedModel
from mcnb.models.prompting import Prepared
from mcnb.models.request import Generation
from mcnb.models.sampling import row_seeds


@dataclass
class Sequence:
    """One text that grows.

    Attributes
    ----------
    number : int
        Which of its generation's.
    tokens : list of int
        Those of the prompt and those chosen; the last one is not computed yet.
    """

    work: Work
    number: int
    cache: RowCache
    chooser: Chooser
    tokens: list[int]

    def __post_init__(self) -> None:
        self._drafts = Drafts(self.tokens)

    def guess(self, most: int) -> tuple[int, ...]:
        """Return tokens that may come next, fewer than are left to it."""
        return self._drafts.guess(min(most, self.work.left_of(self) - 1))

    def settle(self, guessed: int, right: int) -> None:
        """Note how many guesses were right; what was computed of the others counts for nothing."""
        self.cache.length = len(self.tokens) - 1
        if guessed:
            self._drafts.learn(guessed, right)


class Work:
    """A generation under way.

    Parameters
    ----------
    generation : Generation
        What is asked for.
    prepared : Prepared
        Its prompt.
    loaded : LoadedModel
        The model.

    Attributes
    ----------
    sequences : list of Sequence
        Those that still grow; none before the prompt is processed.
    growing : bool
        Whether the prompt is processed.
    """

    def __init__(self, generation: Generation, prepared: Prepared, loaded: LoadedModel) -> None:
        self.generation = generation
        self.rows = prepared.rows
        self.prompt = prepared.ids
        self.count = generation.parameters["num_return_sequences"]
        self.budget = generation.result.output_budget
        self.sequences: list[Sequence] = []
        self.growing = False
        self._loaded = loaded
        length = len(self.prompt)
        self._cache = RowCache(length + min(self.budget, SMALLEST), length + self.budget)
        self._parent = ROOT
        self._chain: list[Key] = []
        self._error: BaseException | None = None

    @property
    def tokens(self) -> int:
        """Tokens of all its sequences when each uses up its budget."""
        return int(self.count) * (len(self.prompt) + self.budget)

    @property
    def room(self) -> int:
        """Tokens there has to be room for: rows of a slab are as long as the longest it may hold."""
        each = len(self.prompt) + self.budget
        return int(self.count) * (room_for(each) or each)

    @property
    def memory(self) -> int:
        """Bytes its caches take now."""
        caches = {id(cache): cache for cache in (self._cache, *(one.cache for one in self.sequences))}
        return sum(cache.memory for cache in caches.values())

    @property
    def left(self) -> int:
        """Tokens of the prompt that are still to be processed."""
        return 0 if self.growing else len(self.prompt) - self._cache.length

    @property
    def stopped(self) -> bool:
        """Whether nobody wants it any more."""
        return self.generation.control.stopped

    # --- the prompt -------------------------------------------------------------------------------------------------

    def chunks(self, prefixes: Prefixes) -> Iterator[Segment]:
        """Yield what of the prompt is to be computed next, in pieces that depend on the prompt alone.

        What a kept prefix says already is taken from there first.
        """
        size = prefixes.chunk
        while len(self.prompt) - self._cache.length > size:
            begin = self._cache.length
            tokens = tuple(self.prompt[begin : begin + size])
            found = prefixes.find(self._parent, tokens)
            if found is None:
                break
            self._chain.append((self._parent, tokens))
            self._parent, block = found
            self._cache.extend(block)
        prefixes.use(self._chain)
        for begin in range(self._cache.length, len(self.prompt), size):
            yield Segment(self._cache, begin, tuple(self.prompt[begin : begin + size]))

    def chunk_key(self, segment: Segment) -> tuple[int, ...]:
        """Return the prompt up to the end of a chunk."""
        return tuple(self.prompt[: segment.end])

    def is_last(self, segment: Segment) -> bool:
        """Whether a chunk is the prompt's last one."""
        return segment.end == len(self.prompt)

    def keep(self, segment: Segment, prefixes: Prefixes) -> None:
        """Keep a computed chunk for prompts that begin alike."""
        if len(segment.tokens) == prefixes.chunk:
            self._chain.append((self._parent, segment.tokens))
            self._parent = prefixes.keep(self._chain, self._cache, segment.begin)

    def begin_to_grow(self) -> None:
        """Make the sequences: the prompt is processed, and what is said of its last token is the same for all."""
        parameters, device = self.generation.parameters, self._loaded.placement.device
        config = generation_config(self._loaded, parameters, self.rows.ends, self.budget)
        processors = logits_processors(self._loaded.model, config, len(self.prompt), device)
        for number, seed in enumerate(row_seeds(parameters["seed"], self.count)):
            cache = self._cache.copy() if number else self._cache
            chooser = Chooser(parameters, processors, seed, device)
            self.sequences.append(Sequence(self, number, cache, chooser, list(self.prompt)))
        self.growing = True

    # --- what comes of it -------------------------------------------------------------------------------------------

    def left_of(self, sequence: Sequence) -> int:
        """Return how many more tokens a sequence may have."""
        return self.budget - (len(sequence.tokens) - len(self.prompt))

    def take(self, sequence: Sequence, token: int) -> None:
        """Take a sequence's next token."""
        sequence.tokens.append(token)
        if self.rows.take(sequence.number, token):
            self.sequences.remove(sequence)
            sequence.cache.leave()

    def finish(self, error: BaseException | None = None) -> None:
        """End it, whole or not; its keys and values go. ``tell`` then tells who waits."""
        for sequence in self.sequences:
            sequence.cache.leave()
        self.sequences.clear()
        self._cache = RowCache()
        try:
            if error is None:
                self.rows.cut("eos")
            elif isinstance(error, RunCancelledError):
                self.rows.cut("cancelled")
            elif isinstance(error, RunTimeoutError):
                self.rows.cut("timeout")
            else:
                self.rows.keep()
                if isinstance(error, Exception) and not isinstance(error, McnbError):
                    told = explained(error, self._loaded)
                    told.__cause__ = error
                    error = told
        except BaseException as failed:  # of who listens; who waits must hear all the same
            error = error or failed
        self.rows.stop_clock()
        self._error = error

    def tell(self) -> None:
        """Tell who waits that it has ended.

        Apart from the ending, because a process may leave as soon as it knows: a thread that frees tensors while Python
        is being taken down takes the process with it.
        """
        self.generation.settle(self._error)
