"""Names people mean: well-known repositories, for suggestions only. Nothing is ever replaced silently."""

from __future__ import annotations

import difflib

WELL_KNOWN = (
    "HuggingFaceTB/SmolLM2-135M-Instruct",
    "HuggingFaceTB/SmolLM2-360M-Instruct",
    "HuggingFaceTB/SmolLM2-1.7B",
    "HuggingFaceTB/SmolLM2-1.7B-Instruct",
    "HuggingFaceTB/SmolLM3-3B",
    "microsoft/DialoGPT-small",
    "microsoft/DialoGPT-medium",
    "microsoft/DialoGPT-large",
    "EleutherAI/gpt-neo-125m",
    "EleutherAI/gpt-neo-1.3B",
    "EleutherAI/gpt-neo-2.7B",
    "Salesforce/codegen-350M-mono",
    "Salesforce/codegen-2B-mono",
    "facebook/blenderbot-400M-distill",
    "google/flan-t5-small",
    "google/flan-t5-base",
    "openai-community/gpt2",
)


def similar_repositories(name: str) -> tuple[str, ...]:
    """Return up to two well-known repositories whose names are close to `name`."""
    lowered = {known.lower(): known for known in WELL_KNOWN}
    close = difflib.get_close_matches(name.lower(), lowered, n=2, cutoff=0.75)
    return tuple(lowered[match] for match in close)
