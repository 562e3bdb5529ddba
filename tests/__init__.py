"""Tests mirror the package."""

import edgekd  # noqa: F401  Before torch, as in the commands: it says how torch's threads wait.
