"""The Inspector on arrays, files and streams of a trained detector."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgekd.artifact import manifest_path
from edgekd.data.images import read_image
from edgekd.engines import open_engine
from edgekd.errors import EdgekdError, MachineError
from edgekd.result import Verdict
from edgekd.runner.inspector import Inspector


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
    ("array", "got"),
    [
        (np.zeros((64, 64, 3), np.float32), r"float32 of shape \[64, 64, 3\]"),
        (np.zeros((64, 64), np.uint16), r"uint16 of shape \[64, 64\]"),
        (np.zeros((64, 64, 4), np.uint8), r"uint8 of shape \[64, 64, 4\]"),
        (np.zeros((1, 64, 64, 3), np.uint8), r"uint8 of shape \[1, 64, 64, 3\]"),
        (np.zeros(64, np.uint8), r"uint8 of shape \[64\]"),
    ],
)
def test_a_wrong_array_is_refused_with_what_was_expected(inspector: Inspector, array: np.ndarray, got: str) -> None:
    expected = r"must be uint8 of shape \[height, width, 3\] \(BGR\) or \[height, width\] \(mono\), got "
    with pytest.raises(EdgekdError, match=expected + got) as raised:
        inspector(array)
    assert "\n" not in str(raised.value)


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
