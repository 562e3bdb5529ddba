"""The Inspector on arrays, files and streams of a trained detector."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgekd.artifact import manifest_path
from edgekd.data.images import read_image
from edgekd.engines import open_engine
from edgekd.errors import EdgekdError, MachineError
from edgekd.result import Verdict
from edgekd.runner import Frame
from edgekd.runner.inspector import Inspector
from edgekd.runner.sources import Source
from edgekd.verdicts.image_checks import learn_checks, statistics


@pytest.fixture
def inspector(exported: Path) -> Iterator[Inspector]:
    with Inspector(exported, backend="openvino", threads=1) as opened:
        yield opened


def test_an_array_has_the_score_of_the_engine_and_its_map(inspector: Inspector, exported: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    result = inspector(image)
    with open_engine(exported, "openvino", threads=1) as engine:
        expected = engine.infer(image[None])
    assert result.score == float(expected.scores[0])
    assert np.array_equal(result.anomaly_map, expected.anomaly_maps[0])
    stored = json.loads(manifest_path(exported).read_text())["threshold"]["value"]
    assert inspector.threshold == stored
    assert result.verdict is (Verdict.NG if result.score > stored else Verdict.OK)
    assert result.timings["end_to_end"] > 0


def test_a_mono_array_is_the_same_image_in_three_channels_of_any_size(inspector: Inspector) -> None:
    mono = np.random.default_rng(1).integers(0, 256, (90, 130), np.uint8)
    assert inspector(mono).score == inspector(np.dstack([mono] * 3)).score
    assert inspector(mono.T).score == inspector(np.ascontiguousarray(mono.T)).score


def test_a_path_is_the_image_in_the_file(inspector: Inspector, good_folder: Path) -> None:
    path = min(good_folder.iterdir())
    assert inspector(path).score == inspector(str(path)).score == inspector(read_image(path)).score


def test_a_file_that_cannot_be_read_is_an_error_and_never_ok(inspector: Inspector, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_bytes(b"no image")
    for path in (tmp_path / "text.png", tmp_path / "gone.png"):
        result = inspector(path)
        assert result.verdict is Verdict.ERROR
        assert result.error is not None
        assert path.name in result.error


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((64, 64), np.int16), r"got int16 of shape \[64, 64\]"),
        (np.zeros((64, 64, 2), np.uint8), r"got uint8 of shape \[64, 64, 2\]"),
        (np.zeros((1, 64, 64, 3), np.uint8), r"got uint8 of shape \[1, 64, 64, 3\]"),
        (np.zeros(64, np.uint8), r"got uint8 of shape \[64\]"),
        ([[0, 1], [2, 3]], "got a list"),
        (np.full((64, 64), 5000, np.uint16), "not known how many are used: convert it to uint8, or state it"),
        (np.full((64, 64, 3), 128.0), "values from 128 to 128: floating point must be in 0..1, or use uint8"),
        (np.full((64, 64, 3), np.nan, np.float32), "values from nan to nan"),
    ],
)
def test_a_wrong_array_is_refused_with_what_was_expected(inspector: Inspector, array: Any, message: str) -> None:
    with pytest.raises(EdgekdError, match=message) as raised:
        inspector(array)
    assert "\n" not in str(raised.value)


def test_arrays_of_every_kind_get_the_verdict_of_the_same_image(inspector: Inspector, good_folder: Path) -> None:
    image = read_image(next(good_folder.iterdir()))
    grey = image[:, :, 0]
    alpha = np.random.default_rng(0).integers(0, 256, grey.shape, np.uint8)
    kinds: list[np.ndarray] = [grey, grey[:, :, None], np.dstack([image, alpha]), image / 255, np.float32(grey) / 255]
    expected = inspector(image).score
    assert [inspector(kind).score for kind in kinds] == [expected] * len(kinds)
    frames = [Frame("another", lambda: 255 - image)] * 4 + [Frame("kind", partial(np.copy, kind)) for kind in kinds]
    answers = list(inspector.stream(Source(iter(frames), live=False)))
    assert [answer.result.score for answer in answers[4:]] == [expected] * len(kinds)
    assert answers[0].result.score != expected


def test_an_array_that_is_refused_in_a_stream_is_an_error_not_another_frames_verdict(inspector: Inspector) -> None:
    image = np.full((64, 64, 3), 120, np.uint8)
    bad = [np.zeros((64, 64), np.int32), np.zeros((64, 64, 5), np.uint8), np.zeros((64, 64), np.uint16)]
    frames = [Frame("good", lambda: image)] * 4 + [Frame("bad", partial(np.copy, array)) for array in bad]
    with Inspector(inspector.artifact, backend="openvino", threads=1, threshold=1e9) as lenient:
        results = [answer.result for answer in lenient.stream(Source(iter(frames), live=False))]
    assert [result.verdict for result in results] == [Verdict.OK] * 4 + [Verdict.ERROR] * 3


def test_16_bits_are_scaled_by_the_depth_that_the_artifact_states(exported: Path, tmp_path: Path) -> None:
    artifact = tmp_path / exported.name
    shutil.copy(exported, artifact)
    content = json.loads(manifest_path(exported).read_text())
    manifest_path(artifact).write_text(json.dumps(content | {"bit_depth": 12}))
    image = np.random.default_rng(0).integers(0, 128, (64, 64), np.uint8)  # Darker than half.
    deep = image.astype(np.uint16) * 16 + 9
    assert cv2.imwrite(str(tmp_path / "deep.png"), deep)
    with Inspector(artifact, backend="openvino", threads=1) as inspector:
        expected = inspector(image).score
        assert inspector(deep).score == inspector(tmp_path / "deep.png").score == expected
        (streamed,) = inspector.stream(tmp_path / "deep.png", keep_images=True)
        assert streamed.result.score == expected
        assert np.array_equal(streamed.image[:, :, 1], image)
        too_deep = np.full((64, 64), 4096, np.uint16)
        with pytest.raises(EdgekdError, match="the value 4096, but 12 bits were stated"):
            inspector(too_deep)
    with Inspector(exported, backend="openvino", threads=1) as inspector:
        assert "state how many bits" in (inspector(tmp_path / "deep.png").error or "")


def test_an_array_that_is_too_small_is_refused(inspector: Inspector) -> None:
    with pytest.raises(EdgekdError, match="the image is 8 x 64 pixels: it must be at least 16"):
        inspector(np.zeros((64, 8, 3), np.uint8))


def test_a_stream_answers_as_single_calls_do_and_holds_maps_where_wanted(exported: Path, good_folder: Path) -> None:
    paths = sorted(good_folder.iterdir())
    with Inspector(exported, backend="openvino", threads=1, threshold=0.0, readers=2) as inspector:
        alone = [inspector(path).score for path in paths]
        for source in (good_folder, str(good_folder)):
            answers = list(inspector.stream(source))
            assert [answer.name for answer in answers] == [path.name for path in paths]
            assert [answer.result.score for answer in answers] == alone
            assert all(answer.result.verdict is Verdict.NG for answer in answers)
            assert all(answer.result.anomaly_map is not None and answer.image is None for answer in answers)
        bare = list(inspector.stream(paths[0], maps="none", keep_images=True))
        assert [answer.result.anomaly_map for answer in bare] == [None]
        assert np.array_equal(bare[0].image, read_image(paths[0]))
    with Inspector(exported, backend="openvino", threads=1, threshold=1e9) as inspector:
        assert all(answer.result.anomaly_map is None for answer in inspector.stream(good_folder))
        assert all(answer.result.anomaly_map is not None for answer in inspector.stream(good_folder, maps="all"))


def test_a_video_is_a_stream_of_its_frames(inspector: Inspector, good_folder: Path, tmp_path: Path) -> None:
    video = cv2.VideoWriter(str(tmp_path / "line.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (96, 96))
    for path in sorted(good_folder.iterdir())[:5]:
        video.write(read_image(path))
    video.release()
    answers = list(inspector.stream(tmp_path / "line.avi"))
    assert [answer.name for answer in answers] == [f"line.avi#{number:06}" for number in range(5)]
    assert all(answer.result.error is None for answer in answers)


def test_a_source_that_does_not_exist_is_refused_at_once(inspector: Inspector, tmp_path: Path) -> None:
    with pytest.raises(EdgekdError, match=r"no such folder, image, video or camera: .*gone"):
        inspector.stream(tmp_path / "gone")
    with pytest.raises(EdgekdError, match="cannot read from camera 97"):
        inspector.stream(97)


def test_a_closed_inspector_refuses_and_closing_twice_does_no_harm(inspector: Inspector) -> None:
    inspector.close()
    inspector.close()
    with pytest.raises(EdgekdError, match="this engine is closed"):
        inspector(np.zeros((64, 64, 3), np.uint8))


def test_an_artifact_without_a_threshold_needs_one(exported: Path, tmp_path: Path) -> None:
    copy = tmp_path / exported.name
    shutil.copy(exported, copy)
    content = json.loads(manifest_path(exported).read_text())
    manifest_path(copy).write_text(json.dumps(content | {"threshold": None, "trained": False}))
    with pytest.raises(EdgekdError, match=r"holds no threshold \(it is untrained\): give one with --threshold"):
        Inspector(copy)
    with Inspector(copy, backend="openvino", threshold=1e9) as inspector:
        assert inspector(np.zeros((64, 64, 3), np.uint8)).verdict is Verdict.OK


@pytest.mark.parametrize("threshold", [math.nan, math.inf, -math.inf])
def test_a_threshold_that_no_score_can_be_compared_with_is_refused(exported: Path, threshold: float) -> None:
    with pytest.raises(EdgekdError, match=f"the threshold must be a finite number, got {threshold}"):
        Inspector(exported, threshold=threshold)


def test_an_inference_that_fails_is_an_error_and_a_device_that_is_gone_raises(
    inspector: Inspector, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    engine = inspector._engine

    def fails(*_: object) -> None:
        raise RuntimeError("out of memory\nmore")

    monkeypatch.setattr(engine, "infer", fails)
    result = inspector(image)
    assert (result.verdict, result.error) == (Verdict.ERROR, "the engine failed: out of memory")
    monkeypatch.setattr(type(engine), "broken", property(lambda engine: "the GPU is gone"))
    with pytest.raises(MachineError, match="the GPU is gone; open the artifact again"):
        inspector(image)


@pytest.fixture(scope="module")
def checked(exported: Path, elpv_images: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifact with checks learned from cells of 300 pixels, and with all limits that a manifest can hold."""
    folder = tmp_path_factory.mktemp("checked")
    shutil.copy(exported, folder / exported.name)
    content = json.loads(manifest_path(exported).read_text())
    content["image_checks"] = learn_checks([statistics(read_image(path)) for path in elpv_images[:60]])
    with Inspector(exported, backend="openvino", threads=1) as inspector:
        scores = np.sort([inspector(path).score for path in elpv_images[:60]])
    content["good_scores"] = {"count": 60, "quantiles": [[0.0, scores[0]], [0.5, scores[30]], [1.0, scores[-1]]]}
    content["threshold"] |= {"value": float(scores[-1]), "median_good": float(scores[30]), "good_images": 60}
    content["pixel_limit"] = {"value": 0.0}
    (folder / manifest_path(exported).name).write_text(json.dumps(content))
    return folder / exported.name


