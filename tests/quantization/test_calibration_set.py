import json
import shutil

import cv2
import numpy as np
import pytest

from edgekd.data.layouts import find_good_images
from edgekd.errors import ArtifactError, EdgekdError
from edgekd.quantization.calibration_set import (
    CalibrationSet,
    at_random,
    hashed,
    k_centre,
    outliers,
    read_calibration_set,
    require_enough,
    write_calibration_set,
)


@pytest.fixture
def written(good_folder, tmp_path):
    """A set of nine images and the manifest that names it."""
    paths = find_good_images(good_folder)[:9]
    path = tmp_path / "set.json"
    write_calibration_set(path, CalibrationSet(hashed(good_folder, paths), str(good_folder), "random", 1, 24))
    return path, paths


def test_a_set_is_read_as_it_was_written(written):
    path, paths = written
    chosen = read_calibration_set(path)
    assert chosen.paths() == paths
    assert (chosen.choice, chosen.seed, chosen.chosen_from) == ("random", 1, 24)


def test_an_image_that_changed_is_named(written):
    path, paths = written
    cv2.imwrite(str(paths[3]), np.zeros((96, 96, 3), np.uint8))
    with pytest.raises(ArtifactError, match=f"{paths[3].name} is not the image"):
        read_calibration_set(path)


def test_an_image_that_is_gone_is_named(written):
    path, paths = written
    paths[5].unlink()
    with pytest.raises(ArtifactError, match=paths[5].name):
        read_calibration_set(path)


@pytest.mark.parametrize("name", ["a" * 300 + ".png", "/".join(["a" * 200] * 20) + ".png"])
def test_a_name_that_no_file_can_have_is_refused(written, name):
    path, _ = written
    content = json.loads(path.read_text())
    content["images"] = {name: "0" * 64}
    path.write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match=r"must be the path of a file|put it back"):
        read_calibration_set(path)


def test_a_set_moved_with_its_images_is_read_where_its_root_is_relative(written, good_folder, tmp_path):
    path, _ = written
    moved = tmp_path / "elsewhere"
    shutil.copytree(good_folder, moved / "images")
    chosen = read_calibration_set(path)
    write_calibration_set(moved / "set.json", CalibrationSet(chosen.images, "images", "random", 1, 24))
    assert read_calibration_set(moved / "set.json").paths()[0].is_relative_to(moved)


def test_json_that_is_no_set_is_refused(tmp_path):
    (tmp_path / "x.json").write_text('{"images": {}}')
    with pytest.raises(ArtifactError, match=r"x\.json: root is missing; give a calibration set"):
        read_calibration_set(tmp_path / "x.json")


def test_too_few_images_are_refused():
    with pytest.raises(EdgekdError, match="holds 7 good images to calibrate on: INT8 needs 8 at least"):
        require_enough(7, "folder")
    require_enough(8, "folder")


def test_k_centre_takes_one_of_each_cluster():
    random = np.random.default_rng(0)
    centres = np.asarray([[0, 0], [10, 0], [0, 10], [10, 10]], np.float32)
    points = np.repeat(centres, [50, 3, 1, 2], axis=0) + 0.1 * random.standard_normal((56, 2)).astype(np.float32)
    chosen = k_centre(points, 4)
    assert sorted(np.abs(centres[:, None] - points[chosen]).sum(2).argmin(0).tolist()) == [0, 1, 2, 3]


def test_k_centre_takes_all_where_there_are_no_more():
    assert k_centre(np.eye(3, dtype=np.float32), 5) == [0, 1, 2]


def test_a_random_choice_follows_from_its_seed():
    assert at_random(100, 10, 4) == at_random(100, 10, 4) != at_random(100, 10, 5)
    assert at_random(3, 10, 0) == [0, 1, 2]


def test_outliers_are_those_far_above_good_scores():
    good = np.random.default_rng(0).normal(1.0, 0.1, 40)
    assert outliers([1.0, 3.0, 1.2, 2.5, 0.1], good) == [1, 3]


def test_a_set_that_was_read_from_a_relative_root_can_be_written_elsewhere(written, good_folder, tmp_path, monkeypatch):
    path, _ = written
    chosen = read_calibration_set(path)
    relative = tmp_path / "sets" / "relative.json"
    write_calibration_set(relative, CalibrationSet(chosen.images, f"../{good_folder.name}", "random", 1, 24))
    monkeypatch.chdir(tmp_path)
    again = tmp_path / "far" / "away" / "again.json"
    write_calibration_set(again, read_calibration_set(relative.relative_to(tmp_path)))
    assert len(read_calibration_set(again).paths()) == 9


def test_a_set_without_a_root_is_refused(written):
    path, _ = written
    path.write_text(path.read_text().replace('"root": "', '"root": null, "was": "'))
    with pytest.raises(ArtifactError, match="root must be text, got null; give a calibration set"):
        read_calibration_set(path)
