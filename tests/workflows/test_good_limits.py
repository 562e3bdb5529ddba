"""What export learns from the good images besides the threshold."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgekd.artifact import manifest_path
from edgekd.engines import open_engine
from edgekd.progress import silent
from edgekd.recipe import held_out_images, read_recipe
from edgekd.runner import inspect_stream
from edgekd.runner.sources import image_frames
from edgekd.training.run import load_run
from edgekd.verdicts.image_checks import CHECKS, checks_of, statistics
from edgekd.verdicts.limits import Limits, limits_of
from edgekd.workflows.good_limits import artifact_limits, image_checks


def test_the_pixel_limit_is_chosen_from_the_highest_pixels_of_held_out_maps(exported: Path) -> None:
    stored = json.loads(manifest_path(exported).read_text())["pixel_limit"]
    recipe = read_recipe(exported.parent)
    held_out = held_out_images(recipe)
    with open_engine(exported) as engine:
        answers = list(inspect_stream(engine, image_frames(held_out), Limits(np.inf), -np.inf))
    peaks = sorted(float(answer.result.anomaly_map.max()) for answer in answers)
    assert peaks[0] < stored["value"] <= peaks[-1] * (1 + 1e-5)
    assert limits_of(json.loads(manifest_path(exported).read_text())).pixel_limit == stored["value"]
    detector, _ = load_run(exported.parent)
    half = artifact_limits(exported, detector, recipe, 0.5, True, silent)["pixel_limit"]
    assert half["value"] < stored["value"]
    assert sum(peak > half["value"] for peak in peaks) == pytest.approx(len(peaks) / 2, abs=1)


def test_all_good_images_pass_the_checks_that_are_learned_from_them(elpv_images: list[Path]) -> None:
    counted: list[int] = []
    entry = image_checks(elpv_images[:40], lambda step, done, of: counted.append(done))
    assert entry is not None
    assert counted == list(range(1, 41))
    assert entry["good_images"] == 40
    assert set(CHECKS) <= set(entry)
    assert json.loads(json.dumps(entry)) == entry
    from edgekd.data.images import read_image

    assert all(checks_of(entry).failure(statistics(read_image(path))) is None for path in elpv_images[:40])
