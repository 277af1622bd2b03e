"""Stands in for the process with vLLM's engine, where vLLM is not installed: ``python -m tests...scripted_engine``.

It speaks as ``mcnb.models.drivers.vllm.host`` does, and writes the tokens of a prompt again from the first. What it
does besides stands in the environment: ``fail TEXT``, ``kill`` (itself, while loading), ``hang`` (while loading),
``die`` (after the first token), ``wait`` (after three tokens, until it is told to stop), ``refuse`` (every text).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

from mcnb.models.drivers.vllm.process import READY as STARTED

BEHAVIOUR = "MCNB_TEST_ENGINE"

READY = {
    "version": "0.0",
    "max_model_len": 64,
    "max_num_seqs": 2,
    "enforce_eager": True,
    "architecture": "LlamaForCausalLM",
    "quantization": None,
    "batch_invariant": False,
}


def say(**fields: Any) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def write(order: dict[str, Any], what: str) -> bool:
    """Write a text; return whether it goes on when it is told to."""
    name, tokens, most = order["generate"], order["tokens"], order["params"]["max_tokens"]
    if what == "refuse":
        say(id=name, error="ValueError: as planned")
        return False
    for at in range(most):
        if what == "die" and at == 1:
            say(died="EngineCore encountered an issue.")
            raise SystemExit(0)
        if what == "wait" and at == 3:
            return True
        say(id=name, tokens=[tokens[at % len(tokens)]], finish="length" if at == most - 1 else None)
    return False


def main() -> None:
    what, _, text = os.environ.get(BEHAVIOUR, "").partition(" ")
    engine = json.loads(sys.stdin.readline())["engine"]
    say(platform=os.environ.get("MCNB_TEST_PLATFORM", "cpu"))
    note("(EngineCore pid=1) INFO 11-28 07:59:57 [x.py:1] \tlocal_rank=0, core ids=[0, 1]\n")
    note("\rLoading safetensors checkpoint shards:  50% Completed | 1/2 [00:00<00:00]")
    note("\rLoading safetensors checkpoint shards: 100% Completed | 2/2 [00:00<00:00]\n")
    if what == "fail":
        note(f"(Worker pid=2) ERROR 11-28 08:01:43 [core.py:1510] {text}\n")
        say(failed="RuntimeError: Engine core initialization failed. See root cause above.")
        return
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "hang":
        time.sleep(600)
    note(f"{STARTED}\n")
    say(ready={**READY, "max_model_len": engine["max_model_len"]})
    live = set()
    for line in sys.stdin:
        order = json.loads(line)
        if "generate" in order:
            if write(order, what):
                live.add(order["generate"])
        elif order["abort"] in live:
            live.remove(order["abort"])
            say(id=order["abort"], tokens=[], finish="abort")


if __name__ == "__main__":
    main()
