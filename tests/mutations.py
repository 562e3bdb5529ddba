"""Every field of a JSON file replaced by what does not belong there: for tests, and for `make fuzz`.

`mutations` walks a file's content; each mutation is the whole text of a changed file. `deranged` are whole files that
are hardly JSON.
"""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

# Tokens that json.dumps does not write: they stand in the text in place of a marked string.
RAW = {
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": "-Infinity",
    "1e999": "1e999",
    "an integer of 30 digits": "1" * 30,
    "an integer of 5000 digits": "1" * 5000,
    "a list in 100 lists": "[" * 100 + "]" * 100,
    "a list in 100000 lists": "[" * 100_000 + "]" * 100_000,
    "an object in 2000 objects": '{"a":' * 2000 + "1" + "}" * 2000,
}
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 3, 64, 1.0, 0.5, -0.5, 2**31, -(2**31), 2**53, 2**63, -(2**63), 2**64, 5e-324),
    *(1e308, -1e308, "", "x", "0", "batch", "x" * 100_000, "../../x", "/etc/passwd", "C:\\x", "a/b", ".", ".."),
    *("\0", "\ud800", "\udce4.png", "line\nfeed\x1b[2J", "'; rm -rf /", "[bold]", "a" * 64, "2" * 64, [], {}, [[]]),
    *([None], [0, 0], [1, 1], [0.0, 1.0], [[0.0, 1.0]], {"a": 1}, {"": None}, [1] * 10_000),
)


class Mutation(NamedTuple):
    """A changed file.

    Attributes:
        where: The field, such as "threshold.limits[0].value".
        what: What became of it.
        text: Of the whole file.
    """

    where: str
    what: str
    text: bytes


def mutations(content: Any) -> Iterator[Mutation]:
    """Every field of a file's content, at every depth: left out, twice, beside an unknown one, or another value."""
    for place in places(content):
        where = _written(place)
        for value in VALUES:
            yield Mutation(where, _short(value), text_of(_replaced(content, place, value)))
        for what, token in RAW.items():
            marked = text_of(_replaced(content, place, "@raw@"))
            yield Mutation(where, what, marked.replace(b'"@raw@"', token.encode()))
        if not place:
            continue
        yield Mutation(where, "left out", text_of(_without(content, place)))
        holder = _at(content, place[:-1])
        if isinstance(holder, dict):
            extra = {**holder, "unknown": holder[place[-1]], "@twice@": holder[place[-1]]}
            renamed = json.dumps(place[-1]).encode()
            text = text_of(_replaced(content, place[:-1], extra)).replace(b'"@twice@"', renamed)
            yield Mutation(where, "twice", text)
            yield Mutation(
                where, "beside an unknown one", text_of(_replaced(content, place[:-1], {**holder, "new": 1}))
            )
            named = {"../../x" if name == place[-1] else name: value for name, value in holder.items()}
            yield Mutation(where, "under another name", text_of(_replaced(content, place[:-1], named)))
        else:
            yield Mutation(where, "twice", text_of(_replaced(content, place[:-1], [*holder, holder[place[-1]]])))
            yield Mutation(where, "reversed", text_of(_replaced(content, place[:-1], holder[::-1])))


def some_mutations(content: Any, count: int, seed: int) -> list[Mutation]:
    """So many of them, drawn at random."""
    found = list(mutations(content))
    return random.Random(seed).sample(found, min(count, len(found)))


def deranged(text: bytes) -> dict[str, bytes]:
    """Whole files that are hardly JSON, by what is wrong with them."""
    return {
        "empty": b"",
        "cut in half": text[: len(text) // 2],
        "not UTF-8": text.replace(b'"', b'"\xff', 3),
        "UTF-16": text.decode().encode("utf-16"),
        "NUL bytes": b"\0" * 1000,
        "a ZIP": b"PK\x03\x04" + text,
        "twice": text + text,
        "a comment": b"// a\n" + text,
        "one list": b"[]",
        "one number": b"7",
        "null": b"null",
        "deep lists": b"[" * 1_000_000,
        "deep objects": b'{"a":' * 1_000_000,
        "unpaired": b'{"a": "\\ud800"}',
        "many errors": b'{"format_version": 1, "sha256": [' + b"null," * 200_000 + b"0]}",
        "large": b"[" + b"0," * (9 << 20) + b"0]",
    }


def text_of(content: Any) -> bytes:
    """The text of a file, with names as edgekd writes them."""
    return json.dumps(content).encode()


def places(content: Any, most: int = 2) -> Iterator[tuple[Any, ...]]:
    """The places of all values; of a list those of the first few and of the last."""
    yield ()
    if isinstance(content, dict):
        inside = list(content)
    elif isinstance(content, list):
        inside = sorted({*range(len(content))[:most], *range(len(content))[-1:]})
    else:
        return
    for step in inside:
        for rest in places(content[step], most):
            yield (step, *rest)


def _at(content: Any, place: tuple[Any, ...]) -> Any:
    for step in place:
        content = content[step]
    return content


def _replaced(content: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    changed = copy.copy(content)
    changed[place[0]] = _replaced(content[place[0]], place[1:], value)
    return changed


def _without(content: Any, place: tuple[Any, ...]) -> Any:
    changed = copy.copy(content)
    if len(place) == 1:
        del changed[place[0]]
    else:
        changed[place[0]] = _without(content[place[0]], place[1:])
    return changed


def _written(place: tuple[Any, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
