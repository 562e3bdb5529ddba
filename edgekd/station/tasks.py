"""Coroutines that stand and fall together, and waiting with a limit, so that no cancellation is lost.

Python has both from 3.11 and 3.12 on: asyncio.TaskGroup, and an asyncio.wait_for that does not swallow a cancellation
which comes just as its coroutine ends. A counterpart that missed it would never end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

Answer = TypeVar("Answer")
AGAIN_S = 1.0  # After which a task that goes on is cancelled again.


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


async def end(task: asyncio.Future[Any]) -> None:
    """Cancels a task until it has ended: a library's asyncio.wait_for may have swallowed the first cancellation.

    Args:
        task: What to end; it must end within a second of its cancellation. What it raises stays in it.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=AGAIN_S)


async def within(seconds: float | None, awaitable: Awaitable[Answer]) -> Answer:
    """Waits for something, and cancels it where it takes too long.

    Args:
        seconds: How long it may take; None for as long as it takes.
        awaitable: What to wait for.

    Raises:
        asyncio.TimeoutError: It took longer.
    """
    task = asyncio.ensure_future(awaitable)
    try:
        ended, _ = await asyncio.wait([task], timeout=seconds)
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    if not ended:
        raise asyncio.TimeoutError
    return task.result()