def test_a_covered_lens_is_an_error_with_its_reason_before_anything_is_scored(
    checked: Path, elpv_images: list[Path], tmp_path: Path
) -> None:
    cell = read_image(elpv_images[70])
    covered = np.asarray(cell * 0.02, np.uint8)
    for name, image in (("a_cell", cell), ("b_covered", covered), ("c_cell", cell)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), image)
    with Inspector(checked, backend="openvino", threads=1) as inspector:
        result = inspector(covered)
        answers = list(inspector.stream(tmp_path, maps="none"))
        assert inspector(cell).verdict is not Verdict.ERROR
    for found in (result, answers[1].result):
        assert found.verdict is Verdict.ERROR
        assert np.isnan(found.score)
        assert found.error is not None
        assert found.error.startswith("too dark: mean level ")
    assert [answer.result.verdict is Verdict.ERROR for answer in answers] == [False, True, False]
    with Inspector(checked, backend="openvino", threads=1, ignored_checks=["dark", "flat", "blurred"]) as inspector:
        assert inspector(covered).verdict is not Verdict.ERROR
    with pytest.raises(EdgekdError, match="image check 'drak'"):
        Inspector(checked, ignored_checks=["drak"])


def test_severity_and_regions_are_those_of_the_manifests_limits(checked: Path, elpv_images: list[Path]) -> None:
    manifest = json.loads(manifest_path(checked).read_text())["threshold"]
    with Inspector(checked, backend="openvino", threads=1) as inspector:
        result = inspector(elpv_images[70])
    span = manifest["value"] - manifest["median_good"]
    assert result.severity == pytest.approx((result.score - manifest["median_good"]) / span)
    assert result.regions != ()
    assert result.regions[0].peak == pytest.approx(float(result.anomaly_map.max()))
    x, y, width, height = result.regions[0].box
    assert 0 <= x < x + width <= 300
    assert 0 <= y < y + height <= 300


