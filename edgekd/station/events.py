"""The stream of what happens at a station, for everybody who tells others of it.

Whoever listens slowly loses the oldest events and learns how many; nobody can hold up a verdict.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TypeAlias

from edgekd.station.error_codes import ErrorCode
from edgekd.station.parts import Acquisition, Outcome, Part
from edgekd.station.snapshot import Alarm, Counters, Loaded
from edgekd.station.states import State

MOST_WAITING = 1000


@dataclass(frozen=True)
class StateChanged:
    """The station does something else now."""

    before: State
    state: State
    cause: str


@dataclass(frozen=True)
class Started:
    """A trigger was taken: an image is being made."""

    acquisition: Acquisition


@dataclass(frozen=True)
class ExposureDone:
    """The image is taken: the part may move."""

    acquisition_id: int


@dataclass(frozen=True)
class Published:
    """An answer is given out, and everybody may read it; it is on record by then, but for an ERROR on a full disk."""

    outcome: Outcome


@dataclass(frozen=True)
class Delivered:
    """What became of an answer: "acked", "unread", or "late", which was never published."""

    result_id: int
    how: str


@dataclass(frozen=True)
class Refused:
    """A trigger that was not taken; its ERROR is published like any other."""

    code: ErrorCode
    part: Part


@dataclass(frozen=True)
class AlarmChanged:
    """An alarm was raised, cleared or acknowledged."""

    alarm: Alarm


@dataclass(frozen=True)
class RecipeChanged:
    """Another recipe judges now; None for none."""

    recipe: Loaded | None


@dataclass(frozen=True)
class CountersChanged:
    """There was another verdict, or a reset."""

    counters: Counters


@dataclass(frozen=True)
class SelfTestEnded:
    """A self-test of a kind ("stored", "master") ended."""

    kind: str
    passed: bool
    text: str


@dataclass(frozen=True)
class Audited:
    """Somebody changed something; it is in the audit trail."""

    who: str
    action: str
    subject: str


@dataclass(frozen=True)
class ImageStored:
    """An image of an answer, "original" or "heat_map", is on the disk."""

    result_id: int
    kind: str


@dataclass(frozen=True)
class Reviewed:
    """Somebody said what a part was found to be, "good" or "bad"; its verdict stays."""

    result_id: int
    who: str
    label: str
    note: str


@dataclass(frozen=True)
class LinkChanged:
    """A counterpart came or went: plc, camera NAME, inspector, broker, disk, clock."""

    name: str
    up: bool


@dataclass(frozen=True)
class Lost:
    """So many events were not read in time; take a snapshot instead."""

    count: int


Event: TypeAlias = (
    StateChanged
    | Started
    | ExposureDone
    | Published
    | Delivered
    | Refused
    | AlarmChanged
    | RecipeChanged
    | CountersChanged
    | SelfTestEnded
    | Audited
    | ImageStored
    | Reviewed
    | LinkChanged
    | Lost
)


class Subscription:
    """Events for one listener, from when it began to listen: `async for event in subscription`. Close it at the end."""

    def __init__(self, stream: EventStream, most: int) -> None:
        self._stream = stream
        self._waiting: deque[Event] = deque()
        self._most = most
        self._lost = 0
        self._arrived = asyncio.Event()

    def put(self, event: Event) -> None:
        """Adds an event; where too many wait, the oldest goes."""
        if len(self._waiting) >= self._most:
            self._waiting.popleft()
            self._lost += 1
        self._waiting.append(event)
        self._arrived.set()

    async def next(self) -> Event:
        """The next event, or how many were lost before it."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        if self._lost:
            lost, self._lost = self._lost, 0
            return Lost(lost)
        return self._waiting.popleft()

    def take(self) -> list[Event]:
        """Everything that waits, without waiting for more."""
        events: list[Event] = [Lost(self._lost)] if self._lost else []
        events += self._waiting
        self._waiting.clear()
        self._lost = 0
        return events

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        return await self.next()

    def close(self) -> None:
        """Ends listening."""
        self._stream.drop(self)


class EventStream:
    """Where a station says what happens; all in the event loop's thread."""

    def __init__(self) -> None:
        self._listeners: list[Subscription] = []

    def publish(self, event: Event) -> None:
        """Gives an event to everybody who listens; never waits."""
        for listener in self._listeners:
            listener.put(event)

    def subscribe(self, most_waiting: int = MOST_WAITING) -> Subscription:
        """Begins to listen.

        Args:
            most_waiting: Events that may wait to be read.
        """
        listener = Subscription(self, most_waiting)
        self._listeners.append(listener)
        return listener

    def drop(self, listener: Subscription) -> None:
        """Ends listening; used by the subscription."""
        if listener in self._listeners:
            self._listeners.remove(listener)
