"""The two flavours of TensorRT: which is here, in which version, and for which GPUs it builds.

The standard one builds on the GPU that it builds for. TensorRT for RTX builds on any CPU, for the GPUs it is told.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable
from typing import Any, NamedTuple

from edgekd.errors import EdgekdError, MachineError, one_line, unknown_name

STANDARD = "tensorrt"
RTX = "tensorrt-rtx"
MODULES = {STANDARD: "tensorrt", RTX: "tensorrt_rtx"}
TITLES = {STANDARD: "TensorRT", RTX: "TensorRT for RTX"}
INSTALLS = {
    STANDARD: "pip install 'edgekd[tensorrt]'; on a Jetson it comes with JetPack",
    RTX: "pip install 'edgekd[tensorrt-rtx]'",
}
# The standard one lacks names before; that for RTX parses quantized convolutions before and fails to build them.
OLDEST = {STANDARD: (10, 3), RTX: (1, 7)}

RTX_CAPABILITIES = ("7.5", "8.0", "8.6", "8.9", "12.0", "12.1")
# What an engine of TensorRT for RTX serves that was built without a compute capability: of Ampere and later those that
# TensorRT for RTX runs on. Jetson Orin (8.7), Hopper (9.0) and Jetson Thor (11.0) are not among them.
PORTABLE_CAPABILITIES = ("8.0", "8.6", "8.9", "12.0", "12.1")
AMPERE = (8, 0)
JETSONS = {"7.2": "a Jetson Xavier", "8.7": "a Jetson Orin", "11.0": "a Jetson Thor"}


class Flavour(NamedTuple):
    """A flavour of TensorRT that is loaded.

    Attributes:
        name: "tensorrt" or "tensorrt-rtx".
        version: Such as "10.13.3.9".
        module: The Python module; both have the same classes.
    """

    name: str
    version: str
    module: Any

    @property
    def title(self) -> str:
        """What NVIDIA calls it."""
        return TITLES[self.name]


def is_installed(name: str) -> bool:
    """Whether a flavour's module is there; not whether it loads."""
    return importlib.util.find_spec(MODULES[name]) is not None


def load_flavour(name: str) -> Flavour:
    """Loads a flavour.

    Args:
        name: "tensorrt" or "tensorrt-rtx".

    Raises:
        EdgekdError: There is no such flavour.
        MachineError: It is not installed, does not load, or is too old.
    """
    if name not in MODULES:
        raise unknown_name("TensorRT", name, MODULES)
    if not is_installed(name):
        raise MachineError(f"{TITLES[name]} is not installed: {INSTALLS[name]}")
    try:
        module = importlib.import_module(MODULES[name])
    except Exception as error:  # It loads libraries of its own, which may be missing or foreign.
        raise MachineError(f"{TITLES[name]} does not load ({one_line(error)}): {INSTALLS[name]}") from error
    flavour = Flavour(name, str(module.__version__), module)
    oldest = ".".join(map(str, OLDEST[name]))
    if _numbers(flavour.version) < OLDEST[name]:
        raise MachineError(
            f"{flavour.title} {flavour.version} is too old, {oldest} or newer is needed: {INSTALLS[name]}"
        )
    return flavour


def default_flavour() -> Flavour:
    """The standard flavour where it can be used, else that for RTX.

    Raises:
        MachineError: Neither can be used.
    """
    try:
        return load_flavour(STANDARD)
    except MachineError:
        if is_installed(STANDARD) and not is_installed(RTX):
            raise
    if not is_installed(RTX):
        raise MachineError(f"no TensorRT is installed: {INSTALLS[RTX]}, or {INSTALLS[STANDARD]}")
    return load_flavour(RTX)


def checked_capabilities(texts: Iterable[str]) -> list[str]:
    """Compute capabilities that TensorRT for RTX builds for, sorted, each once.

    Args:
        texts: As NVIDIA writes them, such as "8.6".

    Raises:
        EdgekdError: It does not build for one of them.
    """
    for text in texts:
        if text in JETSONS:
            raise EdgekdError(
                f"compute capability {text} is {JETSONS[text]}, which {TITLES[RTX]} does not build for: "
                "build on the Jetson itself, with the TensorRT that comes with JetPack (--backend tensorrt)"
            )
        if text not in RTX_CAPABILITIES:
            raise EdgekdError(
                f"'{text}' is no compute capability that {TITLES[RTX]} builds for: they are "
                f"{', '.join(RTX_CAPABILITIES)}; for another GPU build on its own machine (--backend tensorrt)"
            )
    return sorted(set(texts), key=_numbers)


def capability_name(text: str) -> str:
    """A compute capability's name in TensorRT for RTX: "SM86" of "8.6"."""
    return f"SM{text.replace('.', '')}"


def is_ampere_or_later(capability: str) -> bool:
    """Whether a GPU is an Ampere or a later one: compute capability 8.0 or higher."""
    return _numbers(capability) >= AMPERE


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: (10, 3, 0) of "10.3.0.dev1"."""
    numbers = []
    for part in version.split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)
