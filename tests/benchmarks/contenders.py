"""Whom the benchmarks ask: the Runtime in this process, ``mcnb up``, the peer's server, llama.cpp's server."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from httpx_sse import aconnect_sse

from tests.reliability.server_process import free_port

from .two_servers import Ours, Side, serving

END_TOKEN = "2"
"""SmolLM2's; llama.cpp's server is told never to choose it, as the others are by ``min_output_length``."""


@dataclass(frozen=True)
class Here(Side):
    """The Runtime of this process, with the same compose file."""

    compose: Any

    @property
    def loaded(self) -> Any:
        """The loaded model."""
        return self.compose.runtime.cache.loaded()[0].loaded

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[None]:  # type: ignore[override]
        """Give nothing: nobody has to be connected to."""
        yield None

    async def _pieces(self, client: Any, body: dict[str, Any]) -> AsyncIterator[tuple[str, str, int]]:
        run = self.compose.runtime.submit(self.compose.document, body["workflow_id"], body["input"])
        async for piece in run.stream():
            yield piece, run.id, 0
        await run
        yield "", run.id, run.record.usage.output_tokens


class LlamaCpp(Side):
    """The server of llama-cpp-python; it computes one request after the other."""

    async def _pieces(self, client: httpx.AsyncClient, body: dict[str, Any]) -> AsyncIterator[tuple[str, str, int]]:
        given = body["input"]
        asked = {
            "prompt": given["prompt"],
            "max_tokens": given["tokens"],
            "temperature": 0.0,
            "logit_bias": {END_TOKEN: -100.0},
            "stream": True,
        }
        made = 0
        async with aconnect_sse(client, "POST", "v1/completions", json=asked) as source:
            source.response.raise_for_status()
            async for message in source.aiter_sse():
                if message.data == "[DONE]":
                    break
                choice = json.loads(message.data)["choices"][0]
                if choice["finish_reason"] == "length":
                    made = given["tokens"]
                elif choice["finish_reason"]:
                    raise RuntimeError(f"{self.name}: it ended with {choice['finish_reason']}")
                if choice["text"] or made:
                    yield choice["text"], "", made
        if not made:
            raise RuntimeError(f"{self.name}: the stream broke off")


@contextmanager
def llama_cpp(python: Path, gguf: Path, folder: Path) -> Iterator[Side]:
    """Start llama.cpp's server at its best: on all cores, without the scores of every token of a prompt.

    As it is by default, it ends a stream whenever another request comes; not so here.
    """
    port, threads = free_port(), str(len(os.sched_getaffinity(0)))
    options = {"model": gguf, "host": "127.0.0.1", "port": port, "n_ctx": 2048, "n_threads": threads}
    options |= {"n_threads_batch": threads, "interrupt_requests": "false", "verbose": "false", "logits_all": "false"}
    words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    url = f"http://127.0.0.1:{port}/"
    with serving("llama.cpp", [str(python), "-m", "llama_cpp.server", *words], url + "v1/models", folder):
        yield LlamaCpp("llama.cpp server", url, {})


@contextmanager
def up(document: Path, home: Path, folder: Path) -> Iterator[Side]:
    """Start ``mcnb up``, with a home of its own that knows what was measured of this machine."""
    own = folder / "home"
    own.mkdir(parents=True)
    for path in home.glob("*.json"):
        shutil.copy(path, own)
    port = free_port()
    url = f"http://127.0.0.1:{port}/api/"
    ports = ["--port", str(port), "--web-port", "0"]
    command = [sys.executable, "-m", "mcnb", "up", "-f", str(document), "--host", "127.0.0.1", *ports, "--no-token"]
    with serving("mcnb up", command, url + "health", folder, {"MCNB_HOME": str(own)}):
        yield Ours("mcnb up", url, {})
