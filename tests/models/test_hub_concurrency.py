"""Downloads that are cancelled, or asked for by many at once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mcnb.errors import RunCancelledError, RunTimeoutError
from mcnb.models.control import Control
from mcnb.models.progress import Progress
from mcnb.models.sources import hub, hub_client
from tests.support.hub import StandInHub

from .calls import Gate, Reports, fetch_hub

SMOL = "HuggingFaceTB/SmolLM3-3B"


def weights_asked(hub: StandInHub) -> list[str]:
    got = [r.path for r in hub.requests if r.method == "GET" and "/resolve/" in r.path]
    return sorted(path.rsplit("/", 1)[1] for path in got if path.endswith(".safetensors"))


def no_partial_files(folder: Path) -> bool:
    return not list(folder.rglob("*.incomplete"))


def left_behind() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "mcnb-hub"]


def test_a_cancel_stops_within_a_chunk(
    endpoint: StandInHub, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 20_000)
    monkeypatch.setattr(hub, "Throttled", lambda report: report)
    control, reports = Control(), Reports()

    def report(progress: Progress) -> None:
        reports.append(progress)
        if progress.done > 150_000:
            control.cancel()

    with pytest.raises(RunCancelledError):
        fetch_hub(SMOL, control=control, report=report)
    for thread in left_behind():
        thread.join(10)
    assert 150_000 < reports[-1].done <= 170_000
    assert no_partial_files(cache_folder)
    assert fetch_hub(SMOL)


def test_a_cancel_does_not_wait_for_a_silent_hub(endpoint: StandInHub) -> None:
    endpoint.delay = 3600
    control = Control()
    with ThreadPoolExecutor() as pool:
        fetching = pool.submit(fetch_hub, SMOL, control=control)
        while not endpoint.requests:
            assert not fetching.done()
        control.cancel()
        with pytest.raises(RunCancelledError):
            fetching.result(60)
    threads = left_behind()
    assert threads  # it still listens for the answer, and nobody for it
    endpoint.go_offline()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def test_a_time_limit_ends_the_wait_between_attempts(endpoint: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_client, "PAUSE", 3600)
    endpoint.refuse_api()
    control = Control()
    with ThreadPoolExecutor() as pool:
        fetching = pool.submit(fetch_hub, SMOL, control=control)
        while not endpoint.requests:
            assert not fetching.done()
        control.expire(1.0)
        with pytest.raises(RunTimeoutError):
            fetching.result(60)


def test_many_threads_download_it_once(endpoint: StandInHub) -> None:
    start = threading.Barrier(8)

    def fetch() -> Path:
        start.wait()
        return fetch_hub(SMOL).folder

    with ThreadPoolExecutor(8) as pool:
        folders = {future.result() for future in [pool.submit(fetch) for _ in range(8)]}
    assert len(folders) == 1
    assert weights_asked(endpoint) == [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]


def test_who_waits_for_another_download_can_leave(endpoint: StandInHub, cache_folder: Path) -> None:
    gate, control = Gate(), Control()

    def report(progress: Progress) -> None:
        if not gate.opened.is_set():
            gate.wait()

    with ThreadPoolExecutor() as pool:
        first = pool.submit(fetch_hub, SMOL, report=report)
        gate.arrived()
        second = pool.submit(fetch_hub, SMOL, control=control)
        control.cancel()
        with pytest.raises(RunCancelledError):
            second.result(60)
        gate.open()
        assert first.result(60)


FETCH = """
import sys
from mcnb.compose.schema import HuggingFaceSource
from mcnb.models.sources import fetch
from pathlib import Path
print(fetch(HuggingFaceSource(repository=sys.argv[1]), Path()).folder)
"""


def test_two_processes_download_it_once(endpoint: StandInHub, cache_folder: Path) -> None:
    command = [sys.executable, "-c", FETCH, SMOL]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) for _ in range(2)]
    said = [process.communicate(timeout=60)[0].strip() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert len(set(said)) == 1
    assert Path(said[0]).is_dir()
    assert weights_asked(endpoint) == [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]


def test_a_killed_process_leaves_nothing_that_stays(endpoint: StandInHub, cache_folder: Path) -> None:
    endpoint.rate = 100_000
    process = subprocess.Popen([sys.executable, "-c", FETCH, SMOL], stdout=subprocess.PIPE, env=os.environ)
    while not list(cache_folder.rglob("*.incomplete")):
        assert process.poll() is None
    process.kill()
    process.communicate()
    assert not no_partial_files(cache_folder)
    endpoint.rate = 0
    fetch_hub(SMOL)
    assert no_partial_files(cache_folder)
