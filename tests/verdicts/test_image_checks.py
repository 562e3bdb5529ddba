from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgekd.data.images import Image, read_image
from edgekd.errors import EdgekdError
from edgekd.verdicts.image_checks import CHECKS, NO_CHECKS, ImageChecks, checks_of, learn_checks, statistics


def with_noise(image: np.ndarray) -> Image:
    noise = np.random.default_rng(0).normal(0, 1, image.shape)
    return np.asarray(np.clip(image + noise, 0, 255).round(), np.uint8)


@pytest.fixture(scope="module")
def cells(elpv_images: list[Path]) -> list[Image]:
    return [read_image(path) for path in elpv_images[:120]]


@pytest.fixture(scope="module")
def checks(cells: list[Image]) -> ImageChecks:
    return checks_of(learn_checks([statistics(image) for image in cells[:80]]))


def reasons(checks: ImageChecks, images: list[Image]) -> set[str]:
    return {(checks.failure(statistics(image)) or "").partition(":")[0] for image in images}


def test_unseen_good_and_defective_cells_pass(checks: ImageChecks, cells: list[Image]) -> None:
    from ..conftest import monocrystalline

    defective = [read_image(path) for path in monocrystalline("1.0")[:60]]
    assert reasons(checks, cells[80:]) == {""}
    failed = [line for image in defective if (line := checks.failure(statistics(image))) is not None]
    assert len(failed) <= 1, failed


def test_a_covered_lens_is_too_dark_and_its_levels_are_named(checks: ImageChecks, cells: list[Image]) -> None:
    covered = [with_noise(image * 0.02) for image in cells[80:]]
    assert reasons(checks, covered) == {"too dark"}
    line = checks.failure(statistics(covered[0]))
    least = min(statistics(image).level for image in cells[:80])
    assert line is not None
    assert f"at least {least:.0f} in the good images: check the lamp and the lens" in line


def test_an_over_exposed_image_is_found(checks: ImageChecks, cells: list[Image]) -> None:
    assert reasons(checks, [with_noise(image * 2.5) for image in cells[80:]]) <= {"over-exposed", "too bright"}


def test_a_grey_card_is_flat_whatever_its_vignette(checks: ImageChecks) -> None:
    y, x = np.mgrid[-1:1:300j, -1:1:300j]
    card = np.repeat((140 * (1 - 0.1 * (x * x + y * y)))[:, :, None], 3, axis=2)
    assert reasons(checks, [with_noise(card)]) == {"flat"}


@pytest.mark.parametrize("sigma", [4, 6, 8])
def test_defocus_is_found_behind_the_cameras_noise(checks: ImageChecks, cells: list[Image], sigma: float) -> None:
    blurred = [with_noise(cv2.GaussianBlur(image, (0, 0), sigma)) for image in cells[80:]]
    found = [checks.failure(statistics(image)) or "" for image in blurred]
    assert sum(line.startswith("blurred: sharpness") for line in found) >= 0.9 * len(found)


def test_half_the_light_is_found_where_the_good_images_are_alike(cells: list[Image]) -> None:
    alike = [with_noise(image * (150 / image.mean())) for image in cells]
    checks = checks_of(learn_checks([statistics(image) for image in alike[:80]]))
    assert reasons(checks, alike[80:]) == {""}
    assert reasons(checks, [with_noise(image * 0.5) for image in alike[80:]]) == {"too dark"}


def test_one_size_must_be_met_and_several_sizes_are_a_range(cells: list[Image], checks: ImageChecks) -> None:
    smaller = cv2.resize(cells[0], (200, 200), interpolation=cv2.INTER_AREA)
    line = checks.failure(statistics(np.asarray(smaller, np.uint8)))
    assert line == "another size: 200 x 200 pixels, the good images have 300 x 300: check the camera's settings"
    several = [np.ascontiguousarray(image[: 200 + 10 * (index % 9)]) for index, image in enumerate(cells)]
    ranged = checks_of(learn_checks([statistics(image) for image in several]))
    assert ranged.failure(statistics(np.ascontiguousarray(cells[0][:233]))) is None
    on_its_side = np.ascontiguousarray(several[0].transpose(1, 0, 2))
    assert (ranged.failure(statistics(on_its_side)) or "").startswith("another size: 200 x 300 pixels, good images are")


def test_each_check_is_switched_off_by_its_name_and_in_the_manifest(cells: list[Image]) -> None:
    entry = learn_checks([statistics(image) for image in cells[:80]])
    assert entry is not None
    black = statistics(np.zeros((300, 300, 3), np.uint8))
    assert (checks_of(entry).failure(black) or "").startswith("too dark")
    assert (checks_of(entry, ["dark"]).failure(black) or "").startswith("flat")
    assert (checks_of(entry | {"dark": entry["dark"] | {"on": False}}).failure(black) or "").startswith("flat")
    assert checks_of(entry, CHECKS).failure(black) is None
    assert not checks_of(entry, CHECKS)
    assert not checks_of(entry, ["frozen"]).frozen


def test_artifacts_of_before_and_few_images_have_no_checks() -> None:
    assert checks_of(None) == NO_CHECKS
    assert NO_CHECKS.failure(statistics(np.zeros((20, 20, 3), np.uint8))) is None
    assert learn_checks([statistics(np.zeros((20, 20, 3), np.uint8))] * 9) is None


def test_a_check_that_there_is_not_is_refused_with_the_like() -> None:
    with pytest.raises(EdgekdError, match=r"'blured'.*blurred"):
        checks_of(None, ["blured"])


@pytest.mark.parametrize("shape", [(16, 16), (16, 4000), (3000, 17), (31, 33)])
def test_images_of_any_size_are_measured(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    seen = statistics(image)
    assert (seen.height, seen.width) == shape
    assert np.isfinite(seen).all()
    assert seen.level == pytest.approx(127, abs=25)
