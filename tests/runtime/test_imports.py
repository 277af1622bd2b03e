"""What is imported when: importing the package and checking documents need none of what runs models or servers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.runs import ROOT, Models, document

HEAVY = ("torch", "transformers", "huggingface_hub", "ipywidgets", "jupyter_server", "tornado", "numpy")

BLOCKER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

sys.meta_path.insert(0, Blocker())
"""


def python(code: str, *, blocked: tuple[str, ...] = (), cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program that cannot import some packages."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", f"BLOCKED = {blocked!r}\n{BLOCKER}\n{code}"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        cwd=cwd,
        timeout=120,
    )


def good(code: str, **options: object) -> str:
    done = python(code, **options)  # type: ignore[arg-type]
    assert done.returncode == 0, done.stderr
    return done.stdout


def imported_by(code: str) -> set[str]:
    """Which heavy packages a program imports."""
    said = good(f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))").splitlines()[-1]
    return {name for name in HEAVY if name in json.loads(said)}


def test_importing_the_package_imports_next_to_nothing() -> None:
    said = good("import mcnb, sys\nprint(sorted(name for name in sys.modules if name.startswith('mcnb')))")
    assert said == "['mcnb']\n"
    assert imported_by("import mcnb") == set()


@pytest.mark.parametrize(
    "module", ["mcnb.compose", "mcnb.runtime", "mcnb.cli.group", "mcnb.cli.run", "mcnb.cli.models", "mcnb.notebook"]
)
def test_importing_a_part_imports_nothing_heavy(module: str) -> None:
    assert imported_by(f"import {module}") == set()


def test_the_extension_imports_nothing_heavy(home: Path) -> None:
    code = f"""
import os
os.environ["IPYTHONDIR"] = {str(home)!r}
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
config = Config()
config.HistoryManager.enabled = False
shell = InteractiveShell.instance(config=config)
shell.run_line_magic("load_ext", "mcnb")
assert "compose" in shell.magics_manager.magics["cell"]
"""
    assert imported_by(code) <= {"tornado", "numpy"}  # what a shell itself brings


def test_every_public_name_can_be_had() -> None:
    good("import mcnb\nfor name in mcnb.__all__: getattr(mcnb, name)\nassert set(mcnb.__all__) <= set(dir(mcnb))")
    done = python("import mcnb\nmcnb.nothing")
    assert done.stderr.endswith("AttributeError: module 'mcnb' has no attribute 'nothing'\n")


VALIDATE = """
import sys
sys.argv = ["mcnb", *ARGUMENTS]
from mcnb.cli import main
try:
    main()
except SystemExit as end:
    print("code", end.code)
print("torch" in sys.modules)
"""


def test_the_command_checks_documents_without_torch(models: Models, tmp_path: Path) -> None:
    (tmp_path / "model-compose.yml").write_text(document(models.poet))
    for arguments in (["validate"], ["schema"], ["schema", "--document"], ["render", "a"], ["--help"], ["run", "-h"]):
        said = good(f"ARGUMENTS = {arguments!r}\n{VALIDATE}", cwd=tmp_path)
        assert said.endswith("False\n")
        assert "code" not in said or "code 0" in said


RUN = """
import mcnb
from mcnb.errors import McnbError
compose = mcnb.load()
print(compose.schema()["required"])
try:
    print(compose.run(prompt="a").state)
except McnbError as error:
    print(error.code, error)
"""


def test_without_what_runs_models(models: Models, tmp_path: Path) -> None:
    """An installation for a server: no torch. Documents are checked; a run says what to install."""
    (tmp_path / "model-compose.yml").write_text(document(models.poet, preload=True))
    for missing in ("torch", "transformers", "huggingface_hub", "safetensors", "filelock", "psutil", "tqdm"):
        said = good(RUN, blocked=(missing,), cwd=tmp_path).splitlines()
        assert said[0] == "['prompt']"
        assert said[1] == (
            f"unsupported_model running models needs {missing}, which is not installed; pip install 'mcnb[kernel]'"
        )
    done = python(f"ARGUMENTS = ['run', '-i', 'prompt=a']\n{VALIDATE}", blocked=("torch", "transformers"), cwd=tmp_path)
    assert done.stdout == "code 1\nFalse\n"
    assert done.stderr.startswith("error: running models needs torch, which is not installed; pip install")
    assert "Traceback" not in done.stderr


def test_what_may_not_be_imported_is_not_there(models: Models, tmp_path: Path) -> None:
    """``None`` among the modules is Python's own way to say that an import has to fail."""
    (tmp_path / "model-compose.yml").write_text(document(models.poet))
    said = good(f"import sys\nsys.modules['torch'] = None\n{RUN}", cwd=tmp_path).splitlines()
    assert said[1].startswith("unsupported_model running models needs torch, which is not installed; pip install")


def test_without_what_serves_runs(models: Models, tmp_path: Path) -> None:
    """An installation for a kernel: no Jupyter server."""
    (tmp_path / "model-compose.yml").write_text(document(models.poet, max_output_length=1))
    blocked = ("jupyter_server", "tornado", "IPython", "ipywidgets", "papermill", "nbclient")
    assert good(RUN, blocked=blocked, cwd=tmp_path).splitlines()[-1] == "completed"
