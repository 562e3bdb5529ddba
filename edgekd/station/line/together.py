"""Coroutines that stand and fall together, as asyncio.TaskGroup has them from Python 3.11 on."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def together(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Runs coroutines until the first of them ends or fails, then cancels the others and waits for them.

    Args:
        coroutines: What to run.

    Raises:
        Exception: What the first one failed with.
    """
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if task in ended:
            task.result()
