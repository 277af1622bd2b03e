"""Runtime: takes runs and executes them; owns the loaded models of one process."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mcnb.compose import Document, Environment, check_input, document_from_source
from mcnb.compose.expressions import render
from mcnb.errors import InternalError, InvalidInputError, McnbError, RunCancelledError
from mcnb.models.cache import ModelCache, ModelSpec, shared_cache
from mcnb.models.parameters import DRAWN_SEED_BITS, check_parameters
from mcnb.models.progress import no_report
from mcnb.runtime.jobs import ComponentJobs
from mcnb.runtime.plan import Pin, Plan, make_plan
from mcnb.runtime.record import Record, describe_document, hardware, sha256, versions
from mcnb.runtime.run import Run

HISTORY = 200
"""Finished runs that are kept for looking back."""


class Runtime:
    """Takes runs.

    All runs are coroutines of one event loop in a thread of its own; models are loaded in threads of their own and
    used by one owner thread each. ``submit`` never blocks.

    Parameters
    ----------
    cache : ModelCache, optional
        The loaded models; by default those of the process.
    """

    def __init__(self, cache: ModelCache | None = None) -> None:
        self.cache = cache if cache is not None else shared_cache()
        self.runs: deque[Run] = deque(maxlen=HISTORY)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    def submit(
        self,
        document: Document,
        workflow: str | None = None,
        input: Mapping[str, Any] | None = None,
        *,
        seed: int | None = None,
        parameters: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> Run:
        """Start a run and return it at once.

        Parameters
        ----------
        document : Document
            The loaded compose file.
        workflow : str, optional
            Which workflow; by default the default one.
        input : mapping, optional
            Its inputs.
        seed : int, optional
            For the same text again; drawn and recorded when not given.
        parameters : mapping, optional
            Overrides of generation parameters for this run.
        timeout : float, optional
            Seconds from now after which the run is stopped and failed.

        Returns
        -------
        Run

        Raises
        ------
        InvalidInputError
            When inputs are missing, unknown or of the wrong type, or a parameter is out of range.
        NotSupportedError
            When the workflow has parts that this version only validates.
        """
        overrides = dict(parameters or {})
        if seed is not None:
            overrides["seed"] = seed
        overrides = check_parameters(overrides)
        return self._submit(
            document,
            workflow,
            input,
            overrides,
            timeout,
            seed=overrides["seed"] if "seed" in overrides else secrets.randbits(DRAWN_SEED_BITS),
        )

    def repeat(self, record: Record, *, timeout: float | None = None) -> Run:
        """Run a record again: the same document, input, seed, model revision, device and dtype.

        Raises
        ------
        DocumentError
            When the document needs an environment value that is not set any more.
        """
        document = document_from_source(record.document["source"], Path(record.document["folder"]), Environment())
        pins = {
            item.component: Pin(item.model["revision"], item.device, item.dtype) for item in record.generations
        }
        return self._submit(
            document,
            None if record.workflow == document.workflow().id else record.workflow,
            record.input,
            record.parameters,
            timeout,
            seed=record.seed,
            pins=pins,
        )

    def _submit(
        self,
        document: Document,
        workflow: str | None,
        input: Mapping[str, Any] | None,
        parameters: Mapping[str, Any],
        timeout: float | None,
        *,
        seed: int,
        pins: Mapping[str, Pin] | None = None,
    ) -> Run:
        if timeout is not None and timeout <= 0:
            raise InvalidInputError(f"timeout has to be more than 0 seconds, got {timeout:g}")
        chosen = document.workflow(workflow)
        values = check_input(document.inputs(workflow), input)
        plan = make_plan(document, chosen)
        record = Record(
            run_id=Run.new_id(),
            workflow=chosen.id,
            created=time.time(),
            document=describe_document(document),
            input=values,
            parameters=dict(parameters),
            seed=seed,
        )
        run = Run(record, streams=plan.streamed is not None)
        self.runs.append(run)
        asyncio.run_coroutine_threadsafe(self._execute(run, plan, values, pins or {}, timeout), self._started_loop())
        return run

    def preload(self, document: Document) -> None:
        """Begin to load the models of components that say ``preload: true``; never blocks.

        A model that cannot be loaded is told by the first run that needs it.
        """
        for component in document.spec.components:
            if component.preload and component.driver == "huggingface":
                spec = ModelSpec(
                    component.model, document.folder, component.device, component.precision, component.allow_pickle
                )
                self.cache.acquire(spec, no_report)

    def _started_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="mcnb-runtime", daemon=True).start()
            return self._loop

    async def _execute(
        self, run: Run, plan: Plan, values: dict[str, Any], pins: Mapping[str, Pin], timeout: float | None
    ) -> None:
        """Bring a run to its one terminal state, whatever happens."""
        loop = asyncio.get_running_loop()
        alarm = loop.call_later(timeout, run.control.expire, timeout) if timeout is not None else None
        started = time.perf_counter()
        try:
            run.control.check()
            run._start()
            output = await self._work(run, plan, values, pins)
            run.control.check()
            json_output = sha256(output)
            _complete(run.record, started, json_output)
            run._finish("completed", output=output)
        except RunCancelledError as error:
            _complete(run.record, started)
            run._finish("cancelled", error=error)
        except McnbError as error:
            _complete(run.record, started)
            run._finish("failed", error=error)
        except BaseException as error:  # a defect must end the run too, not only this coroutine
            wrapped = InternalError(f"the run failed ({type(error).__name__}: {error})")
            wrapped.__cause__ = error
            _complete(run.record, started)
            run._finish("failed", error=wrapped)
            if not isinstance(error, Exception):
                raise
        finally:
            if alarm is not None:
                alarm.cancel()

    async def _work(self, run: Run, plan: Plan, values: dict[str, Any], pins: Mapping[str, Pin]) -> Any:
        """Start each job as soon as those it waits for are done, and put the output together."""
        document = plan.document
        jobs = ComponentJobs(
            run,
            values,
            cache=self.cache,
            folder=document.folder,
            env=document.env,
            pins=pins,
            streamed=plan.streamed,
        )
        outputs: dict[str, Any] = {}
        waiting = list(plan.steps)
        under_way: dict[asyncio.Task[Any], str] = {}
        try:
            while waiting or under_way:
                for step in [step for step in waiting if all(name in outputs for name in step.waits_for)]:
                    waiting.remove(step)
                    under_way[asyncio.create_task(jobs.execute(step, dict(outputs)))] = step.job.id
                done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    outputs[under_way.pop(task)] = task.result()
        except BaseException:
            if under_way:  # a failed job stops its siblings, and the run ends when they have stopped
                run.control.cancel()
                await asyncio.gather(*under_way, return_exceptions=True)
            raise
        output = _joined([outputs[name] for name in plan.last])
        if plan.workflow.output is None:
            return output
        scope = {
            "input": values,
            "output": output,
            "jobs": {name: {"output": value} for name, value in outputs.items()},
            "env": document.env,
            "context": {"run_id": run.id},
        }
        return render(plan.workflow.output, scope)


def _joined(outputs: list[Any]) -> Any:
    """The output of several last jobs: mappings merge, anything else becomes a list."""
    if len(outputs) == 1:
        return outputs[0]
    if all(isinstance(output, dict) for output in outputs):
        return {key: value for output in outputs for key, value in output.items()}
    return outputs


def _complete(record: Record, started: float, output_sha256: str | None = None) -> None:
    parts: dict[str, float | None] = {}
    for name in ("queue", "load", "first_token", "decode"):
        known = [item.timings[name] for item in record.generations if item.timings.get(name) is not None]
        parts[name] = sum(value for value in known if value is not None) if known else None
    record.timings = {**parts, "total": time.perf_counter() - started}
    record.versions = versions()
    record.hardware = hardware()
    record.output_sha256 = output_sha256


_default: Runtime | None = None
_default_lock = threading.Lock()


def default_runtime() -> Runtime:
    """Return the Runtime of this process."""
    global _default
    with _default_lock:
        if _default is None:
            _default = Runtime()
        return _default
