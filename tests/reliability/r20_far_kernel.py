"""R20: the link to the kernel's host is cut while a run is decoding: the run ends, and the next one works.

``python -m tests.reliability.r20_far_kernel [--rounds 10] [--seed N]``: a server on one host, a Jupyter kernel gateway
on another, two network namespaces. The cut is silent: no connection is closed. When the link is back, the next run
starts a new kernel, and the one that was left behind has to be gone. It needs root and iproute2.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

from .caller import Caller, faults_in, tokens_in
from .documents import LONG, SHORT, asks, served
from .far_host import FarHost, far_host
from .promise import Figure, Task, command, percentile

WITHIN = 10.0
"""Seconds from the cut to the terminal state."""

PATIENCE = 60.0


async def measure(task: Task) -> Figure:
    figure = Figure("R20", f"{task.rounds} links to a kernel cut: terminal within {WITHIN:.0f} s", "")
    document = served(task.folder / "served")
    took: list[float] = []
    with far_host(task.folder, document) as far:
        async with Caller(far.server) as caller:
            for number in range(1, task.rounds + 1):
                run_id, cut = await _cut(caller, far, task.random.randint(1, 400), task.random.uniform(0, 1))
                run = await caller.ended(run_id, PATIENCE)
                took.append(time.monotonic() - cut)
                if (run["error"] or {}).get("code") != "kernel_died":
                    figure.broken.append(f"round {number}: it is {run['status']}: {run['error']}")
                left = far.gateway.kernels()
                far.mend()
                figure.broken += [f"round {number}: {fault}" for fault in faults_in(await caller.log(run_id))]
                figure.broken += [f"round {number}: {fault}" for fault in await _next(caller, far, left)]
                task.progress(number, f"{run['error']['message']}, {took[-1]:.1f} s after the cut")
    figure.late += [f"it took {seconds:.1f} s from the cut to the end" for seconds in took if seconds > WITHIN]
    figure.figure = (
        f"{len(took)} cuts; end after the cut: median {percentile(took, 50):.1f} s, longest {max(took):.1f} s; every "
        "next run completed in a new kernel, none was left behind"
    )
    return figure


async def _cut(caller: Caller, far: FarHost, token: int, later: float) -> tuple[str, float]:
    """Ask for a run, and cut the link some time after a token; return the run's id and when that was."""
    run_id = await caller.submit(asks(LONG))
    async with aclosing(caller.events(run_id)) as events:
        async for event in events:
            if tokens_in(event) >= token:
                break
    await asyncio.sleep(later)
    far.cut()
    return run_id, time.monotonic()


async def _next(caller: Caller, far: FarHost, left: list[int]) -> list[str]:
    """Check that the next run completes and that its kernel becomes the only one."""
    run = await caller.ended(await caller.submit(asks(SHORT)), PATIENCE)
    if run["status"] != "completed":
        return [f"the next run is {run['status']}: {run['error']}"]
    end = time.monotonic() + PATIENCE
    while set(left) & set(far.gateway.kernels()):
        if time.monotonic() > end:
            return [f"kernel {left} is left behind"]
        await asyncio.sleep(0.1)
    return []


if __name__ == "__main__":
    command(measure, 10, __doc__)
