"""The inspector's end of its connection to control."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import threading
import time
from typing import NoReturn

from edgekd.station.inspector.messages import (
    LENGTH,
    Beat,
    Message,
    ToInspector,
    checked_length,
    decode_to_inspector,
    encode,
)

BEATS = 0.5  # Seconds between two.
PARENT_DEATH_SIGNAL = 1  # Linux's PR_SET_PDEATHSIG.


class Channel:
    """Messages to and from control. Any thread may send; one receives.

    Args:
        connection: The socket.

    Attributes:
        preloading: What beats tell of that.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self.preloading = False

    def send(self, message: Message) -> None:
        """Sends a message; where control is gone, this process ends."""
        content = encode(message)
        try:
            with self._sending:
                self._connection.sendall(content)
        except OSError:
            end_now()

    def receive(self) -> ToInspector:
        """Waits for a message; where control is gone, this process ends.

        Raises:
            MessageError: What came is no message.
        """
        (length,) = LENGTH.unpack(self._exactly(LENGTH.size))
        return decode_to_inspector(self._exactly(checked_length(length)))

    def beat(self) -> None:
        """Tells that this process responds."""
        self.send(Beat(preloading=self.preloading))

    def keep_beating(self) -> None:
        """Sends a beat each half second from now on, from a thread of its own."""
        threading.Thread(target=self._keep_beating, name="heartbeat", daemon=True).start()

    def _keep_beating(self) -> None:
        while True:
            self.beat()
            time.sleep(BEATS)

    def _exactly(self, length: int) -> bytes:
        content = bytearray()
        while len(content) < length:
            try:
                came = self._connection.recv(length - len(content))
            except OSError:
                came = b""
            if not came:
                end_now()
            content += came
        return bytes(content)


def end_now() -> NoReturn:
    """Ends this process at once: nobody is left to judge for, and a thread in a driver cannot be waited for."""
    sys.stderr.flush()
    os._exit(0)


def die_with_parent() -> None:
    """Lets the system kill this process when control ends, even while a driver holds every thread of it.

    Elsewhere than on Linux, the end of the connection must do.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
