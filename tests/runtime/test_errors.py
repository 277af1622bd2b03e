"""Whatever goes wrong in a run reaches its error, with a code and a sentence, never with a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mcnb.models.drivers.huggingface
import mcnb.models.owner
import mcnb.runtime.jobs
from mcnb.errors import InvalidInputError, UnsupportedModelError
from mcnb.runtime import Compose, Run
from tests.support.runs import FIRST_LINE, Models
from tests.support.texts import POEM
from tests.support.tiny_models import broken

Make = Callable[..., Compose]

PATIENCE = 60


def failed(run: Run, code: str) -> str:
    """Check how a failed run looks from outside and return its message."""
    assert run.wait(PATIENCE)
    assert run.state == "failed"
    assert run.error is not None
    assert run.error.code == code
    told = run.events_after(0)[-1].data["error"]
    assert told == {"code": code, "message": str(run.error)}
    assert json.loads(json.dumps(told)) == told
    assert "Traceback" not in told["message"]
    assert "\n" not in told["message"]
    assert run.output is None
    with pytest.raises(type(run.error)):
        run.result()
    return str(run.error)


def test_a_model_that_is_not_there(compose: Make) -> None:
    assert "./nowhere" in failed(compose("./nowhere").submit(prompt="a"), "model_not_found")


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        ("cut_shard", "model_damaged"),
        ("missing_shard", "model_damaged"),
        ("no_tokenizer", "model_damaged"),
        ("bad_config_json", "model_damaged"),
        ("remote_code", "unsafe_model"),
    ],
)
def test_a_damaged_model(compose: Make, models: Models, tmp_path: Path, damage: str, code: str) -> None:
    import shutil

    folder = Path(shutil.copytree(models.poet, tmp_path / "damaged"))
    named = broken(folder, damage)
    assert (named if damage == "cut_shard" else folder).name in failed(compose(folder).submit(prompt="a"), code)


def test_a_prompt_that_does_not_fit(compose: Make, models: Models) -> None:
    run = compose(models.dice).submit(prompt="a b " * 200)
    assert "128" in failed(run, "context_overflow")
    assert run.text == ""


def test_parameters_that_inputs_give(compose: Make, models: Models) -> None:
    loaded = compose(models.poet, params={"temperature": "${input.t as number}"})
    message = failed(loaded.submit(prompt="a", t=-5), "invalid_input")
    assert message == "temperature: must be at least 0, got -5"
    with pytest.raises(InvalidInputError, match="expected a number, got 'hot'"):
        loaded.submit(prompt="a", t="hot")
    assert loaded.runtime.cache.loads == 0


def test_a_cast_that_fails_in_a_nested_value(compose: Make, models: Models) -> None:
    loaded = compose(models.poet, max_output_length="${input.settings.length as integer}")
    message = failed(loaded.submit(prompt="a", settings={"length": "long"}), "invalid_expression")
    assert message == "input.settings.length: expected an integer, got 'long'"


def test_a_cast_that_fails_in_an_output(compose: Make, models: Models) -> None:
    run = compose(models.poet, output="${result as integer}").submit(prompt=FIRST_LINE)
    assert failed(run, "invalid_expression").startswith("result: expected an integer")
    said = "".join(event.data["text"] for event in run.events() if event.type == "token")
    assert said == POEM, "what was generated is not lost"


@pytest.mark.parametrize("error", [ValueError("odd"), MemoryError(), SystemExit(3), KeyError("x")])
def test_a_defect_while_generating(
    compose: Make, models: Models, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    loaded = compose(models.poet)
    loaded.run(prompt="a", parameters={"max_output_length": 1})
    model = loaded.runtime.cache.loaded()[0].loaded.model

    def fail(*_: Any, **__: Any) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(model, "forward", fail)
        run = loaded.submit(prompt="a")
        failed(run, "out_of_memory" if isinstance(error, MemoryError) else "internal")
    assert loaded.run(prompt=FIRST_LINE).output == POEM, "the model goes on working"


@pytest.mark.parametrize("error", [ValueError("odd"), OSError("gone")])
def test_a_defect_while_loading(
    compose: Make, models: Models, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(mcnb.models.drivers.huggingface, "load", fail)
        assert type(error).__name__ in failed(compose(models.poet).submit(prompt="a"), "internal")


def test_a_defect_of_the_runtime_itself(compose: Make, models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("oops")

    with monkeypatch.context() as patched:
        patched.setattr(mcnb.runtime.jobs, "render_calls", fail)
        assert "ZeroDivisionError: oops" in failed(compose(models.poet).submit(prompt="a"), "internal")
    assert compose(models.poet).run(prompt=FIRST_LINE).output == POEM


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "the input 'prompt' is missing"),
        ({"prompt": "a", "promt": "b"}, "did you mean 'prompt'"),
        ({"prompt": {1, 2}}, "prompt"),
        ({"prompt": float("nan")}, "prompt"),
    ],
)
def test_input_is_refused_before_there_is_a_run(
    compose: Make, models: Models, values: dict[str, Any], said: str
) -> None:
    loaded = compose(models.poet)
    with pytest.raises(InvalidInputError, match=said):
        loaded.submit(input=values)
    assert loaded.runs == ()


def test_what_runs_models_is_not_installed(compose: Make, models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcnb.models.drivers.huggingface.DRIVER, "packages", ("torch", "a_package_that_is_not_there"))
    with pytest.raises(UnsupportedModelError, match=r"a_package_that_is_not_there.*mcnb\[kernel\]"):
        compose(models.poet).submit(prompt="a")
