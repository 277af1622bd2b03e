"""Hosts reach each other, until a link is cut; nothing of them is left."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .hosts import Hosts, hosts_here

pytestmark = pytest.mark.skipif(not hosts_here(), reason="no network namespaces on this machine")

LISTEN = """
import socket, sys
with socket.create_server((sys.argv[1], 8123)) as listener:
    print("listening", flush=True)
    while True:
        listener.accept()[0].close()
"""

REACH = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 8123), timeout=float(sys.argv[2])).close()
except OSError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def reach(hosts: Hosts, seconds: float) -> str:
    line = [*hosts.inside(0), sys.executable, "-c", REACH, hosts.addresses[1], str(seconds)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    return done.stderr.strip() or "reached"


def test_link() -> None:
    with Hosts() as hosts:
        line = [sys.executable, "-c", LISTEN, hosts.addresses[1]]
        listening = hosts.start(1, line, stdout=subprocess.PIPE)
        assert listening.stdout is not None
        with listening.stdout as said:
            assert said.readline() == b"listening\n"
            assert reach(hosts, 20) == "reached"
            hosts.cut(1)
            assert reach(hosts, 0.5) == "TimeoutError: timed out"
            hosts.mend(1)
            assert reach(hosts, 20) == "reached"
    assert listening.returncode == -9
    left = subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
    assert hosts.inside(0)[-1] not in left


def test_own_folders(tmp_path: Path) -> None:
    own, shared = tmp_path / "own folder", tmp_path / "shared"
    with Hosts(2, own=[own]) as hosts:
        for host in (0, 1):
            line = ["sh", "-ec", 'test ! -e "$0/here"; touch "$0/here" "$1$2"', str(own), str(shared), str(host)]
            assert hosts.start(host, line).wait() == 0
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["own folder", "shared0", "shared1"]
    assert list(own.iterdir()) == []
