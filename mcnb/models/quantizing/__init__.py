"""Weights in fewer bits: the matrices of a model, quantized while it is loaded, and multiplied as they are.

======================  ===================================================================================
``kinds``               what there is, and what each kind takes
``quantize``            the matrices of a model, one after the other; what is left out, and what is refused
``int8``, ``int4``      whole numbers: torch's own kernels
``four_bit_floats``     ``nf4`` and ``fp4``: bitsandbytes
======================  ===================================================================================

The embeddings stay as they are, and so does the vocabulary's matrix, which often is the same one: it decides between
tokens that are nearly equal.
"""

from mcnb.models.quantizing.kinds import COMPUTES_IN, KINDS, Kind, divides
from mcnb.models.quantizing.quantize import Quantized, quantize

__all__ = ["COMPUTES_IN", "KINDS", "Kind", "Quantized", "divides", "quantize"]
