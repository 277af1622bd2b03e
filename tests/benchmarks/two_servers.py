"""Our server and the peer's, side by side: the same compose file, the same model, the same requests."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from httpx_sse import aconnect_sse

from tests.reliability.server_process import ServerProcess, free_port

from .prompts import Prompts

MODEL = "SmolLM2-135M-Instruct.Q4_1-safetensors"
PATIENCE = 180.0


@dataclass(frozen=True)
class Answer:
    """What a client got: the text it asked for, when its first piece came, and when all was there (seconds).

    Attributes
    ----------
    tokens : int
        How many the server says it made; 0 where it does not say.
    times : tuple of float
        When each piece came, and `sent`: when it was asked for; of the process's clock.
    """

    text: str
    first: float
    whole: float
    run_id: str = ""
    tokens: int = 0
    times: tuple[float, ...] = ()
    sent: float = 0.0


@dataclass(frozen=True)
class Side:
    """One of the two servers, as its clients see it."""

    name: str
    url: str
    headers: dict[str, str]

    def client(self) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
        return httpx.AsyncClient(
            base_url=self.url, headers=self.headers, timeout=PATIENCE, limits=limits, trust_env=False
        )

    async def whole(self, client: httpx.AsyncClient, prompt: str, tokens: int) -> Answer:
        """Ask for a text and wait for all of it."""
        started = time.perf_counter()
        reply = await client.post("workflows/runs", json=self._body("whole", prompt, tokens))
        seconds = time.perf_counter() - started
        reply.raise_for_status()
        body = reply.json()
        if body["status"] != "completed":
            raise RuntimeError(f"{self.name}: {body}")
        return Answer(_written(body["output"], prompt), seconds, seconds, str(body["task_id"]))

    async def streamed(
        self, client: httpx.AsyncClient, prompt: str, tokens: int, heard: Callable[[int], object] | None = None
    ) -> Answer:
        """Ask for a text and read it as it is made; `heard` is told how many pieces there are."""
        started = time.perf_counter()
        times, text, run_id, made = [], "", "", 0
        async for piece, run, count in self._pieces(client, self._body("streamed", prompt, tokens)):
            if piece:
                times.append(time.perf_counter())
                if heard is not None:
                    heard(len(times))
            text, run_id, made = text + piece, run, count
        if not times:
            raise RuntimeError(f"{self.name}: no text came")
        whole = time.perf_counter() - started
        return Answer(_written(text, prompt), times[0] - started, whole, run_id, made, tuple(times), started)

    def _body(self, workflow: str, prompt: str, tokens: int) -> dict[str, Any]:
        values = {"prompt": prompt, "tokens": tokens, "least": self._least(prompt, tokens)}
        return {"workflow_id": workflow, "input": values}

    def _least(self, prompt: str, tokens: int) -> int:
        """Return the ``min_output_length`` for texts that do not end before so many tokens."""
        return tokens

    def _pieces(self, client: httpx.AsyncClient, body: dict[str, Any]) -> AsyncIterator[tuple[str, str, int]]:
        """Yield pieces of the text, with the run's id and how many tokens there are by then, as far as is said."""
        raise NotImplementedError


@dataclass(frozen=True)
class Peer(Side):
    """The peer streams the text itself, where the request asks for the output alone.

    Attributes
    ----------
    prompts : Prompts
        Counts those tokens that the peer counts into the length of its texts.
    """

    prompts: Prompts

    def _least(self, prompt: str, tokens: int) -> int:
        return self.prompts.count(prompt) + tokens

    async def _pieces(self, client: httpx.AsyncClient, body: dict[str, Any]) -> AsyncIterator[tuple[str, str, int]]:
        async with aconnect_sse(client, "POST", "workflows/runs", json={**body, "output_only": True}) as source:
            source.response.raise_for_status()
            async for message in source.aiter_sse():
                yield message.data, "", 0


