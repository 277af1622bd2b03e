"""The engine: many generations at once on one loaded model.

One forward pass computes the next tokens of all of them. Nothing is padded and nothing shares a row, so what a
generation says does not depend on what else runs; see ``invariance`` for how that is made sure of.
"""

from mcnb.models.engine.engine import Engine

__all__ = ["Engine"]
