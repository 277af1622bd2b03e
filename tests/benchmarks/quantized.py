"""What ``quantization`` gains and what it costs: speed, memory and how well a text is foretold."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import mcnb
from mcnb.models.packing import gains, matrix
from mcnb.models.quantizing import KINDS as KINDS_OF_WEIGHTS
from mcnb.models.quantizing import quantize

from .contenders import Here
from .field import Field
from .load import Request
from .settings import Result, median

KINDS: dict[str, dict[str, Any]] = {
    "float32": {"precision": "float32"},
    "bfloat16": {"precision": "bfloat16"},
    "int8": {"quantization": "int8"},
    "int4": {"quantization": "int4"},
    "nf4": {"quantization": "nf4"},
    "fp4": {"quantization": "fp4"},
    "nf4 in float32": {"quantization": {"type": "nf4", "compute_dtype": "float32"}},
}
TOGETHER = 16
LONG_PROMPT = 1000
WINDOW = 512
"""Tokens of the text that are foretold from one another."""

SIZE = (8192, 2048)
ROWS = (2, 16, 512)

TEXTS = ("README.md", "docs/server.md", "docs/engine.md", "CHANGELOG.md")
ROOT = Path(__file__).parents[2]


async def measure(field: Field) -> Result:
    """Let all of them take turns."""
    settings = field.settings
    sides = {name: Here(name, "", {}, _compose(field, name)) for name in KINDS}
    for side in sides.values():
        await field.load.turn(side, [Request("Once upon a time", 8)])
    alone: dict[str, list[float]] = {name: [] for name in sides}
    together: dict[str, list[float]] = {name: [] for name in sides}
    prompt: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(settings.rounds):
        for name, side in sides.items():
            one = await field.load.turn(side, [Request("Once upon a time", settings.tokens)])
            alone[name].append(one.rate)
            many = [Request(text, settings.tokens) for text in field.prompts.short(TOGETHER)]
            together[name].append((await field.load.turn(side, many)).rate)
            read = await field.load.turn(side, [Request(field.prompts.long(LONG_PROMPT, f"{name} {number}"), 8)])
            prompt[name] += read.firsts
            figures = f"{alone[name][-1]:.0f} and {together[name][-1]:.0f} tokens/s, {prompt[name][-1]:.2f} s"
            settings.say(f"  round {number + 1}, {name}: {figures}")
    columns = ["", "alone", f"{TOGETHER} runs", f"first token behind {LONG_PROMPT:,}", "weights", "perplexity", "error"]
    columns += [f"{rows} rows" for rows in ROWS]
    result = Result("quantized", "`quantization` on the CPU", columns)
    for owner in next(iter(sides.values())).compose.runtime.cache.loaded():
        placement = owner.loaded.placement
        name = f"{placement.dtype} in float32" if placement.compute_dtype == "float32" else placement.dtype
        foretold = perplexity(owner.loaded)
        figures = [f"{median(alone[name]):.0f} tokens/s", f"{median(together[name]):.0f} tokens/s"]
        figures += [f"{median(prompt[name]):.2f} s", f"{owner.loaded.memory / 1e6:.0f} MB", f"{foretold:.2f}"]
        times = [f"{took * 1e3:.2f} ms" for took in products(placement)]
        result.rows.append([name, *figures, f"{error(placement):.1%}", *times])
        result.values.setdefault("perplexity", {})[name] = foretold
    result.notes = [
        f"Perplexity: of this project's own {', '.join(TEXTS)}, in pieces of {WINDOW} tokens; less is better.",
        "This model's weights come from a file in which they were whole numbers of four bits already, in groups of 32 "
        "as int4 has them, so int4 gives them back: its perplexity says nothing of other models.",
        "Error: of the products with a matrix of normal random numbers, relative to float32.",
        f"Rows: how long a product with a matrix of {SIZE[0]:,} x {SIZE[1]:,} takes, as models of some billion weights "
        "have them; this one's are smaller.",
    ]
    result.values |= {"alone": alone, "together": together, "prompt": prompt}
    return result


def _compose(field: Field, kind: str) -> Any:
    document = json.loads(field.document.read_text())
    document["components"][0] |= KINDS[kind]
    path = field.folder / f"{kind}.yml"
    path.write_text(json.dumps(document))
    return mcnb.load(str(path))


def error(placement: Any) -> float:
    """Return how far products with a matrix of normal random numbers are from those in float32."""
    import torch

    dtype = getattr(torch, placement.computes_in)
    generator = torch.Generator().manual_seed(0)
    weight, given = (torch.randn(count, 1024, generator=generator).to(torch.bfloat16) for count in (1024, 64))
    with torch.inference_mode():
        right = given.float() @ weight.float().t()
        small = kept(weight.to(dtype), placement)
        found = small(given.to(dtype)).float()
    return float((found - right).norm() / right.norm())


def products(placement: Any) -> list[float]:
    """Return the seconds of a product with a large matrix, for each number of rows."""
    import torch

    dtype = getattr(torch, placement.computes_in)
    packed = placement.dtype in ("float32", "bfloat16") and gains(placement.dtype)
    found = []
    with torch.inference_mode():
        weights = [torch.randn(*SIZE).to(dtype) for _ in range(6)]  # more than the caches hold
        matrices = [matrix(one, packed=True) if packed else kept(one, placement) for one in weights]
        for rows in ROWS:
            given = torch.randn(rows, SIZE[1]).to(dtype)
            times = []
            for _ in range(5):
                started = time.perf_counter()
                for one in matrices:
                    one(given)
                times.append((time.perf_counter() - started) / len(matrices))
            found.append(median(times))
    return found


def kept(weight: Any, placement: Any) -> Any:
    """Return a matrix, kept as a model's are."""
    import torch

    holder = torch.nn.Module()
    holder.inner = matrix(weight, packed=False)
    holder.get_input_embeddings = holder.get_output_embeddings = lambda: None
    if placement.dtype in KINDS_OF_WEIGHTS:
        quantize(holder, "it", placement.dtype, lambda *_: None, computes_in=placement.computes_in)
    return holder.inner


def perplexity(loaded: Any) -> float:
    """Return how many tokens a model wavers between on average, at each place of the texts."""
    import torch

    text = "\n\n".join((ROOT / name).read_text(encoding="utf-8") for name in TEXTS)
    ids = loaded.tokenizer(text, verbose=False, return_tensors="pt")["input_ids"][0]
    total, count = 0.0, 0
    with torch.inference_mode():
        for piece in ids.split(WINDOW):
            if len(piece) < WINDOW:
                break
            scores = loaded.model(input_ids=piece[None], use_cache=False).logits[0, :-1].float()
            total += float(torch.nn.functional.cross_entropy(scores, piece[1:], reduction="sum"))
            count += len(piece) - 1
    return math.exp(total / count)
