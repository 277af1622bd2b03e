"""A batch whose rows are runs of a server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from typing import Any

from mcnb.client import requests
from mcnb.client.run import RemoteRun
from mcnb.client.served import Found
from mcnb.client.server import Server
from mcnb.runtime import Batch, Run
from mcnb.runtime.batch import WINDOW
from mcnb.runtime.batch_row import BatchRow
from mcnb.runtime.order import with_seed
from mcnb.runtime.pauses import check_answered
from mcnb.runtime.plan import make_plan
from mcnb.runtime.rows import Source, read_rows


def start_batch(
    server: Server,
    found: Found,
    rows: Source,
    *,
    seed: int | None,
    parameters: Mapping[str, Any] | None,
    width: int = WINDOW,
) -> Batch:
    """Start a run for every row, a few at a time; rows wait for their turn in a queue that is full.

    Parameters
    ----------
    server : Server
        Computes them.
    found : Found
        The workflow.
    rows, seed, parameters
        As in ``Compose.batch``.
    width : int
        Rows under way at a time.

    Raises
    ------
    InvalidInputError
        With everything that is wrong with the rows, before anything starts.
    """
    overrides, chosen = with_seed(parameters, seed)
    plan = make_plan(found.document, found.document.workflow(found.name))
    check_answered(plan)
    inputs = found.document.inputs(found.name)
    values = read_rows(rows, inputs)
    shown = found.shown
    given = {key: value for key, value in overrides.items() if key != "seed"}
    # a seed that nobody gave leaves those that the document says
    own = seed is None and "seed" not in overrides and any(_says_a_seed(step.action) for step in plan.calls.values())
    made: list[Batch] = []

    def start(row: BatchRow) -> Run:
        body = requests.take(
            server,
            workflow=found.id,
            input=row.input,
            seed=None if own else row.seed,
            parameters=given,
            priority="bulk",
            is_wanted=lambda: not made or made[0].state == "processing",
        )
        return RemoteRun(server, body, workflow=found.name, input=row.input, parameters=given, shown=shown)

    made.append(Batch(values, chosen, inputs.names, start, _in_thread, width=width))
    return made[0]


def _says_a_seed(action: Any) -> bool:
    return getattr(action, "seed", None) is not None


def _in_thread(working: Coroutine[Any, Any, None]) -> None:
    """Work in a thread of its own, which ends with the work."""
    threading.Thread(target=lambda: asyncio.run(working), name="mcnb-remote-batch", daemon=True).start()
