"""Attention of the architectures that do not let it be chosen: GPT-Neo and CodeGen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mcnb.models.engine.attention import is_attending, rows


def adapt(model: Any) -> bool:
    """Have a model's own attention attend to segments while there are any; return whether it is one of those."""
    found = False
    for module in model.modules():
        make = _ADAPTERS.get(type(module).__name__)
        if make is not None:
            module._attn = make(module, module._attn)
            found = True
    return found


def _gpt_neo(module: Any, own: Callable[..., Any]) -> Callable[..., Any]:
    window = module.config.window_size if module.attention_type == "local" else None

    def attend(query: Any, key: Any, value: Any, *others: Any) -> Any:
        if not is_attending():
            return own(query, key, value, *others)
        found = rows(module.layer_id, query, key, value, 1.0, window)
        return found.transpose(1, 2), None

    return attend


def _codegen(module: Any, own: Callable[..., Any]) -> Callable[..., Any]:
    scaling = 1.0 / float(module.scale_attn)

    def attend(query: Any, key: Any, value: Any, *others: Any) -> Any:
        if not is_attending():
            return own(query, key, value, *others)
        found = rows(module.layer_idx, query.to(value.dtype), key.to(value.dtype), value, scaling)
        return found.transpose(1, 2), None

    return attend


_ADAPTERS: dict[str, Callable[..., Any]] = {"GPTNeoSelfAttention": _gpt_neo, "CodeGenAttention": _codegen}
