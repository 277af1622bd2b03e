"""What only vLLM itself can show; CONTRIBUTING.md says how to run this. The contract is in ``test_contract.py``."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from mcnb.errors import InvalidInputError, OutOfMemoryError, ServerError, UnsupportedModelError
from mcnb.models.cache import ModelCache
from mcnb.models.progress import Progress, no_report
from tests.support.tiny_models import codegen, llama

from .subjects import CONTEXT, NO_VLLM, PATIENCE, PROMPT, Subject, ask, lending, local, spec_of

pytestmark = [pytest.mark.real_model, pytest.mark.skipif(find_spec("vllm") is None, reason=NO_VLLM)]

Open = Callable[..., Subject]


@pytest.fixture
def opened(smol_folder: Path) -> Iterator[Open]:
    with lending() as lend:

        def one(
            folder: Path = smol_folder, report: Any = no_report, precision: str = "auto", **options: Any
        ) -> Subject:
            spec = spec_of("vllm", local(folder), **{"max_model_len": CONTEXT, **options})
            return lend(replace(spec, precision=precision), report)

        yield one


def processes_of(subject: Subject) -> list[psutil.Process]:
    owner: Any = subject.owner
    host = psutil.Process(owner._process.pid)
    return [host, *host.children(recursive=True)]


def test_it_tells_how_far_it_is_and_writes_nothing(opened: Open, capfd: pytest.CaptureFixture[str]) -> None:
    told: list[Progress] = []
    subject = opened(report=told.append)
    assert (told[-1].done, told[-1].total, told[-1].unit) == (1, 1, "weight files")
    result = ask(subject, do_sample=False, min_output_length=40, max_output_length=40).result()
    assert result.output_tokens == 40
    assert result.finish_reasons == ["max_output_length"]
    assert capfd.readouterr() == ("", "")


def test_a_text_is_that_of_its_parameters(opened: Open) -> None:
    subject = opened(precision="float32")
    plain = ask(subject, do_sample=False, max_output_length=40).result().texts
    assert ask(subject, do_sample=False, max_output_length=40, repetition_penalty=1.3).result().texts != plain
    assert ask(subject, temperature=1.0, top_k=1, max_output_length=40).result().texts == plain
    assert ask(subject, temperature=1.0, top_p=1e-6, max_output_length=40).result().texts == plain
    prompts = [f"{PROMPT} {word}" for word in ("dog", "king", "ship", "tree")]
    alone = [ask(subject, one, do_sample=False).result().texts for one in prompts]
    together = [ask(subject, one, do_sample=False) for one in prompts]
    assert [one.result().texts for one in together] == alone  # in float32 the last bits decide nothing here


def test_an_engine_that_is_killed_is_told_and_loaded_anew(opened: Open) -> None:
    subject = opened()
    reached: list[int] = []

    def kill(text: str, tokens: int) -> None:
        if tokens == 3 and not reached:
            reached.append(tokens)
            core = next(one for one in processes_of(subject) if "EngineCore" in one.name())
            core.send_signal(signal.SIGKILL)

    asked = ask(subject, on_text=kill, do_sample=False, max_output_length=400)
    with pytest.raises((ServerError, OutOfMemoryError), match="vLLM's engine has ended"):
        asked.result()
    assert asked.generation.result.texts == ["".join(asked.pieces)]
    assert ask(opened()).result().texts


def test_unloading_leaves_no_process(smol_folder: Path) -> None:
    cache = ModelCache()
    spec = spec_of("vllm", local(smol_folder), max_model_len=CONTEXT)
    lease = cache.lease(cache.acquire(spec, no_report).future.result(PATIENCE))
    assert lease is not None
    running = processes_of(Subject(lease.owner, spec))
    assert len(running) > 2
    lease.release()
    cache.unload()
    assert psutil.wait_procs(running, PATIENCE)[1] == []


SCRIPT = """
import json, sys
import mcnb, psutil

text = json.dumps({"component": {"driver": "vllm", "model": sys.argv[1], "text": "${input.prompt}",
    "max_output_length": 400, "min_output_length": 400, "options": {"max_model_len": 512}}})
compose = mcnb.load(text=text)
run = compose.submit(prompt="Once upon a time")
next(event for event in run.events() if event.type == "token")
print(json.dumps([one.pid for one in psutil.Process().children(recursive=True)]), flush=True)
run.result()
"""
"""Says no ``if __name__ == "__main__"``, which vLLM alone would need."""


def test_nothing_outlives_a_process_that_is_killed(smol_folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(smol_folder)]
    short = Path(tempfile.mkdtemp(dir="/tmp"))  # the paths of sockets in it may not be long
    env = {**os.environ, "PYTHONPATH": os.getcwd(), "TMPDIR": str(short)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env) as running:
        assert running.stdout is not None
        children = [psutil.Process(pid) for pid in json.loads(running.stdout.readline())]
        assert len(children) > 2
        running.kill()
    assert psutil.wait_procs(children, PATIENCE)[1] == []
    assert list(short.glob("mcnb-vllm-*")) == []
    shutil.rmtree(short)


def wide(folder: Path) -> Path:
    """Give a tiny model heads of a size that vLLM computes on CPUs."""
    import torch
    from transformers import AutoConfig, LlamaForCausalLM

    config = AutoConfig.from_pretrained(folder)
    config.head_dim = 32
    torch.manual_seed(3)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.mark.skipif(len(psutil.Process().cpu_affinity()) < 2, reason="two processes need two cores")
def test_several_processes_compute_one_model(opened: Open, tmp_path: Path) -> None:
    folder = wide(llama(tmp_path / "model"))
    one = ask(opened(folder, max_model_len=64), "a b c", do_sample=False).result().texts
    subject = opened(folder, max_model_len=64, tensor_parallel_size=2)
    assert subject.owner.description.settings["tensor_parallel_size"] == 2
    assert sum("Worker" in process.name() for process in processes_of(subject)) == 2
    assert ask(subject, "a b c", do_sample=False).result().texts == one


def test_what_cannot_be_shared_so_is_told(opened: Open) -> None:
    with pytest.raises(UnsupportedModelError, match=r"attention heads \(9\) must be divisible by tensor parallel size"):
        opened(tensor_parallel_size=2)


def test_an_architecture_that_it_does_not_have_is_told(opened: Open, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="CodeGen"):
        opened(codegen(tmp_path / "model", "safetensors"), max_model_len=64)


def test_an_empty_prompt_is_refused(opened: Open) -> None:
    with pytest.raises(InvalidInputError, match="prompt is empty"):
        ask(opened(), "").result()
