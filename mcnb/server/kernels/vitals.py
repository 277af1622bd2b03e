"""Whether a kernel is alive: nothing but asking tells, and a kernel that is merely stopped is."""

from __future__ import annotations

import asyncio
from typing import Any

from jupyter_core.utils import ensure_async

from mcnb.errors import KernelDiedError
from mcnb.server.kernels.gateway import is_behind_gateway

KILLED = (-9, 137)
"""What a process ends with that was killed, also within a container."""

ASKING = 2.0
"""Seconds that a manager has to say whether its kernel is alive."""

FAILURES = 2
"""Times that it may fail to say so, one after the other."""

SCARCE = 0.1
"""The share of memory below which it was likely the memory that was missing."""

UNDER_WAY = "while the run was under way"

GONE_HINT = "its gateway has ended it, or was started again: the gateway's log says which"

MEMORY_HINT = "its memory was probably full: use a smaller model, fewer runs at once, or a machine with more memory"


class Vitals:
    """Watches one kernel.

    Parameters
    ----------
    manager : jupyter_server.services.kernels.kernelmanager.AsyncMappingKernelManager
        The server's; also a gateway's.
    kernel_id : str
        One of its kernels.

    Attributes
    ----------
    memory : dict or None
        ``total, free``: the bytes of its machine, as the kernel has told them.
    """

    def __init__(self, manager: Any, kernel_id: str) -> None:
        self._manager = manager
        self._kernel_id = kernel_id
        self._kernel = manager.get_kernel(kernel_id)
        self._ports = _ports(self._kernel)
        self._is_far = is_behind_gateway(self._kernel)
        self._asked: asyncio.Future[bool] | None = None
        self._failures = 0
        self.memory: dict[str, int] | None = None

    async def death(self, when: str = UNDER_WAY) -> KernelDiedError | None:
        """Return what the kernel died of; None while it is alive, or nobody can say yet.

        Parameters
        ----------
        when : str
            What went on meanwhile, for the message.
        """
        if self._kernel_id not in self._manager:
            return KernelDiedError(f"the kernel was shut down {when}")
        if self._manager.get_kernel(self._kernel_id) is not self._kernel or _ports(self._kernel) != self._ports:
            return KernelDiedError(f"the kernel was restarted {when}")
        try:
            is_alive = await self._is_alive()
        except Exception as error:
            self._failures += 1
            if self._failures <= FAILURES:
                return None
            why = "its gateway does not answer" if self._is_far else type(error).__name__
            return KernelDiedError(f"the kernel cannot be reached any more ({why})")
        self._failures = 0
        if (
            self._is_far and not self._kernel.has_kernel
        ):  # the gateway has just said so, whatever the manager makes of it
            return KernelDiedError(f"the kernel was gone {when}", hint=GONE_HINT)
        if not is_alive and getattr(self._kernel, "shutting_down", False):  # on its way out of the manager
            return KernelDiedError(f"the kernel was shut down {when}")
        return None if is_alive else await self._explained(when)

    async def _is_alive(self) -> bool:
        """Ask the manager; a question that it has not answered yet is not asked again."""
        asked = self._asked = self._asked or asyncio.ensure_future(ensure_async(self._kernel.is_alive()))
        await asyncio.wait({asked}, timeout=ASKING)
        if not asked.done():
            asked.add_done_callback(_heard)
            raise asyncio.TimeoutError
        self._asked = None
        return asked.result()

    async def _explained(self, when: str) -> KernelDiedError:
        code = await self._exit_code()
        scarce = self.memory is not None and self.memory["free"] < SCARCE * self.memory["total"]
        ended = "" if code is None else f" (signal {-code})" if code < 0 else f" (exit code {code})"
        hint = MEMORY_HINT if code in KILLED or scarce else None
        return KernelDiedError(f"the kernel died {when}{ended}", hint=hint)

    async def _exit_code(self) -> int | None:
        provisioner = getattr(self._kernel, "provisioner", None)
        try:
            code = await provisioner.poll() if provisioner is not None else None
        except Exception:  # a provisioner of somebody else's, which may know nothing any more
            return None
        return code if isinstance(code, int) else None


def _heard(asked: asyncio.Future[bool]) -> None:
    """Take an answer that nobody may be waiting for any more."""
    if not asked.cancelled():
        asked.exception()


def _ports(kernel: Any) -> Any:
    """Return what changes when a kernel comes back at another place; a gateway's has none."""
    return getattr(kernel, "ports", None)
