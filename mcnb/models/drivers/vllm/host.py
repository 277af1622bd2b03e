"""The process that has vLLM's engine in it: ``python -m mcnb.models.drivers.vllm.host``.

It reads one JSON object a line and writes one JSON object a line:

================================================  ====================================================
``{"engine": {}}``                                first: start it, with these arguments
``{"generate": id, "tokens": [], "params": {}}``  compute a text
``{"stop": true}``                                end
``{"abort": id}``                                 stop computing it
``{"platform": name}``                            what vLLM computes on here, empty where on nothing
``{"ready": {}}``, ``{"failed": text}``           the engine has started, or not
``{"id": id, "tokens": [], "finish": reason}``    the next tokens of a text, and why it ended once it has
``{"id": id, "error": text}``                     it could not be computed
``{"died": text}``                                the engine has ended
================================================  ====================================================

It ends with its input: nothing of it outlives the process that started it.

vLLM starts processes of its own and changes its process's environment, log and signals. In a notebook's kernel, or in a
script that says no ``if __name__ == "__main__"``, it would not do; here it has a process to itself, and what it prints
goes to stderr alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, BinaryIO, TextIO

from mcnb.models.drivers.vllm.process import FOLDER, READY

LAST_WORK = 10.0
"""Seconds that the engine has to end in once nobody wants it any more."""

LOOK = 0.5
"""Seconds between two looks at whether the engine, and who wanted it, are still there."""


def own_channel() -> TextIO:
    """Return what answers are written to; stdout itself becomes stderr, for libraries that print."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


class Host:
    """Has an engine, and does what it is told.

    Parameters
    ----------
    answers : file
        Written to.
    """

    def __init__(self, answers: TextIO) -> None:
        self._answers = answers
        self._orders: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._llm: Any = None

    def say(self, **fields: Any) -> None:
        """Write one answer. Who started this reads them all at once, so that writing never waits long."""
        with contextlib.suppress(BrokenPipeError):
            self._answers.write(json.dumps(fields) + "\n")
            self._answers.flush()

    def order(self, line: bytes | None) -> None:
        """Take an order; None is the end of them."""
        self._orders.put_nowait(None if line is None else json.loads(line))

    async def serve(self, engine: dict[str, Any]) -> None:
        """Start the engine, and do what is ordered until there are no more orders."""
        try:
            self.say(platform=_platform())
            self._llm = _engine(engine)
        except Exception as error:  # whatever it is, who started this must hear of it
            self.say(failed=f"{type(error).__name__}: {error}")
            return
        watching = asyncio.create_task(self._watch())
        try:
            sys.stderr.write(f"{READY}\n")
            sys.stderr.flush()
            self.say(ready=_about(self._llm))
            while (order := await self._orders.get()) is not None and "stop" not in order:
                self._do(order)
        finally:
            watching.cancel()
            tasks = list(self._tasks.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._llm.shutdown()

    def _do(self, order: dict[str, Any]) -> None:
        if "generate" in order:
            name = order["generate"]
            task = asyncio.create_task(self._generate(name, order["tokens"], order["params"]))
            self._tasks[name] = task
            task.add_done_callback(lambda task: self._ended(name, task))
        elif order["abort"] in self._tasks:
            self._tasks[order["abort"]].cancel()

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        del self._tasks[name]
        if task.cancelled():  # vLLM has been told to abort it by then, or had not heard of it
            self.say(id=name, tokens=[], finish="abort")

    async def _generate(self, name: str, tokens: list[int], params: dict[str, Any]) -> None:
        from vllm import SamplingParams, TokensPrompt
        from vllm.sampling_params import RequestOutputKind

        try:
            how = SamplingParams(**params, ignore_eos=True, detokenize=False, n=1, output_kind=RequestOutputKind.DELTA)
            async for output in self._llm.generate(TokensPrompt(prompt_token_ids=tokens), how, name):
                (text,) = output.outputs
                self.say(id=name, tokens=list(text.token_ids), finish=text.finish_reason)
        except Exception as error:
            if self._llm.errored:
                return  # the engine has died, which is told once for all
            cause = error.__cause__ or error
            self.say(id=name, error=f"{type(cause).__name__}: {cause}")

    async def _watch(self) -> None:
        """Tell that the engine has ended, also while nobody asks it anything."""
        while not self._llm.errored:  # noqa: ASYNC110 - vLLM tells it to those alone who wait for a text
            await asyncio.sleep(LOOK)
        self.say(died=str(self._llm.dead_error))
        self._orders.put_nowait(None)


def _platform() -> str:
    """Return what this vLLM computes on, on this machine; empty where it was built for something else."""
    from vllm.platforms import current_platform

    return str(current_platform.device_type)


def _engine(arguments: dict[str, Any]) -> Any:
    from vllm import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    return AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments))


def _about(llm: Any) -> dict[str, Any]:
    import vllm
    from vllm import envs

    config = llm.vllm_config
    return {
        "version": vllm.__version__,
        "max_model_len": config.model_config.max_model_len,
        "max_num_seqs": config.scheduler_config.max_num_seqs,
        "enforce_eager": bool(config.model_config.enforce_eager),
        "architecture": config.model_config.architecture,
        "quantization": config.model_config.quantization,
        "batch_invariant": bool(getattr(envs, "VLLM_BATCH_INVARIANT", False)),
    }


def clear() -> None:
    """Remove the folder of this process, which whoever started it may not be there to do."""
    folder = os.environ.get("TMPDIR", "")
    if os.path.basename(folder).startswith(FOLDER):
        shutil.rmtree(folder, ignore_errors=True)


def end_everything() -> None:
    """End this process and all that it has started: they are one group."""
    clear()
    os.killpg(os.getpgrp(), signal.SIGKILL)


def read(orders: BinaryIO, take: Callable[[bytes | None], object]) -> None:
    """Pass orders on until they end, then see to it that the process does."""
    for line in orders:
        take(line)
    take(None)
    time.sleep(LAST_WORK)  # an engine that is still being started hears nothing
    end_everything()


def watch_starter(starter: int) -> None:
    """End with who started this, also where a copy of it keeps the orders open."""
    while os.getppid() == starter:
        time.sleep(LOOK)
    end_everything()


def main() -> int:
    """Serve until the orders end."""
    answers = own_channel()
    starter = os.getppid()
    orders = sys.stdin.buffer
    first = orders.readline()
    if not first:
        return 0

    async def serve() -> None:
        host, loop = Host(answers), asyncio.get_running_loop()

        def take(line: bytes | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(host.order, line)

        threading.Thread(target=read, args=(orders, take), name="orders", daemon=True).start()
        threading.Thread(target=watch_starter, args=(starter,), name="starter", daemon=True).start()
        await host.serve(json.loads(first)["engine"])

    try:
        asyncio.run(serve())
    finally:
        clear()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
