"""R1: 200 simultaneous POSTs meet a queue of 64: each is answered, and each accepted run ends exactly once.

``python -m tests.reliability.r01_full_queue [--rounds 5] [--seed N]``: a round is 200 POSTs at once, half of which
wait for their run; the first round starts the kernel.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx

from .caller import TERMINAL, Caller, faults_in
from .documents import SHORT, asks, served
from .promise import Figure, Task, command
from .server_process import ServerProcess

AT_ONCE = 200
QUEUE = 64


async def measure(task: Task) -> Figure:
    figure = Figure("R1", f"{AT_ONCE} simultaneous POSTs, queue of {QUEUE}: answered, and ended once", "")
    document = served(task.folder / "served")
    answers: Counter[int] = Counter()
    ends: Counter[str] = Counter()
    with ServerProcess(task.folder / "server", [document], queue_length=QUEUE) as server:
        async with Caller(server) as caller:
            for number in range(1, task.rounds + 1):
                replies = await asyncio.gather(*(_post(caller, task, place) for place in range(AT_ONCE)))
                answers.update(reply.status_code for reply in replies)
                accepted = [reply.json()["run_id"] for reply in replies if reply.status_code in (200, 202)]
                figure.broken += [fault for reply in replies for fault in _faults(reply)]
                if len(accepted) < QUEUE:
                    figure.broken.append(f"round {number}: only {len(accepted)} accepted, with room for {QUEUE}")
                if len(set(accepted)) != len(accepted):
                    figure.broken.append(f"round {number}: two POSTs got the same run")
                for run_id in accepted:
                    ends[await _end(caller, run_id, figure)] += 1
                task.progress(number, f"{len(accepted)} accepted, {AT_ONCE - len(accepted)} sent away")
            listed = {run["run_id"] for run in await caller.listed()}
            if len(listed) != sum(ends.values()):
                figure.broken.append(f"{len(listed)} runs are listed, {sum(ends.values())} were accepted")
    figure.figure = (
        f"{task.rounds * AT_ONCE} POSTs: {answers[200]} × 200, {answers[202]} × 202, {answers[429]} × 429; "
        f"{sum(ends.values())} accepted runs ended once each ({_told(ends)})"
    )
    return figure


async def _post(caller: Caller, task: Task, place: int) -> httpx.Response:
    body = asks(SHORT, tokens=task.random.randint(1, 12), wait_for_completion=place % 2 == 0)
    return await caller.post(body)


def _faults(reply: httpx.Response) -> list[str]:
    if reply.status_code in (200, 202):
        return []
    if reply.status_code != httpx.codes.TOO_MANY_REQUESTS:
        return [f"answered {reply.status_code}: {reply.text[:200]}"]
    after: Any = reply.headers.get("Retry-After", "")
    found = [] if after.isdigit() else [f"429 with Retry-After {after!r}"]
    code = reply.json()["error"]["code"]
    return found if code == "queue_full" else [*found, f"429 with the code {code}"]


async def _end(caller: Caller, run_id: str, figure: Figure) -> str:
    run = await caller.ended(run_id, 60)
    figure.broken += [f"{run_id}: {fault}" for fault in faults_in(await caller.log(run_id))]
    if run["status"] != "completed":
        figure.broken.append(f"{run_id} is {run['status']}: {run.get('error')}")
    assert run["status"] in TERMINAL
    return str(run["status"])


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


if __name__ == "__main__":
    command(measure, 5, __doc__)
