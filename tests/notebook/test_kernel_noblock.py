"""Runs that outlive their cell, and Tab, in a real kernel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from tests.notebook.kernels import Notebook
from tests.support.runs import FIRST_LINE, Models, document
from tests.support.texts import POEM

PATIENCE = 60


def test_the_output_of_noblock_follows_the_run_while_other_cells_run(folder: Path, marathon: Path) -> None:
    (folder / "model-compose.yml").write_text(document(marathon, max_output_length=1500))
    notebook = Notebook(
        f"%load_ext mcnb\nprompt = {FIRST_LINE!r}",
        "%compose run --noblock -i prompt=$prompt -o r",
        "print(r.done)",
        "%compose ps",
        "r.wait()\nimport threading\n"
        "[t.join() for t in threading.enumerate() if t.name == 'mcnb-display']\n"
        "print([t.name for t in threading.enumerate() if t.name == 'mcnb-display'])",
        "%compose history",
    ).run()
    assert notebook.printed(2) == "False\n"
    assert "processing" in notebook.shown(3) or "pending" in notebook.shown(3)
    assert notebook.printed(4) == "[]\n", "the thread ends with the run"
    assert "tokens in, 1500 out" in notebook.shown(1), "the cell of the run shows its end"
    assert notebook.shown(1).startswith("\n".join(POEM.splitlines()[:3]))
    assert len({text for text in notebook.updates() if text.startswith(FIRST_LINE)}) >= 3
    for cell in (2, 4):
        assert all(output.output_type == "stream" for output in notebook.outputs(cell)), "no other cell shows it"
    assert "completed" in notebook.shown(5)
    notebook.check()


def test_a_run_that_is_over_before_its_cell(folder: Path, models: Models) -> None:
    (folder / "model-compose.yml").write_text(document(models.poet))
    notebook = Notebook(
        "%load_ext mcnb",
        "get_ipython().run_line_magic('compose', 'run --noblock -i prompt=a -o r')\nr.wait()\n"
        "import threading\n[t.join() for t in threading.enumerate() if t.name == 'mcnb-display']\nNone",
        "%compose run --quiet -i prompt=a -o q",
        "print(r.text == q.text)",
    ).run()
    assert "tokens in" in notebook.shown(1)
    assert notebook.outputs(2) == []
    assert notebook.printed(3) == "True\n"


def test_a_run_that_asks_goes_on_in_its_first_output(folder: Path, models: Models) -> None:
    job = {"id": "write", "component": "m", "input": {"prompt": "${input.prompt}"}, "interrupt": {"before": {}}}
    component = {"id": "m", "model": str(models.poet), "text": "${input.prompt as text}"}
    (folder / "model-compose.yml").write_text(json.dumps({"workflow": {"jobs": [job]}, "component": component}))
    notebook = Notebook(
        f"%load_ext mcnb\nprompt = {FIRST_LINE!r}",
        "%compose run -i prompt=other -o r",
        "print(r.state)",
        "r.resume(prompt)\nr.wait()\nimport threading\n"
        "[t.join() for t in threading.enumerate() if t.name == 'mcnb-display']\nNone",
        "r",
    ).run()
    assert notebook.printed(2) == "interrupted\n"
    assert any("r.resume()" in text for text in notebook.updates()), "it said how to go on"
    assert notebook.shown(1).startswith(POEM)
    assert notebook.shown(4) == notebook.shown(1)
    assert notebook.outputs(3) == []


@pytest.fixture
def kernel(folder: Path) -> Iterator[BlockingKernelClient]:
    """A kernel of this folder, to ask things."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(folder))
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=PATIENCE)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def test_tab(folder: Path, kernel: BlockingKernelClient) -> None:
    (folder / "model-compose.yml").write_text(
        document("a/b", text="${input.prompt as text} ${input.style as select/haiku,sonnet | haiku}")
    )
    kernel.execute("%load_ext mcnb\narticle = 'x'", reply=True, timeout=PATIENCE)

    def tab(code: str) -> tuple[str, list[str]]:
        content = kernel.complete(code, len(code), reply=True, timeout=PATIENCE)["content"]
        assert content["status"] == "ok"
        return code[content["cursor_start"] : content["cursor_end"]], content["matches"]

    assert tab("%compose va") == ("va", ["validate"])
    assert tab("x = 1\n%compose run -i ") == ("", ["prompt=", "style="])
    assert tab("%compose run -i style=s") == ("s", ["sonnet"])
    assert tab("%compose run -i prompt=$ar") == ("$ar", ["$article"])
    assert tab("%compose run -f mod") == ("mod", ["model-compose.yml"])
    assert tab("%%compose run\nst") == ("st", ["style: "])
    assert "%compose" in tab("%comp")[1]
    assert tab("%compose cancel ") == ("", ["-h", "--help"])
