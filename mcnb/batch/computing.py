"""Computing rows with the models of this process, a few at a time."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from mcnb.batch.task import Item, Task
from mcnb.errors import McnbError
from mcnb.kernel.sendable import sendable
from mcnb.runtime import Run, Runtime
from mcnb.runtime.batch import nobody_answers

Result: TypeAlias = dict[str, Any]
"""What came of a row, as JSON data: ``row, key, state, output, error, seed, prompt_tokens, output_tokens,
finish_reason, worker, began, ended``."""

_TURN = 0.2
"""Seconds after which a wait looks whether the job is stopping."""


@dataclass(eq=False)
class _Going:
    """A row under way."""

    item: Item
    run: Run
    began: int
    stop_listening: Callable[[], None] = lambda: None
    unanswered: McnbError | None = None

    def let_go(self) -> None:
        """End listening: else run and listener hold each other, until Python looks for garbage among everything."""
        self.stop_listening()
        self.stop_listening = _nothing


def _nothing() -> None:
    return None


class Computer:
    """Computes rows. Safe to use from several threads: their rows are computed together.

    Parameters
    ----------
    task : Task
        What to compute.
    runtime : Runtime
        Of this process.
    worker : str
        What results call this process.
    width : int
        Rows under way at a time, of each thread.
    with_record : bool
        Whether results carry the record of the run, too.
    """

    def __init__(
        self, task: Task, runtime: Runtime, *, worker: str = "local", width: int, with_record: bool = False
    ) -> None:
        self._task = task
        self._runtime = runtime
        self._worker = worker
        self._width = width
        self._with_record = with_record
        self._orders = task.orders()
        self._clock = itertools.count(1)  # a step of it takes no lock: it is one instruction

    def results(self, items: Iterable[Item], stopping: threading.Event) -> Iterator[Result]:
        """Compute rows and yield what came of each, as they end.

        Parameters
        ----------
        items : iterable of Item
            Taken one by one, as there is room.
        stopping : threading.Event
            When it is set, no row begins any more, those under way are cancelled, and nothing is told of them. The
            same goes for a generator that is closed.
        """
        ended: queue.SimpleQueue[_Going] = queue.SimpleQueue()
        going: dict[int, _Going] = {}
        waiting = iter(items)
        try:
            while not stopping.is_set():
                for item in itertools.islice(waiting, self._width - len(going)):
                    going[item.number] = self._begin(item, ended)
                if not going:
                    return
                try:
                    one = ended.get(timeout=_TURN)
                except queue.Empty:
                    continue
                if going.get(one.item.number) is not one:
                    continue  # told twice
                if one.run.done:
                    del going[one.item.number]
                    one.let_go()
                    yield self._result(one)
                elif one.unanswered is None:
                    one.unanswered = nobody_answers(one.run)
                    one.run.cancel()
        finally:
            for one in going.values():
                one.run.cancel()
            for one in going.values():
                one.run.wait()

    def _begin(self, item: Item, ended: queue.SimpleQueue[_Going]) -> _Going:
        run = self._runtime.start(self._orders.order(item.input, self._task.seed_of(item)))
        going = _Going(item, run, next(self._clock))

        def look() -> None:
            if run.done or run.state == "interrupted":
                ended.put(going)

        going.stop_listening = run.listen(look)
        look()
        return going

    def _result(self, one: _Going) -> Result:
        run, record = one.run, one.run.record
        error = one.unanswered or run.error
        found: Result = {
            "row": one.item.number,
            **({} if isinstance(one.item.key, int) else {"key": one.item.key}),
            "state": "failed" if one.unanswered is not None else run.state,
            "output": sendable(run.output),
            "error": None if error is None else error.to_dict(),
            "seed": record.used_seed,
            "prompt_tokens": record.usage.prompt_tokens,
            "output_tokens": record.usage.output_tokens,
            "finish_reason": ", ".join(dict.fromkeys(record.finish_reasons)) or None,
            "worker": self._worker,
            "began": one.began,
            "ended": next(self._clock),
        }
        if not all(generation.batch_invariant for generation in record.generations):
            found["batch_invariant"] = False
        if self._with_record:
            found["record"] = {**sendable(record.to_dict()), "document": {}}
        return found
