"""A change-over: the recipe that judged is put away, then another one is loaded as it was released."""

from __future__ import annotations

import asyncio
import logging

from edgekd.errors import one_line
from edgekd.station.cycle import Judge
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.shared import Shared

logger = logging.getLogger(__name__)


async def load(shared: Shared, station: str, job: int | None) -> Judge | None:
    """Loads the released recipe of a job.

    Control reads the recipe and hashes its files itself: what the inspector says that it loaded must be the same.

    Args:
        shared: The inspector, and where recipes are.
        station: Name of the station.
        job: What was asked for; None for none.

    Returns:
        The recipe that judges; None for none.

    Raises:
        StationError: It cannot be loaded: nothing is, then.
    """
    await shared.inspector.unload(station)
    if job is None:
        return None
    try:
        released = await asyncio.to_thread(shared.recipes.released, job)
        loaded = await shared.inspector.load(station, job)
        if loaded.digest != released.digest:
            raise StationError(ErrorCode.DIGEST_DIFFERS, f"job {job} was changed while it was loaded: load it again")
    except StationError:
        await shared.inspector.unload(station)
        raise
    except Exception as error:
        logger.exception("job %d could not be loaded", job)
        await shared.inspector.unload(station)
        raise StationError(ErrorCode.LOADING_FAILED, f"job {job} could not be loaded: {one_line(error)}") from error
    return Judge(released, loaded)
