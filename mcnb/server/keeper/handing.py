"""Handing: giving runs to kernels, so many at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections import deque
from collections.abc import Iterator

from mcnb.errors import InternalError, KernelDiedError, McnbError, QueueFullError
from mcnb.server.keeper.kept import KeptRun
from mcnb.server.keeper.request import Settings
from mcnb.server.keeper.waiting import Waiting
from mcnb.server.kernels import KernelLink, Kernels

RECENT = 32
"""Durations that an estimate is made from."""

SHORTEST_WAIT, LONGEST_WAIT = 1, 60
"""Seconds after which it is worth trying again."""

USUAL_DURATION = 5.0
"""Seconds; before any run has ended."""


class Handing:
    """Gives runs to the server's own kernel as places become free, and to other kernels at once.

    The kernel is started when the first run waits for it. Where that fails, the runs that it was started for fail with
    the reason, and those behind them go on with the next attempt.

    Parameters
    ----------
    kernels : Kernels
        Where runs are computed.
    settings : Settings
        How many at a time.
    """

    def __init__(self, kernels: Kernels, settings: Settings) -> None:
        self.waiting = Waiting()
        self._kernels = kernels
        self._settings = settings
        self._held: dict[str, KeptRun] = {}
        self._attached: dict[str, KeptRun] = {}
        self._promised = 0
        self._durations: deque[float] = deque(maxlen=RECENT)
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        self._kernel = "not started"

    @property
    def running(self) -> tuple[KeptRun, ...]:
        """The runs that kernels have."""
        return (*self._held.values(), *self._attached.values())

    @property
    def kernel(self) -> str:
        """The server's own kernel: ``not started``, ``starting``, ``running`` or ``failed``."""
        if self._kernel == "running" and self._kernels.runtime_kernel_id is None:
            return "not started"
        return self._kernel

    @property
    def retry_after(self) -> int:
        """Seconds after which places should be free: about as long as the latest runs took."""
        usual = sum(self._durations) / len(self._durations) if self._durations else USUAL_DURATION
        return min(LONGEST_WAIT, max(SHORTEST_WAIT, math.ceil(usual)))

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Keep a place for a run that is being written.

        Raises
        ------
        QueueFullError
            When no more may wait. Runs for which a place at the kernel is free are about to go, and do not count.
        """
        if len(self.waiting) + self._promised >= self._settings.queue_length + self._free:
            message = f"as many runs wait as may: {self._settings.queue_length}"
            raise QueueFullError(message, retry_after=self.retry_after, hint=f"try again in {self.retry_after} s")
        self._promised += 1
        try:
            yield
        finally:
            self._promised -= 1

    def start(self) -> None:
        """Begin to hand out."""
        self._task = asyncio.create_task(self._hand_out(), name="mcnb-handing")

    async def stop(self) -> None:
        """Hand out no more; what waits is left waiting."""
        self._stopped = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def queue(self, run: KeptRun) -> None:
        """Let a run wait for the server's own kernel."""
        if self._stopped:
            run.live.close()
            return
        run.watch_the_time()
        self.waiting.add(run)
        self._wake.set()

    def attach(self, run: KeptRun, link: KernelLink) -> None:
        """Give a run to an existing kernel."""
        if self._stopped:
            run.live.close()
            return
        self._attached[run.id] = run
        run.give_to(link, self._settings.max_timeout)

    def over(self, run: KeptRun) -> None:
        """Give the place of a run to another one."""
        self.waiting.drop(run)
        self._attached.pop(run.id, None)
        if self._held.pop(run.id, None) is not None:
            self._wake.set()

    def took(self, seconds: float) -> None:
        """Note how long a run took."""
        self._durations.append(seconds)

    @property
    def _free(self) -> int:
        return max(0, self._settings.running - len(self._held))

    async def _hand_out(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self.waiting and self._free:
                await self._hand_out_some()

    async def _hand_out_some(self) -> None:
        awaited = self.waiting.next(self._free)  # when the kernel cannot be started, that is told to these
        if self._kernels.runtime_kernel_id is None:
            self._kernel = "starting"
        try:
            link = await self._kernels.runtime()
        except McnbError as error:
            self._failed(awaited, error)
        except Exception as error:
            logging.getLogger(__name__).exception("the runtime kernel could not be started")
            told = InternalError(f"the runtime kernel could not be started ({type(error).__name__})")
            self._failed(awaited, told)
        else:
            self._kernel = "running"
            for run in self.waiting.take(self._free):
                self._held[run.id] = run
                run.on_untouched = self._hand_out_again
                run.give_to(link, self._settings.max_timeout)

    def _hand_out_again(self, run: KeptRun) -> None:
        """Let a run wait again: its kernel was dead already when it was given the run, or died at that moment."""
        self._held.pop(run.id, None)
        self.queue(run)

    def _failed(self, awaited: list[KeptRun], error: McnbError) -> None:
        self._kernel = "failed"
        told = error if isinstance(error, KernelDiedError) else KernelDiedError(error.message, hint=error.hint)
        for run in awaited:
            run.fail(told)
