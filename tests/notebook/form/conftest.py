"""Fixtures for the tests of the form: forms, and what the browser is told."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import comm
import pytest

from mcnb.notebook.form import RunForm
from mcnb.runtime import Compose, Record, Run, Runtime, load
from tests.notebook.form.page import PATIENCE, Page, Wire
from tests.support.runs import Models, document, own_threads, runtime  # noqa: F401

Ask: TypeAlias = Callable[..., None]


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    """Comms that lead to pages."""
    made = Wire()
    monkeypatch.setattr(comm, "create_comm", made.create)
    monkeypatch.setattr(comm, "get_comm_manager", lambda: made.manager)
    return made


@pytest.fixture(autouse=True)
def _nothing_is_swallowed(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test in which an error of a request or of the form's thread was only logged."""
    yield
    said = [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.WARNING]
    assert not said, said


@pytest.fixture
def page(wire: Wire) -> Callable[[RunForm], Page]:
    """The page of a form."""
    return lambda form: wire.pages[form.model_id]


@pytest.fixture
def opened(wire: Wire) -> Iterator[Callable[..., RunForm]]:
    """Open forms that are closed in the end: ``opened(compose)``."""
    forms: list[RunForm] = []

    def make(compose: Compose, workflow: str | None = None, **values: Any) -> RunForm:
        forms.append(RunForm(compose, workflow, values))
        return forms[-1]

    yield make
    for form in forms:
        form.close()
    assert not [thread for thread in own_threads() if thread.name == "mcnb-form"]


@pytest.fixture
def poet_form(opened: Callable[..., RunForm], runtime: Runtime, models: Models) -> RunForm:  # noqa: F811
    """A form of one text input, for a model that recites a poem."""
    return opened(load(text=document(models.poet), runtime=runtime))


def post(form: RunForm, kind: object, **content: Any) -> None:
    """Send a request as the browser does."""
    data = json.loads(json.dumps({"type": kind, **content}))
    deliver(form, {"method": "custom", "content": data})


def deliver(form: RunForm, data: dict[str, Any]) -> None:
    """Hand a message of the browser to the widget's comm."""
    form.comm.handle_msg({"content": {"data": data}, "buffers": []})


def in_thread(work: Callable[[], None]) -> None:
    """Do something in a fresh thread; fail when it does not come back."""
    raised: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "the request never came back"
    if raised:
        raise raised[0]


@pytest.fixture(params=["main thread", "another thread"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Send a request: ``ask(form, "run")``; it is handled in the main thread, and in another one."""
    if request.param == "main thread":
        return post
    return lambda form, kind, **content: in_thread(lambda: post(form, kind, **content))


class Scripted(Compose):
    """A compose file whose runs do what the test says: no model, no event loop.

    Attributes
    ----------
    made : list of Run
        The runs, the newest last.
    """

    def __init__(self, text: str) -> None:
        loaded = load(text=text)
        super().__init__(loaded.document, loaded.runtime)
        self.made: list[Run] = []

    def submit(self, workflow: str | None = None, input: Any = None, **options: Any) -> Run:
        super_id = self.document.workflow(workflow).id
        record = Record(
            run_id=Run.new_id(),
            workflow=super_id,
            created=0.0,
            document={},
            input=dict(input or {}),
            parameters=dict(options.get("parameters") or {}),
            seed=options.get("seed") or 1,
        )
        self.made.append(Run(record))
        return self.made[-1]


def say(run: Run, *texts: str) -> None:
    """Let a scripted run generate."""
    if run.state == "pending":
        run._start()
    for text in texts:
        run._token("job", 0, text, len(run._pieces) + 1, shown=True, streamed=True)


def finish(run: Run) -> None:
    """Let a scripted run complete with its text."""
    run._finish("completed", output=run.text)


class Ticks:
    """In place of the follower's pause: it looks once for each tick."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._looks = 0
        self._allowed = 0
        self._free = False

    def pause(self, _: float) -> None:
        with self._changed:
            self._looks += 1
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._allowed >= self._looks or self._free, PATIENCE)

    def first(self) -> None:
        """Wait until it has looked since it was let go."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._looks > self._allowed, PATIENCE)

    def tick(self) -> None:
        """Let it look once more at something new, and wait until it has."""
        self.go()
        self.first()

    def go(self) -> None:
        """Let it look once more, for the last time."""
        with self._changed:
            self._allowed = self._looks
            self._changed.notify_all()

    def free(self) -> None:
        """Never pause again."""
        with self._changed:
            self._free = True
            self._changed.notify_all()


@pytest.fixture
def scripted(home: Any) -> Scripted:
    """A compose file of one text input whose runs the test plays."""
    return Scripted(document("a/model"))
