"""Services: the store, the compose files, the kernels and the keeper of one server, opened and closed together."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcnb.errors import InvalidInputError
from mcnb.server.catalog import Catalog
from mcnb.server.keeper import RunKeeper, Settings
from mcnb.server.store import RunStore

if TYPE_CHECKING:
    from mcnb.server.kernels import Kernels

MOST_DATABASES = 16
"""Servers that one folder may have at the same time."""


@dataclass(frozen=True)
class Services:
    """What handlers work with.

    Attributes
    ----------
    store : RunStore
        Where runs are written down.
    catalog : Catalog
        The compose files.
    kernels : Kernels
        What computes.
    keeper : RunKeeper
        Takes runs and keeps them.
    """

    store: RunStore
    catalog: Catalog
    kernels: Kernels
    keeper: RunKeeper

    async def close(self) -> None:
        """End what runs, then close everything, whatever fails on the way."""
        try:
            await self.keeper.stop()
        finally:
            try:
                await self.kernels.close()
            finally:
                await asyncio.to_thread(self.store.close)


def databases(data_folder: Path, root: Path) -> list[Path]:
    """Return where the runs of a server may be, the first choice first.

    Servers of one user share a data folder, and a database has one server at a time. Each root folder has its own
    database, so that a server that starts again finds its runs; further servers on the same root take the next one.
    """
    name = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:12]
    endings = ["", *(f"-{number}" for number in range(2, MOST_DATABASES + 1))]
    return [data_folder / "mcnb" / f"runs-{name}{ending}.db" for ending in endings]


def open_store(candidates: Sequence[Path]) -> RunStore:
    """Open the first database that no other server uses. Blocking.

    Raises
    ------
    InvalidInputError
        When all are in use, or a file is no database of ours.
    """
    for path in candidates[:-1]:
        try:
            return RunStore.open(path)
        except InvalidInputError as error:
            if not error.message.startswith("another server"):
                raise
    return RunStore.open(candidates[-1])


async def open_services(
    candidates: Sequence[Path],
    catalog: Catalog,
    settings: Settings,
    make_kernels: Callable[[str], Kernels],
    **options: Any,
) -> Services:
    """Open everything and start the keeper; what blocks does so in threads.

    Parameters
    ----------
    candidates : sequence of Path
        Databases to try.
    catalog : Catalog
        The compose files.
    settings : Settings
        The limits.
    make_kernels : callable
        Called with the store's id.
    **options
        For the keeper.
    """
    await asyncio.to_thread(catalog.refresh)
    store = await asyncio.to_thread(open_store, candidates)
    try:
        services = Services(
            store, catalog, kernels := make_kernels(store.id), RunKeeper(store, catalog, kernels, settings, **options)
        )
        await services.keeper.start()
    except BaseException:
        await asyncio.to_thread(store.close)
        raise
    return services
