"""Notifies systemd that the service is ready, alive, or about to stop: sd_notify without its library.

Without $NOTIFY_SOCKET, in which systemd asks for it, nothing is sent.
"""

from __future__ import annotations

import contextlib
import os
import socket


def ready() -> None:
    """The service is ready: systemd counts it as started (Type=notify)."""
    _notify("READY=1")


def alive() -> None:
    """The service is alive: systemd restarts it if this is not sent for WatchdogSec, as where all frames are ERROR."""
    _notify("WATCHDOG=1")


def stopping() -> None:
    """The service is about to stop."""
    _notify("STOPPING=1")


def _notify(state: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):  # systemd gives other kinds to virtual machines only.
        return
    if address.startswith("@"):  # An abstract socket: its name begins with a null byte and is in no folder.
        address = "\0" + address[1:]
    # A systemd that cannot be reached must not end an inspection; if it still waits for the message, it restarts us.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
        to.setblocking(False)
        to.sendto(state.encode(), address)
