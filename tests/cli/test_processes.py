"""The command as other programs meet it: bytes, exit codes, signals, closed pipes."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest

import mcnb as package
from tests.cli.conftest import write
from tests.cli.processes import PATIENCE, run, started, wait_for_words
from tests.support.runs import FIRST_LINE, Models, document
from tests.support.texts import POEM_ZH

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and pipes of POSIX")


def test_stdout_is_exactly_the_output_in_every_locale(folder: Path, models: Models) -> None:
    write(folder / "model-compose.yml", document(models.chinese))
    prompt = POEM_ZH.splitlines(keepends=True)[0]
    for locale in ("C.UTF-8", "POSIX"):
        more = {"LC_ALL": locale, "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
        done = run("run", "--input", "@-", input=json.dumps({"prompt": prompt}).encode(), **more)
        assert done.stdout == POEM_ZH.encode()
        assert done.returncode == 0
        assert done.stderr.decode().splitlines()[-1].endswith(", cpu)")


def test_exit_codes(folder: Path) -> None:
    write(folder / "model-compose.yml", document("./nowhere"))
    failed = run("run", "-i", "prompt=a")
    assert (failed.returncode, failed.stdout) == (1, b"")
    assert failed.stderr.startswith(b"error: ./nowhere: there is no file or folder")
    bad = run("run")
    assert (bad.returncode, bad.stdout) == (2, b"")
    assert bad.stderr == b"error: the input 'prompt' is missing\n"
    assert run("--version").stdout.decode() == f"mcnb {package.__version__}\n"


def test_an_interrupt_in_a_pipe(folder: Path, models: Models) -> None:
    write(folder / "model-compose.yml", document(models.endless))
    with started("run", "-i", f"prompt={FIRST_LINE}") as process:
        wait_for_words(process, b"loading ")
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert out == b""
    last = error.decode().splitlines()[-1]
    assert last.startswith("interrupted")
    assert b"Traceback" not in error


@pytest.mark.parametrize("arguments", [["run", "-i", f"prompt={FIRST_LINE}"], ["schema", "--document"]])
def test_a_reader_that_leaves(folder: Path, models: Models, arguments: list[str]) -> None:
    write(folder / "model-compose.yml", document(models.poet))
    with started(*arguments) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        error = process.stderr.read()
        assert process.wait(PATIENCE) == 1
    assert all(line.startswith(b"loading ") for line in error.splitlines())
