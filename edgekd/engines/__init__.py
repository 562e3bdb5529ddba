"""Engines: back ends that run an artifact, all behind one contract."""

from edgekd.engines.base import EVERY_MAP, NO_MAP, Engine, EngineSpec, Frames, Outputs
from edgekd.engines.opening import BACKENDS, open_engine

__all__ = ["BACKENDS", "EVERY_MAP", "NO_MAP", "Engine", "EngineSpec", "Frames", "Outputs", "open_engine"]
