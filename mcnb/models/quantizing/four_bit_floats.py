"""Weights in four bits, as numbers of two uneven scales, ``nf4`` and ``fp4``: kept and multiplied by bitsandbytes.

``nf4`` has its sixteen numbers where those of a normal distribution are dense, ``fp4`` those of a tiny floating point
format. On a CPU with AVX512_BF16, bitsandbytes multiplies them as they are, in bfloat16. Where that is missing, and in
other dtypes, it puts a whole matrix together again for each product.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from mcnb.models.quantizing._compat import import_bitsandbytes
from mcnb.models.quantizing.kinds import KINDS
from mcnb.models.quantizing.stand_in import stand_in

GROUP = KINDS["nf4"].group


def four_bit_linear(weight: Any, bias: Any, kind: str, computes_in: str, *, double_quant: bool) -> Any:
    """Return a module that multiplies with a weight of shape (outputs, inputs), kept in four bits."""
    return _class()(weight, bias, kind, computes_in, double_quant)


@lru_cache(maxsize=1)
def _class() -> Any:
    """Return the class of the modules: made when torch and bitsandbytes are there."""
    import torch

    nn = import_bitsandbytes().nn

    class FourBitLinear(torch.nn.Module):  # type: ignore[misc]
        """A matrix in four bits.

        Attributes
        ----------
        weight : torch.Tensor
            Stands in for the weights, with their shape and dtype.
        inner : bitsandbytes.nn.Linear4bit
            Holds them and multiplies.
        as_they_are : bool
            Whether they are multiplied as they are kept.
        """

        group = GROUP

        def __init__(self, weight: Any, bias: Any, kind: str, computes_in: str, double_quant: bool) -> None:
            super().__init__()
            dtype = getattr(torch, computes_in)
            self.out_features, self.in_features = weight.shape
            self._way = (kind, computes_in, double_quant)
            inner = nn.Linear4bit(
                self.in_features, self.out_features, bias is not None, dtype, double_quant, kind, device="meta"
            )
            inner.weight = nn.Params4bit(
                weight.detach().contiguous(),
                blocksize=GROUP,
                compress_statistics=double_quant,
                quant_type=kind,
                module=inner,
            ).to("cpu")
            inner.weight.module = None  # else they would hold each other in memory
            if bias is not None:
                inner.bias = torch.nn.Parameter(bias.detach().to(dtype, copy=True), requires_grad=False)
            if computes_in != "bfloat16":  # what multiplies them as they are would round to bfloat16
                inner.support_avx512bf16_for_cpu = False
            self.inner = inner.eval()
            self.inner(torch.zeros(1, self.in_features, dtype=dtype))  # puts them into their order now
            state = inner.weight.quant_state
            self.as_they_are = bool(getattr(state, "packing_format_for_cpu", False))
            # what is counted as memory, beside the weights
            self.register_buffer("scales", state.absmax, persistent=False)
            nested = getattr(state, "state2", None)
            self.register_buffer("scales_of_scales", None if nested is None else nested.absmax, persistent=False)
            self.weight = stand_in(self.out_features, self.in_features, dtype)

        @property
        def bias(self) -> Any:
            """What is added, or None."""
            return self.inner.bias

        def forward(self, given: Any) -> Any:
            return self.inner(given)

        def like(self, weight: Any) -> Any:
            """Return another matrix that is kept in the same way."""
            return FourBitLinear(weight, self.bias, *self._way)

        def extra_repr(self) -> str:
            return f"in_features={self.in_features}, out_features={self.out_features}"

    return FourBitLinear
