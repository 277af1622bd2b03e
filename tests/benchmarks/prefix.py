"""Two prompts with the same thousand tokens at their beginning: when the first token of each comes."""

from __future__ import annotations

from .field import Field
from .load import Request
from .settings import Aim, Result, median, paired

PREFIX = 1000
ENDS = ("What does the first of them say?", "Tell a story about the last one.")


async def measure(field: Field) -> Result:
    """Ask two questions about the same beginning, a new one in each round."""
    settings = field.settings
    sides = [field.here, *field.others]
    times: dict[str, tuple[list[float], list[float]]] = {}
    for side in sides:
        await field.load.turn(side, [Request("Once upon a time", 8)])
    for number in range(settings.rounds):
        beginning = field.prompts.long(PREFIX, f"prefix {number}")
        for side in sides:
            found = times.setdefault(side.name, ([], []))
            for end, firsts in zip(ENDS, found, strict=True):
                turn = await field.load.turn(side, [Request(f"{beginning}\n\n{end}", 8)])
                firsts += turn.firsts
            settings.say(f"  round {number + 1}, {side.name}: {found[0][-1]:.3f} s, then {found[1][-1]:.3f} s")
    result = Result(
        "prefix", f"First token of two runs that share a beginning of {PREFIX:,} tokens", ["", "first", "second", "x"]
    )
    for name, (first, second) in times.items():
        ratio = paired(first, second)
        result.rows.append([name, f"{median(first):.3f} s", f"{median(second):.3f} s", f"{ratio:.1f}"])
    value = paired(*times["mcnb"])
    what = f"second run of a {PREFIX:,}-token beginning: so much sooner"
    result.aims.append(Aim(4, what, value, ">= 5", value >= 5))
    result.values = {"seconds": times}
    return result
