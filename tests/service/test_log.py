"""The log: private, rotating, without tokens."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mcnb.service import log as module
from mcnb.service.log import Scrubber, ServiceLog
from mcnb.service.tail import follow_lines, last_lines
from tests.cli.processes import environment

TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    "text",
    [
        f"GET /api?token={TOKEN}&a=1 200",
        f"http://h:1/?a=1&token={TOKEN}",
        f"Authorization: token {TOKEN}",
        f"authorization: Bearer {TOKEN}",
        f"/?access_token={TOKEN}#x",
    ],
)
def test_tokens_are_blackened_wherever_they_stand(text: str) -> None:
    for scrub in (Scrubber(), Scrubber([TOKEN])):
        assert TOKEN not in scrub(text)
        assert "[secret]" in scrub(text)


def test_a_known_token_is_blackened_everywhere() -> None:
    assert Scrubber(["a b"])("x a b y") == "x [secret] y"
    assert Scrubber([""])("nothing to hide: token by token") == "nothing to hide: token by token"


def test_entries_and_traces_are_scrubbed(tmp_path: Path) -> None:
    log = ServiceLog(tmp_path / "a.log", [TOKEN])
    logger = log.logger("mcnb.test")
    logger.info("asked for %s", f"/?token={TOKEN}")
    try:
        raise ValueError(TOKEN)
    except ValueError:
        logger.exception("failed")
    logger.debug("not told")
    log.close()
    text = log.path.read_text()
    assert TOKEN not in text
    assert "ValueError: [secret]" in text
    assert "not told" not in text
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


def test_it_rotates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 200)
    log = ServiceLog(tmp_path / "a.log")
    for number in range(50):
        log.logger("mcnb.test").info("entry %s", number)
    log.close()
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["a.log", "a.log.1", "a.log.2", "a.log.3"]
    assert all(path.stat().st_size <= 200 and stat.S_IMODE(path.stat().st_mode) == 0o600 for path in tmp_path.iterdir())


def test_streams_are_copied(tmp_path: Path) -> None:
    log = ServiceLog(tmp_path / "a.log", ["secret"])
    log.read(io.BytesIO(b"one\n\n\xff secret\n"), "mcnb.page").join(10)
    log.close()
    lines = log.path.read_text().splitlines()
    assert [line.partition(": ")[2] for line in lines] == ["one", "\ufffd [secret]"]


CHILD = """
import os, subprocess, sys
from pathlib import Path
from mcnb.service.log import ServiceLog, StandardStreams
log = ServiceLog(Path(sys.argv[1]), ["secret"])
streams = StandardStreams(log)
print("python secret", flush=True)
os.write(2, b"low level\\n")
subprocess.run([sys.executable, "-c", "print('a child')"], check=True)
streams.terminal.write("for the terminal\\n")
if sys.argv[2] == "leave":
    streams.leave()
streams.restore()
print("after")
"""


@pytest.mark.parametrize(("way", "seen"), [("stay", b"for the terminal\nafter\n"), ("leave", b"for the terminal\n")])
def test_what_is_printed_goes_to_the_log(tmp_path: Path, way: str, seen: bytes) -> None:
    path = tmp_path / "a.log"
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path), way], capture_output=True, env=environment(), timeout=60
    )
    assert (done.stdout, done.stderr, done.returncode) == (seen, b"", 0)
    text = path.read_text()
    assert "python [secret]" in text
    assert "low level" in text
    assert "a child" in text
    assert "for the terminal" not in text


def test_the_last_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("1\n2\n3\n")
    assert last_lines(path, 2) == ["2", "3"]
    assert last_lines(path, 0) == []
    with pytest.raises(Exception, match="there is no log"):
        last_lines(tmp_path / "b.log", 2)


def test_following_goes_on_in_the_next_file(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("old\n")
    steps = iter(["half", " a line\n", "rotate", "new\n"])

    def step() -> None:
        what = next(steps)
        if what == "rotate":
            os.replace(path, tmp_path / "a.log.1")
            path.write_text("")
            return
        with path.open("a") as stream:
            stream.write(what)

    lines = follow_lines(path, step)
    with contextlib.closing(lines):
        assert [next(lines), next(lines)] == ["half a line", "new"]
