"""The kinds of quantized weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

COMPUTES_IN = "bfloat16"
"""What goes into quantized matrices and comes out of them, where nothing else is asked for."""

EVEN = (32, 64)
"""Outputs and inputs of which the size of a matrix in four bits has to be a multiple: the kernels go in such steps."""


@dataclass(frozen=True)
class Kind:
    """A kind of quantized weights.

    Attributes
    ----------
    name : str
        As in the document.
    bits : int
        Of a weight.
    group : int
        Inputs of one output that share a scale; 0 where all of them do.
    scales : int
        Numbers that each group takes beside the weights.
    scale_width : int
        Bytes of one of them; 0 where they are kept in the dtype that is computed in.
    computes_in : tuple of str
        Dtypes it can be multiplied in.
    package : str or None
        What it needs beside torch, in the extra ``quantization``.
    """

    name: str
    bits: int
    group: int
    scales: int
    scale_width: int
    computes_in: tuple[str, ...] = (COMPUTES_IN, "float32", "float16")
    package: str | None = None

    @property
    def double_quant(self) -> bool:
        """Whether its scales can be quantized themselves."""
        return self.package is not None

    def weight_bytes(self, weights: int, rows: int, width: int) -> int:
        """Return the bytes of matrices with so many weights and rows, computed in numbers of `width` bytes."""
        groups = weights // self.group if self.group else rows
        return weights * self.bits // 8 + groups * self.scales * (self.scale_width or width)


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            Kind("int8", 8, 0, 1, 4, (COMPUTES_IN,)),  # of float32, torch's kernel is many times slower
            Kind("int4", 4, 32, 2, 0),
            Kind("nf4", 4, 64, 1, 4, package="bitsandbytes"),
            Kind("fp4", 4, 64, 1, 4, package="bitsandbytes"),
        )
    }
)
"""By name."""


def divides(outputs: int, inputs: int) -> bool:
    """Return whether a matrix of that size can be kept in four bits."""
    return not outputs % EVEN[0] and not inputs % EVEN[1]
