"""Short ways to call the model layer."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcnb.compose.schema import HuggingFaceSource, LocalSource
from mcnb.models.chat import Prompt
from mcnb.models.control import Control
from mcnb.models.generation import GenerationResult, generate
from mcnb.models.hardware import Placement
from mcnb.models.loaded import LoadedModel
from mcnb.models.loading import load
from mcnb.models.parameters import Parameters, check_parameters, resolve
from mcnb.models.progress import Progress, no_report
from mcnb.models.snapshot import Snapshot, check_snapshot
from mcnb.models.sources import fetch
from mcnb.models.spec import ModelSpec

PROMPT = "Once upon a time"


class Reports(list[Progress]):
    """Keeps every progress report."""

    def __call__(self, progress: Progress) -> None:
        self.append(progress)

    def of(self, stage: str) -> list[Progress]:
        return [progress for progress in self if progress.stage == stage]


def from_hub(repository: str, **options: Any) -> HuggingFaceSource:
    return HuggingFaceSource(repository=repository, **options)


def fetch_hub(repository: str, *, control: Control | None = None, report: Any = no_report, **options: Any) -> Snapshot:
    """Fetch a repository; `allow_pickle` and `update` are fetch's, other options the source's."""
    how = {name: options.pop(name) for name in ("allow_pickle", "update") if name in options}
    return fetch(from_hub(repository, **options), Path(), control=control, report=report, **how)


def fetch_local(path: Path, **options: Any) -> Snapshot:
    return fetch(LocalSource(path=str(path)), path.parent, **options)


def load_folder(
    path: Path, dtype: str = "float32", *, control: Control | None = None, report: Any = no_report
) -> LoadedModel:
    """Check and load a folder as ``provider: local`` does."""
    snapshot = Snapshot(path.name, "local", path)
    check_snapshot(snapshot, allow_pickle=True)
    return load(snapshot, Placement("cpu", dtype, "asked for"), control=control or Control(), report=report)


def spec(path: Path, **options: Any) -> ModelSpec:
    """What a component with this local model asks for; in float32, unless said otherwise."""
    return ModelSpec(LocalSource(path=str(path)), path.parent, **{"precision": "float32", **options})


def parameters(model: LoadedModel, *, seed: int = 7, **user: Any) -> Parameters:
    """Resolve parameters given by a user."""
    return resolve(
        check_parameters(user),
        {},
        model.defaults,
        encoder_decoder=model.is_encoder_decoder,
        seed=(seed, "user"),
    )


@dataclass
class Said:
    """What came out of one generation."""

    result: GenerationResult
    pieces: list[str]
    counts: list[int]

    @property
    def text(self) -> str:
        return self.result.texts[0]

    @property
    def reason(self) -> str:
        return self.result.finish_reasons[0]


def say(model: LoadedModel, prompt: Prompt = PROMPT, *, control: Control | None = None, **user: Any) -> Said:
    """Generate in this thread."""
    said = Said(GenerationResult(), [], [])

    def on_text(text: str, tokens: int) -> None:
        said.pieces.append(text)
        said.counts.append(tokens)

    generate(
        model,
        prompt,
        parameters(model, **user),
        control=control or Control(),
        on_text=on_text,
        result=said.result,
    )
    return said


class Gate:
    """Where one thread waits until a test lets it go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def wait(self) -> None:
        """Stand at the gate (for the thread)."""
        self.reached.set()
        assert self.opened.wait(60), "nobody opened the gate"

    def arrived(self) -> None:
        """Return when somebody stands there (for the test)."""
        assert self.reached.wait(60), "nobody came to the gate"

    def open(self) -> None:
        """Let everybody through, now and later (for the test)."""
        self.opened.set()
