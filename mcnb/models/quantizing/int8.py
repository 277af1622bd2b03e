"""Weights in eight bits: whole numbers with one scale for each row, multiplied as they are."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from mcnb.models.quantizing.kinds import COMPUTES_IN

_STEPS = 127
"""Whole numbers on either side of zero."""


@lru_cache(maxsize=1)
def int8_linear() -> Any:
    """Return the class of the modules: made when torch is there."""
    import torch

    class Int8Linear(torch.nn.Module):  # type: ignore[misc]
        """A matrix of whole numbers. Each row of what it gets comes out the same whatever the others are."""

        def __init__(self, weight: Any, bias: Any) -> None:
            super().__init__()
            self.out_features, self.in_features = weight.shape
            most = weight.abs().amax(dim=1).float().clamp(min=1e-8)
            scales = (most / _STEPS).to(getattr(torch, COMPUTES_IN))
            # by the scale as it is kept, which is rounded itself
            whole = (weight.float() / scales.float()[:, None]).round().clamp(-_STEPS, _STEPS)
            self.register_buffer("weight", whole.to(torch.int8).contiguous())
            self.register_buffer("scales", scales)
            self.register_buffer("bias", None if bias is None else bias.detach().clone())

        def forward(self, given: Any) -> Any:
            rows = given.reshape(-1, self.in_features).to(self.scales.dtype).contiguous()
            found = torch.ops.aten._weight_int8pack_mm(rows, self.weight, self.scales)
            if self.bias is not None:
                found = found + self.bias
            return found.reshape(*given.shape[:-1], self.out_features).to(given.dtype)

        def extra_repr(self) -> str:
            return f"in_features={self.in_features}, out_features={self.out_features}"

    return Int8Linear
