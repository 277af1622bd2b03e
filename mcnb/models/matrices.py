"""The matrices of a model: where they stand, and what takes their place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import Any

PLAIN = ("Linear", "Conv1D")
"""As transformers makes them; the second one is kept the other way round."""


def places(model: Any, kinds: Collection[str] = PLAIN, *, but: Collection[int] = ()) -> Iterator[tuple[Any, str]]:
    """Yield where matrices stand: the module around one, and the attribute.

    Parameters
    ----------
    model : torch.nn.Module
        Whose.
    kinds : collection of str
        Their classes.
    but : collection of int
        Ids of weights that are left out.
    """
    for parent in model.modules():
        for attribute, module in parent.named_children():
            if type(module).__name__ in kinds and id(module.weight) not in but:
                yield parent, attribute


def weight_of(module: Any) -> Any:
    """Return a plain matrix' weight, of shape (outputs, inputs)."""
    return module.weight.t() if type(module).__name__ == "Conv1D" else module.weight


def replace(
    found: Collection[tuple[Any, str]], make: Callable[[Any], Any], progress: Callable[[int, int], None]
) -> None:
    """Replace matrices one after the other: each leaves memory as its successor comes.

    Parameters
    ----------
    found : collection
        Of ``places``.
    make : callable
        Gets a matrix and returns its successor; asked once for one that stands in two places.
    progress : callable
        Gets how many are done, and of how many; may raise to end it.
    """
    import torch

    often = Counter(id(getattr(parent, attribute)) for parent, attribute in found)
    made: dict[int, tuple[Any, Any]] = {}
    with torch.no_grad():
        for done, (parent, attribute) in enumerate(found):
            progress(done, len(found))
            old = getattr(parent, attribute)
            new = made[id(old)][1] if id(old) in made else make(old)
            if often[id(old)] > 1:
                made[id(old)] = old, new  # the old one is held, so that no other takes its id
            setattr(parent, attribute, new)
            del old
    progress(len(found), len(found))
