"""Each reliability script with few rounds, and the parts that the scripts judge with.

Not here, but in ``make reliability``: R18 and R19, whose clusters of several nodes take two minutes and more a round;
R20, whose scenario ``tests/server/gateway/test_cut_link.py`` goes through once.
"""

from __future__ import annotations

import subprocess
from types import ModuleType

import pytest

from . import (
    r01_full_queue,
    r03_kernel_kills,
    r04_server_kills,
    r05_full_disk,
    r07_fuzzed_requests,
    r10_leaving,
    r11_loop_lag,
    r12_reproducibility,
    r13_cold_requests,
    r14_memory_estimate,
    r15_load_unload,
    r16_stillborn_kernels,
    r17_batch_kills,
)
from .caller import faults_in, text_of
from .promise import measure, percentile
from .server_process import ROOT

SMALL: list[tuple[ModuleType, int]] = [
    (r01_full_queue, 1),
    (r03_kernel_kills, 2),
    (r04_server_kills, 2),
    (r07_fuzzed_requests, 2_000),
    (r10_leaving, 6),
    (r12_reproducibility, 12),
    (r13_cold_requests, 1),
    (r14_memory_estimate, 1),
    (r15_load_unload, 8),
    (r16_stillborn_kernels, 2),
    (r17_batch_kills, 3),
]


@pytest.mark.parametrize(("script", "rounds"), [pytest.param(*one, id=one[0].__name__[-20:]) for one in SMALL])
def test_promise_is_kept(script: ModuleType, rounds: int) -> None:
    """How soon is for a quiet machine to say; whether, for this."""
    figure = measure(script.measure, rounds, quiet=True)

    assert not figure.broken, f"{figure}\n" + "\n".join(figure.broken[:20])


def test_loop_is_measured() -> None:
    """How late the loop comes is for a quiet machine to say: here, that every phase has its figures."""
    figure = measure(r11_loop_lag.measure, 1, quiet=True)

    assert [phase in figure.figure for phase in ("idle", "cold load", "decoding")] == [True] * 3


@pytest.mark.skipif(not r05_full_disk.mounts_here(), reason="no disk can be mounted on this machine")
def test_full_disk() -> None:
    done = subprocess.run(
        r05_full_disk.enclosed(["--rounds", "1"]), cwd=ROOT, capture_output=True, text=True, check=False, timeout=240
    )

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def _state(number: int, state: str) -> dict[str, object]:
    return {"id": number, "type": "state", "state": state}


@pytest.mark.parametrize(
    "log",
    [
        [_state(1, "pending"), _state(3, "completed")],
        [_state(1, "pending"), _state(2, "completed"), _state(3, "failed")],
        [_state(1, "pending"), _state(2, "processing")],
        [_state(1, "completed"), _state(2, "processing")],
    ],
    ids=["gap", "two ends", "no end", "goes on after its end"],
)
def test_wrong_logs_are_found(log: list[dict[str, object]]) -> None:
    assert faults_in(log)


def test_right_log_is_right() -> None:
    pieces = [{"id": 2, "type": "token", "text": "a", "streamed": True}, {"id": 3, "type": "job"}]
    log = [_state(1, "pending"), *pieces, _state(4, "failed")]

    assert not faults_in(log)
    assert text_of(log) == "a"


def test_percentile() -> None:
    assert percentile([0.001] * 99 + [1.0], 50) == 0.001
    assert percentile(list(range(101)), 99) == 99
    assert percentile([], 99) == 0
