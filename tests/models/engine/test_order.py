"""Whose turn it is, and how much each has to wait for the others, counted in passes and not in seconds."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from mcnb.models.engine.batch import Batch
from mcnb.models.engine.forward import Forward
from mcnb.models.engine.prefixes import ROOT, Prefixes
from mcnb.models.owner import ModelOwner
from mcnb.models.request import Priority

from .conftest import Ask, Held, submit, texts

LONG = "He was told of the garden by the sea. " * 12


def _count_tokens(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the lists of prompt tokens that every pass computes, from now on."""
    passes: list[int] = []
    own = Forward.__call__

    def counted(self: Forward, segments: Any, wanted: Any) -> Any:
        passes.append(sum(len(segment.tokens) for segment in segments if len(segment.tokens) > 1))
        return own(self, segments, wanted)

    monkeypatch.setattr(Forward, "__call__", counted)
    return passes


def _order(owner: ModelOwner, monkeypatch: pytest.MonkeyPatch, come: list[tuple[Priority, float]]) -> list[str]:
    """Return in which order requests begin that are queued together, at these seconds."""
    held = Held(owner, Ask("Once", user={"max_output_length": 4}))
    monkeypatch.setattr("mcnb.models.engine.batch.MOST_SEQUENCES", 1)
    begun: list[str] = []
    generations = []
    for priority, second in come:

        def note(text: str, tokens: int, name: str = priority) -> None:
            if tokens == 1:
                begun.append(name)

        generations.append(submit(owner, Ask("She"), note, priority=priority))
        generations[-1].submitted = second
    held.go()
    for one in generations:
        texts(one)
    return begun


def test_who_watches_goes_first(owner: ModelOwner, monkeypatch: pytest.MonkeyPatch) -> None:
    come: list[tuple[Priority, float]] = [("bulk", 1.0), ("api", 1.1), ("interactive", 1.2)]
    assert _order(owner, monkeypatch, come) == ["interactive", "api", "bulk"]


def test_nobody_waits_for_ever(owner: ModelOwner, monkeypatch: pytest.MonkeyPatch) -> None:
    come: list[tuple[Priority, float]] = [("interactive", 100.0), ("api", 90.0), ("bulk", 50.0)]
    assert _order(owner, monkeypatch, come) == ["bulk", "api", "interactive"]


def test_a_long_prompt_joins_in_pieces(owner: ModelOwner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcnb.models.engine.batch.STALL", 0)
    passes = _count_tokens(monkeypatch)
    at_token: list[tuple[int, int]] = []
    held = Held(owner, Ask("Once", user={"max_output_length": 40, "min_output_length": 40}))
    joining = submit(owner, Ask(LONG))
    listening = submit(
        owner,
        Ask("She", user={"max_output_length": 40, "min_output_length": 40}),
        lambda text, tokens: at_token.append((tokens, len(passes))),
    )
    held.go()
    texts(joining)
    texts(listening)
    assert joining.result.prompt_tokens > 128
    assert sum(passes) >= joining.result.prompt_tokens - 1
    assert max(passes) <= 64 + 16  # a piece, and what a short prompt adds in the same pass
    for (token, before), (later, after) in pairwise(at_token):
        assert after - before <= later - token


def test_beams_go_on_between_the_others(owner: ModelOwner) -> None:
    ask = Ask("Once", user={"max_output_length": 30, "min_output_length": 30})
    beams = Ask("She", user={"num_beams": 3, "max_output_length": 12, "min_output_length": 12})
    expected = texts(submit(owner, ask)), texts(submit(owner, beams))
    heard: list[str] = []
    held = Held(owner)
    searching = submit(owner, beams, lambda text, tokens: heard.append("beams"))
    growing = submit(owner, ask, lambda text, tokens: heard.append("text"))
    held.go()
    assert (texts(growing), texts(searching)) == expected
    first = heard.index("beams")
    last = len(heard) - 1 - heard[::-1].index("beams")
    assert "text" in heard[first:last]


def _prefixes(owner: ModelOwner) -> Batch:
    assert owner._engine.batch is not None
    return owner._engine.batch


def test_a_beginning_is_computed_once(owner: ModelOwner, monkeypatch: pytest.MonkeyPatch) -> None:
    asks = [Ask(f"{LONG}{number} she said") for number in range(16)]
    held = Held(owner)
    passes = _count_tokens(monkeypatch)
    together = [submit(owner, ask) for ask in asks]
    held.go()
    found = [texts(one) for one in together]
    length = together[0].result.prompt_tokens
    assert sum(passes) <= length + 16 * 64
    assert sum(passes) < 16 * length / 3
    monkeypatch.setattr("mcnb.models.engine.prefixes.Prefixes.find", lambda *_: None)
    assert [texts(submit(owner, ask)) for ask in asks] == found


def test_beginnings_are_bounded_and_the_least_used_go_first(owner: ModelOwner) -> None:
    texts(submit(owner, Ask(LONG)))
    prefixes = _prefixes(owner).prefixes
    one = prefixes.memory // len(prefixes)
    prefixes.clear()
    prefixes.room = 3 * one
    first, second = (f"{name} walked far away from the house by the sea. " * 2 for name in ("She", "He"))
    for prompt in (first, second, first, LONG, LONG * 2, first):
        texts(submit(owner, Ask(prompt)))
        assert prefixes.memory == len(prefixes) * one <= 3 * one
        assert _parents(prefixes) <= _numbers(prefixes), "what others stand on has left before them"
    assert ROOT in {parent for parent, _ in prefixes._known}


def _parents(prefixes: Prefixes) -> set[int]:
    return {parent for parent, _ in prefixes._known} - {ROOT}


def _numbers(prefixes: Prefixes) -> set[int]:
    return {number for number, _ in prefixes._known.values()}
