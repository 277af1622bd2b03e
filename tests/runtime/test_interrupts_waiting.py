"""An interrupted run waits for a person without limit: who answers it, what ends it, and which time counts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from typing import Any

import pytest

from mcnb.errors import InvalidInputError, RunCancelledError, RunTimeoutError
from mcnb.runtime import Run, Runtime, load
from tests.support.asking import PATIENCE, asked, chain, pausing
from tests.support.runs import FIRST_LINE, Gate, Models, job_events, states_of
from tests.support.texts import POEM

# --- who answers ------------------------------------------------------------------------------------------------------


def test_a_wrong_answer_leaves_the_run_waiting(runtime: Runtime, models: Models) -> None:
    run = pausing(runtime, models.poet, {"before": True}).submit(prompt="a")
    asked(run)
    with pytest.raises(InvalidInputError) as caught:
        run.resume(5)
    assert str(caught.value) == (
        "the answer before job 'write' has to be a mapping of names to values; its input has prompt"
    )
    with pytest.raises(InvalidInputError, match="a set cannot be used"):
        run.resume({"prompt": {1}})
    assert run.state == "interrupted"
    run.resume("a")
    assert run.wait(PATIENCE)
    assert run.state == "completed"


def test_a_text_stands_for_no_mapping_of_several_texts(runtime: Runtime, models: Models) -> None:
    loaded = pausing(runtime, models.poet, {"before": True}, input={"prompt": "${input.prompt}", "note": "x", "n": 1})
    run = loaded.submit(prompt="a")
    assert asked(run).text is None
    with pytest.raises(InvalidInputError, match="its input has prompt, note, n"):
        run.resume("b")
    run.cancel()


def test_only_an_interrupted_run_is_resumed(runtime: Runtime, models: Models) -> None:
    run = pausing(runtime, models.poet, {"after": True}).submit(prompt="a")
    asked(run)
    run.resume()
    run.wait(PATIENCE)
    with pytest.raises(InvalidInputError, match="the run is completed, not interrupted"):
        run.resume()
    assert states_of(run)[-1] == "completed"


def test_of_many_threads_that_answer_one_does(runtime: Runtime, models: Models) -> None:
    run = pausing(runtime, models.poet, {"after": True}).submit(prompt="a")
    asked(run)
    outcomes: list[str] = []
    barrier = threading.Barrier(8)

    def answer(number: int) -> None:
        barrier.wait(PATIENCE)
        try:
            run.resume(number)
        except InvalidInputError:
            outcomes.append("refused")
        else:
            outcomes.append(str(number))

    threads = [threading.Thread(target=answer, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    (winner,) = [outcome for outcome in outcomes if outcome != "refused"]
    assert run.result(PATIENCE) == int(winner)


def test_a_listener_may_answer_at_once(runtime: Runtime, models: Models) -> None:
    run = chain(runtime, models.poet, first={"before": True, "after": True}, second={"before": True}).submit(prompt="a")

    def answer() -> None:
        if run.state == "interrupted":
            with contextlib.suppress(InvalidInputError):  # the first may come before there is a listener
                run.resume()

    run.listen(answer)
    answer()
    assert run.wait(PATIENCE)
    assert states_of(run) == ["pending", "processing", *["interrupted", "processing"] * 3, "completed"]


def test_run_returns_when_nobody_else_could_answer(runtime: Runtime, models: Models) -> None:
    run = pausing(runtime, models.poet, {"after": True}).run(prompt=FIRST_LINE)
    assert run.state == "interrupted"
    run.resume("done")
    assert run.result(PATIENCE) == "done"
    assert run.settle(0)


def test_settle_gives_up(runtime: Runtime, models: Models, gate: Gate) -> None:
    run = pausing(runtime, models.poet, {"after": True}).submit(prompt=FIRST_LINE)
    gate.at_token(run, 2)
    assert gate.reached.wait(PATIENCE)
    assert not run.settle(0.01)
    gate.open()
    asked(run)
    run.cancel()


def test_awaiting_goes_on_behind_the_answer(runtime: Runtime, models: Models) -> None:
    run = pausing(runtime, models.poet, {"after": True}).submit(prompt="a")

    async def answered() -> Any:
        waiting = asyncio.ensure_future(_output(run))
        await asyncio.to_thread(asked, run)
        run.resume("b")
        return await waiting

    async def _output(run: Run) -> Any:
        return await run

    assert asyncio.run(answered()) == "b"


def test_jobs_side_by_side_ask_one_after_the_other(runtime: Runtime, models: Models) -> None:
    jobs = [
        {"id": name, "component": "m", "input": {"prompt": name}, "interrupt": {"before": True}} for name in ("a", "b")
    ]
    component = {"id": "m", "model": str(models.poet), "text": "${input.prompt}", "max_output_length": 1}
    run = load(text=json.dumps({"workflow": {"jobs": jobs}, "component": component}), runtime=runtime).submit()
    assert asked(run).job == "a"
    run.resume("x")
    assert asked(run).job == "b"
    run.resume("y")
    assert [text[0] for text in run.result(PATIENCE)] == ["x", "y"]


# --- stopping ---------------------------------------------------------------------------------------------------------


def test_cancelling_while_it_waits(runtime: Runtime, models: Models) -> None:
    run = chain(runtime, models.poet, first={"after": True}).submit(prompt="a")
    asked(run)
    run.cancel()
    assert run.wait(PATIENCE)
    assert states_of(run) == ["pending", "processing", "interrupted", "cancelling", "cancelled"]
    assert isinstance(run.error, RunCancelledError)
    assert run.interruption is None
    with pytest.raises(InvalidInputError, match="the run is cancelled"):
        run.resume()
    assert [event.data["job"] for event in job_events(run)] == ["first", "first"]


def test_closing_the_runtime_ends_what_waits(home: Any, models: Models) -> None:
    own = Runtime()
    run = pausing(own, models.poet, {"before": True}).submit(prompt="a")
    asked(run)
    own.close()
    assert run.state == "cancelled"


def test_a_job_that_fails_ends_the_run_that_waits(runtime: Runtime, models: Models, gate: Gate) -> None:
    text = f"""
