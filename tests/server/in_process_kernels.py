"""Kernels in this process: the real Runtime behind the same names as ``mcnb.server.kernels``, which can die on demand.

A test can have kernels not start (``fail_starts``), start when it says so (``starting``), refuse runs (``refusals``),
keep runs without starting them (``holding``, ``release``), say nothing for a while (``mute``) and die (``die``).
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections import deque
from collections.abc import Callable
from typing import Any

from mcnb.errors import ConflictError, KernelDiedError, McnbError, NotFoundError
from mcnb.runtime import Run, Runtime
from mcnb.runtime.interruption import KEPT
from mcnb.server.kernels import KernelOrder, RunListener


class InProcessLink:
    """One kernel.

    Attributes
    ----------
    orders : list of KernelOrder
        What it was given, in order.
    ours : dict
        The runs of the Runtime, by the id of the order.
    """

    def __init__(self, kernel_id: str, runtime: Runtime, kernels: InProcessKernels) -> None:
        self.kernel_id = kernel_id
        self.alive = True
        self.orders: list[KernelOrder] = []
        self.ours: dict[str, Run] = {}
        self._runtime = runtime
        self._kernels = kernels
        self._held: dict[str, tuple[KernelOrder, RunListener]] = {}
        self._waiting: list[str] = []
        self._sent: dict[str, int] = {}
        self._loop = asyncio.get_running_loop()

    @property
    def runs(self) -> frozenset[str]:
        return frozenset(self._held)

    def run(self, order: KernelOrder, listener: RunListener) -> None:
        if not self.alive:
            self._loop.call_soon(listener.on_died, KernelDiedError("the kernel was gone before the run could start"))
            return
        self.orders.append(order)
        self._held[order.id] = (order, listener)
        if self._kernels.holding:
            self._waiting.append(order.id)
        else:
            self._loop.call_soon(self._begin, order.id)

    def release(self) -> None:
        """Start what was held."""
        waiting, self._waiting = self._waiting, []
        for run_id in waiting:
            self._begin(run_id)

    def _begin(self, run_id: str) -> None:
        if run_id not in self._held:
            return
        order, listener = self._held[run_id]
        if self._kernels.refusals:
            del self._held[run_id]
            listener.on_refused(self._kernels.refusals.popleft())
            return
        try:
            run = self._runtime.submit(
                order.document,
                order.workflow,
                order.input,
                drawn_seed=order.seed,
                parameters=order.parameters,
                timeout=order.timeout,
                run_id=order.id,
                max_output_tokens=order.max_output_tokens,
            )
        except McnbError as error:
            del self._held[run_id]
            listener.on_refused(error)
            return
        self.ours[run_id] = run
        self._sent[run_id] = 1
        run.listen(lambda: self._soon(run_id))
        self._send(run_id)

    def _soon(self, run_id: str) -> None:
        """Send; called in the threads of the Runtime."""
        try:
            self._loop.call_soon_threadsafe(self._send, run_id)
        except RuntimeError:
            return  # the test is over, and its loop closed

    def _send(self, run_id: str) -> None:
        if run_id not in self._held or run_id in self._kernels.mute:
            return
        run, (_, listener) = self.ours[run_id], self._held[run_id]
        done = run.done
        new = run.events_after(self._sent[run_id])
        self._sent[run_id] += len(new)
        events = [json.loads(json.dumps({"type": e.type, "time": e.time, **e.data})) for e in new]
        if done:
            del self._held[run_id]
            error = None if run.error is None else run.error.to_dict()
            listener.on_finished(events, run.state, run.output, error, json.loads(json.dumps(run.record.to_dict())))
        elif events:
            listener.on_events(events)

    def say(self, run_id: str) -> None:
        """Send what a run that was mute has to say."""
        self._kernels.mute.discard(run_id)
        self._send(run_id)

    def cancel(self, run_id: str) -> None:
        if run_id in self._waiting:  # the runtime has not heard of it
            self._waiting.remove(run_id)
            self._begin(run_id)
        if run_id in self.ours:
            self.ours[run_id].cancel()

    async def resume(self, run_id: str, answer: Any = KEPT) -> None:
        if not self.alive:
            raise KernelDiedError("the kernel is gone, and the run with it")
        if run_id not in self._held or self.ours[run_id].state != "interrupted":
            raise ConflictError("the run is not interrupted: it waits for no answer")
        self.ours[run_id].resume(answer)

    def die(self, error: KernelDiedError | None = None) -> None:
        """Be gone at once, and with it what runs."""
        self.alive = False
        held, self._held, self._waiting = self._held, {}, []
        for run_id, (_, listener) in held.items():
            if run_id in self.ours:
                self.ours[run_id].cancel()
            listener.on_died(error or KernelDiedError("the kernel ended while the run was under way"))

    async def close(self) -> None:
        self.alive = False
        for run_id in self._held:
            if run_id in self.ours:
                self.ours[run_id].cancel()
        self._held = {}


@dataclasses.dataclass
class InProcessKernels:
    """The kernels of one server; see ``mcnb.server.kernels.Kernels``.

    Attributes
    ----------
    runtime_of_all : Runtime
        Computes the runs.
    starting : asyncio.Event or None
        A kernel starts when it is set.
    fail_starts : deque of McnbError
        The next starts fail with these.
    refusals : deque of McnbError
        The next runs are refused with these.
    holding : bool
        Whether runs wait for ``release``.
    mute : set of str
        The runs that say nothing.
    others : set of str
        The ids of the kernels that requests may name.
    links : list of InProcessLink
        Every kernel that was started or attached to.
    """

    runtime_of_all: Runtime
    starting: asyncio.Event | None = None
    fail_starts: deque[McnbError] = dataclasses.field(default_factory=deque)
    refusals: deque[McnbError] = dataclasses.field(default_factory=deque)
    holding: bool = False
    mute: set[str] = dataclasses.field(default_factory=set)
    others: set[str] = dataclasses.field(default_factory=set)
    links: list[InProcessLink] = dataclasses.field(default_factory=list)
    on_start: Callable[[], None] = lambda: None
    starts: int = 0

    def __post_init__(self) -> None:
        self._own: InProcessLink | None = None
        self._attached: dict[str, InProcessLink] = {}
        self._lock = asyncio.Lock()

    @property
    def runtime_kernel_id(self) -> str | None:
        return self._own.kernel_id if self._own is not None and self._own.alive else None

    async def runtime(self) -> InProcessLink:
        async with self._lock:
            if self._own is None or not self._own.alive:
                self.starts += 1
                self.on_start()
                if self.starting is not None:
                    await self.starting.wait()
                if self.fail_starts:
                    raise self.fail_starts.popleft()
                self._own = self._made(f"own-{self.starts}")
            return self._own

    async def attached(self, kernel_id: str) -> InProcessLink:
        if kernel_id == self.runtime_kernel_id:
            return await self.runtime()
        if kernel_id not in self.others:
            raise NotFoundError("there is no such kernel", hint="GET api/kernels lists them")
        link = self._attached.get(kernel_id)
        if link is None or not link.alive:
            link = self._attached[kernel_id] = self._made(kernel_id)
        return link

    def _made(self, kernel_id: str) -> InProcessLink:
        link = InProcessLink(kernel_id, self.runtime_of_all, self)
        self.links.append(link)
        return link

    def release(self) -> None:
        """Start what was held, and hold no more."""
        self.holding = False
        for link in self.links:
            link.release()

    async def close(self) -> None:
        for link in self.links:
            await link.close()


__all__ = ["InProcessKernels", "InProcessLink"]
