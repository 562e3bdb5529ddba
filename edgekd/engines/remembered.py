"""What was measured once on this machine, and is remembered for the next start."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Collection
from typing import TypeVar

from edgekd.artifact import write_json
from edgekd.engines.cache import cache_folder
from edgekd.engines.cores import core_kinds
from edgekd.errors import EdgekdError
from edgekd.json_files import read_object

Value = TypeVar("Value", str, int)


def remembered(name: str, key: str, allowed: Collection[Value], measure: Callable[[], Value]) -> Value:
    """What was measured for a key on a processor like this one, or what is measured for it now.

    Args:
        name: Of the file in the cache folder, such as "streams.json".
        key: What the result depends on besides the processor, such as graph, threads and versions.
        allowed: Results that can be; another one in the file is measured anew.
        measure: Gives the result.
    """
    # A cache folder goes from one machine to another: in a copied disk, on a network, in a container's volume.
    key = f"{key} processor {hashlib.sha256(' '.join(core_kinds()).encode()).hexdigest()[:16]}"
    memory = cache_folder() / name
    known: dict[str, Value] = {}
    with contextlib.suppress(EdgekdError):  # A damaged file is measured anew.
        known = read_object(memory)
    if known.get(key) not in allowed:
        known[key] = measure()
        with contextlib.suppress(EdgekdError):  # A read-only home costs a measurement at each start, no more.
            write_json(memory, known)
    return known[key]
