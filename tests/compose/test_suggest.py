from __future__ import annotations

from mcnb.compose.suggest import did_you_mean, listed, nearest, suggestion


def test_the_nearest_name():
    assert nearest("TEMPRATURE", ["top_p", "temperature"]) == "temperature"
    assert nearest("zzz", ["top_p", "temperature"]) is None
    assert nearest("x" * 101, ["x" * 100]) is None  # comparing takes time that grows with the length


def test_what_to_do_about_an_unknown_name():
    assert did_you_mean("promt", ["prompt"]) == "did you mean 'prompt'?"
    assert suggestion("promt", ["prompt"]) == "did you mean 'prompt'?"
    assert suggestion("zzz", ["a", "b"]) == "known: a, b"
    assert suggestion("zzz", ["a", "b"], label="known here") == "known here: a, b"
    assert suggestion("zzz", [], otherwise="add one") == "add one"
    assert suggestion("zzz", []) is None


def test_long_lists_are_cut():
    assert listed(str(number) for number in range(12)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"
    assert listed(["a"] * 10).count("a") == 10
