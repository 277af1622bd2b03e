"""What a kernel gets of a run: its row and its document as an order."""

from __future__ import annotations

from mcnb.compose import Document
from mcnb.server.kernels import KernelOrder
from mcnb.server.store import StoredRun


def order_of(row: StoredRun, document: Document, timeout: float) -> KernelOrder:
    """Return the order for a run, which gets `timeout` seconds from now."""
    request = row.request
    return KernelOrder(
        id=row.id,
        document=document,
        workflow=request["workflow"],
        input=request["input"],
        seed=request["seed"],
        parameters=request["parameters"],
        timeout=timeout,
        max_output_tokens=request["max_output_tokens"],
        priority=row.priority,
    )
