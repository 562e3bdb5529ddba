"""What users write: sizes, tiles, crops, polygons, numbers; and views, as files hold them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import typer
from hypothesis import strategies as st

from edgekd.cli.types import between, image_size, not_negative, positive
from edgekd.errors import EdgekdError, ImageError
from edgekd.preprocessing import Preprocessing, parse_size
from edgekd.view import read_view, view_entry
from edgekd.workflows.views import parse_crop, parse_tiles
from tests.fuzz.case import Case, Target, WrongAnswerError
from tests.fuzz.documents import mutated_document
from tests.fuzz.mutations import Draw
from tests.fuzz.seeds import part

NUMBERS = (
    "0",
    "1",
    "2",
    "16",
    "128",
    "64",
    "-1",
    "٣",
    "²",
    "Ⅷ",
    "1e3",
    "1_0",
    "0x10",
    "+5",
    "9" * 20,
    "9" * 5000,
    "nan",
    "",
)
SEPARATORS = ("x", "X", ",", " ", ";", ":", "\n", "\t", "\u00d7", "\0", "")
TEXTS = st.one_of(
    st.lists(st.sampled_from((*NUMBERS, *SEPARATORS)), max_size=9).map("".join),
    st.text(max_size=12),
    st.lists(st.integers(-5, 300), max_size=8).map(lambda numbers: " ".join(f"{each},{each}" for each in numbers)),
)


TEXT_PARSERS: tuple[Callable[[str], object], ...] = (
    parse_size,
    parse_tiles,
    parse_crop,
    image_size,
    positive,
    not_negative,
    between(0, 1e30),
)


def run_text(values: Mapping[str, Any], folder: Path) -> None:
    from edgekd.workflows.train import TrainOptions
    from edgekd.workflows.views import view_for

    cv2.imwrite(str(folder / "a.png"), part())
    text, refused = values["text"], None
    options = ({"ignore": [text]}, {"look_at": [text]}, {"crop": text}, {"tiles": text}, {"align": text})
    views = [partial(TrainOptions, "hkt", data=folder, run="run", **each) for each in options]
    for parse in (*TEXT_PARSERS, *(lambda _, make=make: view_for(make(), folder, "timed") for make in views)):
        try:
            parse(text)
        except EdgekdError as error:
            refused = error
        except typer.BadParameter:
            continue
    if refused is not None:
        raise refused


VIEW = {
    "frame": [48, 56],
    "crop": [4, 4, 40, 40],
    "look_at": [[[0, 0], [50, 0], [50, 40], [0, 40]]],
    "ignore": [[[10, 10], [20, 10], [15, 20]]],
    "fit": "letterbox",
    "tiles": [2, 2],
    "overlap": 0.1,
    "align": None,
}


@st.composite
def view_cases(draw: Draw) -> Case:
    from edgekd.data.alignment import encode_reference

    entry = dict(VIEW)
    if draw(st.booleans()):
        entry["align"] = {"reference": encode_reference(part()), "max_shift": 5.0, "max_rotation": 3.0}
    entry = draw(mutated_document(entry, most=2))
    sides = draw(st.tuples(st.sampled_from((16, 32, 33)), st.sampled_from((16, 32, 70))))
    return Case({}, {"view": json.dumps(entry), "sides": sides, "rule": draw(st.sampled_from(("area", "area-2")))})


def run_view(values: Mapping[str, Any], folder: Path) -> None:
    """What a view asks for is done to a frame, and undone to its map; what cannot be is refused."""
    from edgekd.data.preparing import assemble, frame_score, prepare

    view = read_view(json.loads(values["view"]), "the manifest")
    if read_view(json.loads(json.dumps(view_entry(view))), "x") != view:
        raise WrongAnswerError("a view is another one after it was written and read")
    preprocessing = Preprocessing(*values["sides"], values["rule"], view)
    for image in (part(), part(40)):
        try:
            frames, placement = prepare(image, preprocessing)
        except ImageError:
            continue
        if frames.shape != (view.count, *values["sides"], 3):
            raise WrongAnswerError(f"frames of {frames.shape}")
        maps = np.ones((view.count, *values["sides"]), np.float32)
        assembled = assemble(maps, placement, preprocessing)
        known = assembled[~np.isnan(assembled)]
        if not np.allclose(known, 1, atol=1e-3):
            raise WrongAnswerError(f"a map of ones was put together with {known.min()} to {known.max()}")
        frame_score(np.ones(view.count, np.float32), preprocessing)


TARGETS = (
    Target(
        "options",
        "preprocessing.py, cli/types.py, workflows/views.py",
        lambda seeds: TEXTS.map(lambda text: Case({}, {"text": text})),
        run_text,
        smoke=100,
    ),
    Target(
        "views",
        "view.py, data/view_geometry.py, data/preparing.py, data/alignment.py",
        lambda seeds: view_cases(),
        run_view,
        smoke=40,
    ),
)
