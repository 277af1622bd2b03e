"""What a cluster has: how many workers it gets, and how large each is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mcnb.errors import InvalidInputError


@dataclass(frozen=True)
class Size:
    """How many workers, and what each asks of the cluster.

    Attributes
    ----------
    workers : int
        Actors, each with models of its own.
    cpus : int
        Of each; it computes with so many threads.
    gpus : int
        Of each.
    """

    workers: int
    cpus: int
    gpus: int


def size(
    nodes: Sequence[dict[str, Any]], workers: int | None, devices: Sequence[str], *, at_most: bool = False
) -> Size:
    """Choose how many workers a cluster gets, and how large each is.

    Parameters
    ----------
    nodes : sequence of dict
        As ``ray.nodes()`` tells them.
    workers : int or None
        As asked for; by default one for each GPU that is to be used, or else one for each machine.
    devices : sequence of str
        That the document asks for: ``auto``, ``cpu``, ``cuda``...
    at_most : bool
        Whether fewer workers than asked for will do.

    Raises
    ------
    InvalidInputError
        When the cluster has not got that much.
    """
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    cpus = [int(found.get("CPU", 0)) for found in alive]
    gpus = sum(int(found.get("GPU", 0)) for found in alive)
    asks = any(device.startswith("cuda") for device in devices)
    if asks and not gpus:
        raise InvalidInputError(
            "the document asks for device 'cuda', and the Ray cluster has no GPU", hint="say 'device: auto' or 'cpu'"
        )
    wants = asks or (gpus > 0 and "auto" in devices)
    count = workers or (gpus if wants else max(1, sum(1 for found in cpus if found)))
    if at_most:
        count = max(1, min(count, sum(cpus), gpus if wants else count))
    if wants and count > gpus:
        raise InvalidInputError(
            f"{count} workers need a GPU each, and the Ray cluster has {gpus}", hint="ask for fewer"
        )
    if count > sum(cpus):
        told = f"{count} workers need a CPU each, and the Ray cluster has {sum(cpus)}"
        raise InvalidInputError(told, hint="ask for fewer")
    most = max(each for each in range(1, max(cpus) + 1) if sum(found // each for found in cpus) >= count)
    if wants:  # several GPUs of one machine share its processors
        most = max(1, min(most, sum(cpus) // gpus))
    return Size(count, most, 1 if wants else 0)
