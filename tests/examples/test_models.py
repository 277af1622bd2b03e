"""The ready files of the models that the guide names: each runs on a tiny model of its architecture, and its page's
figures are those of the real one's config."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mcnb
from mcnb.models import estimate as estimating
from mcnb.models.sizes import sizes_of
from mcnb.models.snapshot import Snapshot
from mcnb.runtime.wording import bytes_text
from tests.cli.conftest import Command, command, folder, write  # noqa: F401
from tests.examples.guide import EXAMPLES, models
from tests.support import tiny_models

FOLDER = EXAMPLES / "models"
CONFIGS = Path(__file__).parent / "data" / "configs"
PROMPT = "Once upon a time in a distant galaxy"

MAKERS: dict[str, Callable[[Path], Path]] = {
    "blenderbot-400m-distill": tiny_models.blenderbot,
    "codegen-350m-mono": tiny_models.codegen,
    "dialogpt-large": lambda path: tiny_models.gpt2_dialog(path, "bin"),
    "dialogpt-small": lambda path: tiny_models.gpt2_dialog(path, "both"),
    "gpt-neo-1.3b": lambda path: tiny_models.gpt_neo(path, "both"),
    "gpt-neo-2.7b": tiny_models.gpt_neo,
    "smollm2-1.7b": lambda path: tiny_models.llama(path, chat=True),
    "smollm3-3b": tiny_models.smollm3,
}
"""By folder: what makes a tiny model in the file formats of the real one."""

FILES = sorted(FOLDER.glob("*/*.yml"))
NAMES = [str(path.relative_to(FOLDER)) for path in FILES]
PICKLED = {"dialogpt-large", "codegen-350m-mono", "blenderbot-400m-distill"}


def table(name: str) -> dict[str, str]:
    """The facts of a page's first table."""
    text = (FOLDER / name / "README.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| ([\w ]+) \| (.+) \|$", text.partition("## ")[0], re.MULTILINE))


def config(name: str) -> tuple[str, dict[str, Any]]:
    """The name of a folder's model on the hub, and its config as far as memory depends on it."""
    said = json.loads((CONFIGS / f"{name}.json").read_text(encoding="utf-8"))
    return said["name"], said["config"]


def test_there_is_one_for_every_model_of_the_guide() -> None:
    folders = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
    assert folders == sorted(MAKERS)
    named = {mcnb.load_document(path).component().model.repository for path in FILES}
    meant = {name.replace("SmolLM3-1.7B", "SmolLM2-1.7B") for name in models()}
    assert named == meant | {"HuggingFaceTB/SmolLM2-1.7B-Instruct"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("variants")

    def make(name: str) -> Path:
        return root / name if (root / name).exists() else MAKERS[name](root / name)

    return make


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_the_file_runs_on_a_tiny_model_of_its_architecture(
    command: Command,  # noqa: F811
    folder: Path,  # noqa: F811
    tiny: Callable[[str], Path],
    path: Path,
) -> None:
    name = path.parent.name
    swap = write(folder / "swap.yml", json.dumps({"component": {"model": str(tiny(name))}}))
    run = ["run", "-f", path, "-f", swap, "-i", f"prompt={PROMPT}", "--seed", "1", "-p", "max_output_length=24"]
    result = command(*run, "--record")
    assert result.code == 0, result.error
    said = json.loads(result.text)
    text = said["output"]["generated"] if isinstance(said["output"], dict) else said["output"]
    alone = path.name == "chat.yml" or name == "blenderbot-400m-distill"
    assert text.startswith(PROMPT) is not alone, "a chat and an encoder-decoder model give the reply alone"
    assert len(text) > (0 if alone else len(PROMPT))
    if name in PICKLED:
        refused = command(*run, "-f", write(folder / "safe.yml", "component: {allow_pickle: false}"))
        assert refused.code == 1
        assert "set 'allow_pickle: true' on the component if you trust this repository" in refused.error


def test_only_files_whose_weights_are_pickled_allow_that() -> None:
    allowed = {path.parent.name for path in FILES if "allow_pickle: true" in path.read_text(encoding="utf-8")}
    assert allowed == PICKLED


def test_the_reply_of_blenderbot_comes_from_ten_beams_or_streams_from_one(
    command: Command,  # noqa: F811
    folder: Path,  # noqa: F811
    tiny: Callable[[str], Path],
) -> None:
    name = "blenderbot-400m-distill"
    swap = write(folder / "swap.yml", json.dumps({"component": {"model": str(tiny(name))}}))
    run = ["run", "-f", FOLDER / name / "model-compose.yml", "-f", swap, "-i", "prompt=Hello", "--record"]
    for more, beams, least in (([], 10, 19), (["-p", "num_beams=1", "-p", "min_output_length=0"], 1, 0)):
        found = json.loads(command(*run, *more).text)["record"]["generations"][0]["parameters"]
        assert (found["num_beams"]["value"], found["min_output_length"]["value"]) == (beams, least)


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_the_figures_of_its_page(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository, said = config(name)
    (tmp_path / "config.json").write_text(json.dumps(said))
    monkeypatch.setattr(estimating, "gains", lambda dtype: False)  # as on a GPU, or a CPU that packs nothing
    page = (FOLDER / name / "README.md").read_text(encoding="utf-8")
    facts = table(name)
    sizes = sizes_of(Snapshot(repository, "local", tmp_path))
    assert f"`{repository}`" in page
    assert facts["parameters"] == f"{sizes.parameters:,}"
    assert facts["context"].startswith(f"{sizes.context:,} tokens")
    rows = re.findall(r"^\| (float32|bfloat16|int8|int4|nf4) \| ([\d,]+) \| (.*) \|$", page, re.MULTILINE)
    assert len(rows) >= len(estimating.OFFERED)
    computed = {
        (one.dtype, f"{one.context:,}"): " | ".join(
            map(bytes_text, (one.weights, one.cache, one.activations, one.total))
        )
        for context in {int(tokens.replace(",", "")) for _, tokens, _ in rows}
        for one in estimating.estimate(repository, tmp_path, context)
    }
    assert {(dtype, tokens): rest for dtype, tokens, rest in rows} == computed
    in_list = (FOLDER / "README.md").read_text(encoding="utf-8")
    (line,) = (line for line in in_list.splitlines() if line.startswith(f"| [{name}]({name})"))
    total = next(rest.rsplit(" | ", 1)[1] for dtype, _, rest in rows if dtype == "bfloat16")
    assert f"| {sizes.context:,} | {total} |" in line
