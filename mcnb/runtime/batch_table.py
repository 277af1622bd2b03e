"""The table of a batch: what went in, how it went, what came out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mcnb.runtime.table import Table

if TYPE_CHECKING:
    from mcnb.runtime.batch import BatchRow

OWN = ("row", "state", "error")


def batch_table(rows: Sequence[BatchRow], names: Iterable[str]) -> Table:
    """Lay the rows of a batch out.

    Parameters
    ----------
    rows : sequence of BatchRow
        In any state.
    names : iterable of str
        The workflow's inputs, which come first; those that no row gives are left out.

    Returns
    -------
    Table
        Columns: the row's number, the inputs, the state, the values of an output that is a mapping (``output`` for any
        other), the error.
    """
    given = dict.fromkeys(name for row in rows for name in row.input)
    inputs = [name for name in names if name in given]
    inputs += [name for name in given if name not in inputs]
    outputs = list(dict.fromkeys(name for row in rows for name in _values(row.output)))
    columns = [
        "row",
        *(f"input.{name}" if name in OWN else name for name in inputs),
        "state",
        *(f"output.{name}" if name in OWN or name in inputs else name for name in outputs),
        "error",
    ]
    lines = []
    for row in rows:
        values = _values(row.output)
        error = None if row.error is None else str(row.error)
        lines.append(
            [
                row.number,
                *(row.input.get(name) for name in inputs),
                row.state,
                *(values.get(name) for name in outputs),
                error,
            ]
        )
    return Table(columns, lines, "no rows")


def _values(output: Any) -> Mapping[str, Any]:
    if output is None:
        return {}
    return output if isinstance(output, Mapping) else {"output": output}
