"""What the page knows of control, and may ask of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

from edgekd.station.error_codes import ErrorCode
from edgekd.station.page.roles import User

Message = dict[str, Any]


class RefusedError(Exception):
    """Control did not do what was asked.

    Args:
        code: Why not.
        text: The same in one line, with what to do.
    """

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


class FollowerSlowError(Exception):
    """Somebody who follows did not take what happened in time."""


class Changes(Protocol):
    """What happens: {"station", "view" or None, "event" or None} each."""

    def __aiter__(self) -> AsyncIterator[Message]: ...

    async def __anext__(self) -> Message:
        """The next change.

        Raises:
            FollowerSlowError: Too much waited to be taken; begin anew, with what is shown now.
        """

    def close(self) -> None:
        """Ends following."""


class ControlLink(Protocol):
    """Control, as the page's process sees it. Stations are named; what an unknown name gets is `KeyError`."""

    @property
    def stations(self) -> tuple[str, ...]:
        """Names of the stations, in the configuration's order."""

    def view(self, station: str) -> Message:
        """What a station shows now; see `edgekd.station.page.views`."""

    async def ask(self, station: str, method: str, user: User, **arguments: Any) -> Message:
        """Asks a station for something; `edgekd.station.page.requests` lists what there is.

        Args:
            station: Its name.
            method: What to do.
            user: Who asks; goes into the audit trail.
            arguments: Of the method.

        Returns:
            What came of it; {} where there is nothing to tell.

        Raises:
            RefusedError: It was not done.
            TimeoutError: Control does not answer.
        """

    def recent(self, station: str) -> list[Message]:
        """The last results of a station, the newest first; see `edgekd.station.page.recorded`."""

    @property
    def followers(self) -> int:
        """How many follow what happens."""

    def changes(self) -> Changes:
        """What happens from now on; close it at the end."""

    def tell(self, station: str, event: Message) -> None:
        """Tells everybody who follows something that the page's process knows by itself, such as how teaching goes.

        Args:
            station: Whom it concerns.
            event: With its "name".
        """
