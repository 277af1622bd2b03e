"""An extension for tests: notes how late the server's event loop comes round, and writes it to a file.

``LOOP_PROBE`` names the file; a line is a time (seconds since 1970) and a lag (seconds).
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

EVERY = 0.01
"""Seconds the probe sleeps; what it sleeps longer is the loop's lag."""


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(app: Any) -> None:
    def begin() -> None:
        app.loop_probe = asyncio.ensure_future(_probe(Path(os.environ["LOOP_PROBE"])))

    app.io_loop.add_callback(begin)


async def _probe(path: Path) -> None:
    with path.open("a", buffering=1) as file:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(EVERY)
            file.write(f"{time.time()} {max(0.0, time.perf_counter() - before - EVERY)}\n")


def times(path: Path, since: float, until: float) -> list[float]:
    """Return the seconds that a file of such lines holds for the time between two times."""
    rows = [line.split() for line in path.read_text().splitlines()]
    return [float(row[1]) for row in rows if since <= float(row[0]) <= until]
