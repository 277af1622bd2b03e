"""Tab behind ``%compose``: what is offered, and what is not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from IPython.core.completer import provisionalcompleter

from mcnb.models.cache import shared_cache
from mcnb.notebook.completing import Line, read_line
from mcnb.notebook.listing import SHORT_ID
from mcnb.notebook.parser import COMMANDS
from tests.notebook.conftest import Shell
from tests.support.runs import FIRST_LINE, Gate, Models, document

Write = Callable[[str], Path]
PATIENCE = 60

DOCUMENT = """
components:
  - id: c
    model: ./nowhere
    text: >-
      ${input.prompt as text} ${input.style as select/haiku,free verse | haiku} ${input.loud as boolean | false}
      ${env.WHO | you}
workflows:
  - {id: poem, job: {component: c}, default: true}
  - {id: other, job: {component: c, input: {prompt: "${input.topic as text}", style: haiku, loud: false}}}
"""


def offered(shell: Shell, text: str) -> list[str]:
    """What the lines would become, whichever way the completer cuts them."""
    with provisionalcompleter():
        found = list(shell.ip.Completer.completions(text, len(text)))
    return [text[: one.start] + one.text + text[one.end :] for one in found]


@pytest.fixture
def prepared(shell: Shell, write: Write) -> Shell:
    write(DOCUMENT)
    Path("my files").mkdir()
    Path("my files/a.yaml").touch()
    Path("notes.txt").touch()
    shell.ip.push({"article": "x", "numbers": {"a": 1}, "count": 4, "_hidden": 1, "function": len})
    return shell


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("%compose ", [*COMMANDS, "--help"]),
        ("%compose h", ["history"]),
        ("%compose HI", ["history"]),
        ("%%compose lo", ["load"]),
        ("x = %compose ru", ["run"]),
        ("%compose run ", ["poem", "other"]),
        ("%compose run o", ["other"]),
        ("%compose form --input {} o", ["other"]),
        ("%compose run --no", ["--noblock"]),
        ("%compose cancel -", ["-h", "--help"]),
        ("%compose unload ", ["-h", "--help"]),
        ("%compose schema poem ", ["-h", "--help", "--document", "-f", "--file", "-e", "--env", "-o"]),
        ("%compose run -i ", ["prompt=", "style=", "loud="]),
        ("%compose run -i st", ["style="]),
        ("%compose run -i prompt=a -i ", ["style=", "loud="]),
        ("%compose run other -i ", ["topic="]),
        ("%compose run -i style=", ["haiku", '"free verse"']),
        ("%compose run -i style=h", ["haiku"]),
        ('%compose run -i style="fr', ['"free verse"']),
        ("%compose run -i loud=", ["true", "false"]),
        ("%compose run -i loud=$", ["$article", "$count", "$numbers"]),
        ("%compose run -i prompt=", ["$article", "$count", "$numbers"]),
        ("%compose run -i prompt=$ar", ["$article"]),
        ("%compose run --input ", ["$numbers"]),
        ("%compose run --seed $", ["$count"]),
        ("%compose run -p tem", ["temperature="]),
        ("%compose run -p do_sample=t", ["true"]),
        ("%compose run -p temperature=$c", ["$count"]),
        ("%compose run -e ", ["WHO="]),
        ("%compose run -f ", ["model-compose.yml", '"my files/"']),
        ('%compose validate "my files/', ['"my files/a.yaml"']),
        ("%compose load m", ["model-compose.yml", '"my files/"']),
        ("%%compose run\n", ["prompt: ", "style: ", "loud: "]),
        ("%%compose run\nprompt: a\nst", ["style: "]),
        ("%%compose run other\nt", ["topic: "]),
    ],
)
def test_what_is_offered(prepared: Shell, text: str, ends: list[str]) -> None:
    start = text[: len(text) - len(text.split("\n")[-1].split(" ")[-1])]
    if '"my' in text:
        start = text[: text.index('"')]
    elif "=" in text.split(" ")[-1]:
        start = text[: text.rindex("=") + 1]
    elif 'style="' in text:
        start = text[: text.index('"')]
    assert offered(prepared, text) == [start + end for end in ends]


@pytest.mark.parametrize(
    "text",
    [
        "%compose cancel zz",
        "%compose run poem x",
        "%compose run -o imp",
        "%compose run -i prompt=imp",
        "%compose run -f no/such/folder/",
        "%compose run -f broken.yml -i imp",
    ],
)
def test_where_nothing_can_stand_nothing_changes(prepared: Shell, text: str) -> None:
    Path("broken.yml").write_text("component: [")
    assert offered(prepared, text) == [text]


@pytest.mark.parametrize(
    "text", ["compose", "%comp", "print(art", "%%compose load\nim", "# %compose\nart", "'%compose "]
)
def test_everything_else_is_left_to_others(prepared: Shell, text: str) -> None:
    assert not any("--help" in one or "prompt" in one for one in offered(prepared, text))
    if text == "%comp":
        assert "%compose" in offered(prepared, text)


@pytest.mark.parametrize(
    "text", ["%compose ", "%compose run -i ", "%compose run -f ~nobody/", '%compose run -i "', "\n"]
)
def test_without_a_document_it_never_raises(shell: Shell, capsys: pytest.CaptureFixture[str], text: str) -> None:
    offered(shell, text)
    assert capsys.readouterr().err == ""


def test_runs_and_models(shell: Shell, write: Write, models: Models, gate: Gate) -> None:
    shared_cache().unload()
    write(document(models.endless))
    shell.ip.push({"line": FIRST_LINE})
    run = shell.good("%compose run --noblock --quiet -i prompt=$line")
    gate.at_token(run, 4)
    assert gate.reached.wait(PATIENCE)
    assert offered(shell, "%compose cancel ") == [f"%compose cancel {run.id[:SHORT_ID]}"]
    assert offered(shell, "%compose unload ") == [f"%compose unload {models.endless}"]
    run.cancel()
    gate.open()
    assert run.wait(PATIENCE)


def test_it_is_registered_once(shell: Shell) -> None:
    shell.good("%reload_ext mcnb")
    assert len(shell.ip.Completer.custom_matchers) == 1


def test_without_jedi_too(prepared: Shell) -> None:
    prepared.ip.Completer.use_jedi = False
    assert offered(prepared, "%compose run -i st") == ["%compose run -i style="]


def test_a_key_press_imports_no_torch(tmp_path: Path) -> None:
    (tmp_path / "model-compose.yml").write_text(DOCUMENT)
    code = (
        "import sys; from IPython.core.interactiveshell import InteractiveShell as S; ip = S(); import mcnb; "
        "mcnb.load_ipython_extension(ip); c = ip.Completer; "
        "texts = ['%compose ', '%compose run -i ', '%compose unload ', '%compose cancel ', '%compose run -p te']; "
        "found = [c._complete(cursor_line=0, cursor_pos=len(t), full_text=t)['mcnb.compose'] for t in texts]; "
        "print([len(list(f['completions'])) for f in found], 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout == f"[{len(COMMANDS) + 1}, 3, 2, 2, 1] False\n", done.stderr


def test_reading_a_line() -> None:
    line = read_line("%compose run poem -f 'a b.yml' --quiet -i x=1 --input {} -i pro")
    assert line == Line("run", "-i", "pro", files=("a b.yml",), positional=("poem",), pairs=("x",))
    assert read_line("%compose run --quiet ") == Line("run")
    assert read_line("%compose run --file a.yml -f ") == Line("run", "-f", files=("a.yml",))
    assert read_line("print(1)") is None
    assert read_line("%compose") is None
    assert read_line("%composer run") is None


def test_loading_the_extension_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from IPython.core.interactiveshell import InteractiveShell as S; "
        "ip = S(); before = set(sys.modules); "
        "ip.run_line_magic('load_ext', 'mcnb'); ip.Completer.complete(line_buffer='print(ar', cursor_pos=8); "
        "heavy = {'pydantic', 'yaml', 'torch', 'transformers', 'ipywidgets', 'mcnb.runtime', 'mcnb.compose'}; "
        "print(sorted(heavy & (set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr
