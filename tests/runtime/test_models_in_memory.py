"""What is loaded: one copy for everybody, known by what it is; preloading and leaving memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcnb.models.cache import shared_cache
from mcnb.runtime import Compose, Runtime, default_runtime, load
from tests.support.runs import FIRST_LINE, Models, document
from tests.support.texts import POEM, POEM_ZH

Make = Callable[..., Compose]

PATIENCE = 60


def test_the_same_component_id_with_different_models(runtime: Runtime, models: Models) -> None:
    def text(model: Path) -> str:
        return f"component: {{id: writer, model: {model}, text: '${{input.prompt}}', return_full_text: false}}"

    english, chinese = load(text=text(models.poet), runtime=runtime), load(text=text(models.chinese), runtime=runtime)
    for _ in range(2):
        assert english.run(prompt=FIRST_LINE).output == POEM.removeprefix(FIRST_LINE)
        first = POEM_ZH.splitlines(keepends=True)[0]
        assert chinese.run(prompt=first).output == POEM_ZH.removeprefix(first)
    assert runtime.cache.loads == 2


def test_an_edited_prompt_takes_effect_and_loads_nothing(runtime: Runtime, models: Models, tmp_path: Path) -> None:
    file = tmp_path / "model-compose.yml"
    outputs = []
    for text in ("One ${input.n}", "Two ${input.n}", "Three ${input.n}"):
        file.write_text(document(models.poet, text=text, max_output_length=1))
        outputs.append(load(file, runtime=runtime).run(n=1).output)
    assert [output.split()[0] for output in outputs] == ["One", "Two", "Three"]
    assert runtime.cache.loads == 1


def test_other_parameters_load_nothing_and_another_precision_does(compose: Make, models: Models) -> None:
    for temperature in (0, 1):
        loaded = compose(models.poet, params={"temperature": temperature})
        loaded.run(prompt="a", parameters={"max_output_length": 1})
    assert loaded.runtime.cache.loads == 1
    compose(models.poet, precision="bfloat16").run(prompt="a", parameters={"max_output_length": 1})
    assert loaded.runtime.cache.loads == 2


def test_many_runs_at_once_load_a_model_once(compose: Make, models: Models) -> None:
    loaded = compose(models.poet)
    runs = [loaded.submit(prompt=FIRST_LINE) for _ in range(16)]
    assert [run.result(PATIENCE) for run in runs] == [POEM] * 16
    assert loaded.runtime.cache.loads == 1
    assert all(event.type != "load" for event in loaded.run(prompt="a").events())


def test_preload_begins_when_the_document_is_loaded(compose: Make, models: Models) -> None:
    loaded = compose(models.poet, preload=True)
    cache = loaded.runtime.cache
    for thread in threading.enumerate():
        if thread.name == "mcnb-load":
            thread.join(PATIENCE)
    assert cache.loads == 1
    run = loaded.run(prompt=FIRST_LINE)
    assert run.output == POEM
    assert run.record.generations[0].cache_hit
    assert cache.loads == 1


def test_a_preload_that_fails_is_told_by_the_first_run(compose: Make) -> None:
    loaded = compose("./nowhere", preload=True)
    run = loaded.submit(prompt="a")
    assert run.wait(PATIENCE)
    assert run.error is not None
    assert run.error.code == "model_not_found"


class Timers:
    """Timers that ring when told to."""

    def __init__(self) -> None:
        self.started: list[Timers.Timer] = []
        timers = self

        class Timer:
            def __init__(self, interval: float, function: Callable[..., None], args: tuple[Any, ...] = ()) -> None:
                self.interval, self.ring, self.cancelled = interval, lambda: function(*args), False

            def start(self) -> None:
                timers.started.append(self)

            def cancel(self) -> None:
                self.cancelled = True

        self.Timer = Timer


@pytest.mark.parametrize(
    ("on_demand", "seconds"), [(True, 300), ({"idle_timeout": "90s"}, 90), ({"idle_timeout": "2m"}, 120)]
)
def test_an_idle_model_leaves_memory(
    compose: Make, models: Models, monkeypatch: pytest.MonkeyPatch, on_demand: Any, seconds: float
) -> None:
    timers = Timers()
    monkeypatch.setattr(threading, "Timer", timers.Timer)
    loaded = compose(models.poet, on_demand=on_demand)
    cache = loaded.runtime.cache
    loaded.run(prompt="a", parameters={"max_output_length": 1})
    loaded.run(prompt="a", parameters={"max_output_length": 1})
    first, second = timers.started
    assert (first.cancelled, second.cancelled) == (True, False)
    assert second.interval == seconds
    second.ring()
    assert cache.loaded() == []
    assert loaded.run(prompt=FIRST_LINE).output == POEM
    assert cache.loads == 2


def test_models_stay_when_nothing_is_said(compose: Make, models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    timers = Timers()
    monkeypatch.setattr(threading, "Timer", timers.Timer)
    loaded = compose(models.poet)
    loaded.run(prompt="a", parameters={"max_output_length": 1})
    assert timers.started == []
    assert len(loaded.runtime.cache.loaded()) == 1


def test_the_runtime_of_the_process_is_one_and_shares_its_models() -> None:
    assert default_runtime() is default_runtime()
    assert default_runtime().cache is shared_cache()
