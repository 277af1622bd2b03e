"""Tests of the engine: many generations at once."""
