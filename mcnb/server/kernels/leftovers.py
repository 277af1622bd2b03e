"""Shutting kernels down, also those that cannot be reached for a while."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

from jupyter_core.utils import ensure_async

from mcnb.server.kernels.gateway import is_behind_gateway

AT_ONCE = 5.0
"""Seconds that are waited for a gateway to shut a kernel down."""

FIRST, LONGEST = 2.0, 60.0
"""Seconds between two attempts, at first and at last."""


class Leftovers:
    """Shuts kernels down. One whose gateway cannot be reached would hold its models for ever: it is tried again.

    Parameters
    ----------
    manager : jupyter_server.services.kernels.kernelmanager.AsyncMappingKernelManager
        The server's; also a gateway's.
    """

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._trying: dict[str, asyncio.Task[None]] = {}
        self._answers = asyncio.Event()

    async def shut_down(self, kernel_id: str, *, now: bool) -> None:
        """Shut a kernel down, if it is still there; where its gateway does not answer, once it does."""
        try:
            if kernel_id not in self._manager:
                return
            kernel = self._manager.get_kernel(kernel_id)
            if is_behind_gateway(kernel):
                self._manager.remove_kernel(kernel_id)  # otherwise the stopping server waits for the gateway as well
                trying = self._trying[kernel_id] = asyncio.create_task(self._try(kernel_id, kernel))
                trying.add_done_callback(lambda _: self._trying.pop(kernel_id, None))
                await asyncio.wait({trying}, timeout=AT_ONCE)
            else:
                await ensure_async(self._manager.shutdown_kernel(kernel_id, now=now))
        except Exception:  # somebody else was quicker
            logging.getLogger(__name__).warning("kernel %s could not be shut down", kernel_id, exc_info=True)

    def try_now(self) -> None:
        """Try those that are left at once: the gateway answers."""
        self._answers.set()

    async def close(self) -> None:
        """Give up those that are left."""
        tasks = [*self._trying.values()]
        for kernel_id, task in self._trying.items():
            logging.getLogger(__name__).warning("kernel %s is left to its gateway, which does not answer", kernel_id)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _try(self, kernel_id: str, kernel: Any) -> None:
        patience = FIRST
        while True:
            self._answers.clear()
            try:
                await kernel.shutdown_kernel(now=True)
                return
            except Exception as error:
                logging.getLogger(__name__).warning("kernel %s could not be shut down yet: %s", kernel_id, error)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._answers.wait(), patience)
            patience = min(LONGEST, 2 * patience)
