"""The state of a station, which only ever changes as `states.FOLLOWING` lets it."""

from __future__ import annotations

from collections.abc import Callable

from edgekd.station.events import Event, StateChanged
from edgekd.station.states import FOLLOWING, State


class StateMachine:
    """The state of a station.

    Args:
        tell: Told of each change.

    Attributes:
        state: What the station is doing.
    """

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self.state = State.STARTING
        self._tell = tell

    def to(self, state: State, cause: str = "") -> None:
        """Goes to another state.

        Raises:
            AssertionError: It does not follow; a fault of ours.
        """
        before = self.state
        assert state in FOLLOWING[before], f"{before.name} is not followed by {state.name} ({cause})"
        self.state = state
        self._tell(StateChanged(before, state, cause))
