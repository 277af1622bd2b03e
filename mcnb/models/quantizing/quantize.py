"""The matrices of a model, quantized one after the other: each leaves memory as its successor comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mcnb.errors import UnsupportedModelError
from mcnb.models.matrices import places, replace, weight_of
from mcnb.models.probing import probabilities
from mcnb.models.quantizing._compat import library
from mcnb.models.quantizing.four_bit_floats import four_bit_linear
from mcnb.models.quantizing.int4 import int4_linear
from mcnb.models.quantizing.int8 import int8_linear
from mcnb.models.quantizing.kinds import COMPUTES_IN, KINDS, divides

_LEAST = 0.5
"""The part of a model's weights that has to become smaller, embeddings apart: else there is nothing to gain."""

_WITHOUT = "leave 'quantization' out of the document"


@dataclass(frozen=True)
class Quantized:
    """What became of a model's matrices.

    Attributes
    ----------
    kind, computes_in, double_quant
        As asked for.
    library : str
        What multiplies them, with its release.
    matrices, left : int
        How many are quantized, and how many stayed as they were because of their size.
    as_they_are : bool
        Whether they are multiplied as they are kept: else each is put together again for each product.
    """

    kind: str
    computes_in: str
    double_quant: bool
    library: str
    matrices: int
    left: int
    as_they_are: bool

    @property
    def way(self) -> str:
        """All that decides how they are multiplied."""
        return f"{self.kind} in {self.computes_in} by {self.library}"

    def to_dict(self) -> dict[str, Any]:
        """Return what a record keeps of it."""
        known = {"type": self.kind, "compute_dtype": self.computes_in, "double_quant": self.double_quant}
        return {**known, "library": self.library, "matrices": self.matrices, "left": self.left}

    def notes(self) -> list[str]:
        """Return what is to be told about it."""
        computes_in, found = self.computes_in, []
        if self.left:
            found.append(
                f"{self.left} of {self.left + self.matrices} matrices cannot be divided and stay {computes_in}"
            )
        if not self.as_they_are:
            found.append(f"this CPU multiplies them in {computes_in} only after putting them together, which is slow")
        return found


def quantize(
    model: Any,
    name: str,
    kind: str,
    progress: Callable[[int, int], None],
    *,
    computes_in: str = COMPUTES_IN,
    double_quant: bool = False,
) -> Quantized:
    """Quantize the matrices in a model's layers.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        On the CPU, in the dtype that is computed in.
    name : str
        For messages.
    kind : str
        Of ``KINDS``.
    progress : callable
        Gets how many are done, and of how many; may raise to end it.
    computes_in : str
        What goes into the matrices and comes out of them.
    double_quant : bool
        Whether the scales are quantized, too.

    Raises
    ------
    UnsupportedModelError
        When there is nothing to quantize, too little of it, or the model does something else with its matrices than
        multiply; or a package is missing.
    """
    kept = {
        id(part.weight) for part in (model.get_input_embeddings(), model.get_output_embeddings()) if part is not None
    }
    found = list(places(model, but=kept))
    fit = [place for place in found if kind == "int8" or divides(*_matrix(place).shape)]
    _check_gain(model, name, kind, kept, [_matrix(place) for place in fit])
    made: list[Any] = []

    def small(module: Any) -> Any:
        made.append(_made(kind, weight_of(module), module.bias, computes_in, double_quant))
        return made[-1]

    replace(fit, small, progress)
    _check_multiplies(model, name, kind)
    as_they_are = all(getattr(one, "as_they_are", True) for one in made)
    left = len(found) - len(fit)
    return Quantized(kind, computes_in, double_quant, library(KINDS[kind].package), len(fit), left, as_they_are)


def _made(kind: str, weight: Any, bias: Any, computes_in: str, double_quant: bool) -> Any:
    if kind == "int8":
        return int8_linear()(weight, bias)
    if kind == "int4":
        return int4_linear()(weight, bias, computes_in)
    return four_bit_linear(weight, bias, kind, computes_in, double_quant=double_quant)


def _matrix(place: tuple[Any, str]) -> Any:
    return weight_of(getattr(*place))


def _check_gain(model: Any, name: str, kind: str, kept: set[int], matrices: list[Any]) -> None:
    """Refuse a model of which little would become smaller, such as one whose weights are those of experts."""
    if not matrices:
        raise UnsupportedModelError(f"{name} has no matrices that can be kept as '{KINDS[kind].name}'", hint=_WITHOUT)
    parts = (module for module in model.modules() if "Embedding" in type(module).__name__)
    apart = kept | {id(weight) for part in parts for weight in part.parameters()}
    rest = {id(weight): weight.numel() for weight in model.parameters() if weight.dim() > 1 and id(weight) not in apart}
    share = sum({weight.data_ptr(): weight.numel() for weight in matrices}.values()) / max(1, sum(rest.values()))
    if share < _LEAST:
        raise UnsupportedModelError(
            f"{name}: 'quantization: {kind}' would make {share:.0%} of its layers' weights smaller, and no more: the "
            "others are no matrices of the kind that it knows, as those of experts are",
            hint=f"{_WITHOUT}, or take a GGUF file of it with 'driver: llamacpp'",
        )


def _check_multiplies(model: Any, name: str, kind: str) -> None:
    """Refuse a model that computes with the numbers of a weight itself: what stands in for them is none."""
    found = probabilities(model)
    if found is not None and not found.isfinite().all():
        raise UnsupportedModelError(
            f"{name}: its architecture {type(model).__name__} does something else with its matrices than multiply, so "
            f"'quantization: {kind}' cannot be used",
            hint=_WITHOUT,
        )
