"""Matrices in the order in which a CPU multiplies them.

As they come from a file, oneDNN and MKL put the parts of a matrix in order for each product anew, which takes longer
than the product when few rows are multiplied. Packed once, while a model is loaded, a matrix is multiplied two to four
times as fast, and oneDNN treats two rows as it treats five hundred.

Where torch has no such matrices, or they are no faster, and for architectures that do something else with a weight than
multiply with it, everything stays as it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from mcnb.models.matrices import places, replace, weight_of
from mcnb.models.measurements import measured_once
from mcnb.models.probing import probabilities

DTYPES = ("float32", "bfloat16")
"""That are packed."""

GAIN = 0.9
"""Times as long as with plain matrices, at most, products have to take: for a row and for many."""

_ROWS = 16
"""For which a packed matrix is laid out best; others are hardly slower."""

_CLOSE = 0.02
"""How far two probabilities of a token may be apart that are computed in both ways."""


def pack(model: Any, dtype: str, kind: str, progress: Callable[[int, int], None]) -> bool:
    """Pack the matrices of a model on a CPU, where that helps.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        In memory.
    dtype : str
        In which it computes.
    kind : str
        What it is: its architecture, the release of transformers. Whether it can be packed is found out once for each.
    progress : callable
        Gets how many matrices are done, and of how many; may raise to end it.

    Returns
    -------
    bool
        Whether they are packed.
    """
    found = list(places(model))
    if not found or not gains(dtype):
        return False
    tried: list[bool] = []

    def trial() -> tuple[float]:
        before = probabilities(model)
        _pack(model, progress)
        tried.append(_agree(before, probabilities(model)))
        return (float(tried[-1]),)

    if not measured_once("architectures", kind, 1, trial)[0]:
        if tried:
            _unpack(model)
        return False
    if not tried:
        _pack(model, progress)
    return True


def _pack(model: Any, progress: Callable[[int, int], None]) -> None:
    replace(list(places(model)), lambda module: _packed_linear()(weight_of(module), module.bias), progress)


def _unpack(model: Any) -> None:
    replace(list(places(model, ("PackedLinear",))), lambda module: module.plain(), lambda *_: None)


def _agree(before: Any, after: Any) -> bool:
    return before is not None and after is not None and bool((before - after).abs().max() < _CLOSE)


@lru_cache(maxsize=len(DTYPES))
def gains(dtype: str) -> bool:
    """Return whether packed matrices are faster on this machine; measured once and kept."""
    if dtype not in DTYPES:
        return False
    few, many = measured_once("packing", dtype, 2, lambda: _measured(dtype))
    return few <= GAIN and many <= GAIN


def _measured(dtype: str) -> tuple[float, float]:
    """Return how long packed matrices take, relative to plain ones, for few rows and for many."""
    import torch

    shape, count = (4096, 1024), 5  # more than the caches hold: decoding reads all weights for each token
    with torch.inference_mode():
        weight = torch.ones(shape, dtype=getattr(torch, dtype))
        plain = [_linear(weight.clone(), None) for _ in range(count)]
        try:
            packed = [_packed_linear()(module.weight, None) for module in plain]
            return _ratio(packed, plain, 2, 15), _ratio(packed, plain, 32, 5)
        except (RuntimeError, AttributeError, NotImplementedError, TypeError):  # torch was built without oneDNN
            return 9.0, 9.0


def _ratio(ones: list[Any], others: list[Any], rows: int, repeats: int) -> float:
    """Time some matrices against others, in turns; other work on the machine spoils some, so the best counts."""
    import torch

    given = torch.ones(rows, others[0].weight.shape[1], dtype=others[0].weight.dtype)
    best = [float("inf"), float("inf")]
    for _ in range(repeats):
        for side, matrices in enumerate((ones, others)):
            started = time.perf_counter()
            for matrix in matrices:
                matrix(given)
            best[side] = min(best[side], time.perf_counter() - started)
    return best[0] / best[1]


def packed_bytes(model: Any) -> int:
    """Return how much memory a model's packed matrices take."""
    packed = (module for module in model.modules() if type(module).__name__ == "PackedLinear")
    return sum(int(module.nbytes) for module in packed)


def matrix(weight: Any, bias: Any = None, *, packed: bool) -> Any:
    """Return a module that multiplies with a weight of shape (outputs, inputs)."""
    return _packed_linear()(weight, bias) if packed else _linear(weight, bias)


def _linear(weight: Any, bias: Any) -> Any:
    import torch

    made = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    made.weight = torch.nn.Parameter(weight)
    made.bias = None if bias is None else torch.nn.Parameter(bias)
    return made


@lru_cache(maxsize=1)
def _packed_linear() -> Any:
    """Return the class of the modules: made when torch is there."""
    import torch

    class PackedLinear(torch.nn.Module):  # type: ignore[misc]
        """A packed matrix.

        Attributes
        ----------
        weight : torch.Tensor
            Of shape (outputs, inputs), in oneDNN's layout: it can be asked for shape and dtype, and no more.
        bias : torch.Tensor or None
            Of shape (outputs,).
        """

        def __init__(self, weight: Any, bias: Any) -> None:
            super().__init__()
            self.out_features, self.in_features = weight.shape
            self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), _ROWS)
            self.register_buffer("bias", None if bias is None else bias.detach().clone())

        @property
        def nbytes(self) -> int:
            """Bytes of the weight."""
            return int(self.weight.numel() * self.weight.element_size())

        def forward(self, given: Any) -> Any:
            return torch.ops.mkldnn._linear_pointwise(given, self.weight, self.bias, "none", [], "")

        def plain(self) -> Any:
            """Return the same matrix as it was before, in one layout."""
            return _linear(self.weight.to_dense(), self.bias)

        def extra_repr(self) -> str:
            return f"in_features={self.in_features}, out_features={self.out_features}"

    return PackedLinear
