"""A process that loads a model, computes, and prints what memory it took at most: started by R14.

``python -m tests.reliability.memory_child MODEL --dtype float32 --context 512 --rows 2``
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

NEW_TOKENS = 8


def peak() -> int:
    """Bytes this process had in memory at most so far."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("the system does not tell the peak")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--quantization")
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--rows", type=int, default=1)
    arguments = parser.parse_args()

    from pydantic import TypeAdapter

    from mcnb.compose.schema import ModelSource
    from mcnb.models.cache import ModelCache, ModelSpec
    from mcnb.models.control import Control
    from mcnb.models.parameters import check_parameters
    from mcnb.models.progress import no_report

    name = arguments.model
    source: Any = {"provider": "pypi", "package": name[5:]} if name.startswith("pypi:") else name
    options = {"quantization": arguments.quantization} if arguments.quantization else {}
    spec = ModelSpec(
        TypeAdapter(ModelSource).validate_python(source),
        Path(),
        precision=arguments.dtype,
        allow_pickle=True,
        **options,
    )
    cache = ModelCache()
    lease = cache.lease(cache.acquire(spec, no_report).future.result())
    assert lease is not None
    owner = lease.owner
    loaded_peak = peak()
    count = arguments.context - NEW_TOKENS
    words = [f"word{number} " for number in range(arguments.context)]
    said = []
    for row in range(arguments.rows):
        text = _prompt_of(owner.loaded.tokenizer, [f"row{row} ", *words], count)
        given = {"max_output_length": NEW_TOKENS, "do_sample": False, "num_beams": 1, "min_output_length": NEW_TOKENS}
        parameters = owner.parameters(check_parameters(given), {}, (7, "user"))
        said.append(owner.submit(text, parameters, control=Control(), on_text=lambda *_: None))
    results = [one.future.result() for one in said]
    batch = owner._engine.batch
    figures = {
        "loaded": loaded_peak,
        "peak": peak(),
        "prefixes": 0 if batch is None else batch.prefixes.memory,
        "tokens": [result.prompt_tokens + result.output_tokens for result in results],
    }
    del owner, batch
    lease.release()
    cache.unload()
    sys.stdout.write(json.dumps(figures) + "\n")


def _prompt_of(tokenizer: Any, words: list[str], count: int) -> str:
    """Join as many words as make a prompt of `count` tokens at most."""
    begin, end = 1, len(words)
    while begin < end:
        middle = (begin + end + 1) // 2
        if len(tokenizer("".join(words[:middle]))["input_ids"]) <= count:
            begin = middle
        else:
            end = middle - 1
    return "".join(words[:begin])


if __name__ == "__main__":
    main()
