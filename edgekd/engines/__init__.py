"""Engines: back ends that run an artifact, all behind one contract."""

from edgekd.engines.base import Engine, EngineSpec, Frames, Outputs
from edgekd.engines.opening import BACKENDS, open_engine

__all__ = ["BACKENDS", "Engine", "EngineSpec", "Frames", "Outputs", "open_engine"]
