"""Fixtures for tests with real kernels: a kernel manager as a server has it, and somebody who listens to runs."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager

from mcnb.compose import Document, load_document
from mcnb.errors import McnbError
from mcnb.server.kernels import KernelLink, KernelOrder, Kernels
from tests.support.runs import FIRST_LINE, document, models  # noqa: F401

_T = TypeVar("_T")

PATIENCE = 60
"""Seconds; a machine may stand still for a while, and one test that gave up would take the next ones with it."""


class Listener:
    """Writes down what it is told, and lets a test wait for it."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.state: str | None = None
        self.output: Any = None
        self.error: Any = None
        self.record: dict[str, Any] | None = None
        self.refused: McnbError | None = None
        self.died: McnbError | None = None
        self.ends = 0
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def on_events(self, events: list[dict[str, Any]]) -> None:
        assert not self.ends, "told after the end"
        self.events += events
        self._tell()

    def on_finished(self, events: list[dict[str, Any]], state: str, output: Any, error: Any, record: Any) -> None:
        self.events += events
        self.state, self.output, self.error, self.record = state, output, error, record
        self._end()

    def on_refused(self, error: McnbError) -> None:
        self.refused = error
        self._end()

    def on_died(self, error: McnbError) -> None:
        self.died = error
        self._end()

    def _end(self) -> None:
        self.ends += 1
        self._tell()

    def _tell(self) -> None:
        async def tell() -> None:
            async with self._changed:
                self._changed.notify_all()

        task = asyncio.create_task(tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def until(self, holds: Callable[[], Any]) -> None:
        async with self._changed:
            await asyncio.wait_for(self._changed.wait_for(holds), PATIENCE)

    async def over(self) -> Listener:
        await self.until(lambda: self.ends)
        return self

    async def decoding(self) -> Listener:
        await self.until(lambda: self.ends or self.text.count("\n") > 1)
        assert not self.ends, (self.state, self.error, self.refused, self.died)
        return self

    @property
    def text(self) -> str:
        return "".join(event["text"] for event in self.events if event["type"] == "token")

    @property
    def states(self) -> list[str]:
        return [event["state"] for event in self.events if event["type"] == "state"]


class Serving:
    """An event loop with a kernel manager and the kernels of a server."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self._options = {"owner": "store-1", "start_timeout": PATIENCE, "poll_interval": 0.1, **options}
        self._number = 0
        self.manager, self.kernels = self.do(self._make(folder))

    async def _make(self, folder: Path) -> tuple[AsyncMappingKernelManager, Kernels]:
        manager = AsyncMappingKernelManager(root_dir=str(folder), connection_dir=str(folder))
        return manager, Kernels(manager, **self._options)

    def do(self, work: Coroutine[Any, Any, _T]) -> _T:
        return self.loop.run_until_complete(asyncio.wait_for(work, 5 * PATIENCE))

    def order(self, loaded: Document, **changes: Any) -> KernelOrder:
        self._number += 1
        said = {"input": {"prompt": FIRST_LINE}, "seed": 7, "parameters": {}, **changes}
        return KernelOrder(f"run-{self._number}", loaded, loaded.workflow().id, **said)

    def submit(self, link: KernelLink, loaded: Document, **changes: Any) -> tuple[str, Listener]:
        order, listener = self.order(loaded, **changes), Listener()
        link.run(order, listener)
        return order.id, listener

    async def finished(self, loaded: Document, **changes: Any) -> Listener:
        """What comes of a run on the dedicated kernel."""
        _, listener = self.submit(await self.kernels.runtime(), loaded, **changes)
        return await listener.over()

    def kill(self, kernel_id: str, number: int = signal.SIGKILL) -> None:
        os.kill(self.manager.get_kernel(kernel_id).provisioner.pid, number)

    def close(self) -> None:
        self.do(self.kernels.close())
        for kernel_id in self.manager.list_kernel_ids():
            self.do(self.manager.shutdown_kernel(kernel_id, now=True))
        left = [task.get_name() for task in asyncio.all_tasks(self.loop) if "mcnb" in task.get_name()]
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        self.manager.context.destroy(linger=0)
        assert not left


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folders of their own for kernels and mcnb."""
    folder = tmp_path_factory.mktemp("serving")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HF_TOKEN", "HF_ENDPOINT", "HF_HOME"):
            patch.delenv(name, raising=False)
        patch.setenv("MCNB_HOME", str(folder / "home"))
        patch.setenv("HF_HUB_CACHE", str(folder / "hub"))
        patch.setenv("JUPYTER_RUNTIME_DIR", str(folder / "runtime"))
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        patch.setenv("MCNB_TEST_SECRET", "swordfish")
        yield folder


@pytest.fixture(scope="module")
def serving(surroundings: Path) -> Iterator[Serving]:
    """The kernels that the tests of a module share."""
    made = Serving(surroundings)
    yield made
    made.close()


@pytest.fixture
def own_serving(surroundings: Path) -> Iterator[Callable[..., Serving]]:
    """Kernels of a test's own."""
    made: list[Serving] = []

    def make(**options: Any) -> Serving:
        made.append(Serving(surroundings, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def loaded(model: Path | str, **action: Any) -> Document:
    return load_document(text=document(model, **action))
