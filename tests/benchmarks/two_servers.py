"""Our server and the peer's, side by side: the same compose file, the same model, the same requests."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from httpx_sse import aconnect_sse

from tests.reliability.server_process import ServerProcess, free_port

MODEL = "SmolLM2-135M-Instruct.Q4_1-safetensors"
PATIENCE = 180.0


@dataclass(frozen=True)
class Answer:
    """What a client got: the text it asked for, when its first piece came, and when all was there (seconds)."""

    text: str
    first: float
    whole: float
    run_id: str = ""


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
        reply = await client.post("workflows/runs", json=_body("whole", prompt, tokens))
        seconds = time.perf_counter() - started
        reply.raise_for_status()
        body = reply.json()
        if body["status"] != "completed":
            raise RuntimeError(f"{self.name}: {body}")
        return Answer(_written(body["output"], prompt), seconds, seconds, str(body["task_id"]))

    async def streamed(self, client: httpx.AsyncClient, prompt: str, tokens: int) -> Answer:
        """Ask for a text and read it as it is made."""
        started = time.perf_counter()
        first, text, run_id = 0.0, "", ""
        async for piece, run in self._pieces(client, _body("streamed", prompt, tokens)):
            first = first or time.perf_counter() - started
            text, run_id = text + piece, run
        return Answer(_written(text, prompt), first, time.perf_counter() - started, run_id)

    def _pieces(self, client: httpx.AsyncClient, body: dict[str, Any]) -> AsyncIterator[tuple[str, str]]:
        raise NotImplementedError


class Peer(Side):
    """The peer streams the text itself, where the request asks for the output alone."""

    async def _pieces(self, client: httpx.AsyncClient, body: dict[str, Any]) -> AsyncIterator[tuple[str, str]]:
        async with aconnect_sse(client, "POST", "workflows/runs", json={**body, "output_only": True}) as source:
            source.response.raise_for_status()
            async for message in source.aiter_sse():
                yield message.data, ""


class Ours(Side):
    """Our server streams a run's events; that they are in order and come to their end is looked at on the way."""

    async def _pieces(self, client: httpx.AsyncClient, body: dict[str, Any]) -> AsyncIterator[tuple[str, str]]:
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
                    yield event["text"], run_id
        if event.get("state") != "completed":
            raise RuntimeError(f"the stream ended with {event}")


def _body(workflow: str, prompt: str, tokens: int) -> dict[str, Any]:
    return {"workflow_id": workflow, "input": {"prompt": prompt, "tokens": tokens}}


def _written(text: str, prompt: str) -> str:
    """Return what the model wrote: our output begins with the prompt, the peer's does not."""
    return text.removeprefix(prompt)


def compose_file(folder: Path, model: Path, port: int) -> Path:
    """Write a compose file that both servers take as it is: greedy decoding, as many tokens as a request asks for."""
    length = {"max_output_length": "${input.tokens as integer | 32}", "params": {"do_sample": False}}
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
            with _peer(peer, path, port) as url:
                yield [*sides, Peer("model-compose", url, {})]


@contextmanager
def _peer(python: Path, document: Path, port: int) -> Iterator[str]:
    url = f"http://127.0.0.1:{port}/api/"
    with (document.parent / "peer.log").open("wb") as log:
        process = subprocess.Popen(
            [python.parent / "model-compose", "-f", document, "up"], cwd=document.parent, stdout=log, stderr=log
        )
        try:
            _wait_for(url + "health", process, document.parent / "peer.log")
            yield url
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(url, trust_env=False).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass  # it does not listen yet
        time.sleep(0.2)
    raise RuntimeError(f"the peer does not answer:\n{log.read_text(errors='replace')[-2000:]}")
