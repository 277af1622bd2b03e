"""Cancels at any moment of a workflow leave nothing behind: no thread, no generation, no job."""

from __future__ import annotations

import json
import random

from mcnb.runtime import Run, Runtime, load
from tests.runtime.test_random_cancels import end
from tests.support.runs import FIRST_LINE, Models, job_events, own_threads, states_of

PATIENCE = 60
RUNS = 200

JOBS = [
    {"id": "outline", "component": "poet", "input": {"said": "${input.line}"}},
    {"id": "wait", "type": "delay", "duration": "1ms", "retry": 2},
    {
        "id": "parts",
        "type": "for-each",
        "input": ["a", "b", "c", "d"],
        "batch_size": 2,
        "do": {"component": "dice", "input": {"said": "${item}"}},
        "depends_on": ["wait"],
        "retry": {"max_attempt_count": 2, "delay": "1ms"},
    },
    {
        "id": "way",
        "type": "random-router",
        "routings": [{"to": "long"}, {"to": "outline"}],
        "depends_on": ["outline", "parts"],
        "on_error": "ignore",
    },
    {"id": "long", "component": "endless", "input": {"said": "${input.line}"}, "on_error": "ignore"},
]


def test_random_cancels_of_five_jobs(runtime: Runtime, models: Models) -> None:
    chance = random.Random(7)
    before = own_threads()
    components = [
        {"id": name, "model": str(getattr(models, name)), "text": "${input.said}", "max_output_length": 300}
        for name in ("poet", "dice", "endless")
    ]
    for component in components[:2]:
        component["max_output_length"] = 4
    loaded = load(text=json.dumps({"workflow": {"jobs": JOBS}, "components": components}), runtime=runtime)
    cache = runtime.cache
    runs: list[Run] = []

    def cancel_after(run: Run, events: int) -> None:
        run.listen(lambda: run.cancel() if len(run.events_after(0)) >= events else None)
        if len(run.events_after(0)) >= events:
            run.cancel()

    for number in range(RUNS):
        if number % 50 == 0:
            for run in runs:
                assert run.wait(PATIENCE)
            cache.unload()  # so that some are cancelled while a model loads
        run = loaded.submit(line=FIRST_LINE)
        cancel_after(run, chance.randrange(1, 60))
        runs.append(run)
        if chance.random() < 0.5:
            assert run.wait(PATIENCE)
    ends_seen = set()
    for run in runs:
        assert run.wait(PATIENCE)
        assert states_of(run)[-1] == "cancelled"
        assert states_of(run).count("cancelled") == 1
        last: dict[str, str] = {}
        for event in job_events(run):
            last[event.data["job"]] = event.data["state"]
        assert set(last.values()) <= {"completed", "cancelled"}, "no job is left, retried or ignored"
        ends_seen.update(last.items())
        events = run.events_after(0)
        assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert {
        ("outline", "cancelled"),
        ("parts", "cancelled"),
        ("long", "cancelled"),
        ("outline", "completed"),
    } <= ends_seen
    for owner in cache.loaded():
        assert owner.waiting == 0
        assert not owner.loaded.control.stopped
    end("mcnb-load")
    names = {thread.name for thread in own_threads() - before}
    assert names <= {"mcnb-runtime", *(f"mcnb-model-{getattr(models, name)}" for name in ("poet", "dice", "endless"))}
    run = loaded.submit(line=FIRST_LINE, seed=1)
    assert run.wait(PATIENCE), "the models still take runs"
    assert run.state == "completed"
    runtime.close()
    assert cache.unload() == 3, "nobody holds a model any more"
    end("mcnb-trim")
    assert own_threads() <= before
