"""The models of the seed, tiny, under their own names; `python -m tests.support.zoo DIR [--serve PORT]`."""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from transformers.utils import logging

from . import tiny_models
from .hub import StandInHub


def build_zoo(root: Path) -> None:
    """Make each model of `ZOO` as `root/org/name`; one that is there already is left alone.

    Safe in several processes at once: a model appears whole or not at all.
    """
    for repo, make in ZOO.items():
        target = root / repo
        if target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".making-") as work:
            make(Path(work) / "model")
            try:
                os.replace(Path(work) / "model", target)
            except OSError:
                if not target.exists():  # else another process was faster
                    raise


def _with_foreign_weights(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """Add what old repositories hold besides: a card, and weights for other frameworks nobody should download."""

    def made(path: Path) -> Path:
        make(path)
        (path / "README.md").write_text(f"---\nlicense: mit\n---\n\n# {path.name}\n", encoding="utf-8")
        (path / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n", encoding="utf-8")
        for name in ("tf_model.h5", "flax_model.msgpack"):
            (path / name).write_bytes(name.encode() * 1000)
        return path

    return made


ZOO: dict[str, Callable[[Path], Path]] = {
    "HuggingFaceTB/SmolLM3-3B": tiny_models.smollm3,
    "microsoft/DialoGPT-small": _with_foreign_weights(lambda path: tiny_models.gpt2_dialog(path, "both")),
    "microsoft/DialoGPT-large": _with_foreign_weights(lambda path: tiny_models.gpt2_dialog(path, "bin", seed=0)),
    "EleutherAI/gpt-neo-1.3B": _with_foreign_weights(lambda path: tiny_models.gpt_neo(path, "both")),
    "EleutherAI/gpt-neo-2.7B": lambda path: tiny_models.gpt_neo(path, seed=5),
    "Salesforce/codegen-350M-mono": tiny_models.codegen,
    "facebook/blenderbot-400M-distill": tiny_models.blenderbot,
}
"""Makers by repository id."""


def main() -> None:
    """Build the zoo in a folder and, where asked to, serve it until interrupted."""
    parser = argparse.ArgumentParser(description="Tiny models under the names of real ones.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--serve", type=int, metavar="PORT", help="serve them like the Hub; 0 picks a free port")
    parser.add_argument("--rate", type=float, default=0, help="bytes a second for each file")
    parser.add_argument("--gated", nargs="*", default=(), metavar="ORG/NAME", help="repositories that need a token")
    options = parser.parse_args()
    logging.disable_progress_bar()
    build_zoo(options.folder)
    if options.serve is None:
        return
    with StandInHub(options.folder, rate=options.rate, gated=options.gated, port=options.serve) as hub:
        print(f"HF_ENDPOINT={hub.url}", flush=True)  # noqa: T201 (a command line)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
