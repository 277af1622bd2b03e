"""What a model says behind a few tokens: asked when something was done to its matrices."""

from __future__ import annotations

from typing import Any


def probabilities(model: Any) -> Any:
    """Return the probabilities of what comes next behind some tokens; None where a model cannot be asked like that."""
    import torch

    try:
        ids = torch.arange(5, 13, device=model.device)[None] % int(model.get_input_embeddings().weight.shape[0])
        more = {"decoder_input_ids": ids[:, :4]} if model.config.is_encoder_decoder else {}
        with torch.inference_mode():
            return model(input_ids=ids, **more).logits.float().softmax(-1)
    except (RuntimeError, TypeError, ValueError, AttributeError, KeyError, IndexError, NotImplementedError):
        return None
