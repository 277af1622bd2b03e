"""Kernels: the dedicated kernel, started when it is needed, and those of notebooks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from jupyter_core.utils import ensure_async

from mcnb.errors import KernelDiedError, NotFoundError, ServerStoppingError
from mcnb.server.kernels.gateway import not_started
from mcnb.server.kernels.leftovers import Leftovers
from mcnb.server.kernels.link import KernelLink
from mcnb.server.kernels.reaching import reach
from mcnb.server.kernels.vitals import UNDER_WAY, Vitals

DEDICATED = ""
"""In place of a kernel's id: whichever is the dedicated one at the time."""

STARTING = "while it started"

CLOSING = 20.0
"""Seconds that are waited for kernels to be shut down; one here is killed long before."""


class Kernels:
    """The kernels of one server.

    Parameters
    ----------
    kernel_manager : jupyter_server.services.kernels.kernelmanager.AsyncMappingKernelManager
        The server's own; also a gateway's.
    owner : str
        The server's id, which stays the same when it starts again.
    kernel_name : str
        The kernel spec of the dedicated kernel.
    start_timeout : float
        Seconds within which a kernel has to answer.
    poll_interval : float
        Seconds between two looks whether a kernel is alive.
    cwd : str, optional
        Where the dedicated kernel starts; by default where the manager has it.
    """

    def __init__(
        self,
        kernel_manager: Any,
        *,
        owner: str,
        kernel_name: str = "python3",
        start_timeout: float = 60,
        poll_interval: float = 1.0,
        cwd: str | None = None,
    ) -> None:
        self._manager = kernel_manager
        self._owner = owner
        self._name = kernel_name
        self._start_timeout = start_timeout
        self._poll_interval = poll_interval
        self._cwd = cwd
        self._runtime_id: str | None = None
        self._own: set[str] = set()
        self._links: dict[str, asyncio.Task[KernelLink]] = {}
        self._vitals: dict[KernelLink, Vitals] = {}
        self._watching: dict[KernelLink, asyncio.Task[None]] = {}
        self._clearing: set[asyncio.Task[None]] = set()
        self._leftovers = Leftovers(kernel_manager)
        self._closed = False

    @property
    def runtime_kernel_id(self) -> str | None:
        """The dedicated kernel's id, while there is one."""
        return self._runtime_id

    async def runtime(self) -> KernelLink:
        """Return the link to the dedicated kernel, which is started when none is alive.

        Raises
        ------
        KernelDiedError
            When it cannot be started, or dies meanwhile.
        NotSupportedError
            When its environment has no mcnb.
        """
        return await self._link(DEDICATED, self._start)

    async def attached(self, kernel_id: str) -> KernelLink:
        """Return the link to an existing kernel, whose models the runs then share.

        Raises
        ------
        NotFoundError
            When there is no such kernel.
        NotSupportedError
            When it has no mcnb.
        KernelDiedError
            When it dies meanwhile.
        """
        if kernel_id == self._runtime_id:
            return await self.runtime()
        if kernel_id not in self._manager:
            raise NotFoundError("there is no such kernel", hint="GET api/kernels lists them")
        return await self._link(kernel_id, lambda: self._attach(kernel_id))

    async def close(self) -> None:
        """Leave all kernels, and shut the dedicated one down."""
        self._closed = True
        links, self._links = self._links, {}
        for task in links.values():
            task.cancel()
        await asyncio.gather(*links.values(), return_exceptions=True)
        for link in list(self._watching):
            self._release(link)
        while self._clearing:
            _, late = await asyncio.wait(self._clearing, timeout=CLOSING)
            for left in late:  # a gateway that takes a request and does not answer it
                left.cancel()
        await self._leftovers.close()

    # --- links ------------------------------------------------------------------------------------------------------

    async def _link(self, key: str, make: Callable[[], Coroutine[Any, Any, KernelLink]]) -> KernelLink:
        """Return a link that is alive; who asks meanwhile waits for the same one."""
        task = self._links.get(key)
        if task is not None and task.done() and not await self._is_alive(task.result()):
            if self._links.get(key) is task:
                del self._links[key]
            task = self._links.get(key)
        if self._closed:
            raise ServerStoppingError("the server is stopping")
        if task is None:
            task = self._links[key] = asyncio.create_task(make(), name=f"mcnb-link-{key}")
            task.add_done_callback(lambda made: self._made(key, made))
        return await asyncio.shield(task)

    def _made(self, key: str, task: asyncio.Task[KernelLink]) -> None:
        if (task.cancelled() or task.exception() is not None) and self._links.get(key) is task:
            del self._links[key]  # the next one tries again

    async def _is_alive(self, link: KernelLink) -> bool:
        if link.alive and (error := link.failure or await self._vitals[link].death(UNDER_WAY)):
            link.die(error)
        return link.alive and await link.is_there()

    async def _start(self) -> KernelLink:
        kernel_id = self._runtime_id = await self._started()
        self._own.add(kernel_id)
        self._leftovers.try_now()
        kernel = self._manager.get_kernel(kernel_id)
        with contextlib.suppress(AttributeError):  # silently restarted, it would have lost its model and its runs
            kernel.stop_restarter()
            kernel.autorestart = False
        try:
            return await self._reached(kernel_id, beside_cells=False, timeout=self._start_timeout)
        except BaseException:
            self._clear(self._shut_down(kernel_id, now=True))
            raise

    async def _started(self) -> str:
        folder = {} if self._cwd is None else {"cwd": self._cwd}
        starting = asyncio.ensure_future(ensure_async(self._manager.start_kernel(kernel_name=self._name, **folder)))
        try:
            return str(await asyncio.wait_for(asyncio.shield(starting), self._start_timeout))
        except (asyncio.CancelledError, asyncio.TimeoutError) as error:
            self._clear(self._undo(starting))
            if isinstance(error, asyncio.CancelledError):
                raise
            raise KernelDiedError(f"the kernel could not be started within {self._start_timeout:g} s") from error
        except Exception as error:
            raise not_started(self._manager, self._name, error) from error

    async def _attach(self, kernel_id: str) -> KernelLink:
        return await self._reached(kernel_id, beside_cells=True, timeout=None)

    async def _reached(self, kernel_id: str, *, beside_cells: bool, timeout: float | None) -> KernelLink:
        vitals = Vitals(self._manager, kernel_id)
        client = self._manager.get_kernel(kernel_id).client()
        reaching = asyncio.create_task(
            reach(client, kernel_id, self._owner, beside_cells=beside_cells, timeout=self._start_timeout)
        )
        dying = asyncio.create_task(self._death(vitals))
        try:
            await asyncio.wait({reaching, dying}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if reaching.done():
                link = reaching.result()
            elif dying.done():
                raise dying.result()
            else:
                raise KernelDiedError(f"the kernel did not answer within {timeout:g} s")
        except BaseException:
            self._clear(_given_up(reaching))
            raise
        finally:
            dying.cancel()
        vitals.memory = link.memory
        self._vitals[link] = vitals
        self._watching[link] = asyncio.create_task(self._watch(link, vitals), name=f"mcnb-watch-{kernel_id}")
        return link

    # --- life and death ---------------------------------------------------------------------------------------------

    async def _death(self, vitals: Vitals) -> KernelDiedError:
        while True:
            if error := await vitals.death(STARTING):
                return error
            await asyncio.sleep(self._poll_interval)

    async def _watch(self, link: KernelLink, vitals: Vitals) -> None:
        """Look after a kernel while it has runs; when it is dead, free what it leaves."""
        while link.alive:
            await link.busy.wait()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(link.dead.wait(), self._poll_interval)
            if link.alive and (error := link.failure or await vitals.death()):
                link.die(error)
            if link.alive:
                link.tick()
        logging.getLogger(__name__).warning("kernel %s is gone", link.kernel_id)
        self._release(link)

    def _release(self, link: KernelLink) -> None:
        """Close a link, and shut its kernel down when it is the dedicated one."""
        watching = self._watching.pop(link, None)
        self._vitals.pop(link, None)
        if watching is None:
            return
        if watching is not asyncio.current_task():
            watching.cancel()
        self._clear(self._left(link))

    async def _left(self, link: KernelLink) -> None:
        was_alive = link.alive
        await link.close()
        if link.kernel_id in self._own:
            await self._shut_down(link.kernel_id, now=not was_alive)

    async def _undo(self, starting: asyncio.Future[Any]) -> None:
        """Shut down a kernel that nobody waits for any more, when it has started."""
        with contextlib.suppress(Exception):
            await self._shut_down(str(await starting), now=True)

    async def _shut_down(self, kernel_id: str, *, now: bool) -> None:
        if kernel_id == self._runtime_id:
            self._runtime_id = None
        self._own.discard(kernel_id)
        await self._leftovers.shut_down(kernel_id, now=now)

    def _clear(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._clearing.add(task)
        task.add_done_callback(self._clearing.discard)


async def _given_up(reaching: asyncio.Task[KernelLink]) -> None:
    """Free what an attempt to reach a kernel holds, also when it succeeds in the moment in which nobody waits."""
    reaching.cancel()
    with contextlib.suppress(Exception, asyncio.CancelledError):
        await (await reaching).close()
