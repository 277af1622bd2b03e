"""Weights in four bits, as whole numbers: sixteen even steps from the least to the largest weight of each group."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from mcnb.models.quantizing.kinds import KINDS
from mcnb.models.quantizing.stand_in import stand_in

GROUP = KINDS["int4"].group

_STEPS = 15
"""From the least to the largest."""

_MIDDLE = 8
"""The whole number that stands for what torch's kernel calls the zero of a group."""


@lru_cache(maxsize=1)
def int4_linear() -> Any:
    """Return the class of the modules: made when torch is there."""
    import torch

    class Int4Linear(torch.nn.Module):  # type: ignore[misc]
        """A matrix in four bits. Each row of what it gets comes out the same whatever the others are.

        Attributes
        ----------
        weight : torch.Tensor
            Stands in for what ``packed`` and ``scales`` hold, with their shape and dtype.
        packed : torch.Tensor
            Two weights in a byte, of shape (outputs, inputs / 2), in the order in which torch multiplies them.
        scales : torch.Tensor
            The step of each group and what its middle stands for: (groups of a row, outputs, 2).
        """

        group = GROUP

        def __init__(self, weight: Any, bias: Any, computes_in: str) -> None:
            super().__init__()
            dtype = getattr(torch, computes_in)
            self.out_features, self.in_features = weight.shape
            parts = weight.detach().float().reshape(self.out_features, -1, GROUP)
            least, largest = parts.amin(-1), parts.amax(-1)
            # rounded as they are kept, so that the weights are rounded to what they will be
            step = ((largest - least) / _STEPS).clamp(min=torch.finfo(dtype).tiny).to(dtype)
            zero = (least + _MIDDLE * step.float()).to(dtype)
            whole = ((parts - zero.float()[..., None]) / step.float()[..., None]).round() + _MIDDLE
            whole = whole.clamp(0, _STEPS).to(torch.int32).reshape(self.out_features, self.in_features)
            self.register_buffer("packed", torch.ops.aten._convert_weight_to_int4pack_for_cpu(whole, 1))
            self.register_buffer("scales", torch.stack([step, zero], -1).transpose(0, 1).contiguous())
            self.register_buffer("bias", None if bias is None else bias.detach().to(dtype, copy=True))
            self.weight = stand_in(self.out_features, self.in_features, dtype)

        def forward(self, given: Any) -> Any:
            rows = given.reshape(-1, self.in_features).to(self.scales.dtype).contiguous()
            found = torch.ops.aten._weight_int4pack_mm_for_cpu(rows, self.packed, GROUP, self.scales)
            if self.bias is not None:
                found = found + self.bias
            return found.reshape(*given.shape[:-1], self.out_features).to(given.dtype)

        def like(self, weight: Any) -> Any:
            """Return another matrix that is kept in the same way."""
            return Int4Linear(weight, self.bias, str(self.scales.dtype).removeprefix("torch."))

        def extra_repr(self) -> str:
            return f"in_features={self.in_features}, out_features={self.out_features}"

    return Int4Linear
