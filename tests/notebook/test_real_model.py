"""The quick start's model in a real kernel: streams, is interrupted, goes on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.notebook.kernels import Notebook, texts_seen
from tests.notebook.test_kernel import TOKENS_AFTER
from tests.support.runs import ROOT

pytestmark = [pytest.mark.real_model, pytest.mark.timeout(900)]

QUICKSTART = ROOT / "examples" / "quickstart" / "model-compose.yml"
SHORT = "component: {params: {max_output_length: 8}}"


def test_an_interrupt_in_mid_generation(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = os.environ.get("MCNB_TEST_HOME")
    if home:
        monkeypatch.setenv("MCNB_HOME", home)
    else:
        monkeypatch.delenv("MCNB_HOME")
    (folder / "short.yml").write_text(SHORT)
    notebook = Notebook(
        "%load_ext mcnb",
        f'%compose run -f {QUICKSTART} -i prompt="Once upon a time" -o r --seed 7',
        TOKENS_AFTER,
        f'%compose run -f {QUICKSTART} -f short.yml -i prompt="Once upon a time" --seed 7',
        interrupt_when=texts_seen(6, "Once upon a time"),
    ).run()
    assert len({text for text in notebook.updates() if text.startswith("Once upon a time")}) >= 6
    assert notebook.error(1).ename == "KeyboardInterrupt"
    partial = notebook.shown(1)
    assert partial.startswith("Once upon a time")
    assert "[cancelled · 4 tokens in, " in partial
    after, state, tokens = notebook.printed(2).split()
    assert int(after) <= 1
    assert state == "cancelled"
    assert 0 < int(tokens) < 128
    whole = notebook.shown(3)
    assert "4 tokens in, 8 out" in whole
    beginning = min(partial.rpartition("\n\n[")[0], whole.rpartition("\n\n[")[0], key=len)
    assert partial.startswith(beginning)
    assert whole.startswith(beginning), "the same seed, the same beginning"