def test_a_camera_that_freezes_is_an_error_from_the_third_equal_frame_on(
    checked: Path, elpv_images: list[Path]
) -> None:
    cells = [read_image(path) for path in elpv_images[60:64]]
    shown = [cells[0], cells[1], cells[1], cells[1], cells[1], cells[2], cells[3]]
    frames = [Frame(str(number), partial(np.array, image)) for number, image in enumerate(shown)]
    with Inspector(checked, backend="openvino", threads=1) as inspector:
        answers = list(inspector.stream(Source(iter(frames), live=False, frozen_after=3)))
        again = list(inspector.stream(Source(iter(frames), live=False)))
    errors = [answer.result.error for answer in answers]
    assert [error is not None for error in errors] == [False, False, False, True, True, False, False]
    assert errors[3] == "frozen: the same frame 3 times in a row: check the camera and its cable"
    assert all(answer.result.error is None for answer in again)
    with Inspector(checked, backend="openvino", threads=1, ignored_checks=["frozen"]) as inspector:
        answers = list(inspector.stream(Source(iter(frames), live=False, frozen_after=3)))
    assert all(answer.result.error is None for answer in answers)


def test_a_lamp_at_half_is_told_once_though_every_frame_passes(checked: Path, elpv_images: list[Path]) -> None:
    cells = [read_image(path) for path in elpv_images[60:140]]
    frames = [Frame(f"part {n}", partial(np.array, cell if n < 40 else cell // 2)) for n, cell in enumerate(cells)]
    off = ["dark", "flat", "blurred"]
    with Inspector(checked, backend="openvino", threads=1, ignored_checks=off) as inspector:
        answers = list(inspector.stream(Source(iter(frames), live=False)))
        darker = [line for answer in answers for line in answer.notices if line.startswith("images have been darker")]
        assert len(darker) == 1
        assert darker[0] in inspector.monitor.moved
    assert all(answer.result.error is None for answer in answers)
