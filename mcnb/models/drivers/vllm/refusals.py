"""What vLLM says when it cannot, in mcnb's errors."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mcnb.errors import (
    McnbError,
    ModelDamagedError,
    ModelError,
    OutOfMemoryError,
    ServerError,
    UnsupportedModelError,
)

_PREFIX = re.compile(r"^(\([^)]*\)\s*)?([A-Z]+ \d\d-\d\d \d\d:\d\d:\d\d \[[^\]]*\] )?\s*")
"""What vLLM's log puts before a line: the process, the level, the time, the place."""

_RAISED = re.compile(r"^(?:[\w.]+\.)?(\w*(?:Error|Exception|Interrupt))(?:: (.*))?$")
_ECHOES = re.compile(r"Engine core initialization failed|cancelled$|EngineCore encountered|Worker failed with error")
"""Errors that only say that there was another one."""

_KILLED = re.compile(r"died unexpectedly \(exit code: -9\)")
_NO_MEMORY = re.compile(
    r"out of memory|OutOfMemory|MemoryError|not enough memory|can't allocate memory|No available memory for the cache"
    r"|is less than desired|KV\s+cache is needed|is less than requested memory",
    re.IGNORECASE,
)
_NOT_SUPPORTED = re.compile(
    r"not supported|unsupported|does not support|no vLLM implementation|must be divisible|not implemented"
    r"|trust_remote_code|does not recognize this architecture|no device|Failed to infer device type|No CUDA GPUs"
    r"|NotImplementedError|is greater than the derived|world size",
    re.IGNORECASE,
)
_DAMAGED = re.compile(r"SafetensorError|safetensors_rust|weights? .*not (?:found|initialized)|KeyError|size mismatch")

LESS = "lower 'max_model_len' under 'options', close other programs, or choose a smaller model"
MORE_SAID = "'verbose: true' under 'options' shows all that vLLM says"


def root_cause(told: str, lines: Sequence[str]) -> str:
    """Return the error that began it: a process tells it in its log, and those above it only that it failed.

    Parameters
    ----------
    told : str
        What the process that has the engine was told.
    lines : sequence of str
        What vLLM has said.
    """
    said = [_PREFIX.sub("", line) for line in lines]
    if any(_KILLED.search(line) for line in said):
        return "one of its processes was killed, as the system does where there is no memory left"
    raised = [match for line in said if (match := _RAISED.match(line)) and not _ECHOES.search(line)]
    if raised and (not told or _ECHOES.search(told)):
        kind, text = raised[0][1], raised[0][2] or ""
        return f"{kind}: {text}" if text else kind
    return told or (said[-1] if said else "it said nothing")


def did_not_start(name: str, told: str, lines: Sequence[str], status: int | None = None) -> McnbError:
    """Return what to tell when the engine did not start.

    Parameters
    ----------
    name : str
        The model.
    told, lines
        See ``root_cause``.
    status : int, optional
        Of the process, where it ended by itself.
    """
    if status == -9:
        return OutOfMemoryError(f"{name}: vLLM was killed while loading, most likely for lack of memory", hint=LESS)
    cause = " ".join(root_cause(told, lines).split())[:400].rstrip(".")
    text = f"{name}: vLLM did not start ({cause})"
    if "was killed" in cause or _NO_MEMORY.search(cause):
        return OutOfMemoryError(text, hint=LESS)
    if "No module named" in cause or cause.startswith("ImportError"):
        return UnsupportedModelError(text, hint="see 'vLLM' in docs/drivers.md for how to install it")
    if _NOT_SUPPORTED.search(cause):
        return UnsupportedModelError(text, hint="change the option that it names, or use 'driver: huggingface'")
    if _DAMAGED.search(cause):
        return ModelDamagedError(text, hint=f"fetch the model again; {MORE_SAID}")
    return ModelError(text, hint=MORE_SAID)


def has_ended(name: str, told: str, lines: Sequence[str]) -> McnbError:
    """Return what to tell when the engine has ended while it was needed; the next run starts another."""
    cause = " ".join(root_cause(told, lines).split())[:400].rstrip(".")
    text = f"{name}: vLLM's engine has ended ({cause})"
    if "was killed" in cause or _NO_MEMORY.search(cause):
        return OutOfMemoryError(text, hint=f"run it again, which loads the model anew; {LESS}")
    return ServerError(text, hint=f"run it again, which loads the model anew; {MORE_SAID}")
