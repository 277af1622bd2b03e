"""What is sent to Ray, and what for: pieces of the input, the size of the pool, and what its errors mean."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import mcnb
from mcnb.batch.items import MOST_PIECES, Items
from mcnb.batch.journal import Journal
from mcnb.batch.on_ray.cluster import Size, size
from mcnb.batch.on_ray.feeding import Feeder, packed, unpacked
from mcnb.batch.source import Source
from mcnb.errors import InvalidInputError
from tests.runtime.test_imports import good

DOCUMENT = mcnb.load_document(text='{"component": {"model": "./nowhere", "text": "${input.prompt as text}"}}')


def items(tmp_path: Path, rows: int, done: tuple[int, ...] = ()) -> Items:
    journal = Journal(tmp_path / "j")
    journal.add([{"row": row, "state": "completed"} for row in done])
    journal.close()
    return Items(Source([f"p{number}" for number in range(1, rows + 1)], DOCUMENT.inputs()), rows, journal)


def numbers(found: list[Any]) -> list[int]:
    return [item.number for item in found]


def test_pieces_hold_what_is_not_done(tmp_path: Path) -> None:
    left = items(tmp_path, 10, done=(2, 4, 5, 6))
    assert left.cut(3) == [0, 2, 3]
    assert [numbers(left.piece(piece)) for piece in (0, 2, 3)] == [[1, 3], [7, 8, 9], [10]]
    assert numbers(list(left)) == [1, 3, 7, 8, 9, 10]


def test_pieces_are_asked_for_in_about_their_order_and_sometimes_again(tmp_path: Path) -> None:
    left = items(tmp_path, 10)
    assert left.cut(2) == [0, 1, 2, 3, 4]
    assert [numbers(left.piece(piece)) for piece in (1, 0, 3, 2, 4)] == [[3, 4], [1, 2], [7, 8], [5, 6], [9, 10]]
    assert numbers(left.piece(2)) == [5, 6], "a machine was lost with it"
    assert left._ahead == {}


def test_a_long_input_has_larger_pieces(tmp_path: Path) -> None:
    left = items(tmp_path, 1)
    left.total = 20_000_000
    assert len(left.cut(32)) <= MOST_PIECES
    assert left.size % 32 == 0


def test_items_travel_as_they_are(tmp_path: Path) -> None:
    found = list(items(tmp_path, 2))
    assert unpacked(packed(found)) == found


def node(cpus: int, gpus: int = 0, *, alive: bool = True) -> dict[str, Any]:
    return {"Alive": alive, "Resources": {"CPU": cpus, **({"GPU": gpus} if gpus else {})}}


@pytest.mark.parametrize(
    ("nodes", "workers", "devices", "chosen"),
    [
        ([node(8)], None, ["auto"], Size(1, 8, 0)),
        ([node(8)], 3, ["auto"], Size(3, 2, 0)),
        ([node(8), node(4)], None, ["cpu"], Size(2, 4, 0)),
        ([node(0), node(4), node(4, alive=False)], None, ["cpu"], Size(1, 4, 0)),
        ([node(16, 4)], None, ["cuda"], Size(4, 4, 1)),
        ([node(16, 4)], None, ["auto"], Size(4, 4, 1)),
        ([node(16, 4)], 2, ["cpu"], Size(2, 8, 0)),
    ],
)
def test_the_size_of_the_pool(nodes: list[Any], workers: int | None, devices: list[str], chosen: Size) -> None:
    assert size(nodes, workers, devices) == chosen


@pytest.mark.parametrize(
    ("nodes", "workers", "devices", "told"),
    [
        ([node(8)], None, ["cuda:0"], "the Ray cluster has no GPU"),
        ([node(8, 2)], 3, ["cuda"], "3 workers need a GPU each, and the Ray cluster has 2"),
        ([node(2)], 3, ["cpu"], "3 workers need a CPU each, and the Ray cluster has 2"),
    ],
)
def test_what_a_cluster_has_not_got(nodes: list[Any], workers: int | None, devices: list[str], told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        size(nodes, workers, devices)


def test_without_ray_it_is_told_what_to_install() -> None:
    code = "from mcnb.batch.on_ray import OnRay\nimport mcnb.errors\n"
    code += "try: OnRay()\nexcept mcnb.errors.NotSupportedError as error: print(error)"
    said = good(code, blocked=("ray",))
    assert said == "the engine 'ray' needs ray, which is not installed; pip install 'mcnb[ray]'\n"


def test_ray_is_not_imported_before_it_is_asked_for() -> None:
    said = good(
        "import sys, mcnb.batch, mcnb.batch.on_ray, mcnb.cli.batch\nprint('ray' in sys.modules, 'torch' in sys.modules)"
    )
    assert said == "False False\n"


def test_a_cluster_that_has_lost_a_machine_gets_fewer_workers() -> None:
    left = [node(4), node(4), node(4, alive=False)]
    assert size(left, 3, ["cpu"], at_most=True) == Size(3, 2, 0), "the others have room for it"
    assert size([node(1), node(1)], 3, ["cpu"], at_most=True) == Size(2, 1, 0)
    assert size([node(16, 1)], 2, ["cuda"], at_most=True) == Size(1, 16, 1)


def test_whoever_waits_for_rows_is_let_go_when_the_job_stops() -> None:
    async def stopped() -> list[bytes]:
        feeder = Feeder()
        waiting = asyncio.create_task(feeder.ask(3))
        assert await feeder.wished(10) == 3
        await feeder.stop()
        await feeder.over()
        return [await waiting, await feeder.ask(4)]

    assert [unpacked(data) for data in asyncio.run(stopped())] == [[], []]
