"""Compose: a Document with a Runtime; what ``mcnb.load`` returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcnb.compose import Document, Environment
from mcnb.runtime.batch import WINDOW, Batch, check_engine
from mcnb.runtime.default import default_runtime
from mcnb.runtime.offering import Offering
from mcnb.runtime.record import Record
from mcnb.runtime.rows import Source
from mcnb.runtime.run import Run
from mcnb.runtime.runtime import Runtime
from mcnb.runtime.wording import workflow_name


class Compose(Offering):
    """A compose file, ready to run in this process.

    Parameters
    ----------
    document : Document
        The loaded file.
    runtime : Runtime, optional
        By default the one of this process.
    environment : Environment, optional
        Where the document took the values of ``${env.NAME}`` from; needed again to repeat a record.

    Examples
    --------
    >>> compose = mcnb.load("model-compose.yml")  # doctest: +SKIP
    >>> run = compose.run(prompt="Once upon a time")  # doctest: +SKIP
    >>> run.output["generated"]  # doctest: +SKIP
    """

    def __init__(
        self, document: Document, runtime: Runtime | None = None, environment: Environment | None = None
    ) -> None:
        self._document = document
        self.runtime = runtime if runtime is not None else default_runtime()
        self.environment = environment

    @property
    def document(self) -> Document:
        """The loaded file."""
        return self._document

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs of this process, the newest last."""
        return self.runtime.runs

    def submit(  # noqa: D102 - as of an Offering
        self,
        workflow: str | None = None,
        input: Mapping[str, Any] | None = None,
        *,
        seed: int | None = None,
        parameters: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        **inputs: Any,
    ) -> Run:
        return self.runtime.submit(
            self.document,
            workflow,
            {**(input or {}), **inputs},
            seed=seed,
            parameters=parameters,
            timeout=timeout,
        )

    def submit_again(  # noqa: D102 - as of an Offering
        self, record: Record | Mapping[str, Any], *, timeout: float | None = None
    ) -> Run:
        found = record if isinstance(record, Record) else Record.from_dict(record)
        return self.runtime.repeat(found, environment=self.environment, timeout=timeout)

    def batch(  # noqa: D102 - as of an Offering
        self,
        rows: Source,
        workflow: str | None = None,
        *,
        seed: int | None = None,
        parameters: Mapping[str, Any] | None = None,
        engine: str = "local",
        address: str | None = None,
        workers: int | None = None,
        batch_size: int | None = None,
    ) -> Batch:
        if check_engine(engine, address, workers, batch_size) == "local":
            width = batch_size or WINDOW
            return self.runtime.batch(self.document, rows, workflow, seed=seed, parameters=parameters, width=width)
        from mcnb.batch.rows_on_ray import batch_on_ray

        return batch_on_ray(
            self.document,
            rows,
            workflow,
            seed=seed,
            parameters=parameters,
            address=address,
            workers=workers,
            batch_size=batch_size,
        )

    def __repr__(self) -> str:
        lines = []
        for workflow in self.document.workflows:
            asked = [f"{item.name}{'' if item.required else '?'}" for item in self.document.inputs(workflow.id)]
            lines.append(f"{workflow_name(workflow)}({', '.join(asked)})")
        return f"{', '.join(self.document.files)}: {'; '.join(lines)}"
