"""Who is logged in. Sessions live in memory: a restart of the page logs everybody out."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from edgekd.station.page.limits import Attempts
from edgekd.station.page.roles import Role
from edgekd.station.page.users import Account, Users

LONGEST_S = 12 * 3600.0  # A shift, however busy it was.
MOST, MOST_OF_ONE = 500, 10


@dataclass
class Session:
    """Somebody who is logged in.

    Attributes:
        name: Of the user.
        role: At the login; a user whose role is changed is logged out.
        version: Of the account at the login.
        csrf: What requests that change something must carry.
        opened: By the clock of `Sessions`.
        used: When somebody last did something.
    """

    name: str
    role: Role
    version: int
    opened: float
    used: float
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)


class Sessions:
    """The open sessions; their tokens are known to the browsers alone. Any thread may call it.

    Args:
        users: Who may be logged in.
        idle_s: Seconds without anything done after which a session ends.
        clock: Seconds that only rise.

    Attributes:
        attempts: Wrong passwords of late.
    """

    def __init__(self, users: Users, idle_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._users, self._idle_s, self._clock = users, idle_s, clock
        self.attempts = Attempts(clock)
        self._open: dict[str, Session] = {}  # By the hash of the token, the oldest first.
        self._lock = threading.Lock()

    def open(self, account: Account) -> tuple[str, Session]:
        """Logs somebody in.

        Args:
            account: Whose password was right.

        Returns:
            The token for the browser's cookie, and the session.
        """
        token, now = secrets.token_urlsafe(32), self._clock()
        session = Session(account.name, account.role, account.version, now, now)
        with self._lock:
            for key in [key for key, each in self._open.items() if self._is_over(each, now)]:
                del self._open[key]
            own = [key for key, each in self._open.items() if each.name == account.name]
            for key in own[: len(own) + 1 - MOST_OF_ONE] if len(own) >= MOST_OF_ONE else ():
                del self._open[key]
            while len(self._open) >= MOST:
                del self._open[next(iter(self._open))]
            self._open[_hash(token)] = session
        return token, session

    def find(self, token: str, active: bool) -> Session | None:
        """The session of a token; None where it has ended, or its user was changed since.

        Args:
            token: From the browser's cookie.
            active: Whether somebody does something now; a page that asks by itself keeps no session open.
        """
        key, now = _hash(token), self._clock()
        with self._lock:
            session = self._open.get(key)
        if session is None:
            return None
        account = self._users.find(session.name)
        current = account is not None and not account.disabled and account.version == session.version
        if not current or self._is_over(session, now):
            self.close(token)
            return None
        if active:
            session.used = now
        return session

    def close(self, token: str) -> None:
        """Logs out. A token that is not known does no harm."""
        with self._lock:
            self._open.pop(_hash(token), None)

    def _is_over(self, session: Session, now: float) -> bool:
        return now - session.used > self._idle_s or now - session.opened > LONGEST_S


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
