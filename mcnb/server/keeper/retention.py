"""Retention: deleting what is older than is wanted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from mcnb.errors import McnbError
from mcnb.server.keeper.request import Settings
from mcnb.server.store import RunStore

INTERVAL = 3600.0
"""Seconds."""


async def retain(
    store: RunStore, settings: Settings, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Delete old finished runs now and every hour, until it is cancelled."""
    if settings.retention_age is None and settings.retention_count is None:
        return
    while True:
        try:
            await store.retain(max_age=settings.retention_age, max_count=settings.retention_count)
        except McnbError as error:
            logging.getLogger(__name__).warning("old runs could not be deleted: %s", error)
        await sleep(INTERVAL)
