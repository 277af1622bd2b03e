"""Task: what a job computes for every row; Item: one row of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from mcnb.compose import Document
from mcnb.runtime.batch_row import row_seed
from mcnb.runtime.row_orders import RowOrders


class Item(NamedTuple):
    """A row that is to be computed.

    Attributes
    ----------
    number : int
        From 1, in the order of the input.
    key : int or str
        By which the row is known: its number, or what the key's column says.
    input : dict
        As checked.
    """

    number: int
    key: int | str
    input: dict[str, Any]


@dataclass(frozen=True)
class Task:
    """What is computed; the same wherever it is, so it can be sent there.

    Attributes
    ----------
    document : Document
        The loaded file.
    workflow : str
        The id of one of its workflows.
    parameters : mapping
        Overrides of generation parameters, for all rows; without a seed.
    seed : int
        The seeds of the rows are derived from it and their keys, so a row's text depends neither on the other rows nor
        on where it is computed.
    seed_given : bool
        Whether the caller gave it; then it goes before a seed that the document says.
    """

    document: Document
    workflow: str
    parameters: Mapping[str, Any]
    seed: int
    seed_given: bool

    def orders(self) -> RowOrders:
        """Return what makes the orders of rows."""
        given = {**self.parameters, "seed": self.seed} if self.seed_given else self.parameters
        return RowOrders(self.document, self.workflow, parameters=given)

    def seed_of(self, item: Item) -> int:
        """Return the seed of a row."""
        return row_seed(self.seed, item.key)

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that the components ask for which the workflow calls."""
        from mcnb.runtime.plan import make_plan

        plan = make_plan(self.document, self.document.workflow(self.workflow))
        return tuple(dict.fromkeys(step.component.device for step in plan.calls.values()))
