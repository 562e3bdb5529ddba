"""Programs and packages that a test needs beside edgekd: it skips where one is missing, and fails where none may be."""

from __future__ import annotations

import importlib.util
import os
import shutil
from typing import NoReturn

import pytest

REQUIRED = "EDGEKD_REQUIRE_COUNTERPARTS"  # Set by .ci/run, which installs all of them.
# What a machine may lack and how to get it, by the program's name.
DEBIAN_PACKAGES = {
    "mosquitto": "mosquitto",
    "mosquitto_pub": "mosquitto-clients",
    "arv-fake-gv-camera-0.8": "aravis-tools",
    "arv-tool-0.8": "aravis-tools-cli",
    "faketime": "faketime",
    "chromium": "chromium",
}


def missing(what: str, remedy: str) -> NoReturn:
    """Skips the test that calls it; fails it where $EDGEKD_REQUIRE_COUNTERPARTS is 1.

    Args:
        what: Is missing, such as "mosquitto".
        remedy: How to get it, such as "apt-get install mosquitto".
    """
    reason = f"needs {what}: {remedy}"
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{reason} ({REQUIRED} is 1)", pytrace=False)
    pytest.skip(reason)


def required_program(name: str, package: str = "") -> str:
    """The path of a program.

    Args:
        name: Of the program.
        package: The Debian package that brings it; "" for the one of DEBIAN_PACKAGES.
    """
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
    if found is None:
        missing(name, f"apt-get install {package or DEBIAN_PACKAGES.get(name, name)}")
    return found


def required_package(name: str, extra: str = "station") -> None:
    """Skips where a Python package is not installed.

    Args:
        name: Of the module, such as "asyncua".
        extra: Of edgekd that installs it.
    """
    if importlib.util.find_spec(name) is None:
        missing(name, f"pip install 'edgekd[{extra}]'")


def required_typelib(name: str, version: str, package: str) -> None:
    """Skips where GObject introspection lacks a library, or Debian's own python3-gi is missing.

    Args:
        name: Of the library, such as "GstRtspServer".
        version: Of its interface, such as "1.0".
        package: The Debian package that brings it.
    """
    import subprocess

    python = shutil.which("python3", path="/usr/bin")
    code = f"import gi; gi.require_version({name!r}, {version!r}); from gi.repository import {name}"
    if python is None or subprocess.run([python, "-c", code], capture_output=True, check=False).returncode:
        missing(f"{name} {version} for python3-gi", f"apt-get install python3-gi {package}")


def required_right(has: bool, what: str) -> None:
    """Skips where this process lacks a right that no package brings, such as to mount a disk; never a failure."""
    if not has:
        pytest.skip(f"needs {what}")
