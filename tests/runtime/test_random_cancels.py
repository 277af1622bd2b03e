"""Cancels at any moment leave nothing behind."""

from __future__ import annotations

import random
from collections.abc import Callable

from mcnb.runtime import Compose, Run
from tests.support.runs import FIRST_LINE, LONG_TEXT, Models, own_threads, states_of

Make = Callable[..., Compose]

PATIENCE = 60
RUNS = 200


def test_random_cancels_leave_no_thread_and_no_generation(compose: Make, models: Models) -> None:
    chance = random.Random(5)
    before = own_threads()
    loaded = compose(models.endless)
    cache = loaded.runtime.cache
    runs: list[Run] = []

    def cancel_after(run: Run, events: int) -> None:
        """Cancel when the run has so many events: while it is pending, loading, queued, decoding..."""
        run.listen(lambda: run.cancel() if len(run.events_after(0)) >= events else None)
        if len(run.events_after(0)) >= events:
            run.cancel()

    for number in range(RUNS):
        if number % 40 == 0:
            for run in runs:
                assert run.wait(PATIENCE)
            cache.unload()  # so that some are cancelled while the model loads
        run = loaded.submit(prompt=FIRST_LINE)
        cancel_after(run, chance.choice((1, 2, 3, 4, 5, 8, 13, 21)))
        runs.append(run)
        if chance.random() < 0.5:
            assert run.wait(PATIENCE)
    for run in runs:
        assert run.wait(PATIENCE)
        assert states_of(run)[-1] == "cancelled"
        assert states_of(run).count("cancelled") == 1
        assert LONG_TEXT.startswith(run.text)
    seen = {len(run.text) for run in runs}
    assert len(seen) > 5, "they were cancelled at different places"

    run = loaded.submit(prompt=FIRST_LINE)
    cancel_after(run, 20)
    assert run.wait(PATIENCE), "the model still takes runs"
    (owner,) = cache.loaded()
    assert owner.waiting == 0
    assert not owner.loaded.control.stopped
    end("mcnb-load")
    end(f"mcnb-model-{models.endless}")
    assert [thread.name for thread in own_threads() - before] == ["mcnb-runtime"]
    loaded.runtime.close()
    assert cache.unload() == 1, "nobody holds the model any more"
    end("mcnb-trim")
    assert own_threads() <= before


def end(name: str) -> None:
    """Wait for the threads that end by themselves."""
    for thread in own_threads():
        if thread.name == name:
            thread.join(PATIENCE)
