"""An engine of TensorRT on a real GPU, where there is one that builds for it; export needs its packages too."""

import cv2
import numpy as np
import pytest

from edgekd.artifact import read_manifest
from edgekd.data.generated_images import generated_frames
from edgekd.data.good_images import read_frames
from edgekd.engines import open_engine
from edgekd.engines.tensorrt.flavours import RTX_CAPABILITIES, is_installed
from edgekd.recipe import TrainingRecipe

pytestmark = pytest.mark.gpu
SIZE, IMAGES = 64, 110


@pytest.fixture(scope="module")
def images(gpu, tmp_path_factory):
    """Files of generated images, so many that a threshold can be set."""
    folder = tmp_path_factory.mktemp("made")
    for index, frame in enumerate(generated_frames(IMAGES, 96)):
        cv2.imwrite(str(folder / f"{index:03}.png"), frame)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def exported(gpu, images, tmp_path_factory):
    """The detector.onnx of a run of a few iterations."""
    for package in ("torch", "onnx", "onnxscript", "onnxsim", "openvino", "onnxruntime", "safetensors"):
        pytest.importorskip(package)
    import torch

    from edgekd.cli.main import main
    from edgekd.training.run import start_run, train
    from edgekd.training.teachers.loading import load_teacher

    run = tmp_path_factory.mktemp("run") / "run"
    teacher = load_teacher("pdn_small")
    recipe = TrainingRecipe(
        "hkt",
        str(images[0].parent),
        {teacher.name: teacher.sha256},
        iterations=5,
        size=SIZE,
        batch=2,
        settings={"teacher": teacher.network},
    )
    start_run(run, recipe, [teacher])
    train(run, torch.device("cpu"), lambda iteration, loss: None)
    assert main(["export", str(run)]) == 0
    return run / "detector.onnx"


@pytest.fixture
def engine_file(gpu, exported, tmp_path):
    from edgekd.cli.main import main

    output = tmp_path / "x.engine"
    words = ["build", str(exported), "--output", str(output)]
    if not is_installed("tensorrt"):
        if gpu.capability not in RTX_CAPABILITIES or not is_installed("tensorrt_rtx"):
            pytest.skip(f"no TensorRT here builds for {gpu.capability}")
        words += ["--backend", "tensorrt-rtx", "--compute-capability", gpu.capability]
    assert main(words) == 0
    return output


def test_the_engine_answers_what_the_graph_answers(engine_file, exported, images):
    frames = read_frames(images[:8], SIZE)
    with open_engine(exported, "openvino") as engine:
        expected = [engine.infer(frame[None]) for frame in frames]
    with open_engine(engine_file) as engine:
        for frame, wanted in zip(frames, expected, strict=True):
            outputs = engine.infer(frame[None])
            spread = float(np.ptp(wanted.anomaly_maps))
            assert np.abs(outputs.anomaly_maps - wanted.anomaly_maps).max() < 2e-2 * spread


def test_a_stream_is_answered_in_order(engine_file, images):
    from edgekd.runner import inspect_stream
    from edgekd.runner.sources import image_frames
    from edgekd.verdicts.limits import Limits

    paths = images[:60]
    with open_engine(engine_file) as engine:
        alone = [float(engine.infer(frame[None]).scores[0]) for frame in read_frames(paths, SIZE)]
        streamed = [answer.result.score for answer in inspect_stream(engine, image_frames(paths), Limits(1.0))]
    np.testing.assert_allclose(streamed, alone, rtol=1e-5)


def test_a_bench_reports_the_stages_of_the_device(engine_file, images):
    from edgekd.profiling.bench import measure_engine

    frames = list(read_frames(images[:4], SIZE))
    with open_engine(engine_file) as engine:
        figures = measure_engine(engine, engine_file, read_manifest(engine_file), frames, "4", [1], 1.0)
    assert {"enqueue", "h2d", "gpu_compute", "d2h"} <= set(figures["latency_ms"])
    assert figures["overlap"]["1"] > 0
    assert figures["engine"]["slots"] == 4
