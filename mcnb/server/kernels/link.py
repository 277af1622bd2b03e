"""KernelLink: one kernel as the server sees it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Any

from mcnb.errors import ConflictError, KernelDiedError, error_of
from mcnb.kernel import protocol
from mcnb.runtime.interruption import KEPT
from mcnb.server.kernels.connection import Connection
from mcnb.server.kernels.followed import FollowedRun
from mcnb.server.kernels.order import KernelOrder, RunListener
from mcnb.server.kernels.patience import Patience
from mcnb.server.kernels.resumes import REPLY, Resumes
from mcnb.server.kernels.vitals import UNDER_WAY

QUIET = 2.0
"""Seconds without a message after which to look whether the kernel still has the comm: a restarted one has not."""


class KernelLink:
    """One kernel; runs go in, and their listeners hear what comes of them.

    Parameters
    ----------
    kernel_id : str
        The kernel.
    connection : Connection
        To it.
    comm_id : str
        Of the comm to its runtime.
    subshell : str or None
        Through which the comm goes, so that it need not wait while a cell runs.

    Attributes
    ----------
    alive : bool
        False when the kernel is gone, or the link closed.
    busy : asyncio.Event
        Set while it has runs.
    dead : asyncio.Event
        Set when the kernel is gone.
    """

    def __init__(self, kernel_id: str, connection: Connection, comm_id: str, *, subshell: str | None) -> None:
        self.kernel_id = kernel_id
        self.alive = True
        self.busy = asyncio.Event()
        self.dead = asyncio.Event()
        self.ready: asyncio.Future[Mapping[str, Any] | None] = asyncio.get_running_loop().create_future()
        self._connection = connection
        self._comm_id = comm_id
        self._subshell = subshell
        self._outbox: list[Mapping[str, Any]] = []
        self._runs: dict[str, FollowedRun] = {}
        self._resumes = Resumes(self.send)
        self._looking: asyncio.Task[bool] | None = None
        self._quiet = Patience(QUIET, self._now())
        self._heard = self._now()
        connection.routes[comm_id] = self._take

    @property
    def memory(self) -> dict[str, int] | None:
        """The bytes of the kernel's machine, ``total`` and ``free``, as they were when it was reached."""
        said = self.ready.result() if self.ready.done() else None
        return None if said is None else said.get("memory")

    @property
    def failure(self) -> KernelDiedError | None:
        """Why the kernel cannot be reached any more; None where it can, or nobody can say yet."""
        return self._connection.failure

    @property
    def runs(self) -> frozenset[str]:
        """The ids of the runs that are not over."""
        return frozenset(self._runs)

    def run(self, order: KernelOrder, listener: RunListener) -> None:
        """Hand a run to the kernel.

        Parameters
        ----------
        order : KernelOrder
            What to do.
        listener : RunListener
            Told what comes of it, from the event loop; never before this returns.
        """
        if not self.alive:
            gone = KernelDiedError("the kernel was gone before the run could start")
            asyncio.get_running_loop().call_soon(listener.on_died, gone)
            return
        if not self._runs:
            self._quiet.heard(self._now())
        self._runs[order.id] = FollowedRun(order, listener, self._now())
        self.busy.set()
        self.send(order.message())

    def cancel(self, run_id: str) -> None:
        """Ask a run to stop; its listener hears when it has."""
        if run_id in self._runs:
            self._runs[run_id].stop(self._now())
            self.send({"type": protocol.CANCEL, "id": run_id})

    async def resume(self, run_id: str, answer: Any = KEPT) -> None:
        """Have an interrupted run go on.

        Parameters
        ----------
        run_id : str
            The run.
        answer : Any, optional
            Replaces the interruption's value; without one the value stays.

        Raises
        ------
        InvalidInputError
            When the answer does not fit; the run then still waits.
        ConflictError
            When the run is not interrupted.
        KernelDiedError
            When the kernel dies meanwhile.
        """
        if not self.alive:
            raise KernelDiedError("the kernel is gone, and the run with it")
        if run_id not in self._runs:
            raise ConflictError("the run is over: it waits for no answer")
        await self._resumes.ask(run_id, answer)

    async def close(self) -> None:
        """Leave the kernel: the runs it still has stop, and their listeners hear nothing more."""
        was_alive, self.alive = self.alive, False
        if self._looking is not None:
            self._looking.cancel()
        self._resumes.end(KernelDiedError("the server has left the kernel"))
        self._runs.clear()
        with contextlib.suppress(asyncio.TimeoutError):
            if was_alive:
                await asyncio.wait_for(self._leave(), REPLY)
        await self._connection.close()

    async def _leave(self) -> None:
        self._deliver()
        content = {"comm_id": self._comm_id, "data": {}}
        await self._connection.handled("comm_close", content, subshell=self._subshell)
        if self._subshell is not None:
            subshell = {"subshell_id": self._subshell}
            await self._connection.request("control", "delete_subshell_request", subshell)

    # --- what watches over it uses ----------------------------------------------------------------------------------

    def open(self, owner: str) -> None:
        """Open the comm; the runs of an older one of the same owner end."""
        data = {"owner": owner, "version": protocol.VERSION}
        content = {"comm_id": self._comm_id, "target_name": protocol.TARGET, "data": data}
        self._connection.send("shell", "comm_open", content, subshell=self._subshell)

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message to the runtime, with all others of this turn of the event loop."""
        if not self._outbox:
            asyncio.get_running_loop().call_soon(self._deliver)
        self._outbox.append(message)

    def _deliver(self) -> None:
        messages, self._outbox = self._outbox, []
        if messages:
            content = {"comm_id": self._comm_id, "data": {"type": protocol.ROUND, "messages": messages}}
            self._connection.send("shell", "comm_msg", content, subshell=self._subshell)

    def tick(self) -> None:
        """Ask for what may have been lost; called now and then while there are runs."""
        now = self._now()
        wanted = {run_id: run.last for run_id, run in self._runs.items() if run.wants_more(now)}
        if wanted:
            self.send({"type": protocol.SYNC, "runs": wanted})
        for run_id in [run_id for run_id, run in self._runs.items() if run.wants_to_stop(now)]:
            self.cancel(run_id)
        if self._quiet.is_over(now):
            if self._looking is not None:
                self._looking.cancel()
            self._looking = asyncio.create_task(self._look())

    async def is_there(self) -> bool:
        """Return False when the kernel does not have the comm any more; one that does not answer may just be busy."""
        if self._now() - self._heard < QUIET:
            return True
        with contextlib.suppress(asyncio.TimeoutError):
            return await asyncio.wait_for(self._look(), REPLY)
        return True

    async def _look(self) -> bool:
        target = {"target_name": protocol.TARGET}
        reply = await self._connection.request("control", "comm_info_request", target)
        if reply.get("status") == "ok" and self._comm_id not in reply.get("comms", {}):
            self.die(KernelDiedError(f"the kernel was restarted {UNDER_WAY}"))
        return self.alive

    def die(self, error: KernelDiedError) -> None:
        """Take that the kernel is gone: all its runs are over."""
        if not self.alive:
            return
        self.alive = False
        self.dead.set()
        self.busy.set()  # who waits for runs finds that there are none any more
        runs, self._runs = self._runs, {}
        for run in runs.values():
            run.die(error)
        self._resumes.end(error)

    # --- what comes from the kernel ---------------------------------------------------------------------------------

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _take(self, message: Any) -> None:
        """Take a message of the runtime; None when the kernel has closed the comm."""
        self._heard = now = self._now()
        self._quiet.heard(now)
        if message is None:
            if not self.ready.done():
                self.ready.set_result(None)
            self.die(KernelDiedError(f"the kernel ended its runtime {UNDER_WAY}"))
            return
        for told in message["messages"]:
            self._take_one(told, now)

    def _take_one(self, message: Any, now: float) -> None:
        kind, run_id = message["type"], message.get("id")
        if kind == protocol.READY:
            if not self.ready.done():
                self.ready.set_result(message)
        elif kind == protocol.RESUMED:
            error = message["error"]
            self._resumes.settle(
                str(run_id), message["request"], None if error is None else error_of(error["code"], error["message"])
            )
        elif kind == protocol.UNKNOWN:
            for unknown in message["ids"]:
                self._unknown(unknown)
        elif run_id not in self._runs:
            self._forget(run_id)  # it is over, and a message was on its way, or the one that said so was lost
        elif kind == protocol.EVENTS:
            self._take_events(self._runs[run_id], message, now)
        elif kind == protocol.REFUSED:
            self._end(run_id).refuse(message)

    def _take_events(self, run: FollowedRun, message: Mapping[str, Any], now: float) -> None:
        last = run.last
        if run.take(message, now):
            self._end(run.order.id)
        elif run.last == last and run.wants_more(now):
            self.send({"type": protocol.SYNC, "runs": {run.order.id: last}})

    def _unknown(self, run_id: str) -> None:
        run = self._runs.get(run_id)
        if run is not None and not run.known:
            self.send(run.order.message())  # it never arrived
            return
        self._resumes.end(ConflictError("the run is over: it waits for no answer"), run_id)
        if run is not None:
            logging.getLogger(__name__).error("the kernel has forgotten run %s", run_id)
            self._end(run_id).die(KernelDiedError("the kernel does not know the run any more"))

    def _end(self, run_id: str) -> FollowedRun:
        """Hold a run no more; the kernel need not keep what it has sent."""
        run = self._runs.pop(run_id)
        self._forget(run_id)
        if not self._runs:
            self.busy.clear()
        return run

    def _forget(self, run_id: Any) -> None:
        self.send({"type": protocol.FORGET, "ids": [run_id]})
