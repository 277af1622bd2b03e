"""Fixtures for the tests of the runtime."""

from tests.support.runs import compose, gate, home, models, runtime  # noqa: F401
