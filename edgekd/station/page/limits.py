"""How much anybody may ask of the page: requests a second, bytes of a body, seconds that it may take."""

from __future__ import annotations

import asyncio
import ipaddress
import math
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edgekd.station.page.answers import refusal
from edgekd.station.tasks import within

MOST_BYTES = 1 << 20  # Of a body.
LENGTH = re.compile(r"[0-9]{1,18}")
UPLOADS = re.compile(r"/api/teach/[^/]+/uploads")
MOST_UPLOADED_BYTES = 256 << 20  # Of one request; the page sends a few images at a time.
SILENT_S = 30.0  # For which a sender may pause within a body.
MOST_KNOWN = 4096  # Addresses and names that are remembered.
FREE_TRIES, FIRST_WAIT_S, LONGEST_WAIT_S = 5, 5.0, 300.0  # Of passwords.


@dataclass(frozen=True)
class Rate:
    """So many a second on average, and so many at once.

    Attributes:
        a_second: On average.
        at_once: After a pause.
    """

    a_second: float
    at_once: int


READS, CHANGES = Rate(200, 2000), Rate(20, 200)


class Buckets:
    """How often somebody may still do something.

    Args:
        rate: The limit.
        clock: Seconds that only rise.
    """

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, who: str) -> float:
        """Counts one; gives 0, or after how many seconds it would be allowed.

        Args:
            who: Such as an address.
        """
        now = self._clock()
        left, then = self._left.pop(who, (float(self._rate.at_once), now))
        left = min(self._rate.at_once, left + (now - then) * self._rate.a_second)
        allowed = left >= 1
        self._left[who] = (left - allowed, now)
        if len(self._left) > MOST_KNOWN:
            self._left.popitem(last=False)
        return 0.0 if allowed else (1 - left) / self._rate.a_second


class Attempts:
    """Wrong passwords: after a few free tries each further one has to wait, twice as long each time.

    Args:
        clock: Seconds that only rise.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_s(self, name: str, address: str) -> float:
        """Seconds until somebody may try again; 0 for now.

        Args:
            name: Of the user.
            address: Where the request comes from.
        """
        return max(self._wait_s(who, free) for who, free in _tries(name, address))

    def count(self, name: str, address: str) -> int:
        """Counts a try, before it is known whether its password is right: others may be under way.

        Returns:
            How many there were of this name from this address.
        """
        tried = []
        for who, _ in _tries(name, address):
            number = self._failed.pop(who, (0, 0.0))[0] + 1
            self._failed[who] = (number, self._clock())
            tried.append(number)
        while len(self._failed) > MOST_KNOWN:
            self._failed.popitem(last=False)
        return tried[0]

    def succeeded(self, name: str, address: str) -> None:
        """Takes the last try back, and forgets what the user had mistyped here before."""
        own, *others = (who for who, _ in _tries(name, address))
        self._failed.pop(own, None)
        for who in others:
            number, then = self._failed.get(who, (1, 0.0))
            self._failed[who] = (number - 1, then)

    def _wait_s(self, who: str, free: int) -> float:
        number, then = self._failed.get(who, (0, 0.0))
        if number < free:
            return 0.0
        passed = self._clock() - then
        return max(0.0, min(FIRST_WAIT_S * 2.0 ** (number - free), LONGEST_WAIT_S) - passed)


def _tries(name: str, address: str) -> tuple[tuple[str, int], ...]:
    """Under what a try is counted, and how many are free: this user here, anybody here, this user anywhere."""
    name, address = name.casefold(), _network(address)
    return (f"{name} from {address}", FREE_TRIES), (f"from {address}", 4 * FREE_TRIES), (name, 8 * FREE_TRIES)


def _network(address: str) -> str:
    """An address, or the network of an IPv6 address: a machine has all addresses of its own."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return address if found.version == 4 else str(ipaddress.ip_network((found, 64), strict=False))


class Limits:
    """Refuses what is too much, before anything of it is read.

    Args:
        app: What comes behind.
        reads: Requests that change nothing, of one address.
        changes: Requests that change something.
    """

    def __init__(self, app: ASGIApp, reads: Rate = READS, changes: Rate = CHANGES) -> None:
        self._app = app
        self._reads, self._changes = Buckets(reads), Buckets(changes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        buckets = self._reads if scope["method"] in ("GET", "HEAD") else self._changes
        wait_s = buckets.wait_s(_network((scope.get("client") or ("",))[0]))
        if wait_s:
            answer = refusal(429, "Too many requests: wait a moment.", {"retry-after": str(math.ceil(wait_s))})
            await answer(scope, receive, send)
            return
        most = MOST_UPLOADED_BYTES if UPLOADS.fullmatch(scope["path"]) else MOST_BYTES
        length = Headers(scope=scope).get("content-length", "0")
        if not LENGTH.fullmatch(length) or int(length) > most:
            await refusal(413, _too_large(most))(scope, receive, send)
            return
        await self._app(scope, _bounded(receive, most), send)


def _bounded(receive: Receive, most: int) -> Receive:
    """The body of a request, which ends with an error where it is too large or its sender falls silent."""
    seen, whole = 0, False

    async def bounded() -> Message:
        nonlocal seen, whole
        if whole:  # Only the end of the connection is waited for.
            return await receive()
        try:
            message = await within(SILENT_S, receive())
        except asyncio.TimeoutError:
            raise HTTPException(408, "The rest of the request did not come: try again.") from None
        seen += len(message.get("body", b""))
        if seen > most:
            raise HTTPException(413, _too_large(most))
        whole = not message.get("more_body", False)
        return message

    return bounded


def _too_large(most: int) -> str:
    return f"The request is too large: at most {most >> 20} MiB."
