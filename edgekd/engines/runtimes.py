"""ONNX Runtime and OpenVINO, imported so that they report to nobody. Nothing else in the package imports them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NO_TELEMETRY = "ORT_DISABLE_TELEMETRY"


def import_onnxruntime() -> Any:
    """ONNX Runtime, which otherwise (from 1.32 on) keeps a device id and events in the user's cache, to send them.

    A value that the user has given to ORT_DISABLE_TELEMETRY stays.
    """
    os.environ.setdefault(NO_TELEMETRY, "1")
    import onnxruntime

    return onnxruntime


def import_openvino() -> Any:
    """OpenVINO, which otherwise keeps an id in the user's home and sends an event to Intel when it is imported."""
    with _absent("openvino_telemetry"):
        import openvino
    return openvino


@contextmanager
def _absent(module: str) -> Iterator[None]:
    """Makes a module look as if it were not installed; OpenVINO then takes a stub of its own."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # This is how Python is told that there is none.
    try:
        yield
    finally:
        del sys.modules[module]
