"""What a matrix shows to code that looks at the weight of another part: models ask for its shape and dtype."""

from __future__ import annotations

from typing import Any


def stand_in(outputs: int, inputs: int, dtype: Any) -> Any:
    """Return a weight with shape and dtype, and one number in memory: not a number, so that computing with it shows."""
    import torch

    return torch.full((), float("nan"), dtype=dtype).expand(outputs, inputs)
