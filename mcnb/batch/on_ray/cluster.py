"""Reaching a Ray cluster, or starting one of this machine's own; how many workers it gets, and how large each is."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcnb.errors import InvalidInputError, McnbError, NotSupportedError

STORE = 512 << 20
"""Bytes that blocks may take in a Ray that is started here: rows are texts."""

_CLIENT = "ray://"


def imported() -> Any:
    """Return Ray.

    Raises
    ------
    NotSupportedError
        Where it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody else is told what is run here
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # of this process: what matters is raised, too
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # what Ray does one day, and warns of until then
    try:
        with _no_connection_by_itself():
            import ray
            import ray.data
    except ImportError as error:
        raise NotSupportedError(
            f"the engine 'ray' needs {error.name}, which is not installed", hint="pip install 'mcnb[ray]'"
        ) from error
    return ray


@contextlib.contextmanager
def _no_connection_by_itself() -> Iterator[None]:
    """Within the block, Ray is imported as one that connects when it is told to, and never else.

    What Ray Data leaves behind when a machine is lost asks for one more thing as Python ends. Ray would then start a
    cluster for it, and wait for a thread that cannot start any more.
    """
    name = "RAY_ENABLE_AUTO_CONNECT"
    if name in os.environ:
        yield
        return
    os.environ[name] = "0"
    try:
        yield
    finally:
        del os.environ[name]


@contextlib.contextmanager
def connected(address: str | None, workers: int | None) -> Iterator[Any]:
    """Be connected to a cluster within the block.

    A connection that is there already is used, and stays. One that is made here is closed, and a Ray that is started
    here ends with it: never another one of this machine.

    Parameters
    ----------
    address : str or None
        ``auto``, ``ray://host:port``, ``host:port``; None is a Ray of one's own.
    workers : int or None
        That will be asked for.

    Raises
    ------
    McnbError
        When there is no cluster, or it does not let us in.
    """
    ray = imported()
    if ray.is_initialized():
        if address not in (None, "auto"):
            hint = "leave the address out, or ray.shutdown() first"
            raise InvalidInputError("this process is connected to a Ray cluster already", hint=hint)
        yield ray
        return
    try:
        with _hushed():
            _connect(ray, address, workers)
    except Exception as error:
        where = "Ray could not be started" if address is None else f"the Ray cluster at '{address}' cannot be reached"
        said = str(error).strip().splitlines()
        raise McnbError(
            f"{where} ({said[0] if said else type(error).__name__})",
            hint="see that it runs ('ray status'), and that its token is in RAY_AUTH_TOKEN or ~/.ray/auth_token",
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()  # of this process's connection, and of what it started


def _connect(ray: Any, address: str | None, workers: int | None) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is not None:
        ray.init(address, runtime_env=_package(), **quiet)
        return
    ray.init(
        "local",  # whatever RAY_ADDRESS says
        num_cpus=max(os.cpu_count() or 1, workers or 1),
        include_dashboard=False,
        object_store_memory=STORE,
        _node_ip_address="127.0.0.1",  # nobody else is to reach it
        **quiet,
    )


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Within the block, nothing is written to standard error: Ray's core tells there what nobody asked for."""
    try:
        kept = os.dup(2)
    except OSError:  # there is none
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def is_client(address: str | None) -> bool:
    """Whether the connection goes through Ray's client server, from a machine that is none of the cluster's."""
    return address is not None and address.startswith(_CLIENT)


def _package() -> dict[str, Any]:
    """Return what workers on other machines need to have this very mcnb; what it depends on is theirs to have."""
    import mcnb

    return {"py_modules": [str(Path(mcnb.__file__).parent)], "excludes": ["**/__pycache__"]}


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
