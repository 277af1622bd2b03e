"""``on_error``: a run goes on without a job that failed."""

from __future__ import annotations

from typing import Any

import pytest

from mcnb.errors import McnbError, ModelNotFoundError
from mcnb.runtime import Record, Runtime
from tests.support.runs import Models, job_events
from tests.support.workflows import PATIENCE, Clock, ends, says, started, workflow


def fails(**more: Any) -> dict[str, Any]:
    """A job whose model there is not."""
    return {"id": "bad", "input": {"said": "a"}, **more}


def test_ignore(runtime: Runtime) -> None:
    run = workflow(runtime, [fails(on_error="ignore"), says("next", "<${jobs.bad.output}>", depends_on=["bad"])]).run()
    assert run.output == "<>"
    assert ends(run) == {"bad": "failed", "next": "completed"}
    assert run.state == "completed"
    assert workflow(runtime, [fails(on_error="ignore")]).run().output is None


def test_a_fallback(runtime: Runtime) -> None:
    output = {"said": "it failed: ${error.message}", "why": "${error.code}", "of": "${input.of}"}
    run = workflow(runtime, [fails(on_error={"output": output})]).run(of="x")
    assert run.output["why"] == "model_not_found"
    assert run.output["said"].startswith("it failed: ./nowhere: there is no file")
    assert run.output["of"] == "x"
    (failed,) = [event.data for event in job_events(run) if event.data["state"] == "failed"]
    assert failed["error"]["code"] == "model_not_found"


def test_a_fallback_of_null_is_one(runtime: Runtime) -> None:
    assert workflow(runtime, [fails(on_error={"output": None})]).run().state == "completed"


def test_an_empty_policy_is_none(runtime: Runtime) -> None:
    run = workflow(runtime, [fails(on_error={})]).submit()
    with pytest.raises(ModelNotFoundError):
        run.result(PATIENCE)


def test_another_way(runtime: Runtime) -> None:
    jobs = [
        fails(on_error={"to": "rescue", "output": "${error.code}"}),
        says("next", "next", depends_on=["bad"]),
        says("rescue", "rescued from ${jobs.bad.output}"),
        says("join", "[${jobs.next.output}${jobs.rescue.output}]", depends_on=[["next", "rescue"]]),
    ]
    run = workflow(runtime, jobs).run()
    assert run.output == "[rescued from model_not_found]"
    assert started(run) == ["bad", "rescue", "join"]
    assert ends(run)["next"] == "skipped"
    assert [(way.job, way.to, way.error and way.error["code"]) for way in run.record.ways if way.job == "bad"] == [
        ("bad", "rescue", "model_not_found")
    ]


def test_the_other_way_is_not_taken_without_need(runtime: Runtime, models: Models) -> None:
    jobs = [fails(on_error={"to": "rescue"}), says("rescue", "rescued")]
    run = workflow(runtime, jobs, model=models.poet).run()
    assert run.output.startswith("a")
    assert ends(run) == {"bad": "completed", "rescue": "skipped"}


def test_a_target_that_names_its_router_as_a_dependency(runtime: Runtime) -> None:
    jobs = [fails(on_error={"to": "rescue"}), says("rescue", "rescued", depends_on=["bad"])]
    assert workflow(runtime, jobs).run().output == "rescued"


def test_after_the_last_attempt(timed: Runtime, clock: Clock) -> None:
    run = workflow(timed, [fails(retry={"max_attempt_count": 3, "delay": 4}, on_error={"output": "gave up"})]).run()
    assert run.output == "gave up"
    assert clock.slept == [4, 4]


def test_rescues_can_fail_as_well(runtime: Runtime) -> None:
    jobs = [
        fails(on_error={"to": "second"}),
        {"id": "second", "input": {"said": "b"}, "on_error": {"to": "third"}},
        says("third", "third"),
    ]
    run = workflow(runtime, jobs).run()
    assert run.output == "third"
    assert ends(run) == {"bad": "failed", "second": "failed", "third": "completed"}


def test_an_error_in_the_fallback_fails_the_run(runtime: Runtime) -> None:
    run = workflow(runtime, [fails(on_error={"output": "${error.message as integer}"})]).submit()
    with pytest.raises(McnbError, match=r"error\.message: expected"):
        run.result(PATIENCE)
    assert ends(run) == {"bad": "failed"}


@pytest.mark.parametrize("policy", ["ignore", {"output": "x"}, {"to": "rescue"}])
def test_a_cancelled_run_stays_cancelled(timed: Runtime, clock: Clock, policy: Any) -> None:
    clock.stands = True
    wait = {"id": "bad", "type": "delay", "duration": "1h", "on_error": policy, "retry": 3}
    run = workflow(timed, [wait, says("rescue", "x", depends_on=["bad"])]).submit()
    assert run.wait_event(3, PATIENCE)
    run.cancel()
    assert run.wait(PATIENCE)
    assert run.state == "cancelled"
    assert ends(run) == {"bad": "cancelled"}
    assert clock.slept == [3600]


@pytest.mark.parametrize("policy", ["ignore", {"output": "x"}, {"to": "rescue"}])
def test_a_run_whose_time_is_over_fails(timed: Runtime, clock: Clock, policy: Any) -> None:
    clock.stands = True
    wait = {"id": "bad", "type": "delay", "duration": "1h", "on_error": policy, "retry": 3}
    run = workflow(timed, [wait, says("rescue", "x", depends_on=["bad"])]).submit(timeout=0.02)
    assert run.wait(PATIENCE)
    assert run.state == "failed"
    assert run.error is not None
    assert run.error.code == "timeout"


def test_a_job_that_another_one_s_failure_stops_is_not_rescued(runtime: Runtime) -> None:
    jobs = [
        {"id": "waits", "type": "delay", "duration": "1h", "on_error": "ignore"},
        fails(),
    ]
    run = workflow(runtime, jobs).submit()
    with pytest.raises(ModelNotFoundError):
        run.result(PATIENCE)
    assert ends(run) == {"waits": "cancelled", "bad": "failed"}


def test_a_repeated_run_fails_in_the_same_place(runtime: Runtime, models: Models) -> None:
    """The repeated run goes the same way although the model is there by now."""
    jobs = [fails(on_error={"to": "rescue", "output": "${error.message}"}), says("rescue", "!${jobs.bad.output}")]
    broken = workflow(runtime, jobs)
    run = broken.run()
    record = Record.from_dict(run.record.to_dict())
    record.document["source"]["component"]["model"] = str(models.poet)
    again = broken.repeat(record)
    assert again.output == run.output
    assert again.record.ways == run.record.ways
    assert runtime.cache.loads == 0


def test_environment_values_are_no_part_of_what_is_told(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCNB_TEST_WORD", "topsecretword")
    check = {"id": "bad", "type": "filter", "input": ["${env.MCNB_TEST_WORD}"], "where": {"operator": "gt", "value": 1}}
    run = workflow(runtime, [{**check, "on_error": {"output": "${error.message}"}, "retry": 1}]).run()
    assert "topsecretword" not in str(run.record.to_dict()["ways"])
    assert "topsecretword" not in str([event.data for event in job_events(run)])
    assert "neither more nor less" in run.output
