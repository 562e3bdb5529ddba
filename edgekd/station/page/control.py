"""Control, as the page's process sees it: how the stations are, what happened, and what may be asked."""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from edgekd.errors import EdgekdError
from edgekd.station.error_codes import ErrorCode
from edgekd.station.json_lines import Message, read_message, to_line
from edgekd.station.page.link import FollowerSlowError, RefusedError
from edgekd.station.page.lots import Lot, LotCounter
from edgekd.station.page.recorded import recorded_result
from edgekd.station.page.roles import User
from edgekd.station.record.reading import Recorded
from edgekd.station.tasks import within

RECENT = 20  # Results of a station that whoever begins to follow is given.
REPLY_S = 5.0
SLOW = {"snap": 20.0, "change_job": 30.0, "reload_recipes": 30.0}  # Seconds that these may take.
MOST_WAITING = 500  # Changes that wait for somebody who follows.

Last = Callable[[int, str], Sequence[Recorded]]


class Control:
    """The connection to control; implements `edgekd.station.page.link.ControlLink`.

    Args:
        reader, writer: Of the socket.
        stations: Names, in the configuration's order.
        last: Reads the last results of a station from the record.
        lots: Counts the parts of each station's lot.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        stations: Sequence[str],
        last: Last,
        lots: LotCounter,
    ) -> None:
        self._reader, self._writer = reader, writer
        self.stations = tuple(stations)
        self._last, self._lots = last, lots
        self._views: dict[str, Message] = {}
        self._results: dict[str, OrderedDict[int, Message]] = {name: OrderedDict() for name in stations}
        self._numbers, self._writing = itertools.count(1), asyncio.Lock()
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._followers: set[Follower] = set()
        self.shown = asyncio.Event()

    def view(self, station: str) -> Message:
        """What a station shows now."""
        return self._views[station]

    def recent(self, station: str) -> list[Message]:
        """The last results of a station, the newest first."""
        return [*reversed(self._results[station].values())]

    @property
    def followers(self) -> int:
        """How many follow."""
        return len(self._followers)

    async def ask(self, station: str, method: str, user: User, **arguments: Any) -> Message:
        """Asks a station for something; see `edgekd.station.page.link.ControlLink.ask`."""
        if station not in self._results:
            raise KeyError(station)
        number = next(self._numbers)
        reply: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[number] = reply
        who = {"name": user.name, "role": user.role.value, "address": f"page {user.address}".strip()}
        request = {"call": number, "station": station, "method": method, "arguments": arguments, "who": who}
        try:
            await self.send(request)
            answer = await within(SLOW.get(method, REPLY_S), reply)
        except asyncio.TimeoutError:  # Of its own before Python 3.11.
            raise TimeoutError("The station does not answer. Try again.") from None
        finally:
            del self._waiting[number]
        if answer["code"]:
            raise RefusedError(ErrorCode(answer["code"]), answer["text"])
        return {name: value for name, value in answer.items() if name not in ("reply", "code", "text")}

    def changes(self) -> Follower:
        """What happens from now on; close it at the end."""
        follower = Follower(self._followers)
        self._followers.add(follower)
        return follower

    def tell(self, station: str, event: Message) -> None:
        """Tells everybody who follows something that this process knows by itself."""
        self._follow({"station": station, "view": None, "event": event})

    async def send(self, message: Message) -> None:
        """Writes a message to control."""
        async with self._writing:
            self._writer.write(to_line(message))
            await self._writer.drain()

    async def read(self) -> None:
        """Takes what control writes, until it ends."""
        while (message := await read_message(self._reader)) is not None:
            if "reply" in message:
                waiting = self._waiting.get(message["reply"])
                if waiting is not None and not waiting.done():  # Whoever asked may have left.
                    waiting.set_result(message)
            else:
                await self._told(message["station"], message["view"], message["events"])

    async def _told(self, station: str, view: Message | None, events: Sequence[Message]) -> None:
        if station not in self._views or any(event["name"] == "lost" for event in events):
            await asyncio.to_thread(self._recall, station)
        told = [self._known(station, event) for event in events]
        if view is not None:
            self._views[station] = view
        shown = self._completed(station)
        if len(self._views) == len(self.stations):
            self.shown.set()
        news = view is not None or any(event["name"] in ("result", "stored", "review") for event in events)
        for event in told[:-1]:
            self._follow({"station": station, "view": None, "event": event})
        last = told[-1] if told else None
        self._follow({"station": station, "view": shown if news else None, "event": last})

    def _recall(self, station: str) -> None:
        """Reads what happened before from the record."""
        try:
            last = self._last(RECENT, station)
            recorded = [recorded_result(each) for each in last if each.delivered != "late"]  # Nobody was told of it.
            self._lots.recall(station)
        except EdgekdError:  # A record that is damaged, which the station itself reports.
            return
        self._results[station] = OrderedDict((each["result_id"], {**each}) for each in reversed(recorded))

    def _known(self, station: str, event: Message) -> Message:
        """Takes note of an event; returns it with what belongs to it."""
        results = self._results[station]
        if event["name"] == "result":
            result = {**event["result"], "reviews": [], "images": {"original": False, "heat_map": False}}
            result = results.setdefault(result["result_id"], result)
            while len(results) > RECENT:
                results.popitem(last=False)
            self._lots.count(station, result)
            return {**event, "result": result}
        known = results.get(event.get("result_id", 0))
        if known is None:
            return event
        if event["name"] == "stored":
            results[known["result_id"]] = known = {**known, "images": {**known["images"], event["image"]: True}}
        elif event["name"] == "review":
            results[known["result_id"]] = known = {**known, "reviews": [*known["reviews"], event["review"]]}
        else:
            return event
        return {**event, "result": known}

    def _completed(self, station: str) -> Message:
        """The view with what this process knows."""
        view = self._views[station]
        lot: Lot = self._lots.of(station)
        last = view["last"]
        if last is not None:
            bare = {**last, "reviews": [], "images": {"original": False, "heat_map": False}}
            last = self._results[station].get(last["result_id"], bare)
        self._views[station] = {**view, "lot": lot, "last": last}
        return self._views[station]

    def _follow(self, change: Message) -> None:
        for follower in tuple(self._followers):
            follower.put(change)


class Follower:
    """What happens, for one that follows; implements `edgekd.station.page.link.Changes`.

    Args:
        followers: All that follow; this one is in there until it is closed.
    """

    def __init__(self, followers: set[Follower]) -> None:
        self._followers = followers
        self._waiting: asyncio.Queue[Message | None] = asyncio.Queue()

    def put(self, change: Message) -> None:
        """Adds a change; too many end it."""
        if self._waiting.qsize() >= MOST_WAITING:
            self.close()
            self._waiting.put_nowait(None)
        else:
            self._waiting.put_nowait(change)

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        """The next change.

        Raises:
            FollowerSlowError: Too many waited.
        """
        change = await self._waiting.get()
        if change is None:
            raise FollowerSlowError
        return change

    def close(self) -> None:
        """Ends following."""
        self._followers.discard(self)
