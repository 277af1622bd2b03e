"""From a kernel to a link: until its runtime has answered."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from mcnb.errors import KernelDiedError, NotSupportedError
from mcnb.kernel import protocol
from mcnb.server.kernels.channels import Message, Sent
from mcnb.server.kernels.connection import Connection
from mcnb.server.kernels.link import KernelLink

ASK_AGAIN = 0.3
"""Seconds between two questions to a kernel that is starting."""

SEND_AGAIN = 3.0
"""Seconds after which a request is sent once more, in case it or its reply was lost; twice as many the next time."""

SUBSHELLS = "kernel subshells"
"""What a kernel says that has them."""


async def reach(client: Any, kernel_id: str, owner: str, *, beside_cells: bool, timeout: float) -> KernelLink:
    """Connect to a kernel and start its runtime.

    Parameters
    ----------
    client : jupyter_client.asynchronous.AsyncKernelClient
        Of the kernel; owned from now on.
    kernel_id : str
        The kernel.
    owner : str
        The server's id.
    beside_cells : bool
        Whether it is a notebook's: the runtime is then reached through a subshell where the kernel has them, and
        otherwise when no cell is at work.
    timeout : float
        Seconds within which the kernel has to answer at all.

    Raises
    ------
    NotSupportedError
        When the kernel has no mcnb, or one that speaks another protocol.
    KernelDiedError
        When it does not answer.
    """
    connection = Connection(client)
    subshell = None
    try:
        try:
            info = await asyncio.wait_for(_answered(connection), timeout)
        except asyncio.TimeoutError as error:
            late = KernelDiedError(f"the kernel did not answer within {timeout:g} s")
            raise connection.failure or late from error
        if beside_cells and SUBSHELLS in info.get("supported_features", ()):
            subshell = (await _surely(connection, "control", "create_subshell_request", {})).get("subshell_id")
        await _start(connection, subshell)
        return await _open(connection, kernel_id, owner, subshell)
    except BaseException:
        if subshell is not None:
            connection.send("control", "delete_subshell_request", {"subshell_id": subshell})
        await connection.close()
        raise


async def _answered(connection: Connection) -> Message:
    """Connect, and wait until the kernel answers and its publications arrive; return what it says of itself.

    The control channel answers while a cell runs. A subscription takes effect some time after it was made: each
    question makes the kernel publish something.
    """
    await connection.open()
    asked = {asyncio.create_task(connection.request("shell", "kernel_info_request", {}))}
    try:
        while True:
            asked.add(asyncio.create_task(connection.request("control", "kernel_info_request", {})))
            done, _ = await asyncio.wait(asked, timeout=ASK_AGAIN, return_when=asyncio.FIRST_COMPLETED)
            if done and connection.subscribed.is_set():
                return done.pop().result()
            if done:
                await asyncio.sleep(ASK_AGAIN / 10)
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


async def _surely(
    connection: Connection, channel: Sent, kind: str, content: Message, *, subshell: str | None = None
) -> Message:
    """Return the first reply to a request that may be made several times.

    A message to a kernel that has just started, or just made a subshell, may be lost. One that is busy with a cell
    answers all of them when the cell is over.
    """
    asked: set[asyncio.Task[Message]] = set()
    patience = SEND_AGAIN
    try:
        while True:
            asked.add(asyncio.create_task(connection.request(channel, kind, content, subshell=subshell)))
            done, _ = await asyncio.wait(asked, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if done:
                return done.pop().result()
            patience *= 2
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


async def _start(connection: Connection, subshell: str | None) -> None:
    content = {
        "code": protocol.START,
        "silent": True,
        "store_history": False,
        "user_expressions": {},
        "allow_stdin": False,
        "stop_on_error": False,
    }
    while True:
        reply = await _surely(connection, "shell", "execute_request", content, subshell=subshell)
        if reply["status"] == "ok":
            return
        if reply["status"] == "error":
            break
        await asyncio.sleep(ASK_AGAIN)  # aborted: a cell of the notebook has failed, and what waited behind it with it
    name, value = reply.get("ename", ""), str(reply.get("evalue", ""))[:200]
    if name in ("ModuleNotFoundError", "ImportError"):
        hint = "install it where the kernel is: pip install 'mcnb[kernel]'"
        raise NotSupportedError(f"the kernel cannot run workflows: it has no mcnb ({value})", hint=hint)
    raise NotSupportedError(f"the kernel cannot run workflows ({name}: {value})", hint="name a Python kernel with mcnb")


async def _open(connection: Connection, kernel_id: str, owner: str, subshell: str | None) -> KernelLink:
    link = KernelLink(kernel_id, connection, uuid.uuid4().hex, subshell=subshell)
    patience = SEND_AGAIN
    while not link.ready.done():
        link.open(owner)  # a second one replaces the first, and has no runs to end yet
        link.send({"type": protocol.HELLO})
        await asyncio.wait({link.ready}, timeout=patience)
        patience *= 2
    ready = link.ready.result()
    if ready is None or ready.get("protocol") != protocol.VERSION:
        raise NotSupportedError(
            "the kernel has another version of mcnb, which this server cannot talk to",
            hint="install the server's version where the kernel is",
        )
    return link
