"""Fixtures for the tests of bulk runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from mcnb.batch import Job, Local, Output, Source, Standing, Watch
from mcnb.runtime import Compose, Runtime
from tests.support.runs import compose, home, models, runtime  # noqa: F401

Run = Callable[..., Standing]


@pytest.fixture
def run(runtime: Runtime) -> Run:  # noqa: F811
    """Run a job in this process: ``run(compose, rows, "out.csv", seed=1)``."""

    def work(
        loaded: Compose,
        rows: Any,
        output: Path,
        *,
        key: str | None = None,
        keep: tuple[str, ...] = (),
        drop: tuple[str, ...] = (),
        width: int = 8,
        watch: Watch | None = None,
        **options: Any,
    ) -> Standing:
        source = Source(rows, loaded.document.inputs(), key=key, keep=keep, drop=drop)
        return Job(loaded.document, source, Output(output), **options).run(Local(width, runtime), watch)

    return work


def ray_or_skip() -> Any:
    """Return Ray, imported as the engine imports it: ``importorskip`` would let it connect by itself."""
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    from mcnb.batch.on_ray.connection import imported

    return imported()


@pytest.fixture(scope="session")
def ray_here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A Ray for all tests of the session: two CPUs, on this machine's own address."""
    ray = ray_or_skip()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MCNB_HOME", str(tmp_path_factory.mktemp("ray-home")))  # of the workers
        ray.init(
            "local",
            num_cpus=2,
            include_dashboard=False,
            object_store_memory=100 << 20,
            log_to_driver=False,
            _node_ip_address="127.0.0.1",
        )
    yield ray
    ray.shutdown()
