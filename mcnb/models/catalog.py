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


FAMILIES: tuple[tuple[tuple[str, int], ...], ...] = (
    (
        ("HuggingFaceTB/SmolLM3-3B", 3075),
        ("HuggingFaceTB/SmolLM2-1.7B-Instruct", 1711),
        ("HuggingFaceTB/SmolLM2-360M-Instruct", 362),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", 135),
    ),
    (("microsoft/DialoGPT-large", 774), ("microsoft/DialoGPT-medium", 355), ("microsoft/DialoGPT-small", 124)),
    (("EleutherAI/gpt-neo-2.7B", 2651), ("EleutherAI/gpt-neo-1.3B", 1316), ("EleutherAI/gpt-neo-125m", 125)),
    (("Salesforce/codegen-2B-mono", 2779), ("Salesforce/codegen-350M-mono", 357)),
    (("google/flan-t5-base", 248), ("google/flan-t5-small", 77)),
)
"""Models that do the same, the largest first, with their millions of weights."""


def smaller_repositories(name: str) -> tuple[tuple[str, int], ...]:
    """Return the smaller models of a model's family and their millions of weights, the largest first."""
    plain = name.partition("@")[0].lower()
    for family in FAMILIES:
        for place, (known, _) in enumerate(family):
            if known.lower() == plain:
                return family[place + 1 :]
    return ()
