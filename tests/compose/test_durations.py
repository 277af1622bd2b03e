from __future__ import annotations

import pytest

from mcnb.compose.durations import parse_duration


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (5, 5.0),
        (0.5, 0.5),
        (0, 0.0),
        ("5", 5.0),
        ("100ms", 0.1),
        ("5s", 5.0),
        (" 1.5 m ", 90.0),
        ("2h", 7200.0),
        ("1d", 86400.0),
        ("366d", 366 * 86400.0),
    ],
)
def test_lengths(written, seconds):
    assert parse_duration(written) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "written",
    ["", "s", "-5s", "5 sec", "1h30m", "1e3", "nan", "9" * 400, "367d", "1" * 15 + "d", "5\n\nm x", None, True, [5]],
)
def test_what_is_none(written):
    with pytest.raises(ValueError, match=r"length of time|longer than one year"):
        parse_duration(written)


@pytest.mark.parametrize("written", [-1, float("nan"), float("inf"), 10**400, 366 * 86400 + 1])
def test_numbers_that_are_none(written):
    with pytest.raises(ValueError, match="is not a length of time between 0 and one year, in seconds"):
        parse_duration(written)
