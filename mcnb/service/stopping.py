"""``mcnb down``, and what ``mcnb ps`` asks a service."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
import urllib.request
from dataclasses import dataclass

from mcnb.errors import ServerError
from mcnb.service.registry import Service, log_file

PATIENCE = 60.0
"""Seconds beyond which a stopping service is not waited for: its runs have had their time by then."""

_ASK_SECONDS = 2.0


@dataclass(frozen=True)
class Load:
    """How much a service has to do.

    Attributes
    ----------
    queued, running : int
        How many runs.
    """

    queued: int
    running: int


def ask_load(service: Service) -> Load | None:
    """Return how much a service has to do; None when it does not answer."""
    if not service.address:
        return None
    headers = {"Authorization": f"token {service.token}"} if service.token else {}
    request = urllib.request.Request(f"{service.address}/workflows/ready", headers=headers)  # noqa: S310 - our own
    try:
        with urllib.request.urlopen(request, timeout=_ASK_SECONDS) as reply:  # noqa: S310
            data = json.load(reply)
        return Load(int(data["queued"]), int(data["running"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def stop(service: Service, patience: float = PATIENCE) -> None:
    """Ask a service to stop, and wait until its process is over.

    Raises
    ------
    ServerError
        When it runs on another machine, or does not stop.
    """
    if service.machine != socket.gethostname():
        raise ServerError(f"{service.name} runs on {service.machine}", hint="stop it there")
    if not service.alive:
        return
    try:
        os.kill(service.pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise ServerError(f"{service.name} (process {service.pid}) is another user's") from error
    limit = time.monotonic() + patience
    while service.alive:
        if time.monotonic() > limit:
            raise ServerError(
                f"{service.name} (process {service.pid}) is still finishing its runs",
                hint=f"see {log_file(service.name)}; 'mcnb down {service.name}' again stops it at once",
            )
        time.sleep(0.05)