class Ours(Side):
    """Our server streams a run's events; that they are in order and come to their end is looked at on the way."""

    async def _pieces(self, client: httpx.AsyncClient, body: dict[str, Any]) -> AsyncIterator[tuple[str, str, int]]:
        number, event, run_id = 0, {}, ""
        async with aconnect_sse(client, "POST", "workflows/runs", json={**body, "stream": True}) as source:
            source.response.raise_for_status()
            run_id = source.response.headers.get("Location", "").rsplit("/", 1)[-1]
            async for message in source.aiter_sse():
                if not message.data:
                    continue
                event, number = json.loads(message.data), number + 1
                if event["id"] != number:
                    raise RuntimeError(f"event {event['id']} came where {number} was due")
                if event["type"] == "token" and event["streamed"]:
                    yield event["text"], run_id, event["tokens"]
        if event.get("state") != "completed":
            raise RuntimeError(f"the stream ended with {event}")


def _written(text: str, prompt: str) -> str:
    """Return what the model wrote: our output begins with the prompt, the peer's does not."""
    return text.removeprefix(prompt)


def compose_file(folder: Path, model: Path, port: int) -> Path:
    """Write a compose file that both servers take as it is: greedy decoding, as many tokens as a request asks for."""
    length = {
        "max_output_length": "${input.tokens as integer | 32}",
        "min_output_length": "${input.least as integer | 1}",
        "params": {"do_sample": False},
    }
    actions = [
        {"id": "whole", "prompt": "${input.prompt as text}", **length},
        {"id": "streamed", "prompt": "${input.prompt as text}", "streaming": True, **length},
    ]
    document = {
        "controller": {"adapter": {"type": "http-server", "host": "127.0.0.1", "port": port, "base_path": "/api"}},
        "workflows": [
            {"id": "whole", "default": True, "job": _job("whole", "${output}")},
            {"id": "streamed", "job": _job("streamed", "${output as stream/text}")},
        ],
        "components": [
            {
                "id": "words",
                "type": "model",
                "task": "text-generation",
                "driver": "huggingface",
                "model": {"provider": "local", "path": str(model)},
                "actions": actions,
            }
        ],
    }
    path = folder / "model-compose.yml"
    path.write_text(json.dumps(document, indent=2))
    return path


def _job(action: str, output: str) -> dict[str, str]:
    return {"component": "words", "action": action, "input": "${input}", "output": output}


def smollm2() -> Path:
    """Return the folder of SmolLM2, as an earlier run of any example has left it."""
    from mcnb.models.home import home

    found = sorted((home() / "models").glob(f"**/{MODEL}/config.json"))
    if not found:
        raise SystemExit("SmolLM2 is not here yet: run `make demo` first, or name a model's folder with --model")
    return found[-1].parent


@contextmanager
def both(peer: Path | None, model: Path) -> Iterator[list[Side]]:
    """Start our server and, where `peer` is the Python of an environment that has it, the peer's."""
    with tempfile.TemporaryDirectory(prefix="mcnb-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        port = free_port()
        path = compose_file(folder, model, port)
        with ServerProcess(folder / "server", [path]) as server:
            sides: list[Side] = [Ours("mcnb", server.url, server.headers)]
            if peer is None:
                yield sides
                return
            with started_peer(peer, path, port, Prompts(model)) as side:
                yield [*sides, side]


@contextmanager
def started_peer(python: Path, document: Path, port: int, prompts: Prompts) -> Iterator[Side]:
    """Start the peer's server; it listens where the document says."""
    url = f"http://127.0.0.1:{port}/api/"
    command = [str(python.parent / "model-compose"), "-f", str(document), "up"]
    with serving("model-compose", command, url + "health", document.parent):
        yield Peer("model-compose", url, {}, prompts)


@contextmanager
def serving(
    name: str, command: list[str], url: str, folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Have a server run until the block ends; it is up when it answers at a URL. Its log is in the folder."""
    path = folder / f"{name.replace(' ', '-')}.log"
    with path.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **(environment or {})},
        )
        try:
            _wait_for(name, url, process, path)
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(name: str, url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(url, trust_env=False).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass  # it does not listen yet
        time.sleep(0.2)
    raise RuntimeError(f"{name} does not answer:\n{log.read_text(errors='replace')[-2000:]}")
