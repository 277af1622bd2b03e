"""The guide that asked for mcnb: its YAML blocks, as written."""

from __future__ import annotations

import re
from pathlib import Path

GUIDE = Path(__file__).parent / "data" / "text-generation.zh-cn.md"
EXAMPLES = Path(__file__).parents[2] / "examples"

NAMES = ("other-parameters", "different-model", "adjusted-parameters", "template", "batch", "template-default")
"""Our names for the blocks, in the guide's order."""


def blocks() -> dict[str, str]:
    """The YAML blocks of the guide, by name."""
    found = re.findall(r"^```yaml\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return dict(zip(NAMES, found, strict=True))


def models() -> set[str]:
    """The repositories the guide names."""
    owners = "HuggingFaceTB|microsoft|EleutherAI|Salesforce|facebook"
    return set(re.findall(rf"(?:{owners})/[\w.-]+", GUIDE.read_text(encoding="utf-8")))


def example(name: str) -> Path:
    """The compose file of an example."""
    return EXAMPLES / name / "model-compose.yml"
