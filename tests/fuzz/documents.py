"""Mutations of JSON documents: values of other types and sizes, fields dropped, renamed, added; other text."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.mutations import Draw, mutated

NAN, INFINITE = float("nan"), float("inf")
ODD_NUMBERS = (0, 1, -1, 2, 17, 2**31, -(2**31), 2**63, 10**400, 0.5, -0.5, 1e-320, 1e308, -1e308, NAN, INFINITE)
ODD_TEXTS = (
    "",
    "x",
    "0",
    "1e999",
    "nan",
    "../../../etc/passwd",
    "/",
    ".",
    "a" * 5000,
    "\0",
    "\ud800",
    "a\nb\x1b[31m",
    "²",
)
ODD_VALUES = (None, True, False, [], {}, [[]], [None], {"": 0}, [0] * 5000, {"x": {"x": {"x": []}}})
DEPTH = 100_000  # Deeper than any parser recurses.


def _places(document: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a document."""
    if above:
        yield above
    entries = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in entries:
        yield from _places(value, (*above, key))


def _odd(draw: Draw, value: Any) -> Any:
    """A value in place of another."""
    similar: tuple[Any, ...] = (value, [value], {"value": value}, str(value))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        similar += (-value, value + 1, value * 1000)
    if isinstance(value, list):
        similar += (value * 2, value[:-1], value[::-1], [*value, None])
    pool = draw(st.sampled_from((ODD_NUMBERS, ODD_TEXTS, ODD_VALUES, similar)))
    return copy.deepcopy(draw(st.sampled_from(pool)))


@st.composite
def mutated_document(draw: Draw, document: Any, most: int = 3) -> Any:
    """A document with up to `most` changes."""
    changed = copy.deepcopy(document)
    for _ in range(draw(st.integers(0, most))):
        places = list(_places(changed))
        if not places:
            return _odd(draw, changed)
        *above, key = draw(st.sampled_from(places))
        holder = changed
        for each in above:
            holder = holder[each]
        what = draw(st.sampled_from(("replace", "replace", "replace", "drop", "rename", "add")))
        if what == "replace":
            holder[key] = _odd(draw, holder[key])
        elif what == "drop":
            del holder[key]
        elif isinstance(holder, dict):
            value = holder.pop(key) if what == "rename" else None
            holder[draw(st.sampled_from(("", "x", "on", "value", "sha256", "__class__", "a" * 300)))] = value
        else:
            holder.insert(0, _odd(draw, None))
    return changed


@st.composite
def mutated_json(draw: Draw, document: Any, most: int = 3) -> bytes:
    """The file of a document: changed as a document, or as text, or something else altogether."""
    kind = draw(st.sampled_from(("document",) * 8 + ("text", "text", "other")))
    if kind == "document":
        return json.dumps(draw(mutated_document(document, most))).encode("ascii")
    whole = json.dumps(document, indent=2).encode("ascii")
    if kind == "text":
        return draw(mutated([whole]))
    deep = (b"[" * DEPTH, b'{"a":' * DEPTH, b"[" * DEPTH + b"]" * DEPTH)
    odd = (
        b"",
        b"null",
        b"0",
        b'"x"',
        b"[]",
        b"{}",
        b"\xff\xfe",
        whole.decode().encode("utf-16"),
        b"\xef\xbb\xbf" + whole,
    )
    return draw(st.sampled_from((*deep, *odd, b"9" * 5000, b"\0" * 100, whole + whole)))
