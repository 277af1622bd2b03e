"""``mcnb batch`` on a cluster that runs already: from outside, on its node, and when it is not let in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.batch.ray_head import PATIENCE, Head, ray_head
from tests.reliability.batch_command import BatchCommand

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")

ON_RAY = ("--engine", "ray", "--workers", "1", "--batch-size", "4")

ANOTHER_VERSION = "import ray, runpy; ray.__version__ = '2.0.0'; runpy.run_module('mcnb', run_name='__main__')"


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    with ray_head() as found:
        yield found


@pytest.fixture
def job(tmp_path: Path) -> BatchCommand:
    return BatchCommand(tmp_path / "job", 60, seed=5)


def test_from_outside(head: Head, job: BatchCommand, tmp_path: Path) -> None:
    """It is interrupted, and goes on with the address from the environment; the texts are those of one process."""
    whole = BatchCommand(tmp_path / "whole", 60, seed=5)
    whole.finish()
    with job.start(*ON_RAY, "--address", head.client, **head.environment) as process:
        job.wait_for(5, process)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, said.decode()
    assert said.decode().splitlines()[1:] == ["the same command with --resume goes on"]
    done = job.done()
    assert 5 <= done < 60
    said_then = job.finish(*ON_RAY, "--address", "auto", RAY_ADDRESS=head.client, **head.environment)
    assert f"60 of 60 rows · {done} of them before · 2 failed" in said_then
    assert len(said_then.splitlines()) == 2, said_then
    assert job.faults(whole.texts(), None) == []
    workers = {json.loads(line)["worker"][0] for line in job.output.read_bytes().splitlines()}
    assert workers == {"1", "2"}


def test_on_a_node(head: Head, job: BatchCommand) -> None:
    said = job.finish(*ON_RAY, "--address", head.address, **head.environment)
    assert "60 of 60 rows · 2 failed" in said


def test_who_is_not_let_in_is_told_why(head: Head, job: BatchCommand) -> None:
    """All at once: Ray tries for half a minute each time."""
    other = {"RAY_AUTH_TOKEN": "0" * 32}
    line = ["batch", "-f", str(job.document), str(job.input), "--key", "id", "--engine", "ray"]
    cases = {
        "client-token": (["-m", "mcnb"], head.client, other, "it asks for a token, and got none or another one"),
        "node-token": (["-m", "mcnb"], head.address, other, "it asks for a token, and got none or another one"),
        "client-version": (["-c", ANOTHER_VERSION], head.client, head.environment, "Ray: 2.0.0"),
        "node-version": (["-c", ANOTHER_VERSION], head.address, head.environment, "Ray: 2.0.0"),
        "client-port": (["-m", "mcnb"], f"ray://{head.address}", head.environment, "cannot be reached"),
        "node-port": (["-m", "mcnb"], head.client.removeprefix("ray://"), head.environment, "cannot be reached"),
    }
    going = {
        name: subprocess.Popen(
            [sys.executable, *how, *line, "-o", str(job.folder / f"{name}.jsonl"), "--address", address],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment, "MCNB_HOME": str(job.folder / "home")},
        )
        for name, (how, address, environment, _) in cases.items()
    }
    said = {name: process.communicate(timeout=PATIENCE)[1] for name, process in going.items()}
    for name, (_, address, _, told) in cases.items():
        assert going[name].returncode == 1, said[name]
        assert said[name].startswith(f"error: the Ray cluster at '{address}' cannot be reached"), name
        assert told in said[name], name
        assert len(said[name].splitlines()) == 1, name
    assert list(job.folder.glob("*.journal")) == []
