"""The orders of the rows of a batch: what they have in common is checked and worked out once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcnb.compose import Document
from mcnb.runtime.order import Order, with_seed
from mcnb.runtime.pauses import check_answered
from mcnb.runtime.plan import make_plan
from mcnb.runtime.provenance import describe_document


class RowOrders:
    """Makes the orders of rows.

    Parameters
    ----------
    document, workflow, parameters
        As in ``Runtime.submit``.
    seed : int, optional
        Of the batch; drawn when not given. A seed that the document says goes before those of rows only then.

    Attributes
    ----------
    inputs : Inputs
        What the workflow asks for.
    seed : int
        Of the batch.
    seed_given : bool
        Whether the caller gave it.

    Raises
    ------
    InvalidInputError, NotSupportedError, UnsupportedModelError
        As ``Runtime.submit``; also for a workflow that always asks a person.
    """

    def __init__(
        self,
        document: Document,
        workflow: str | None = None,
        *,
        seed: int | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        self._overrides, self.seed = with_seed(parameters, seed)
        self.seed_given = "seed" in self._overrides
        self._plan = make_plan(document, document.workflow(workflow))
        check_answered(self._plan)
        self.inputs = document.inputs(workflow)
        self._plan.check_installed()
        self._described = describe_document(document)

    def order(self, input: dict[str, Any], seed: int) -> Order:
        """Return the order of a row, whose input was checked."""
        own = {**self._overrides, "seed": seed} if self.seed_given else self._overrides
        return Order(self._plan, input, own, seed, self._described, priority="bulk")
