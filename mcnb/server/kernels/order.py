"""KernelOrder: what a run is to do, as a kernel gets it. RunListener: who is told what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from mcnb.compose import Document
from mcnb.errors import KernelDiedError, McnbError
from mcnb.kernel.protocol import RUN
from mcnb.kernel.sendable import sendable


class RunListener(Protocol):
    """Is told of one run, in the event loop, in order, nothing twice."""

    def on_events(self, events: list[dict[str, Any]]) -> None:
        """Take further events: ``type, time`` and the data, without numbers."""

    def on_finished(
        self,
        events: list[dict[str, Any]],
        state: str,
        output: Any,
        error: dict[str, Any] | None,
        record: dict[str, Any] | None,
    ) -> None:
        """Take the last events, and how the run ended; nothing comes after it."""

    def on_refused(self, error: McnbError) -> None:
        """Take why the kernel did not take the run; in place of ``on_finished``."""

    def on_died(self, error: KernelDiedError) -> None:
        """Take that the kernel is gone; in place of ``on_finished``."""


@dataclass(frozen=True)
class KernelOrder:
    """What a run is to do.

    Attributes
    ----------
    id : str
        The run's.
    document : Document
        With its environment values, which are sent to the kernel.
    workflow : str
        Its id in the document.
    input : dict
        Checked.
    seed : int
        Of the run.
    parameters : dict
        Overrides of generation parameters.
    timeout : float or None
        Seconds that are left.
    max_output_tokens : int or None
        New tokens that each generation is allowed at most.
    priority : str
        ``interactive``, ``api`` or ``bulk``.
    """

    id: str
    document: Document = field(repr=False)
    workflow: str
    input: Mapping[str, Any] = field(repr=False)
    seed: int
    parameters: Mapping[str, Any]
    timeout: float | None = None
    max_output_tokens: int | None = None
    priority: str = "api"

    def message(self) -> dict[str, Any]:
        """Return the order as the message of the protocol."""
        document = self.document
        message: dict[str, Any] = sendable(
            {
                "type": RUN,
                "id": self.id,
                "document": {
                    "digest": document.digest,
                    "source": document.source,
                    "folder": str(document.folder),
                    "files": document.files,
                    "env": document.env,
                },
                "workflow": self.workflow,
                "input": self.input,
                "seed": self.seed,
                "parameters": self.parameters,
                "timeout": self.timeout,
                "max_output_tokens": self.max_output_tokens,
                "priority": self.priority,
            }
        )
        return message
