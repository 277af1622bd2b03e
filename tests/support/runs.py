"""Fixtures for tests that run documents on tiny models; a conftest.py imports those it wants."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mcnb.models.cache import ModelCache
from mcnb.models.request import Priority
from mcnb.runtime import Compose, Event, Run, Runtime, load

from .texts import POEM, POEM_ZH

ROOT = Path(__file__).parents[2]
"""Where the package and the examples are."""

FIRST_LINE = POEM.splitlines(keepends=True)[0]

LONG_TEXT = POEM * 12
"""Some 1,700 tokens: a generation that a test has time to stop."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of their own for mcnb and the hub's cache, and none of the user's settings."""
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_ENDPOINT", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MCNB_HOME", str(tmp_path / "mcnb-home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    return tmp_path


class Models(NamedTuple):
    """Folders of tiny models.

    Attributes
    ----------
    poet : Path
        Recites ``POEM``, whatever the sampling.
    chinese : Path
        Recites ``POEM_ZH``: characters of several tokens, emoji of several characters.
    endless : Path
        Recites ``LONG_TEXT``.
    dice : Path
        Random weights, context 128: what it says depends on the seed.
    """

    poet: Path
    chinese: Path
    endless: Path
    dice: Path


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """The models most tests use."""
    from .tiny_models import gpt_neo, reciter

    root = tmp_path_factory.mktemp("models")
    return Models(
        poet=reciter(root / "poet", POEM),
        chinese=reciter(root / "chinese", POEM_ZH),
        endless=reciter(root / "endless", LONG_TEXT),
        dice=gpt_neo(root / "dice", context=128),
    )


@pytest.fixture(scope="session")
def marathon(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that recites 60 poems, some 8,800 tokens: long enough to be interrupted from another process."""
    from .tiny_models import reciter

    return reciter(tmp_path_factory.mktemp("models") / "marathon", POEM * 60)


@pytest.fixture
def runtime(home: Path) -> Iterator[Runtime]:
    """A runtime with a model cache of its own; every run is over and every model gone afterwards."""
    made = Runtime(ModelCache())
    yield made
    made.close()
    made.cache.unload()
    assert not made.cache.loaded(), "a model is still leased"


def document(model: Path | str, **action: Any) -> str:
    """The text of a document of one component; `action` are keys beside ``model``, as JSON (which is YAML)."""
    import json

    keys = {"model": str(model), "text": "${input.prompt as text}", **action}
    return json.dumps({"component": keys})


@pytest.fixture
def compose(runtime: Runtime) -> Callable[..., Compose]:
    """Load a document of one component: ``compose(models.poet, params={...})``."""

    def make(model: Path | str, **action: Any) -> Compose:
        return load(text=document(model, **action), runtime=runtime)

    return make


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[Priority]:
    """The priorities of the generations that model owners have taken."""
    from mcnb.models.owner import ModelOwner

    found: list[Priority] = []
    submit = ModelOwner.submit

    def noted(self: Any, *args: Any, **said: Any) -> Any:
        generation = submit(self, *args, **said)
        found.append(generation.priority)
        return generation

    monkeypatch.setattr(ModelOwner, "submit", noted)
    return found


class Gate:
    """Stops a run's model thread at an event until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._open = threading.Event()

    def open(self) -> None:
        self._open.set()

    def stop_here(self) -> None:
        self.reached.set()
        assert self._open.wait(60), "nobody opened the gate"

    def at_token(self, run: Run, number: int) -> Gate:
        """Close behind the token with a number: listeners are called by the thread that generates."""

        def listener() -> None:
            if not self.reached.is_set() and tokens_of(run) >= number:
                self.stop_here()

        run.listen(listener)
        return self


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate that is open at the end of the test, whatever happened."""
    made = Gate()
    yield made
    made.open()


def tokens_of(run: Run) -> int:
    """How many tokens a run has generated so far, as its events say."""
    return max((event.data["tokens"] for event in run.events_after(0) if event.type == "token"), default=0)


def states_of(run: Run) -> list[str]:
    """The run's states, in the order of its events."""
    return [event.data["state"] for event in run.events_after(0) if event.type == "state"]


def is_part_of_the_text(run: Run) -> bool:
    """Whether a run of the endless model has some of its text, and not all."""
    return LONG_TEXT.startswith(run.text) and len(FIRST_LINE) < len(run.text) < len(LONG_TEXT)


def ends_well(compose: Compose) -> None:
    """Check that the next run works."""
    assert compose.run(prompt=FIRST_LINE, parameters={"max_output_length": 3}).state == "completed"


def job_events(run: Run) -> list[Event]:
    return [event for event in run.events_after(0) if event.type == "job"]


def own_threads() -> set[threading.Thread]:
    """mcnb's threads that are alive."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("mcnb-")}
