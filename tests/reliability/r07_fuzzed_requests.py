"""R7: requests made up from the served OpenAPI file, right ones and wrong ones: no server error, each within 1 s.

``python -m tests.reliability.r07_fuzzed_requests [--rounds 10000] [--seed N]``: a round is one request; every route
gets its share, those with a body more. Half of them are aimed: their path names a run or a workflow that exists, their
body a workflow that takes no time; otherwise nearly all would end with 404. A run that fails is answered with 500 and
``status: failed``, which is a reply and no server error, unless its code is ``internal``.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import hypothesis
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok

from .caller import Caller
from .documents import LINE, PLAIN, SHORT, asks, served
from .promise import Figure, Task, command, percentile
from .server_process import ServerProcess

WITHIN = 1.0
POOL = 20
"""Runs that aimed requests may name; those that were deleted are made again now and then."""


class Fuzzing:
    """Sends what is made up, and notes the answers."""

    def __init__(self, server: ServerProcess, task: Task) -> None:
        self._server = server
        self._task = task
        self.answers: Counter[int] = Counter()
        self.took: list[float] = []
        self.failed = 0
        self.broken: list[str] = []
        self.late: list[str] = []
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update(server.headers)
        self._pool: list[str] = []

    def send_all(self) -> None:
        """Send each operation's share."""
        schema = schemathesis.openapi.from_url(
            self._server.url + "workflows/openapi.json", headers=self._server.headers
        )
        operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
        weights = [_weight(operation) for operation in operations]
        for number, (operation, weight) in enumerate(zip(operations, weights, strict=True)):
            self._send(operation, -(-self._task.rounds * weight // sum(weights)), self._task.seed + number)
            sent = sum(self.answers.values())
            self._task.say(f"  {sent}/{self._task.rounds} {operation.label}: {dict(self.answers)}")

    def _send(self, operation: Any, share: int, seed: int) -> None:
        right = operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE)
        wrong = operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)
        whole = operation.schema.raw_schema["paths"][operation.path][operation.method]
        can_be_wrong = any(key in whole and whole[key] for key in ("parameters", "requestBody"))
        cases = st.one_of(right, wrong) if can_be_wrong else right

        @hypothesis.seed(seed)
        @settings(
            max_examples=share,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=cases, aimed=st.booleans(), choice=st.integers(0, POOL - 1))
        def sends(case: Any, aimed: bool, choice: int) -> None:
            if aimed:
                self._aim(case, choice)
            self._call(case)

        sends()

    def _aim(self, case: Any, choice: int) -> None:
        path = case.path_parameters or {}
        for name in path:
            path[name] = (PLAIN, SHORT)[choice % 2] if "workflow" in name else self._run(choice)
        if case.operation.label.startswith("POST") and isinstance(case.body, dict) and not path:
            asked = asks(SHORT, tokens=choice % 3 + 1) if choice % 5 == 0 else asks(PLAIN)
            case.body = {**case.body, **asked, "input": {**asked["input"], "prompt": LINE}}  # type: ignore[dict-item]

    def _run(self, choice: int) -> str:
        """Return the id of a run that is or was there."""
        if len(self._pool) < POOL or choice == 0:
            reply = self._session.post(self._server.url + "workflows/runs", json=asks(PLAIN), timeout=30)
            self._pool = [*self._pool, reply.json()["run_id"]][-POOL:]
        return self._pool[choice % len(self._pool)]

    def _call(self, case: Any) -> None:
        started = time.perf_counter()
        reply = case.call(base_url=self._server.url.rstrip("/"), session=self._session, timeout=30)
        seconds = time.perf_counter() - started
        self.took.append(seconds)
        self.answers[reply.status_code] += 1
        if seconds > WITHIN:
            self.late.append(f"{seconds:.1f} s, {reply.status_code}: {_curl(case)}")
        if reply.status_code >= 500:
            if _is_failed_run(reply):
                self.failed += 1
            else:
                self.broken.append(f"{reply.status_code} {reply.content[:200]!r}: {_curl(case)}")
        elif reply.status_code >= 400 and not _says_where(reply):
            self.broken.append(f"{reply.status_code} {reply.content[:200]!r} says nothing: {_curl(case)}")


def _weight(operation: Any) -> int:
    """Return the share of an operation: most can go wrong where a run is asked for."""
    if operation.label == "POST /workflows/runs":
        return 10
    return 2 if operation.body else 1


def _is_failed_run(reply: Any) -> bool:
    try:
        body = reply.json()
    except ValueError:
        return False
    return body.get("status") == "failed" and body["error"]["code"] != "internal"


def _says_where(reply: Any) -> bool:
    """Whether an error is told in words: a run that did not complete tells of itself."""
    try:
        body = reply.json()
    except ValueError:
        return False
    return isinstance(body, dict) and ("status" in body or bool((body.get("error") or {}).get("message")))


def _curl(case: Any) -> str:
    return str(case.as_curl_command())[:400]


async def measure(task: Task) -> Figure:
    figure = Figure("R7", f"{task.rounds} made-up requests: no server error, each within {WITHIN:.0f} s", "")
    document = served(task.folder / "served")
    server = ServerProcess(task.folder / "server", [document], queue_length=1000, max_output_tokens=8, max_timeout=30.0)
    with await asyncio.to_thread(server.start):
        async with Caller(server) as caller:
            for workflow in (SHORT, PLAIN):  # the kernel and the model are there
                assert (await caller.post(asks(workflow))).status_code == 200
        fuzzing = Fuzzing(server, task)
        await asyncio.to_thread(fuzzing.send_all)
        async with Caller(server) as caller:
            reply = await caller.post(asks(SHORT, tokens=2))
            if reply.status_code != 200:
                figure.broken.append(f"the run afterwards was answered with {reply.status_code}: {reply.text}")
    figure.broken += fuzzing.broken
    figure.late = fuzzing.late
    errors = sum(count for status, count in fuzzing.answers.items() if status >= 500) - fuzzing.failed
    told = ", ".join(f"{count} × {status}" for status, count in sorted(fuzzing.answers.items()))
    figure.figure = (
        f"{sum(fuzzing.answers.values())} requests, {errors} server errors ({fuzzing.failed} told of runs that "
        f"failed); p99 {percentile(fuzzing.took, 99) * 1000:.0f} ms, longest {max(fuzzing.took) * 1000:.0f} ms; {told}"
    )
    return figure


if __name__ == "__main__":
    command(measure, 10_000, __doc__)