workflow:
  jobs:
    - {{id: fails, component: m, input: {{prompt: a}}, output: "${{output as integer}}"}}
    - {{id: asks, component: m, input: {{prompt: b}}, interrupt: {{before: true}}}}
component: {{id: m, model: {models.poet}, text: "${{input.prompt}}"}}
"""
    run = load(text=text, runtime=runtime).submit()
    gate.at_token(run, 2)
    assert gate.reached.wait(PATIENCE)
    assert asked(run).job == "asks"
    gate.open()
    assert run.wait(PATIENCE)
    assert run.error is not None
    assert "expected an integer" in run.error.message
    assert states_of(run) == ["pending", "processing", "interrupted", "failed"]
    assert {event.data["job"]: event.data["state"] for event in job_events(run)} == {
        "asks": "cancelled",
        "fails": "failed",
    }


class Clock:
    """A clock that a test moves on; the loop of a runtime goes by it."""

    def __init__(self, runtime: Runtime) -> None:
        self._ahead = 0.0
        self._loop = runtime._loop.started()
        real = self._loop.time
        self._loop.time = lambda: real() + self._ahead  # type: ignore[method-assign]

    def pass_by(self, seconds: float) -> None:
        self._ahead += seconds
        seen = threading.Event()
        self._loop.call_soon_threadsafe(lambda: self._loop.call_later(0, seen.set))
        assert seen.wait(PATIENCE)


def test_the_time_a_person_takes_does_not_count(runtime: Runtime, models: Models) -> None:
    clock = Clock(runtime)
    run = pausing(runtime, models.poet, {"before": True, "after": True}).submit(prompt=FIRST_LINE, timeout=500)
    for _ in range(2):
        asked(run)
        clock.pass_by(10_000)
        assert run.state == "interrupted"
        run.resume()
    assert run.result(PATIENCE) == POEM


def test_the_time_before_and_behind_it_does(runtime: Runtime, models: Models, gate: Gate) -> None:
    clock = Clock(runtime)
    run = chain(runtime, models.endless, second={"before": True}).submit(
        prompt=FIRST_LINE, timeout=500, parameters={"max_output_length": 400}
    )
    gate.at_token(run, 2)
    assert gate.reached.wait(PATIENCE)
    clock.pass_by(300)
    gate.open()
    asked(run)
    clock.pass_by(10_000)
    assert run.state == "interrupted"
    second = Gate()
    run.listen(lambda: second.stop_here() if _generates(run, "second") and not second.reached.is_set() else None)
    run.resume({"prompt": FIRST_LINE})
    assert second.reached.wait(PATIENCE)
    clock.pass_by(300)
    second.open()
    assert run.wait(PATIENCE)
    assert isinstance(run.error, RunTimeoutError)


def _generates(run: Run, job: str) -> bool:
    event = run.events_after(0)[-1]
    return event.type == "token" and event.data["job"] == job and threading.current_thread().name != "mcnb-runtime"
