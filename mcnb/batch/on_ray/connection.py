"""Reaching a Ray cluster, or starting one of this machine's own."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mcnb.batch.on_ray.address import AUTO, Address
from mcnb.batch.on_ray.refusal import overhearing, refusal
from mcnb.errors import InvalidInputError, McnbError, NotSupportedError

STORE = 512 << 20
"""Bytes that blocks may take in a Ray that is started here: rows are texts."""


def imported() -> Any:
    """Return Ray.

    Raises
    ------
    NotSupportedError
        Where it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody else is told what is run here
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # of this process: what matters is raised, too
    if "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ:
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # Ray keeps a token to itself until it is told to show it
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")  # of what nobody waits for any more
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # what Ray does one day, and warns of until then
    try:
        with _no_connection_by_itself():
            import ray
            import ray.data
            import ray.util.client
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


_BUSY = "Starting Ray client server failed"


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
    found = None if address is None else Address.parse(address)
    what = "Ray could not be started" if address is None else f"the Ray cluster at '{found or AUTO}' cannot be reached"
    with _hushed(), overhearing() as heard, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say is in the error
        try:
            if address is not None:
                (found or _nearby()).call()
            _connect(ray, str(found or AUTO) if address else None, workers)
        except McnbError:
            raise
        except Exception as error:
            advice = found.advice() if found else _ADVICE[address is not None]
            raise refusal(what, error, heard.last, advice) from error
    try:
        yield ray
    finally:
        ray.shutdown()  # of this process's connection, and of what it started


_ADVICE = {
    False: "mcnb batch without --engine ray computes in this process",
    True: "'ray start' makes it part of one; from a machine that is no part, give ray://HOST:PORT",
}
"""What to do where Ray was to be started (False), or to be found by itself (True)."""


def call(address: str) -> None:
    """Make sure that an address is one, and that somebody listens there; a connection that is there needs neither.

    Raises
    ------
    McnbError
        Before anything else is done for the job.
    """
    found = Address.parse(address)
    if not imported().is_initialized():
        with _hushed():
            (found or _nearby()).call()


def _nearby() -> Address:
    """Return the address that Ray finds by itself: of a cluster that was started here, and may be gone since.

    Raises
    ------
    McnbError
        When there is none.
    """
    from ray._private.services import get_ray_address_from_environment

    try:
        found = Address.parse(get_ray_address_from_environment(AUTO, None))
    except ConnectionError:
        found = None
    if found is None:
        raise McnbError("no Ray cluster runs on this machine", hint=_ADVICE[True])
    return found


def _connect(ray: Any, address: str | None, workers: int | None) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is not None:
        _join(ray, address, quiet)
        return
    ray.init(
        "local",  # whatever RAY_ADDRESS says
        num_cpus=max(os.cpu_count() or 1, workers or 1),
        include_dashboard=False,
        object_store_memory=STORE,
        _node_ip_address="127.0.0.1",  # nobody else is to reach it
        **quiet,
    )


def _join(ray: Any, address: str, quiet: dict[str, Any]) -> None:
    """Connect to a cluster; once more when its head was too busy to begin a server for us in time."""
    for last in (False, False, True):
        try:
            ray.init(address, runtime_env=_package(), **quiet)
        except ConnectionError as error:
            if last or _BUSY not in str(error):
                raise
        else:
            return


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


def is_far(ray: Any) -> bool:
    """Whether the connection goes through Ray's client server, from a machine that is none of the cluster's."""
    return bool(ray.util.client.ray.is_connected())


def _package() -> dict[str, Any]:
    """Return what workers on other machines need to have this very mcnb; what it depends on is theirs to have."""
    import mcnb

    return {"py_modules": [str(Path(mcnb.__file__).parent)], "excludes": ["**/__pycache__"]}
