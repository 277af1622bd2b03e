"""mcnb's own folders, locks, and what the disk refuses; other programs; progress."""

from __future__ import annotations

import errno
import os
import sys
import threading
from pathlib import Path

import pytest

from mcnb.errors import DiskFullError, ModelError, ModelNotFoundError, RunCancelledError
from mcnb.models.child import run_child
from mcnb.models.control import Control
from mcnb.models.home import exclusive, home, need_space, writing, written_whole
from mcnb.models.inventory import remove_model, stored_models
from mcnb.models.progress import Progress, Throttled
from tests.support.hub import StandInHub

from .calls import Gate, Reports, fetch_hub


def test_the_folder_is_the_environments_or_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert home() == tmp_path / "mcnb-home"
    monkeypatch.setenv("MCNB_HOME", "~/somewhere")
    assert home() == Path.home() / "somewhere"
    monkeypatch.delenv("MCNB_HOME")
    assert home().name == "mcnb"


def test_space(tmp_path: Path) -> None:
    need_space(tmp_path / "not" / "there" / "yet", 1000, "a file")
    with pytest.raises(
        DiskFullError, match=rf"a model needs 1000000000\.00 GB and {tmp_path} has .* GB free.*MCNB_HOME"
    ):
        need_space(tmp_path / "not" / "there" / "yet", 10**18, "a model")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_in_our_words(number: int) -> None:
    with pytest.raises(DiskFullError, match="the disk became full while writing /x/y for a model"), writing("a model"):
        raise OSError(number, os.strerror(number), "/x/y")


def test_a_refusal_in_our_words() -> None:
    with pytest.raises(ModelError, match=r"a model: /x/y cannot be read or written \(Permission"), writing("a model"):
        raise PermissionError(errno.EACCES, "Permission denied", "/x/y")


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "folder"
    with pytest.raises(NotADirectoryError), written_whole(target) as scratch:
        (scratch / "half").write_text("x") and (scratch / "half" / "more").write_text("x")
    assert list(target.parent.iterdir()) == []
    for content in ("first", "second"):
        with written_whole(target) as scratch:
            assert not (target / content).exists()
            (scratch / content).write_text("x")
        assert [path.name for path in target.iterdir()] == [content]
    left = target.parent / ".folder~killed"
    left.mkdir()
    with written_whole(target):
        assert not left.exists()


def test_a_folder_is_written_by_one_at_a_time(tmp_path: Path) -> None:
    order: list[str] = []
    gate = Gate()

    def first() -> None:
        with exclusive(tmp_path / "x", Control()):
            gate.wait()
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    gate.arrived()
    control = Control()
    threading.Timer(0.01, control.cancel).start()
    with pytest.raises(RunCancelledError), exclusive(tmp_path / "x", control):
        order.append("never")
    gate.open()
    with exclusive(tmp_path / "x", Control()):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def child(code: str, control: Control | None = None, **env: str) -> tuple[int, list[str]]:
    lines: list[str] = []
    status = run_child(["-c", code], control=control or Control(), env=env, on_line=lines.append)
    return status, [line.rstrip() for line in lines]


def test_another_program() -> None:
    code = "import os, sys; print('a b'); print('错误 ' + os.environ['X'], file=sys.stderr); sys.exit(3)"
    status, lines = child(code, X="é")
    assert status == 3
    assert sorted(lines) == ["a b", "错误 é"]
    assert child("print(open(0).read() == '')")[1] == ["True"]  # it has no input


def test_another_program_is_stopped(tmp_path: Path) -> None:
    control = Control()
    pids: list[int] = []

    def on_line(line: str) -> None:
        pids.append(int(line))
        control.cancel()

    code = "import os, time; print(os.getpid(), flush=True); time.sleep(3600)"
    with pytest.raises(RunCancelledError):
        run_child(["-c", code], control=control, env={}, on_line=on_line)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    with pytest.raises(RunCancelledError):
        child("print('it was begun')", control)


def test_another_program_ends_with_its_listener() -> None:
    def fail(line: str) -> None:
        raise ValueError(line.strip())

    code = "import time; print('hello', flush=True); time.sleep(3600)"
    with pytest.raises(ValueError, match="hello"):
        run_child(["-c", code], control=Control(), env={}, on_line=fail)
    assert sys.executable


def test_reports_are_throttled() -> None:
    now = [0.0]
    reports = Reports()
    tell = Throttled(reports, interval=1.0, clock=lambda: now[0])
    for step in range(11):
        now[0] = step * 0.25
        tell(Progress("download", "x", step, 10, "bytes"))
    tell(Progress("download", "x", 10, 10, "bytes"))
    assert [progress.done for progress in reports] == [0, 4, 8, 10]
    assert reports[0].to_dict() == {"what": "x", "done": 0, "total": 10, "unit": "bytes"}


def test_repositories_are_listed_and_removed(endpoint: StandInHub) -> None:
    assert stored_models() == []
    fetch_hub("microsoft/DialoGPT-small")
    fetch_hub("EleutherAI/gpt-neo-2.7B")
    first, second = stored_models()
    assert (first.name, second.name) == ("EleutherAI/gpt-neo-2.7B", "microsoft/DialoGPT-small")
    assert first.provider == "huggingface"
    assert first.size > 1_000_000
    remove_model(first.name)
    assert [model.name for model in stored_models()] == [second.name]
    with pytest.raises(ModelNotFoundError, match=f"here are: {second.name}"):
        remove_model(first.name)
