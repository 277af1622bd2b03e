"""Hosts on one machine: network namespaces, joined by a switch whose links can be cut.

A cut is silent: nothing arrives any more, either way, and no host is told, as when a cable is pulled two rooms away.
Processes of a host see no network but that of the hosts; they share the machine's files, but for folders that each host
is to have for itself. It needs root, and ``ip`` and ``bridge`` of iproute2.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_DISABLED, _FORWARDING = "0", "3"
"""States of a port of a bridge."""

_MOUNT = 'while [ "$1" != -- ]; do mount --bind "$1" "$2"; shift 2; done; shift; exec "$@"'
"""What ``ip netns exec`` runs has mounts of its own already."""


class Hosts:
    """Hosts with a network of their own; to be used in a ``with``, whose end ends all processes that run on them.

    Parameters
    ----------
    count : int
        How many.
    own : sequence of Path
        Folders that are empty at first on every host, and another one on each; they are made where they are missing.

    Attributes
    ----------
    addresses : list of str
        Of each; every host reaches them all, and itself at ``127.0.0.1``, too.
    """

    def __init__(self, count: int = 2, own: Sequence[Path] = ()) -> None:
        mark = secrets.token_hex(3)
        self.addresses = [f"10.213.7.{number + 1}" for number in range(count)]
        self._names = [f"mcnb-{mark}-{number}" for number in range(count)]
        self._switch = f"mcnb-{mark}-switch"
        self._own = own
        self._folder = Path()
        self._started: list[subprocess.Popen[bytes]] = []
        self._stack = contextlib.ExitStack()

    def inside(self, host: int) -> list[str]:
        """Return what to put before a command to run it on a host."""
        line = ["ip", "netns", "exec", self._names[host]]
        if not self._own:
            return line
        mounts = [str(path) for own in self._own for path in (self._place(host, own), own)]
        return [*line, "sh", "-ec", _MOUNT, "sh", *mounts, "--"]

    def start(self, host: int, line: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a command on a host; options are those of a Popen."""
        self._started.append(subprocess.Popen([*self.inside(host), *line], **options))
        return self._started[-1]

    def cut(self, host: int) -> None:
        """Cut the link between a host and all others."""
        self._set(host, _DISABLED)

    def mend(self, host: int) -> None:
        """Mend a link that was cut."""
        self._set(host, _FORWARDING)

    def __enter__(self) -> Hosts:
        with contextlib.ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mcnb-hosts-")))
            self._add(self._switch, stack)
            _ip("-n", self._switch, "link", "add", "switch", "type", "bridge")
            _ip("-n", self._switch, "link", "set", "switch", "up")
            for number, (name, address) in enumerate(zip(self._names, self.addresses, strict=True)):
                self._add(name, stack)
                port = f"port{number}"
                _ip("link", "add", port, "netns", self._switch, "type", "veth", "peer", "name", "eth0", "netns", name)
                _ip("-n", self._switch, "link", "set", port, "master", "switch", "up")
                _ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
                _ip("-n", name, "link", "set", "eth0", "up")
                for own in self._own:
                    own.mkdir(parents=True, exist_ok=True)
                    self._place(number, own).mkdir(parents=True)
            stack.callback(self._end)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _place(self, host: int, own: Path) -> Path:
        return self._folder / str(host) / own.relative_to(own.anchor)

    def _add(self, name: str, stack: contextlib.ExitStack) -> None:
        _ip("netns", "add", name)
        stack.callback(_ip, "netns", "del", name)
        _ip("-n", name, "link", "set", "lo", "up")

    def _set(self, host: int, state: str) -> None:
        line = ["bridge", "-n", self._switch, "link", "set", "dev", f"port{host}", "state", state]
        subprocess.run(line, check=True, capture_output=True)

    def _end(self) -> None:
        """End every process of the hosts, and no other one; those that are being started meanwhile, too."""
        for name in self._names:
            while found := _processes(name):
                for pid in found:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                time.sleep(0.05)
        for process in self._started:
            process.wait()


def hosts_here() -> bool:
    """Whether this machine lets us make hosts."""
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("bridge") is None:
        return False
    try:
        with Hosts(1):
            return True
    except subprocess.CalledProcessError:
        return False


def _processes(name: str) -> list[int]:
    """Return the processes of a namespace that still run."""
    found = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=True).stdout
    return [int(pid) for pid in found.split() if not _is_zombie(pid)]


def _is_zombie(pid: str) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] in ("Z", "X")
    except OSError:
        return True


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
