"""Weights in eight bits: a model's matrices as whole numbers with one scale for each row, multiplied as they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from mcnb.errors import UnsupportedModelError
from mcnb.models.matrices import places, replace, weight_of

COMPUTES_IN = "bfloat16"
"""What goes into an int8 matrix and comes out of it. Of float32, torch's kernel is many times slower."""

_STEPS = 127
"""Whole numbers on either side of zero."""


def quantize(model: Any, name: str, progress: Callable[[int, int], None]) -> None:
    """Turn the matrices of a model into int8, one after the other: each leaves memory as its successor comes.

    The embeddings stay as they are, and so does the vocabulary's matrix, which often is the same one: it decides
    between tokens that are nearly equal.

    Parameters
    ----------
    model : Any
        On the CPU, in ``COMPUTES_IN``.
    name : str
        For messages.
    progress : callable
        Gets how many are done, and of how many; may raise to end it.

    Raises
    ------
    UnsupportedModelError
        When there is nothing to quantize.
    """
    kept = {
        id(part.weight) for part in (model.get_input_embeddings(), model.get_output_embeddings()) if part is not None
    }
    found = list(places(model, but=kept))
    if not found:
        raise UnsupportedModelError(
            f"{name} has no matrices that mcnb can quantize", hint="leave 'quantization' out of the document"
        )
    replace(found, lambda module: _int8_linear()(weight_of(module), module.bias), progress)


@lru_cache(maxsize=1)
def _int8_linear() -> Any:
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
