"""Telling systemd that the service is up, alive, or about to end: sd_notify without its library.

Where no systemd asked for it, in $NOTIFY_SOCKET, nothing is sent.
"""

from __future__ import annotations

import contextlib
import os
import socket


def ready() -> None:
    """The service does its work from here on: systemd counts it as started (Type=notify)."""
    _notify("READY=1")


def alive() -> None:
    """The service works: systemd restarts it when this was not said for WatchdogSec."""
    _notify("WATCHDOG=1")


def stopping() -> None:
    """The service is about to end."""
    _notify("STOPPING=1")


def _notify(state: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):  # systemd names other kinds to virtual machines alone.
        return
    if address.startswith("@"):  # An abstract name, which begins with a null byte and stands in no folder.
        address = "\0" + address[1:]
    # A systemd that cannot be reached must not end an inspection; if it still waits for the word, it restarts us.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
        to.setblocking(False)
        to.sendto(state.encode(), address)
