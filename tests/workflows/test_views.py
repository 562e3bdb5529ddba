"""A view's way from training through export to verdicts and figures, on the real engine."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import onnx
import pytest

from edgekd import Inspector
from edgekd.artifact import read_manifest
from edgekd.data.images import read_image
from edgekd.data.resizing import resize_image
from edgekd.engines import EVERY_MAP, open_engine
from edgekd.graph.macs import count_macs
from edgekd.preprocessing import preprocessing_of
from edgekd.result import Verdict
from edgekd.runner import inspect_stream
from edgekd.runner.sources import image_frames
from edgekd.training.run import load_run
from edgekd.verdicts.limits import Limits
from edgekd.workflows.calibrate import calibrate
from edgekd.workflows.drift import drift
from edgekd.workflows.evaluate import evaluate
from edgekd.workflows.export import export
from edgekd.workflows.scoring import network_scores
from edgekd.workflows.train import train

HEIGHT, WIDTH = 112, 176
CORNER = "16,8 60,8 16,50"  # Ignored.


def write(paths, folder):
    folder.mkdir(parents=True)
    return [
        cv2.imwrite(str(folder / f"{number:03}.png"), resize_image(read_image(path), HEIGHT, WIDTH))
        for number, path in enumerate(paths)
    ]


@pytest.fixture(scope="module")
def viewed(elpv_images, tiny_teacher, tmp_path_factory):
    """A run that looks at a crop without its corner, in 2 x 2 tiles; exported."""
    folder = tmp_path_factory.mktemp("viewed")
    write(elpv_images[:104], folder / "good")
    train(
        "hkt",
        data=folder / "good",
        run=folder / "run",
        iterations=4,
        size=64,
        batch=2,
        teacher=tiny_teacher,
        crop="16,8,144,96",
        ignore=[CORNER],
        tiles="2x2",
        overlap=0.2,
    )
    export(folder / "run")
    return folder / "run"


@pytest.fixture
def images(viewed):
    return sorted((viewed.parent / "good").iterdir())


def test_the_artifact_holds_the_view_and_a_batch_is_an_image_with_all_of_its_tiles(viewed):
    manifest = read_manifest(viewed / "detector.onnx")
    assert manifest["inputs"]["frames"]["shape"] == [4, 64, 64, 3]
    view = preprocessing_of(manifest).view
    assert (view.crop, view.tiles, view.fit, view.frame) == ((16, 8, 144, 96), (2, 2), "letterbox", (HEIGHT, WIDTH))
    assert manifest["threshold"]["good_images"] >= 10
    assert manifest["macs"] == 4 * count_macs(onnx.load(viewed / "detector.onnx"))


def test_the_score_is_that_of_the_network_and_the_map_covers_the_frame(viewed, images, tmp_path):
    for path in images[:5]:
        shutil.copy(path, tmp_path)
    detector, recipe = load_run(viewed)
    expected = network_scores(detector, images[:5], recipe, "", lambda *words: None)
    with Inspector(viewed) as inspector:
        results = [inspector(path) for path in images[:5]]
        streamed = [answer.result for answer in inspector.stream(tmp_path, maps="all")]
    assert [result.score for result in results] == pytest.approx(expected, rel=1e-3)
    assert [result.score for result in streamed] == pytest.approx(expected, rel=1e-3)
    for result, other in zip(results, streamed, strict=True):
        down, across = (side / frame for side, frame in zip(result.anomaly_map.shape, (HEIGHT, WIDTH), strict=True))
        assert down == pytest.approx(across, rel=0.02)  # Letter-boxed: of the frame's shape.
        assert np.isnan(result.anomaly_map[round(20 * down), round(22 * across)])  # In the corner.
        assert np.isnan(result.anomaly_map[:, : int(15 * across)]).all()  # Beside the crop.
        assert np.isfinite(result.anomaly_map[round(60 * down) :, round(62 * across) : round(150 * across)][:20]).all()
        np.testing.assert_allclose(other.anomaly_map, result.anomaly_map, rtol=1e-3, atol=1e-3)


def test_what_is_ignored_does_not_change_the_verdict_and_what_is_not_does(viewed, images):
    image = read_image(images[3])
    hidden, seen = image.copy(), image.copy()
    hidden[:, :16] = hidden[10:24, 18:28] = hidden[:8] = (0, 0, 255)
    seen[60:76, 80:100] = (0, 0, 255)
    with Inspector(viewed) as inspector:
        score = inspector(image).score
        assert inspector(hidden).score == score
        assert inspector(seen).score != score


def test_a_frame_of_another_size_is_an_error_with_its_reason(viewed, images, tmp_path):
    cv2.imwrite(str(tmp_path / "small.png"), resize_image(read_image(images[0]), 80, 100))
    with Inspector(viewed) as inspector:
        alone = inspector(tmp_path / "small.png")
        streamed = [answer.result for answer in inspector.stream(tmp_path / "small.png")]
    for result in (alone, *streamed):
        assert result.verdict is Verdict.ERROR
        assert "100 x 80 pixels, and the view is for frames of 176 x 112" in result.error


@pytest.mark.slow
def test_a_batch_of_two_images_holds_the_tiles_of_both(viewed, tmp_path):
    two = export(viewed, batch=2, output=tmp_path / "two.onnx").manifest
    assert two["inputs"]["frames"]["shape"][0] == 8


@pytest.mark.slow
def test_a_free_batch_holds_whole_images(viewed, images, tmp_path):
    artifact = export(viewed, batch="dynamic", output=tmp_path / "free.onnx").artifact
    with open_engine(artifact, "onnxruntime") as engine:
        answers = [
            list(inspect_stream(engine, image_frames(images[:7]), Limits(np.inf), EVERY_MAP, batch=batch))
            for batch in (1, 3)
        ]
    scores = [[answer.result.score for answer in each] for each in answers]
    assert len(scores[0]) == 7
    assert scores[1] == pytest.approx(scores[0], rel=1e-4)


@pytest.mark.slow
def test_a_calibration_set_is_of_images_not_of_tiles(viewed, images):
    chosen = calibrate(viewed, images=9)
    assert len(set(chosen.images)) == 9
    assert set(chosen.paths()) <= {path.resolve() for path in images} | set(images)


@pytest.fixture
def labelled(viewed, images, tmp_path):
    """A category of the same frames: a scratch in the middle of two, and in the ignored corner of one."""
    root = tmp_path / "part"
    for place in ("train/good", "test/good", "test/scratch", "ground_truth/scratch"):
        (root / place).mkdir(parents=True)
    for number, path in enumerate(images[:6]):
        folder = root / ("train/good" if number < 2 else "test/good")
        cv2.imwrite(str(folder / path.name), read_image(path))
    for path, (x, y) in zip(images[10:13], [(90, 60), (70, 40), (18, 10)], strict=True):
        box = np.s_[y : y + 8, x : x + 9]
        image, mask = read_image(path).copy(), np.zeros((HEIGHT, WIDTH), np.uint8)
        image[box], mask[box] = 255, 255
        cv2.imwrite(str(root / "test/scratch" / path.name), image)
        cv2.imwrite(str(root / "ground_truth/scratch" / f"{path.stem}_mask.png"), mask)
    return root


def test_pixel_metrics_are_of_what_is_looked_at_and_the_rest_is_counted(viewed, labelled, tmp_path):
    result = evaluate(viewed, labelled, html=tmp_path / "report.html")
    assert (result.test_good, result.test_defective) == (4, 3)
    assert result.unseen_defects == 1
    seen = (144 * 96 - 44 * 42 / 2) / (HEIGHT * WIDTH)
    assert result.unseen_pixels == pytest.approx(1 - seen, abs=0.03)
    assert 0 <= result.pixel_auroc <= 1
    page = (tmp_path / "report.html").read_text()
    words = "crop 144 x 96 at 16, 8, without 1 polygon, 2 x 2 tiles, 20 % overlap, letterboxed where its shape differs"
    assert words in page
    assert "The view over an example image" in page
    assert "lies wholly where the view does not look" in page


def test_drift_compares_images_not_tiles(viewed, labelled):
    result = drift(viewed, labelled)
    assert result.images == 7
    rows = {row["backend"]: row for row in result.rows}
    assert rows["torch"]["pixel_auroc"] == pytest.approx(rows["onnxruntime"]["pixel_auroc"], abs=1e-3)
    assert rows["onnxruntime"]["noise"] < 1e-3


def test_bench_measures_frames_with_all_of_their_tiles(viewed, short_looks):
    from edgekd.workflows.bench import bench

    result = bench(viewed, duration=0.1)
    assert result.engine["tiles"] == 4
    assert list(result.throughput_fps) == ["1"]
    assert result.macs == read_manifest(viewed / "detector.onnx")["macs"]
    assert "176" in result.measured["images"]


def test_a_recipe_names_what_is_looked_at(viewed):
    recipe = json.loads((viewed / "recipe.json").read_text())
    assert recipe["view"]["crop"] == [16, 8, 144, 96]
    assert recipe["view"]["ignore"] == [[[16, 8], [60, 8], [16, 50]]]
