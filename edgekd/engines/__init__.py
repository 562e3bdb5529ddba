"""Engines: back ends that run an artifact, all behind one contract."""

from edgekd.backends import ACCELERATED, ALL_BACKENDS
from edgekd.engines.base import EVERY_MAP, NO_MAP, Engine, EngineSpec, Frames, Outputs, require_finite
from edgekd.engines.opening import BACKENDS, cpu_backends, open_engine

__all__ = [
    "ACCELERATED",
    "ALL_BACKENDS",
    "BACKENDS",
    "EVERY_MAP",
    "NO_MAP",
    "Engine",
    "EngineSpec",
    "Frames",
    "Outputs",
    "cpu_backends",
    "open_engine",
    "require_finite",
]
