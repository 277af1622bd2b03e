"""Kernels without kernels: the prompt of a run says what becomes of it, and tests decide when.

=============  =====================================================================
``hold``       stays ``processing`` until the test ends it, or somebody cancels it
``fail``       fails as out of memory
``ask``        is interrupted, and completes when it is resumed
anything else  completes with the prompt, word by word
=============  =====================================================================
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from mcnb.errors import ConflictError, NotFoundError
from mcnb.runtime.interruption import KEPT

KERNEL_ID = "11111111-2222-3333-4444-555555555555"
"""Of the only kernel that a request can name."""


def _event(type: str, **data: Any) -> dict[str, Any]:
    return {"type": type, "time": time.time(), **data}


class ScriptedLink:
    """One kernel; see ``mcnb.server.kernels.KernelLink``."""

    def __init__(self, kernel_id: str) -> None:
        self.kernel_id = kernel_id
        self.alive = True
        self.held: dict[str, tuple[Any, Any]] = {}
        self.cancelled: list[str] = []

    @property
    def runs(self) -> frozenset[str]:
        return frozenset(self.held)

    def run(self, order: Any, listener: Any) -> None:
        self.held[order.id] = (order, listener)
        asyncio.get_running_loop().call_soon(self._begin, order, listener)

    def _begin(self, order: Any, listener: Any) -> None:
        prompt = str(order.input.get("prompt"))
        listener.on_events([_event("state", state="processing")])
        if prompt == "fail":
            self.finish(order.id, "failed", error={"code": "out_of_memory", "message": "too large"})
        elif prompt == "ask":
            data = {"job": "j", "phase": "before", "message": "Go on?", "value": "v", "request": 1}
            listener.on_events([_event("state", state="interrupted", **data)])
        elif prompt != "hold":
            words = prompt.split(" ")
            for number, word in enumerate(words, 1):
                text = word if number == len(words) else f"{word} "
                listener.on_events([_event("token", job="j", item=0, text=text, tokens=number, streamed=True)])
            self.finish(order.id, "completed", output={"generated": prompt, "seed": order.seed})

    def finish(self, run_id: str, state: str, output: Any = None, error: dict[str, Any] | None = None) -> None:
        """End a run that is held."""
        order, listener = self.held.pop(run_id)
        last = [_event("output", output=output)] if state == "completed" else []
        failed = {"error": error} if error else {}
        record = {"usage": {"output_tokens": len(str(order.input.get("prompt")).split(" "))}}
        listener.on_finished([*last, _event("state", state=state, **failed)], state, output, error, record)

    def cancel(self, run_id: str) -> None:
        if run_id in self.held:
            self.cancelled.append(run_id)
            asyncio.get_running_loop().call_soon(self._stopped, run_id)

    def _stopped(self, run_id: str) -> None:
        if run_id in self.held:
            self.finish(run_id, "cancelled", error={"code": "cancelled", "message": "the run was cancelled"})

    async def resume(self, run_id: str, answer: Any = KEPT) -> None:
        if run_id not in self.held:
            raise ConflictError("the run is not interrupted")
        self.held[run_id][1].on_events([_event("state", state="processing")])
        self.finish(run_id, "completed", output={"answer": None if answer is KEPT else answer, "kept": answer is KEPT})

    async def close(self) -> None:
        self.alive = False


class ScriptedKernels:
    """See ``mcnb.server.kernels.Kernels``."""

    def __init__(self) -> None:
        self.link = ScriptedLink("runtime")
        self.other = ScriptedLink(KERNEL_ID)
        self.closed = False

    @property
    def runtime_kernel_id(self) -> str | None:
        return self.link.kernel_id

    async def runtime(self) -> ScriptedLink:
        return self.link

    async def attached(self, kernel_id: str) -> ScriptedLink:
        if kernel_id != KERNEL_ID:
            raise NotFoundError(f"there is no kernel '{kernel_id}'")
        return self.other

    async def close(self) -> None:
        self.closed = True
