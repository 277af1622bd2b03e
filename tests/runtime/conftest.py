"""Fixtures for the tests of the runtime."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mcnb.models.cache import ModelCache
from mcnb.runtime import Runtime
from tests.support.runs import compose, gate, home, models, runtime, taken  # noqa: F401
from tests.support.workflows import Clock


@pytest.fixture
def clock() -> Clock:
    """What the runtime ``timed`` sleeps by."""
    return Clock()


@pytest.fixture
def timed(home: Path, clock: Clock) -> Iterator[Runtime]:  # noqa: F811
    """A runtime whose time is the clock's."""
    made = Runtime(ModelCache(), sleep=clock.sleep)
    yield made
    made.close()
    made.cache.unload()
