"""Cameras: one module a kind, all with the same few methods."""
