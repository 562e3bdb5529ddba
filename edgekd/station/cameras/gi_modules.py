"""Finds gi, through which GStreamer and Aravis are reached; Debian installs it for the system's Python alone."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from edgekd.errors import MachineError, one_line

DIST_PACKAGES = "/usr/lib/python3/dist-packages"


def gi_module(name: str, version: str, purpose: str, package: str) -> Any:
    """A library of GObject introspection.

    Args:
        name: Such as "Aravis".
        version: Such as "0.8".
        purpose: What needs it, for the message.
        package: What installs it on Debian.

    Raises:
        MachineError: gi or the library is not installed.
    """
    gi = _gi(purpose)
    try:
        gi.require_version(name, version)
        return importlib.import_module(f"gi.repository.{name}")
    except (ValueError, ImportError) as error:
        text = f"{purpose} needs {name} {version}, which is not installed: apt install {package}"
        raise MachineError(text) from error


def _gi(purpose: str) -> Any:
    try:
        import gi
    except ImportError:
        # Last, so that nothing there replaces a package of this environment; taken away again for the same reason.
        sys.path.append(DIST_PACKAGES)
        try:
            import gi
        except ImportError as error:
            text = f"{purpose} needs gi for this Python ({one_line(error)}): apt install python3-gi"
            raise MachineError(text) from error
        finally:
            sys.path.remove(DIST_PACKAGES)
    return gi
