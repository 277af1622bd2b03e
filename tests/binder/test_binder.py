"""What mybinder builds and starts: as far as a machine without Docker can tell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
BINDER = ROOT / "binder"
TOOLS = Path(sys.executable).parent
PATIENCE = 240


def run(*words: str | Path, cwd: Path = ROOT, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}", **more}
    return subprocess.run(
        [*map(str, words)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=PATIENCE
    )


def test_repo2docker_takes_every_file_of_the_folder() -> None:
    done = run(TOOLS / "jupyter-repo2docker", "--debug", "--no-build", ".")
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "Building conda environment for python=3.12" in said
    assert '--file "binder/environment.yml"' in said
    assert "RUN ./binder/postBuild" in said
    assert 'ENV R2D_ENTRYPOINT="${REPO_DIR}/binder/start"' in said
    updated, fetched = said.index("env update"), said.index("RUN ./binder/postBuild")
    assert said.index("COPY --chown=0:0 src/") < updated < fetched, "pip installs the repository itself"


def test_the_environment_names_the_requirements_and_torch_for_cpus() -> None:
    said = yaml.safe_load((BINDER / "environment.yml").read_text(encoding="utf-8"))
    *packages, by_pip = said["dependencies"]
    assert said["channels"] == ["conda-forge"]
    assert "pytorch-cpu" in packages
    assert by_pip == {"pip": ["-r requirements.txt"]}


def test_pip_can_install_the_requirements_and_leaves_torch_alone(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--upgrade-strategy", "only-if-needed"]
    done = run(*pip, "--report", report, "-r", "requirements.txt", cwd=BINDER)
    assert done.returncode == 0, done.stderr
    found = {item["metadata"]["name"].lower() for item in json.loads(report.read_text(encoding="utf-8"))["install"]}
    assert "mcnb" in found
    assert not [name for name in found if name == "torch" or name.startswith(("nvidia", "triton"))]


@pytest.mark.real_model
def test_the_last_step_of_the_build_leaves_the_model_and_trusted_notebooks(tmp_path: Path) -> None:
    import torch

    if torch.version.cuda is not None:
        pytest.skip("it is meant to refuse torch's build for CUDA")
    home = os.environ.get("MCNB_TEST_HOME")
    done = run("./binder/postBuild", JUPYTER_DATA_DIR=str(tmp_path), **({"MCNB_HOME": home} if home else {}))
    assert done.returncode == 0, done.stderr
    assert '"generated": "Once upon a time' in done.stdout
    assert (tmp_path / "nbsignatures.db").exists()


@pytest.mark.parametrize(("limit", "threads"), [("", "1"), ("0.5", "1"), ("2.0", "2"), ("1.5", "2")])
def test_it_starts_with_as_many_threads_as_it_may_use(limit: str, threads: str) -> None:
    done = run("./binder/start", "bash", "-c", "echo $OMP_NUM_THREADS", CPU_LIMIT=limit, OMP_NUM_THREADS="")
    assert done.stdout.strip() == threads, done.stderr


@pytest.mark.parametrize("name", ["01-first-run", "02-the-form"])
def test_the_notebooks_it_opens_are_there(name: str) -> None:
    assert f"labpath=notebooks/{name}.ipynb" in (BINDER / "README.md").read_text(encoding="utf-8")
    assert (ROOT / "notebooks" / f"{name}.ipynb").exists()
